"""The shape of a stack file: one frozen pydantic model per top-level key, unknown keys refused.

Each field's ``description`` is what the table in docs/settings.md and every error's "do" line print, so it says what
to write, in which unit.
"""

import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from infra import names, schedules


class Model(BaseModel):
    """Frozen, camelCase outside, nothing unknown, nothing coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=False,
    )


def _network(value: object) -> ipaddress.IPv4Network:
    if isinstance(value, ipaddress.IPv4Network):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a string in CIDR notation")
    try:
        return ipaddress.IPv4Network(value)
    except ValueError as problem:
        raise ValueError(f"must be an IPv4 network in CIDR notation with no host bits set ({problem})") from None


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"must not repeat an entry ({', '.join(map(str, twice))})")
    return values


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("must have an entry")
    return values


def _listed(value: object) -> object:
    """YAML has lists; the frozen model has tuples."""
    return tuple(value) if isinstance(value, list) else value


Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], BeforeValidator(_listed)]
Distinct = Annotated[tuple[Item, ...], BeforeValidator(_listed), AfterValidator(_unique)]
Cidr = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
Strings = Distinct[str]
Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
InstanceTypes = Distinct[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9]+(-[a-z0-9]+)?$")]]
InstanceFamilies = Distinct[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]]
InstanceCategories = Distinct[Annotated[str, Field(pattern=r"^[a-z]{1,4}$")]]


def _passing(check: Callable[[str], object], *, or_never: bool = False) -> AfterValidator:
    """A text that a check does not raise on; ``or_never`` takes Never beside."""

    def passed(value: str) -> str:
        if not (or_never and value == "Never"):
            check(value)
        return value

    return AfterValidator(passed)


def _lifetime(value: str) -> str:
    if value != "Never" and not schedules.nanoseconds(value):
        raise ValueError("must be longer than nothing: each node would be replaced as soon as it is there")
    return value


Duration = Annotated[str, _passing(schedules.nanoseconds)]
"""Go duration in whole units, as Karpenter's CRDs take it: ``90s``, ``5m``, ``336h``, ``1h30m``."""
DurationOrNever = Annotated[str, _passing(schedules.nanoseconds, or_never=True)]
Lifetime = Annotated[str, AfterValidator(_lifetime)]
Schedule = Annotated[str, _passing(schedules.check_schedule)]
"""Cron of five fields, or a descriptor such as ``@daily``, in UTC."""
Window = Annotated[str, _passing(schedules.check_window)]


def _dated(value: str) -> str:
    """A release that ends in a date has one of the calendar's, and one that has begun somewhere.

    Raises:
        ValueError: its last eight digits are no day, or one that is still to come.
    """
    digits = value[-8:]
    if digits.isdigit():
        try:
            day = datetime.datetime.strptime(digits, "%Y%m%d").replace(tzinfo=datetime.UTC)
        except ValueError:
            raise ValueError(f"must end in a date, year, month and day, and {digits} is none") from None
        if day > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1):
            raise ValueError(f"must end in the day of a release, and {digits} is still to come")
    return value


def _qualified(value: str) -> str:
    """A qualified name whose domain is no longer than a DNS subdomain.

    Raises:
        ValueError: it is longer.
    """
    domain = value.rpartition("/")[0]
    if len(domain) > LONGEST_DOMAIN:
        raise ValueError(f"must have at most {LONGEST_DOMAIN} characters before the slash, and has {len(domain)}")
    return value


LONGEST_DOMAIN: Final = 253
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names"""


def _node_count(value: str) -> str:
    """A number of nodes, or a share: what Karpenter reads as 32 bits, and cuts off beyond.

    Source: GetAllowedDisruptionsByReason of
    https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodepool.go (intstr.FromInt)

    Raises:
        ValueError: it is larger.
    """
    if value.isdecimal() and int(value) > MOST_NODES:
        raise ValueError(f"must be at most {MOST_NODES}: Karpenter cuts a larger number off, to none at worst")
    return value


MOST_NODES: Final = 2**31 - 1


def _pem(value: SecretStr) -> str:
    return value.get_secret_value().strip().replace("\r\n", "\n")


def _private_key(value: SecretStr | None) -> SecretStr | None:
    """A private key that opens without a person: not a public one, nor one with a passphrase.

    Raises:
        ValueError: it is a public key, has a passphrase, or is no key: its file's name, or its line breaks are lost.
    """
    if value is None:
        return None
    text = _pem(value)
    if text.startswith(("ssh-", "ecdsa-", "sk-")) or "PUBLIC KEY" in text:
        raise ValueError("must be the private key: this is the public one")
    if "ENCRYPTED" in text:
        raise ValueError("must have no passphrase: nobody is there to type it")
    if text != UNOPENED and not PEM_KEY.fullmatch(text):
        raise ValueError("must be the private key in PEM, with its line breaks: the file's content, not its name")
    return value


UNOPENED: Final = "secret-of-the-stack"
"""What stands for a secret in a plan, which cannot open it; it passes for any."""
PEM_KEY: Final = re.compile(
    r"-----BEGIN ([A-Z ]+ )?PRIVATE KEY-----\n.+\n-----END ([A-Z ]+ )?PRIVATE KEY-----", re.DOTALL
)
APP_KEY: Final = re.compile(r"-----BEGIN (RSA )?PRIVATE KEY-----\n.+\n-----END (RSA )?PRIVATE KEY-----", re.DOTALL)


def _token(value: SecretStr | None) -> SecretStr | None:
    """A token alone, as a Git host hands it out.

    Raises:
        ValueError: there is a space, a line break or a user's name in it.
    """
    if value is not None and re.search(r"[\s:]", value.get_secret_value()):
        raise ValueError("must be the token alone: no space, no line break (printf, not echo), no user and no scheme")
    return value


def _app_key(value: SecretStr | None) -> SecretStr | None:
    """An RSA key in PEM, as GitHub hands it out and Argo CD's JWT library reads it, line by line.

    Raises:
        ValueError: it is not such a key, or its line breaks are lost.
    """
    key = _private_key(value)
    if key is not None and _pem(key) != UNOPENED and not APP_KEY.fullmatch(_pem(key)):
        raise ValueError("must be the app's private key in PEM, with its line breaks: the .pem file of GitHub")
    return value


def _whole(value: object) -> object:
    """True equals 1 and 30.0 equals 30, so a plain Literal would take them.

    Raises:
        ValueError: it is true, false or a fraction.
    """
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")
    return value


RetentionDays = Annotated[
    Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
    BeforeValidator(_whole),
]
"""Retention periods that CloudWatch accepts.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""
SemanticVersion = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$")]
ChartVersion = Annotated[str, Field(pattern=r"^[~^>=<]*\s?[0-9]+(\.([0-9]+|x)){0,2}$")]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
LabelKey = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?"
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        max_length=253 + 1 + 63,
    ),
    AfterValidator(_qualified),
]
"""Kubernetes' qualified name: a DNS subdomain before the slash, if there is one, at most 63 characters after it."""
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
_NUMBER = r"(0|[1-9][0-9]*)"
_IAM_NAME: Final = "[A-Za-z0-9_+=,.@-]"
AddonVersion = Annotated[str, Field(pattern=rf"^v{_NUMBER}\.{_NUMBER}\.{_NUMBER}-eksbuild\.[1-9][0-9]*$")]
AmiRelease = Annotated[str, Field(pattern=rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}-[0-9]{{8}}$"), AfterValidator(_dated)]
RoleArn = Annotated[
    str,
    Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([!-.0-~]+/){0,63}[A-Za-z0-9_+=,.@-]{1,64}$", max_length=600),
]


ChartRepository = Annotated[
    str, Field(pattern=r"^(oci|https)://[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[A-Za-z0-9._-]+)*$", max_length=300)
]
"""Where a chart lies: a registry with its prefix, or a Helm repository."""
ImageRepository = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$", max_length=255)
]
"""An image with its registry, without tag or digest."""


SubnetIds = Annotated[
    Distinct[Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")]], Field(max_length=16)
]
SubnetTags = dict[
    Annotated[str, Field(pattern=r"^[^*?]+$", max_length=128)],
    Annotated[str, Field(pattern=r"^[^*?]*$", max_length=256)],
]
"""Tags that a subnet has, all of them. EC2's filters take * and ? for any, so neither is written here."""


class ExistingVpc(Model):
    """A VPC that is there: looked at before anything is made, and neither changed, nor tagged, nor deleted."""

    vpc_id: str = Field(
        pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$",
        description="id of the VPC, in the stack's account and region",
        examples=["vpc-0f0e0d0c1a2b3c4d5"],
    )
    private_subnet_ids: SubnetIds = Field(
        (),
        description="ids of the subnets for the control plane, nodes and pods, with a way out; each zone has at least "
        "one, and all together are at most 16",
        examples=[["subnet-0a1b2c3d4e5f60718", "subnet-1a1b2c3d4e5f60718"]],
    )
    private_subnet_tags: SubnetTags = Field(
        default_factory=dict,
        description="tags by which they are found in the VPC and its zones, instead of ids; all of them",
        examples=[{"tier": "private"}],
    )
    public_subnet_ids: SubnetIds = Field(
        (), description="ids of the subnets for load balancers that the Internet reaches; left out where there are none"
    )
    public_subnet_tags: SubnetTags = Field(
        default_factory=dict, description="tags by which those are found, instead of ids"
    )
    way_out: Literal["route", "endpoints"] = Field(
        "route",
        description="route: the private subnets have one to everywhere (NAT, transit gateway, firewall); endpoints: "
        "they have none, and the VPC has endpoints of what nodes and Karpenter ask of AWS",
    )


class Proxy(Model):
    """Through what nodes and Argo CD reach what is outside: registries, Git. AWS's services are asked directly."""

    url: str = Field(
        pattern=r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}$",
        description="the proxy, with its port and without a user: user data is no place for a password",
        examples=["http://proxy.example.com:3128"],
    )
    no_proxy: Annotated[
        Distinct[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]+$", max_length=253)]], Field(max_length=50)
    ] = Field(
        (),
        description="further hosts, .domains and networks that are asked directly, beside the VPC, the Services, "
        "metadata and .amazonaws.com",
        examples=[["git.example.com", ".corp.example.com"]],
    )


class Network(Model):
    """The VPC: one public and one private subnet per zone, made by the stack; or one that is there."""

    cidr: Cidr | None = Field(
        None,
        description="the VPC's IPv4 range, /16 to /22; required, but with network.existing",
        examples=["10.10.0.0/16"],
    )
    existing: ExistingVpc | None = Field(
        None, description="a VPC of the company's, instead of one that the stack makes: docs/existing-vpc.md"
    )
    zones: Strings = Field(
        description="availability zone names of the region, 2 to 4 (prod: at least 3)",
        examples=[["eu-west-1a", "eu-west-1b"]],
        min_length=2,
        max_length=4,
    )
    private_prefix: int = Field(
        20, ge=16, le=27, description="prefix length of each private subnet (nodes and pods live here)"
    )
    public_prefix: int = Field(
        24, ge=16, le=28, description="prefix length of each public subnet (NAT and load balancers)"
    )
    nat: Literal["single", "per-zone"] = Field(
        "single", description="one NAT gateway, or one per zone (survives the loss of a zone)"
    )
    flow_logs: bool = Field(default=False, description="true to keep VPC flow logs in CloudWatch (required in prod)")
    flow_log_retention_days: RetentionDays = Field(
        90, description="days that CloudWatch keeps flow logs, one of the values that CloudWatch accepts"
    )
    gateway_endpoints: Listed[Literal["s3", "dynamodb"]] = Field(
        ("s3",), description="services reached through gateway endpoints (free): s3, dynamodb"
    )
    interface_endpoints: Annotated[
        Distinct[Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=60)]], Field(max_length=20)
    ] = Field(
        (),
        description="services reached through interface endpoints (about 7 USD a month each and zone)",
        examples=[["ecr.api", "ecr.dkr", "sts", "sqs", "ec2"]],
    )

    proxy: Proxy | None = Field(
        None, description="the way of nodes and Argo CD to registries and Git: docs/existing-vpc.md#a-proxy"
    )
    ca_bundle: str | None = Field(
        None,
        min_length=1,
        description="certificates in PEM of authorities that nodes trust beside the public ones, at most 12 KiB: of a "
        "proxy that opens TLS, or of the company's registries",
    )
    ca_bundle_hosts: Distinct[Host] = Field(
        (),
        description="hosts of Git and Helm repositories, and of the OIDC provider, that Argo CD trusts by caBundle and "
        "by nothing else: those with a certificate of these authorities, or all where the proxy opens TLS",
        examples=[["git.example.com"]],
    )

    @property
    def made(self) -> ipaddress.IPv4Network:
        """Range of the VPC that the stack makes.

        Raises:
            ValueError: it makes none.
        """
        if self.cidr is None:
            raise ValueError("the stack makes no VPC: network.existing is one that is there")
        return self.cidr


class Endpoint(Model):
    """The Kubernetes API's endpoint, for people and for ``pulumi up``."""

    public: bool = Field(description="true opens the API endpoint to publicCidrs (refused in prod)")
    private: bool = Field(default=True, description="true opens the API endpoint inside the VPC (nodes use it)")
    public_cidrs: Annotated[Distinct[Cidr], Field(max_length=40)] = Field(
        (),
        description="networks that may reach the public endpoint: office, VPN, CI; never 0.0.0.0/0",
        examples=[["198.51.100.0/24"]],
    )
    reached_from: Literal["listed-cidrs", "runner-in-vpc"] = Field(
        description="where `pulumi up` runs: listed-cidrs (its address is in publicCidrs) or runner-in-vpc (a CI "
        "runner in, or peered with, the VPC)"
    )
    runner_cidrs: Distinct[Cidr] = Field(
        (),
        description="networks of the runner in the VPC, or peered with it, admitted to the private endpoint on port "
        "443",
    )


class SystemNodeGroup(Model):
    """The small tainted managed node group: Karpenter, CoreDNS and Argo CD live here, nothing else."""

    instance_types: Annotated[InstanceTypes, Field(min_length=1)] = Field(
        ("m7i.large", "m6i.large", "m7a.large", "m5.large"),
        description="instance types in order of preference, all of amiType's architecture; a change replaces the group",
    )
    size: int = Field(
        2, ge=2, le=10, description="number of nodes, at least 2 (Karpenter runs two replicas on two hosts)"
    )
    volume_gib: int = Field(50, ge=20, le=65536, description="root volume in GiB")
    ami_type: Literal["AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD"] = Field(
        "AL2023_x86_64_STANDARD", description="EKS AMI type of the node group"
    )
    release_version: AmiRelease | None = Field(
        None,
        description="AMI release of the node group, or left out for the newest at creation; prod must pin it, and "
        "moves it every month",
        examples=["1.36.4-20260930"],
    )
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.[0-9]{2}$")] | None = Field(
        None,
        description="minor version of the group's nodes: the cluster's, or for the days after an upgrade the one "
        "before",
        examples=["1.35"],
    )


class Addons(Model):
    """EKS add-on versions, all pinned: a preview must not change because AWS published something.

    The defaults are for 1.36, as new as public sources show: docs/versions.md has the source of each. What an account
    is offered: aws eks describe-addon-versions --kubernetes-version <version>.
    """

    vpc_cni: AddonVersion = Field("v1.23.2-eksbuild.1", description="version of the vpc-cni add-on")
    kube_proxy: AddonVersion = Field(
        "v1.36.0-eksbuild.45", description="version of the kube-proxy add-on (same minor as the cluster)"
    )
    eks_pod_identity_agent: AddonVersion = Field(
        "v1.4.0-eksbuild.3", description="version of the eks-pod-identity-agent add-on"
    )
    coredns: AddonVersion = Field("v1.14.7-eksbuild.11", description="version of the coredns add-on")
    aws_ebs_csi_driver: AddonVersion = Field(
        "v1.66.0-eksbuild.1", description="version of the aws-ebs-csi-driver add-on"
    )
    eks_node_monitoring_agent: AddonVersion = Field(
        "v1.6.7-eksbuild.1", description="version of the eks-node-monitoring-agent add-on"
    )
    metrics_server: AddonVersion = Field("v0.9.0-eksbuild.11", description="version of the metrics-server add-on")
    snapshot_controller: AddonVersion = Field(
        "v8.6.0-eksbuild.8", description="version of the snapshot-controller add-on, made with persistence.backup"
    )

    def by_name(self) -> dict[str, str]:
        """Add-on name as EKS writes it -> version."""
        return {name.replace("_", "-"): version for name, version in self}


LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]


class Cluster(Model):
    """The EKS control plane, its system nodes and add-ons, and who may join."""

    name: str = Field(
        pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$",
        max_length=names.CLUSTER_NAME_LIMIT,
        description=f"lower-case letters, digits and hyphens, at most {names.CLUSTER_NAME_LIMIT} characters; a name, "
        "not an ARN; no other stack of the account has it, in any region",
        examples=["otel-dev"],
    )
    kubernetes_version: str = Field(
        pattern=r"^1\.[0-9]{2}$", description="EKS minor version, quoted", examples=["1.36"]
    )
    endpoint: Endpoint = Field(description="how the Kubernetes API is reached")
    admin_role_arns: Distinct[RoleArn] = Field(
        (),
        description="IAM role ARNs that are cluster-admin, beside the role that creates the cluster (EKS admits that "
        "one by itself, and refuses it here); at least one in prod",
    )
    admin_view_role_arns: Distinct[RoleArn] = Field(
        (),
        description="IAM role ARNs that read everything in the cluster, Secrets too, and write nothing: those that "
        "preview with a refresh, such as CI's daily check for drift",
    )
    view_role_arns: Distinct[RoleArn] = Field(
        (),
        description="IAM role ARNs that read workloads, no Secret and no custom resource, and write nothing: those "
        "that preview without a refresh, such as CI's of a pull request",
    )
    node_access: Literal["aws-auth", "both", "access-entry"] = Field(
        "aws-auth",
        description="how the Karpenter node role is admitted; from one end to the other goes through both, an update "
        "each; the direct jump is refused",
    )
    log_types: Distinct[LogType] = Field(
        ("audit", "authenticator"), description="control-plane logs kept in CloudWatch; prod: all five"
    )
    log_retention_days: RetentionDays = Field(
        30, description="days that CloudWatch keeps control-plane logs, one of the values that CloudWatch accepts"
    )
    deletion_protection: bool = Field(
        default=False, description="true makes AWS refuse to delete the cluster (required in prod)"
    )
    volume_access: Literal["account", "both", "cluster"] = Field(
        "account",
        description="volumes that the EBS CSI driver may touch: the account's, or the cluster's; on a living cluster "
        "the way leads through both, until every node and volume has the cluster's tag",
    )
    upgrade_policy: Literal["STANDARD", "EXTENDED"] | None = Field(
        None,
        description="what EKS does at the end of a minor's standard support: STANDARD upgrades the control plane, "
        "EXTENDED keeps it for a year at six times the price (EKS's own default); prod says which",
    )
    system_nodes: SystemNodeGroup = Field(default_factory=SystemNodeGroup, description="the system managed node group")
    addons: Addons = Field(default_factory=Addons, description="pinned add-on versions")


class Headroom(Model):
    """Room that Karpenter keeps free beside what runs: pods find it at once, and wait for no node to boot."""

    cpu: Quantity = Field(description="vCPUs of one chunk, quoted; a chunk is on one node", examples=["2"])
    memory: Quantity = Field(description="memory of one chunk, quoted", examples=["4Gi"])
    chunks: int = Field(1, ge=1, le=100, description="number of chunks")


class Karpenter(Model):
    """The controller."""

    version: SemanticVersion = Field(
        description="version of the karpenter and karpenter-crd charts, three numbers", examples=["1.14.3"]
    )
    chart_repository: ChartRepository = Field(
        "oci://public.ecr.aws/karpenter",
        description="where the karpenter and karpenter-crd charts lie: a registry with its prefix, oci://, or a Helm "
        "repository, https://",
        examples=["oci://111122223333.dkr.ecr.eu-west-1.amazonaws.com/karpenter"],
    )
    image_repository: ImageRepository | None = Field(
        None,
        description="the controller's image in a registry of your own, without tag and digest, which are the chart's; "
        "left out for the chart's own",
        examples=["111122223333.dkr.ecr.eu-west-1.amazonaws.com/karpenter/controller"],
    )
    identity: Literal["pod-identity", "both", "irsa"] = Field(
        "pod-identity",
        description="how the controller gets its role; from one end to the other goes through both, which trusts both "
        "ways and uses IRSA, an update each; the direct jump is refused",
    )
    node_repair: bool = Field(default=False, description="true turns on Karpenter's alpha NodeRepair feature gate")
    spot_to_spot_consolidation: bool = Field(
        default=False,
        description="true turns on Karpenter's alpha SpotToSpotConsolidation feature gate: a Spot node gives way to a "
        "cheaper one where at least 15 types would do",
    )
    min_values_policy: Literal["Strict", "BestEffort"] = Field(
        "Strict",
        description="what happens to minValues that cannot be met: Strict leaves the pod Pending (or to another pool), "
        "BestEffort launches with less choice",
    )
    batch_max_duration: Duration = Field(
        "10s",
        description="longest that Karpenter collects Pending pods before it looks for nodes: while pods keep coming, a "
        "drought's rounds of refusals are this far apart; longer makes fewer, larger nodes",
        examples=["4s"],
    )
    batch_idle_duration: Duration = Field(
        "1s", description="time without a new Pending pod after which Karpenter looks at once", examples=["1s"]
    )
    headroom: Headroom | None = Field(
        None,
        description="room that is kept free, by Karpenter's alpha CapacityBuffer: it costs as much as a node that runs "
        "pods; left out for none",
    )
    spot_service_linked_role: bool = Field(
        default=False,
        description="true creates AWSServiceRoleForEC2Spot; only in an account that does not have it yet, and in one "
        "stack only; it stays when the stack goes, so false before that stack is made again",
    )
    interruption_experiments: bool = Field(
        default=False,
        description="true makes the AWS FIS template with which `drill spot-interruption --fis` warns a Spot node; "
        "not in prod",
    )


Reserved = Annotated[
    dict[Literal["cpu", "memory", "ephemeral-storage", "pid"], Quantity],
    Field(examples=[{"cpu": "100m", "memory": "200Mi"}]),
]
Evictions = Annotated[
    dict[
        Literal[
            "memory.available",
            "nodefs.available",
            "nodefs.inodesFree",
            "imagefs.available",
            "imagefs.inodesFree",
            "pid.available",
        ],
        Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti)?|([0-9]|[1-9][0-9])(\.[0-9]{1,2})?%)$")],
    ],
    Field(examples=[{"memory.available": "100Mi"}]),
]


class Kubelet(Model):
    """The kubelet of every Karpenter node: what Karpenter knows of it counts when it packs pods.

    Source: KubeletConfiguration of
    https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/apis/v1/ec2nodeclass.go
    """

    max_pods: int | None = Field(None, ge=10, le=737, description="most pods on a node, or left out for the type's own")
    pods_per_core: int | None = Field(None, ge=1, le=110, description="most pods for each vCPU of a node")
    system_reserved: Reserved = Field(default_factory=dict, description="what the operating system keeps")
    kube_reserved: Reserved = Field(
        default_factory=dict, description="what the kubelet and the container runtime keep, instead of Karpenter's sum"
    )
    eviction_hard: Evictions = Field(
        default_factory=dict, description="signals below which the kubelet evicts pods at once, quantity or percent"
    )
    image_gc_high_threshold_percent: int | None = Field(
        None,
        alias="imageGCHighThresholdPercent",
        ge=1,
        le=100,
        description="use of the disk above which images are collected",
    )
    image_gc_low_threshold_percent: int | None = Field(
        None,
        alias="imageGCLowThresholdPercent",
        ge=0,
        le=99,
        description="use of the disk down to which images are collected",
    )


class CapacityReservation(Model):
    """On-Demand capacity that is paid for already: by id, or by its tags."""

    id: str | None = Field(
        None, pattern=r"^cr-[0-9a-z]+$", description="id of the reservation", examples=["cr-0123456789abcdef0"]
    )
    tags: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, max_length=20, description="tags of the reservations; * stands for any value"
    )
    owner_id: str | None = Field(
        None, pattern=r"^[0-9]{12}$", description="account that shares them, quoted; with tags"
    )


class NodeClass(Model):
    """The EC2NodeClass of every Karpenter node."""

    ami_alias: Annotated[str, AfterValidator(_dated)] = Field(
        pattern=r"^al2023@(latest|v[0-9]{8})$",
        description="AMI alias, al2023@latest or al2023@v and a release date; prod must pin the release",
        examples=["al2023@v20260930"],
    )
    volume_gib: int = Field(60, ge=20, le=65536, description="encrypted gp3 root volume in GiB")
    volume_throughput_mibps: int | None = Field(
        None,
        ge=125,
        le=2000,
        description="throughput of the root volume in MiB/s (125 is free of charge): what unpacking images waits for",
    )
    volume_iops: int | None = Field(
        None, ge=3000, le=80000, description="IOPS of the root volume (3000 are free of charge)"
    )
    parallel_image_pulls: int | None = Field(
        None, ge=2, le=50, description="images that a node pulls at once, or left out for one after the other"
    )
    kubelet: Kubelet = Field(default_factory=Kubelet, description="the kubelet")
    capacity_reservations: Annotated[Listed[CapacityReservation], Field(max_length=30)] = Field(
        (), description="reservations that a pool of capacity type reserved launches into"
    )


class Taint(Model):
    """A Kubernetes taint."""

    key: LabelKey = Field(description="taint key")
    value: LabelValue = Field("", description="taint value")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field("NoSchedule", description="taint effect")


class Budget(Model):
    """A voluntary disruption budget: the nodes of a pool that Karpenter may disrupt at once."""

    nodes: Annotated[str, AfterValidator(_node_count)] = Field(
        pattern=r"^((100|[0-9]{1,2})%|[0-9]+)$", description="share or number of nodes, for example 10% or 1 (quoted)"
    )
    reasons: Distinct[Literal["Underutilized", "Empty", "Drifted", "Unhealthy"]] = Field(
        (), description="the reasons that this budget is for; none means all"
    )
    schedule: Schedule | None = Field(
        None,
        description="cron start of the budget's window in UTC, weekdays 0 to 6 or by name; needs duration",
        examples=["0 7 * * mon-fri"],
    )
    duration: Window | None = Field(
        None,
        description="length of the window in hours and minutes; needs schedule",
        examples=["11h"],
    )


class Limits(Model):
    """The most that a pool may grow to."""

    cpu: Quantity = Field(description="vCPUs, quoted", examples=["200"])
    memory: Quantity = Field(description="memory, quoted", examples=["800Gi"])
    nodes: int | None = Field(None, ge=0, le=10000, description="number of nodes")


class Pool(Model):
    """A Karpenter NodePool."""

    capacity_types: Annotated[Distinct[Literal["spot", "on-demand", "reserved"]], Field(min_length=1)] = Field(
        description="spot, on-demand, reserved (nodeClass.capacityReservations), or several"
    )
    stateful: bool = Field(default=False, description="true when the databases live here: On-Demand only, tainted")
    taints: Listed[Taint] = Field((), description="taints of its nodes")
    startup_taints: Listed[Taint] = Field(
        (), description="taints that a new node has until whoever it waits for removes them; pods need no toleration"
    )
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, description="labels of its nodes")
    weight: int | None = Field(
        None, ge=1, le=100, description="preference among pools, 1 to 100; the highest is tried first"
    )
    architectures: Annotated[Distinct[Literal["amd64", "arm64"]], Field(min_length=1)] = Field(
        ("amd64",), description="CPU architectures; for arm64 every image of the demo must be known to be built"
    )
    instance_categories: Annotated[InstanceCategories, Field(min_length=1)] = Field(
        ("c", "m", "r"), description="EC2 instance categories"
    )
    instance_generation_above: int = Field(4, ge=1, le=20, description="only instance generations newer than this")
    instance_families_at_least: int | None = Field(
        None, ge=1, le=50, description="minValues: how many instance families Spot must be able to choose from"
    )
    instance_types_at_least: int | None = Field(
        None, ge=1, le=50, description="minValues: how many instance types Spot must be able to choose from"
    )
    excluded_instance_families: InstanceFamilies = Field(
        (), description="instance families that are never launched", examples=[["c6in", "r6i"]]
    )
    min_vcpus: int | None = Field(None, ge=1, le=1000, description="fewest vCPUs of a node")
    max_vcpus: int | None = Field(
        None, ge=1, le=1000, description="most vCPUs of a node: how much one interruption takes"
    )
    max_memory_gib: int | None = Field(None, ge=1, le=50000, description="most memory of a node in GiB")
    bare_metal: bool = Field(default=True, description="false keeps bare-metal types out: minutes to boot, whole hosts")
    local_storage: Literal["any", "none", "required"] = Field(
        "any", description="whether nodes have local NVMe disks: any, none, or required"
    )
    zones: Strings = Field(
        (), description="zones of network.zones that the pool launches in; none means all", examples=[["eu-west-1a"]]
    )
    limits: Limits = Field(description="the most that the pool may grow to")
    budgets: Annotated[Listed[Budget], Field(max_length=50)] = Field(
        (Budget(nodes="10%"),), description="voluntary disruption budgets"
    )
    consolidation_policy: Literal["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"] = Field(
        "WhenEmptyOrUnderutilized", description="when Karpenter may replace or remove nodes to save money"
    )
    consolidate_after: DurationOrNever = Field(
        "1m", description="how long a node must be quiet before consolidation, or Never"
    )
    expire_after: Lifetime = Field(
        "336h",
        description="age at which a node is drained whatever its budgets say, or Never: then a new nodeClass.amiAlias "
        "replaces it, within them",
    )
    expire_after_reason: str | None = Field(
        None,
        min_length=10,
        max_length=160,
        description="why nodes may go by their age, outside every budget; needed with expireAfter in prod, and where "
        "databases live",
    )
    termination_grace_period: Duration = Field(
        "1h", description="longest drain; after it pods are removed in spite of their budgets"
    )
    spot_only_reason: str | None = Field(
        None,
        min_length=10,
        description="why a stateful workload may land on this Spot-only pool; needed only where one could",
    )


class Oidc(Model):
    """Single sign-on of Argo CD.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/user-management/#existing-oidc-provider
    """

    name: str = Field("SSO", min_length=1, max_length=60, description="what the button to log in says")
    issuer: str = Field(
        pattern=r"^https://[^\s?#]+$",
        description="the provider's issuer",
        examples=["https://login.acme.io/realms/main"],
    )
    client_id: str = Field(min_length=1, max_length=200, pattern=r"^\S+$", description="the client at the provider")
    client_secret: Annotated[str, Field(pattern=r"^\$[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[A-Za-z0-9._-]+$")] | None = Field(
        None,
        description="where the client's secret is, never the secret: $SECRET:KEY, a Secret beside Argo CD with the "
        "label app.kubernetes.io/part-of: argocd",
        examples=["$argocd-oidc:clientSecret"],
    )
    cli_client_id: str | None = Field(
        None, min_length=1, max_length=200, description="a public client of its own for the argocd command"
    )
    pkce: bool = Field(default=False, description="true for a client that proves itself by PKCE, also without a secret")
    requested_scopes: Strings = Field(
        ("openid", "profile", "email", "groups"), description="scopes that the provider is asked for"
    )


class Rbac(Model):
    """Roles in Argo CD of who logs in by single sign-on.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/rbac/
    """

    default_role: str = Field(
        "",
        pattern=r"^(role:[A-Za-z0-9_.-]+)?$",
        description="role of whoever has no other; left out: none, so nothing is seen",
    )
    policy: Strings = Field(
        (), description="lines of policy.csv, each checked", examples=[["g, platform-team, role:admin"]]
    )
    scopes: Distinct[Annotated[str, Field(pattern=r"^[A-Za-z0-9_:./-]+$")]] = Field(
        ("groups",), min_length=1, description="claims of the token that name groups"
    )


class ArgoCd(Model):
    """The Argo CD release."""

    chart_version: ChartVersion = Field(description="version of the argo-cd chart; exact in prod", examples=["10.9.5"])
    chart_repository: ChartRepository = Field(
        "https://argoproj.github.io/argo-helm",
        description="where the argo-cd chart lies: a Helm repository, https://, or a registry with its prefix, oci://",
        examples=["oci://111122223333.dkr.ecr.eu-west-1.amazonaws.com/argo"],
    )
    image_repository: ImageRepository | None = Field(
        None,
        description="Argo CD's image in a registry of your own, without tag; left out for the chart's own",
        examples=["111122223333.dkr.ecr.eu-west-1.amazonaws.com/argoproj/argocd"],
    )
    redis_image_repository: ImageRepository | None = Field(
        None,
        description="Redis' image in a registry of your own, without tag; left out for the chart's own",
        examples=["111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker/library/redis"],
    )
    admin_enabled: bool = Field(default=False, description="true keeps the local admin user (refused in prod)")
    high_availability: bool = Field(
        default=False, description="true runs two replicas of the repo server and API server"
    )
    domain: str = Field(
        "argocd.internal",
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        description="host name that people reach Argo CD under",
    )
    oidc: Oidc | None = Field(None, description="single sign-on; left out: kubectl access (argocd --core) alone")
    rbac: Rbac = Field(Rbac(), description="who may do what, of those who log in")


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS label, as a namespace's name is."""
SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
"""Kubernetes' DNS subdomain, as the name of a StorageClass is.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
"""
PodSecurityLevel = Literal["privileged", "baseline", "restricted"]
RepositoryUrl = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.~:/@%+-]*$", max_length=500)]


class PodSecurity(Model):
    """Levels of the Pod Security Standards on a child's namespace."""

    enforce: PodSecurityLevel = Field(description="what is refused: privileged, baseline or restricted")
    audit: PodSecurityLevel = Field("restricted", description="what the audit log tells")
    warn: PodSecurityLevel = Field("restricted", description="what whoever applies it is warned of")


class IgnoredDifference(Model):
    """Fields of a child's objects that another controller owns, such as the replicas that an HPA sets.

    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/
    """

    group: str = Field(
        "",
        max_length=253,
        pattern=r"^([a-z0-9.-]*|\*)$",
        description="API group without a version, empty for core",
        examples=["apps"],
    )
    kind: str = Field(pattern=r"^([A-Z][A-Za-z0-9]*|\*)$", description="kind", examples=["Deployment"])
    name: str | None = Field(None, min_length=1, description="name of the one object, or left out for all")
    namespace: str | None = Field(None, min_length=1, description="namespace of the objects, or left out for all")
    json_pointers: Distinct[Annotated[str, Field(pattern=r"^(/[^/]+)+$")]] = Field(
        (), description="fields as JSON pointers", examples=[["/spec/replicas"]]
    )
    jq_path_expressions: Strings = Field((), description="fields as jq paths")
    managed_fields_managers: Strings = Field((), description="field managers whose fields are left alone")


Revision = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_./+~^*<>=|, -]+$")]


class ClusterKind(Model):
    """A cluster-scoped kind that an added child may render."""

    group: Annotated[str, Field(pattern=rf"^({SUBDOMAIN[1:-1]})?$")] = Field(
        "", max_length=253, description="API group, empty for core", examples=["cert-manager.io"]
    )
    kind: str = Field(pattern=r"^[A-Z][A-Za-z0-9]*$", description="kind", examples=["ClusterIssuer"])


Folder = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]
ValueFile = Annotated[str, Field(pattern=r"^(\$[A-Za-z0-9_-]+/)?[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=500)]


class Source(Model):
    """One of several sources of a child: what is deployed, or a repository that another source's values files are in.

    The fields are those of ``definitions.source`` in gitops/apps/values.schema.json; a test compares them.
    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/multiple_sources/
    """

    repo_url: RepositoryUrl | None = Field(
        None,
        alias="repoURL",
        description="its repository, listed in gitops.sourceRepositories; left out: gitops.repository",
        examples=["https://charts.example.com"],
    )
    path: Folder | None = Field(
        None, description="folder in the Git repository: a chart, a Kustomization or plain files", examples=["deploy"]
    )
    chart: Folder | None = Field(
        None, description="name of a chart in the Helm repository repoURL, instead of path", examples=["cert-manager"]
    )
    target_revision: Revision | None = Field(
        None, description="as of a child: left out for gitops.repository alone, where it is the root's own commit"
    )
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=63)] | None = Field(
        None,
        description="name under which another source's valueFiles find this Git repository: $<ref>/...",
        examples=["values"],
    )
    value_files: Distinct[ValueFile] = Field(
        (),
        description="values files of its chart, the last one on top: in the chart, or $<ref>/ and a path",
        examples=[["$values/gitops/values/cert-manager.yaml"]],
    )
    values: dict[str, object] = Field(default_factory=dict, description="values of its chart, over the files")


class Application(Model):
    """A child of the app-of-apps: one that is added, or what is other than in gitops/apps/values.yaml.

    The fields are those of ``definitions.application`` in gitops/apps/values.schema.json; a test compares them.
    """

    enabled: bool = Field(default=True, description="false to leave the child out")
    wave: int = Field(0, ge=-1000, le=1000, description="order: a wave is Healthy before the next one is applied")
    repo_url: RepositoryUrl | None = Field(
        None,
        alias="repoURL",
        description="another repository than gitops.repository, listed in gitops.sourceRepositories",
        examples=["https://charts.example.com"],
    )
    path: Folder | None = Field(None, description="folder in the Git repository", examples=["gitops/charts/shop"])
    source_type: Literal["Helm", "Kustomize", "Directory"] | None = Field(
        None,
        description="what a path of gitops.repository holds: a chart (left out), a Kustomization or plain files",
        examples=["Kustomize"],
    )
    chart: Folder | None = Field(
        None, description="name of a chart in the Helm repository repoURL, instead of path", examples=["cert-manager"]
    )
    sources: Listed[Source] = Field(
        (),
        min_length=1,
        description="several sources instead of one: a chart of another repository with values files of this one",
    )
    target_revision: Revision | None = Field(
        None,
        description="branch, tag or commit, or a chart's version or range; left out: the root's own commit; prod must "
        "pin it",
    )
    variant: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=63)] | None = Field(
        None,
        description="values-<variant>[-<environment>].yaml of its folder are laid over the environment's",
        examples=["large"],
    )
    namespace: Name | None = Field(None, description="namespace that it deploys to: built in, or in gitops.namespaces")
    create_namespace: bool = Field(default=False, description="true to make the namespace where it is not there")
    server_side_apply: bool = Field(default=False, description="true to apply on the server's side")
    pod_security: PodSecurity | None = Field(None, description="levels on the namespace; needs createNamespace: true")
    namespace_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="further labels of the namespace; needs createNamespace: true"
    )
    cluster_metadata: Distinct[Literal["clusterName", "environment", "region", "interruptionQueue", "nodeRole"]] = (
        Field((), description="facts of the stack that its chart gets under global.clusterMetadata")
    )
    sync_options: Distinct[Annotated[str, Field(pattern=r"^[A-Za-z]+=[A-Za-z]+$")]] = Field(
        (), description="further sync options of Argo CD", examples=[["SkipDryRunOnMissingResource=true"]]
    )
    ignore_differences: Listed[IgnoredDifference] = Field(
        (), description="fields that Argo CD leaves to another controller, an HPA's replicas for one"
    )
    values: dict[str, object] = Field(default_factory=dict, description="values of its Helm chart")


MIRROR: Final = r"^([a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5}|localhost)(/[a-z0-9._-]+)*$"
"""Registry and path. Its first part has a dot or a port: another one is a path on Docker Hub.

Source: https://github.com/distribution/reference/blob/v0.6.0/normalize.go
"""


class GithubApp(Model):
    """A GitHub App that is installed on the repository; its key is the secret ``githubAppPrivateKey``.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
    """

    app_id: int = Field(ge=1, description="number of the app, on its settings page", examples=[123456])
    installation_id: int = Field(
        ge=1, description="number of its installation, the last part of that page's address", examples=[7654321]
    )
    enterprise_base_url: str | None = Field(
        None,
        pattern=r"^https://[^\s/]+(/\S*)?$",
        description="API of a GitHub Enterprise Server; left out for github.com",
        examples=["https://github.example.com/api/v3"],
    )


class GitOps(Model):
    """The Git source of Argo CD."""

    repository: str = Field(
        pattern=r"^(https://|ssh://[A-Za-z0-9_.-]+@|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:|file://|http://127\.0\.0\.1)\S+$",
        description="URL of the Git repository that holds gitops/",
        examples=["https://github.com/your-org/otel-on-spot.git"],
    )
    revision: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_./-]+$",
        description="branch, tag or commit; prod must pin a tag such as v1.2.3 or a full commit",
        examples=["main"],
    )
    github_app: GithubApp | None = Field(
        None, description="how a private repository on GitHub is read by an app instead of a person's token"
    )
    applications: dict[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$")], Application] = Field(
        default_factory=dict,
        description="children of the app-of-apps to add, change or disable; see gitops/apps/values.yaml",
    )
    namespaces: Distinct[Name] = Field(
        (), description="namespaces that added children deploy to, beside the built-in ones"
    )
    source_repositories: Distinct[RepositoryUrl] = Field(
        (), description="further Git or Helm repositories that children may use, each by its whole address"
    )
    image_registries: dict[
        Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")],
        Annotated[str, Field(pattern=MIRROR, max_length=200)],
    ] = Field(
        default_factory=dict,
        description="registry of an image of the demo -> what stands in its place: a mirror, or an ECR pull-through "
        "cache with its prefix",
        examples=[{"docker.io": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub"}],
    )
    image_pull_secrets: Distinct[Name] = Field(
        (), description="Secrets in the demo's namespace that every pod of it pulls with; ECR needs none"
    )
    cluster_kinds: Listed[ClusterKind] = Field(
        (), description="cluster-scoped kinds that added children may render, beside the built-in children's"
    )
    demo_passwords_version: int = Field(
        1,
        ge=1,
        le=9999,
        description="one more gives the demo's PostgreSQL and Grafana new passwords, and starts what uses them anew",
    )


_LOCAL_PART: Final = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*"
_DOMAIN: Final = r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)+[a-zA-Z]{2,}"
Emails = Distinct[Annotated[str, Field(pattern=rf"^{_LOCAL_PART}@{_DOMAIN}$", max_length=254)]]


class Alarms(Model):
    """Who is told when a CloudWatch alarm fires: a topic, or people by e-mail. Without one there are no alarms."""

    topic_arn: Annotated[str, Field(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$")] | None = (
        Field(
            None,
            description="ARN of a standard SNS topic of the stack's region, which lets CloudWatch publish (another "
            "account's too)",
            examples=["arn:aws:sns:eu-west-1:111122223333:on-call"],
        )
    )
    emails: Annotated[Emails, Field(max_length=20)] = Field(
        (),
        description="addresses that the stack's own topic writes to; each confirms once, by a link in the first mail",
        examples=[["on-call@example.com"]],
    )


Database = Literal["kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"]
"""The demo's databases, by the names of their workloads; a test compares them with the wrapper chart's list."""
DEFAULT_GIB: Final[Mapping[Database, int]] = {
    "kafka": 10,
    "opensearch": 20,
    "postgresql": 10,
    "prometheus": 5,
    "valkey-cart": 2,
}
"""Sizes of the volumes: for weeks of the demo's own load, and several times what each keeps by its own retention."""


class Volume(Model):
    """The volume of one database."""

    gib: int | None = Field(
        None, ge=1, le=65536, description="size in GiB; it grows in place, and EBS makes no volume smaller"
    )
    restore_from: Name | None = Field(
        None,
        description="VolumeSnapshot in the demo's namespace that a new volume begins with; the one so far stays",
        examples=["postgresql-data-x7k2p"],
    )


class Backup(Model):
    """VolumeSnapshots of every database's volume."""

    schedule: Schedule = Field("0 3 * * *", description="cron start in UTC", examples=["0 3 * * *"])
    keep: int = Field(7, ge=1, le=30, description="number of backups that are kept; the one before them is deleted")


class Persistence(Model):
    """What the demo's databases keep when they move."""

    enabled: bool = Field(
        default=False,
        description="true gives every database a volume; false leaves volumes that are there alone, unused, and the "
        "databases begin empty",
    )
    storage_class: Annotated[str, Field(pattern=SUBDOMAIN, max_length=253)] = Field(
        "gp3",
        description="StorageClass of the volumes: gp3, which the platform makes, or one that is in the cluster; "
        "volumes that are there keep theirs, and Kubernetes refuses a change",
    )
    volumes: dict[Database, Volume] = Field(
        default_factory=dict,
        description="by database: kafka, opensearch, postgresql, prometheus, valkey-cart; left out: its default size",
    )
    backup: Backup | None = Field(
        None,
        description="VolumeSnapshots on a schedule, with the snapshot-controller add-on; left out for none; prod "
        "has them",
    )

    def gib(self, database: Database) -> int:
        """Size of a database's volume."""
        volume = self.volumes.get(database)
        return volume.gib if volume and volume.gib else DEFAULT_GIB[database]

    def restored_from(self, database: Database) -> str | None:
        """The VolumeSnapshot that a database's volume begins with."""
        volume = self.volumes.get(database)
        return volume.restore_from if volume else None

    def claim(self, database: Database) -> str:
        """Name of the claim of a database's volume: that of the snapshot that it begins with, or ``<name>-data``.

        A claim's source cannot change, so another snapshot means another claim; the one before is left as it is.
        """
        return self.restored_from(database) or f"{database}-data"


INTERNAL_HOST: Final = re.compile(r"[a-z0-9-]+\.([a-z0-9-]+)\.svc(\.cluster\.local)?")


class OtlpBackend(Model):
    """A backend that everything is sent to as well, by OTLP.

    Source: https://opentelemetry.io/docs/specs/otlp/
    """

    endpoint: Annotated[
        str,
        Field(
            pattern=r"^https?://[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
            r"(:[1-9][0-9]{0,4})?(/[A-Za-z0-9/._~-]*)?$",
            max_length=500,
        ),
    ] = Field(
        description="address of the backend, with a port where it is not the scheme's own; http:// in the cluster only",
        examples=["https://otlp.example.com:4317"],
    )
    protocol: Literal["grpc", "http"] = Field("grpc", description="OTLP over gRPC, or over HTTP with Protobuf")
    headers_secret: Name | None = Field(
        None,
        description="Secret in the demo's namespace that holds what headers are sent, such as a key of the vendor's; "
        "you make it, Git and Pulumi never see it",
        examples=["otlp-backend"],
    )
    headers: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=100)],
        Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)],
    ] = Field(
        default_factory=dict,
        description="header -> key of headersSecret, in capitals",
        examples=[{"api-key": "API_KEY"}],
    )
    ca_certificate: (
        Annotated[str, Field(pattern=r"^-----BEGIN CERTIFICATE-----\n[\s\S]+", max_length=20_000)] | None
    ) = Field(
        None, description="certificate, in PEM, of the authority that signs the backend's, where no system knows it"
    )

    @property
    def port(self) -> int:
        """Port of the endpoint, or what its scheme means."""
        scheme, _, rest = self.endpoint.partition("://")
        given = rest.partition("/")[0].rpartition(":")[2]
        return int(given) if given.isdigit() else {"https": 443, "http": 80}[scheme]

    @property
    def host(self) -> str:
        """Host of the endpoint."""
        return self.endpoint.partition("://")[2].partition("/")[0].partition(":")[0]

    @property
    def path(self) -> str:
        """Path of the endpoint, without its slash."""
        return self.endpoint.partition("://")[2].partition("/")[2]

    @property
    def namespace(self) -> str:
        """Namespace of an endpoint in the cluster, whose name ends in ``.svc``; empty for one outside."""
        found = INTERNAL_HOST.fullmatch(self.host)
        return found[1] if found else ""

    @property
    def address(self) -> str:
        """The endpoint with its port, as the collector's exporters take it."""
        scheme = self.endpoint.partition("://")[0]
        return f"{scheme}://{self.host}:{self.port}" + (f"/{self.path}" if self.path else "")


class Monitoring(Model):
    """Who judges the platform's own alerts (gitops/charts/otel-demo/alerts), and who is sent signals as well."""

    alerts: Literal["none", "demo", "operator"] = Field(
        "none",
        description="demo: the demo's Prometheus scrapes Karpenter and Argo CD and judges the alerts; operator: a "
        "Prometheus Operator that the cluster has does, by PrometheusRule and PodMonitors; none: nobody",
    )
    operator_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        description="labels by which that operator's Prometheus selects its rules and monitors",
        examples=[{"release": "kube-prometheus-stack"}],
    )
    runbook_base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$", max_length=500)] | None = Field(
        None,
        description="address of this repository's files, which makes each alert's page a link",
        examples=["https://github.com/your-org/otel-on-spot/blob/main"],
    )
    otlp: OtlpBackend | None = Field(
        None,
        description="a backend that the demo's collector sends traces, metrics and logs to as well, with alerts: demo "
        "the platform's metrics too",
    )


class FrontPath(Model):
    """What a visitor's purchase goes through: `frontPath` of gitops/charts/otel-demo/values.yaml lists it."""

    on_demand_floor: int = Field(
        0,
        ge=0,
        le=10,
        description="replicas of each component of the front path that run On-Demand, beside those that may run on "
        "Spot; 0 for none",
    )


DomainName = Annotated[
    str,
    Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=253),
]
"""A DNS name of two labels at least, as a certificate has it."""
UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class LoadBalancer(Model):
    """One way in: an Application Load Balancer of its own."""

    scheme: Literal["internet-facing", "internal"] = Field(
        description="internet-facing stands in the public subnets, internal in the private ones"
    )
    inbound_cidrs: Annotated[Distinct[Cidr], AfterValidator(_some), Field(max_length=50)] = Field(
        description="networks that may enter; 0.0.0.0/0 for everybody",
        examples=[["198.51.100.0/24"]],
    )
    certificate_arn: (
        Annotated[str, Field(pattern=rf"^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{{12}}:certificate/{UUID}$")] | None
    ) = Field(
        None,
        description="ARN of the ACM certificate of the host, of the stack's account and region; without one the "
        "load balancer speaks HTTP, internal alone",
        examples=["arn:aws:acm:eu-west-1:111122223333:certificate/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"],
    )
    web_acl_arn: (
        Annotated[
            str,
            Field(
                pattern=r"^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/"
                rf"[A-Za-z0-9_-]{{1,128}}/{UUID}$"
            ),
        ]
        | None
    ) = Field(None, description="ARN of the regional AWS WAF web ACL that looks at each request")


class ShopLoadBalancer(LoadBalancer):
    """The shop's way in."""

    host: DomainName = Field(
        description="DNS name of the shop; point it at the load balancer", examples=["shop.example.com"]
    )


class LoadBalancerController(Model):
    """The AWS Load Balancer Controller, which makes the load balancers."""

    chart_version: SemanticVersion = Field("3.5.0", description="version of the aws-load-balancer-controller chart")
    chart_repository: Annotated[ChartRepository, Field(pattern="^https://")] = Field(
        "https://aws.github.io/eks-charts",
        description="Helm repository that the aws-load-balancer-controller chart lies in, https://",
    )
    image_repository: ImageRepository | None = Field(
        None,
        description="the controller's image in a registry of your own, without tag; left out for the chart's own",
        examples=["111122223333.dkr.ecr.eu-west-1.amazonaws.com/eks/aws-load-balancer-controller"],
    )


class Ingress(Model):
    """Ways in for users: none, the shop's, Argo CD's, or both."""

    shop: ShopLoadBalancer | None = Field(None, description="the shop's load balancer; left out for none")
    argocd: LoadBalancer | None = Field(
        None, description="Argo CD's load balancer, behind argocd.oidc, at argocd.domain; left out for none"
    )
    tls_policy: Annotated[str, Field(pattern=r"^ELBSecurityPolicy-TLS13-1-[23](-[A-Za-z0-9]+)*-[0-9]{4}-[0-9]{2}$")] = (
        Field(
            "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
            description="security policy of the HTTPS listeners, TLS 1.2 or newer",
        )
    )
    controller: LoadBalancerController = Field(
        LoadBalancerController(), description="the controller, there with the first load balancer"
    )

    @property
    def load_balancers(self) -> dict[str, LoadBalancer]:
        """Each load balancer by its key."""
        given = {"shop": self.shop, "argocd": self.argocd}
        return {key: balancer for key, balancer in given.items() if balancer is not None}


class Costs(Model):
    """What the environment may cost. Judged by ``otel-on-spot plan --cost``."""

    monthly_limit_usd: int | None = Field(
        None,
        gt=0,
        description="USD a month that the stack may be expected to cost, by list prices: `otel-on-spot plan` "
        "says when it is more, and fails with --exit-code, in prod without it",
    )
    budget_emails: Annotated[Emails, Field(max_length=10)] = Field(
        (),
        description="addresses that AWS Budgets writes to at 80 and 100 % of monthlyLimitUsd and when the forecast "
        "passes it, of what has the tag cluster; activate the tag for cost allocation",
        examples=[["on-call@example.com"]],
    )


class Iam(Model):
    """What the account's rules ask of every role."""

    permissions_boundary: (
        Annotated[
            str, Field(pattern=rf"^arn:[a-z-]+:iam::([0-9]{{12}}|aws):policy/({_IAM_NAME}+/)*{_IAM_NAME}{{1,128}}$")
        ]
        | None
    ) = Field(
        None,
        description="ARN of the policy that is the permissions boundary of every role, where the account asks for one",
        examples=["arn:aws:iam::111122223333:policy/boundary"],
    )
    path: Annotated[str, Field(pattern=rf"^/({_IAM_NAME}+/)*$", max_length=400)] = Field(
        "/",
        description="path of every role, policy and instance profile that is made from now on, with a slash at both "
        "ends; what is there keeps the path that it has",
        examples=["/platform/"],
    )


KmsKeyArn = Annotated[
    str,
    Field(
        pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/"
        r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
    ),
]


class Encryption(Model):
    """Whose key encrypts what the stack keeps in AWS's services."""

    kms_key_arn: KmsKeyArn | None = Field(
        None,
        description="ARN of a symmetric KMS key of the stack's region (another account's too; no alias) for the "
        "cluster's secrets, its logs and the alarms' topic; left out, the stack makes keys of its own; its key policy "
        "lets EKS, CloudWatch and its logs in: docs/kms-key.md; it stays for the cluster's life",
        examples=["arn:aws:kms:eu-west-1:111122223333:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"],
    )
    volumes_kms_key_arn: KmsKeyArn | None = Field(
        None,
        description="ARN of a symmetric KMS key, as kmsKeyArn and the same one if you like, for the volumes of all "
        "nodes and of new claims; left out, the account's key for EBS; its key policy lets EC2 Auto Scaling, Karpenter "
        "and the EBS CSI driver in through EC2: docs/kms-key.md; a change replaces every node, and leaves volumes of "
        "claims as they are",
        examples=["arn:aws:kms:eu-west-1:111122223333:key/1f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"],
    )


class Settings(Model):
    """One environment, whole. The keys are those of Pulumi.<stack>.yaml under ``otel-on-spot:``."""

    environment: Literal["dev", "staging", "prod", "lab"] = Field(description="which rules apply: prod is strict")
    region: str = Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$", description="AWS region", examples=["eu-west-1"])
    account_id: str | None = Field(
        None,
        pattern=r"^[0-9]{12}$",
        description="12-digit AWS account that this stack belongs to, quoted; any other account is refused; required "
        "in prod",
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        description="tags on every AWS resource, beside the program's own, as the strictest service takes them",
    )
    iam: Iam = Field(Iam(), description="what the account's rules ask of every role")
    encryption: Encryption = Field(Encryption(), description="whose key encrypts what the stack keeps")
    network: Network = Field(description="the VPC")
    cluster: Cluster = Field(description="the EKS cluster")
    karpenter: Karpenter = Field(description="the Karpenter controller")
    node_class: NodeClass = Field(description="what every Karpenter node is made of")
    pools: dict[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")], Pool] = Field(
        min_length=1, description="Karpenter NodePools by name"
    )
    argocd: ArgoCd = Field(description="the Argo CD release")
    gitops: GitOps = Field(description="what Argo CD reads from Git")
    alarms: Alarms = Field(Alarms(), description="who is told when a CloudWatch alarm fires")
    persistence: Persistence = Field(Persistence(), description="what the demo's databases keep when they move")
    front_path: FrontPath = Field(FrontPath(), description="what answers while Spot is taken away")
    monitoring: Monitoring = Field(Monitoring(), description="who judges the platform's own alerts")
    ingress: Ingress = Field(Ingress(), description="ways in for users; left out for none")
    costs: Costs = Field(Costs(), description="what the environment may cost")
    git_token: Annotated[SecretStr | None, AfterValidator(_token)] = Field(
        None, min_length=1, description="token for a private Git repository: pulumi config set --secret gitToken"
    )
    git_ssh_key: Annotated[SecretStr | None, AfterValidator(_private_key)] = Field(
        None,
        min_length=1,
        description="private key without a passphrase, for an SSH URL of gitops.repository: "
        "pulumi config set --secret gitSshKey < KEY_FILE; Argo CD knows the host keys of public Git hosts",
    )
    github_app_private_key: Annotated[SecretStr | None, AfterValidator(_app_key)] = Field(
        None,
        min_length=1,
        description="private key of gitops.githubApp: pulumi config set --secret githubAppPrivateKey < PEM_FILE",
    )
