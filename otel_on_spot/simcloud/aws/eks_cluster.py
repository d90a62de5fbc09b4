"""EKS clusters: over moto, with what moto 5.2.5 lacks beside it.

moto gives a cluster no security group, no network interfaces, no access configuration, no deletion protection and
no log group; it takes subnets of one zone. AWS does otherwise, and so do we.
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.kubernetes.names import NAMESPACE, cluster_tag
from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud import eks_requests
from otel_on_spot.simcloud.api_errors import INVALID, ApiError, refuse
from otel_on_spot.simcloud.aws import in_use, principals
from otel_on_spot.simcloud.aws.ec2 import refuse_other_networks
from otel_on_spot.simcloud.aws.keys import refuse_state
from otel_on_spot.simcloud.aws.roles import trusts
from otel_on_spot.simcloud.eks_answers import SUPPORTED_UNTIL, issuer
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, own_tags, tag_list
from otel_on_spot.simcloud.properties import Properties, declared

EKS: Final = "eks.amazonaws.com"
NEWEST_MINOR: Final = "1.36"
DEFAULT_MINOR = "1.36"
"""The minor that EKS takes where none is asked for."""
READ_BACK = (
    *("enabledClusterLogTypes", "deletionProtection", "accessConfig", "encryptionConfig", "upgradePolicy"),
    "zonalShiftConfig",
)
ROLLBACK_SECONDS: Final = 7 * 24 * 3600
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html"""
WITHOUT_CONTROL_PLANE = {
    "us-east-1": frozenset({"use1-az3"}),
    "us-west-1": frozenset({"usw1-az2"}),
    "ca-central-1": frozenset({"cac1-az3"}),
}
"""Region -> ids of the zones in which EKS takes no subnet of a cluster."""
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def cluster_row(site: Site, name: str) -> dict[str, Any]:
    """The cluster's row.

    Raises:
        NotFoundError: there is no such cluster.
    """
    return site.row("clusters", name, f"No cluster found for name: {name}.")


def active_cluster(site: Site, name: str) -> dict[str, Any]:
    """The cluster's row, where the cluster is ready.

    Raises:
        ApiError: it is not there, or not ready.
    """
    row = cluster_row(site, name)
    if row["status"] != "ACTIVE":
        raise ApiError("ResourceInUseException", f"Cluster {name} is not in ACTIVE status: {row['status']}")
    return row


class Cluster(Handler):
    """A control plane."""

    token = "aws:eks/cluster:Cluster"
    taggable = True
    seconds = Seconds(540, 60, 150)
    timeouts = Seconds(1800, 3600, 900)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, name, network = call.site, inputs["name"], inputs["vpcConfig"]
        there = site.cloud.tables.get("clusters", name)
        refuse((there, f"Cluster already exists with name: {name}"), code="ResourceInUseException")
        _refuse_addresses(site, inputs)
        subnets = site.client("ec2").describe_subnets(SubnetIds=network["subnetIds"])["Subnets"]
        vpc = subnets[0]["VpcId"]
        _refuse_network(site, name, network, subnets)
        _refuse_places(site, network, vpc)
        _refuse_services(site, inputs, vpc)
        minor, role = inputs.get("version") or DEFAULT_MINOR, inputs["roleArn"]
        refuse((minor not in {*SUPPORTED_UNTIL, NEWEST_MINOR}, f"unsupported Kubernetes version {minor}"))
        trouble = "could not be assumed because it does not exist or the trusted entity is not correct"
        refuse((not trusts(site, role, {"Service": EKS}), f"Role with arn: {role}, {trouble}"))
        if encryption := inputs.get("encryptionConfig"):
            refuse_state(site, encryption["provider"]["keyArn"], INVALID)
            kinds = encryption["resources"]
            refuse((kinds != ["secrets"], f"Unsupported resources {kinds}: [secrets] is supported"))
        asked = {"version": DEFAULT_MINOR, **eks_requests.create_cluster(inputs, all_tags(site, inputs))}
        site.client("eks").create_cluster(**{**asked, **_service_addresses(site, inputs)})
        row = {
            "status": "CREATING",
            "vpc": vpc,
            "endpoint": site.cloud.endpoint(name),
            "authority": _authority(site, name),
            "roleArn": inputs["roleArn"],
            "region": site.region,
            "account": site.cloud.account,
            "group": self._group(site, name, vpc),
            "interfaces": [],
            "selfManagedAddons": bool(inputs.get("bootstrapSelfManagedAddons")),
            "inputs": declared(inputs),
            "tags": all_tags(site, inputs),
            "creator": site.cloud.authorization.principal if site.cloud.authorization else "",
        }
        self._attach(site, name, row, network["subnetIds"])
        site.cloud.tables.put("clusters", name, row)
        _admit_creator(site, name, row)
        self._log_group(site, name, inputs)
        return name, self._known(site, name, inputs, row)

    @staticmethod
    def _attach(site: Site, name: str, row: dict[str, Any], subnets: list[str]) -> None:
        """Put the control plane's network interfaces into these subnets."""
        ec2, network = site.client("ec2"), row["inputs"]["vpcConfig"]
        groups = [row["group"], *(network.get("securityGroupIds") or [])]
        for subnet in subnets:
            made = ec2.create_network_interface(SubnetId=subnet, Groups=groups, Description=f"Amazon EKS {name}")
            row["interfaces"].append(made["NetworkInterface"]["NetworkInterfaceId"])

    @staticmethod
    def _group(site: Site, name: str, vpc: str) -> str:
        """Make the security group that EKS makes for the control plane and its nodes."""
        tags = tag_list({cluster_tag(name): "owned", "Name": f"eks-cluster-sg-{name}"})
        made = site.client("ec2").create_security_group(
            GroupName=f"eks-cluster-sg-{name}-{_digits(name)}",
            Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
            "as well as any managed workloads.",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        return made["GroupId"]

    @staticmethod
    def _log_group(site: Site, name: str, inputs: Properties) -> None:
        """EKS writes its logs to a group that it makes itself where it is missing, and that never expires."""
        group = f"/aws/eks/{name}/cluster"
        logs = site.client("logs")
        if inputs.get("enabledClusterLogTypes") and not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            logs.create_log_group(logGroupName=group)

    def _known(self, site: Site, name: str, inputs: Properties, row: dict[str, Any]) -> Properties:
        return {
            "arn": self.arn(site, name, {"name": name}),
            "endpoint": site.cloud.endpoint(name),
            "certificateAuthority": {"data": _authority(site, name)},
            **_service_addresses(site, inputs),
            "identities": [{"oidcs": [{"issuer": issuer(site.region, name)}]}],
            "platformVersion": "eks.1",
            "status": row["status"],
            "clusterId": "",
            "createdAt": row.get("createdAt", "2026-01-01T00:00:00Z"),
            "version": inputs.get("version") or DEFAULT_MINOR,
            "vpcConfig": {
                "endpointPrivateAccess": False,
                "endpointPublicAccess": True,
                **{key: value for key, value in inputs["vpcConfig"].items() if value is not None},
                "clusterSecurityGroupId": row["group"],
                "vpcId": row["vpc"],
            },
        }

    @override
    def ready(self, call: Call, identity: str, outputs: Properties) -> Properties:
        site = call.site
        row = cluster_row(site, identity)
        row["status"] = "ACTIVE"
        site.cloud.tables.put("clusters", identity, row)
        api = site.cloud.kubernetes(identity)
        for namespace in SYSTEM_NAMESPACES:
            if api.get(*NAMESPACE.identity, namespace) is None:
                api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, manager="eks")
        return {**outputs, "status": "ACTIVE"}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = cluster_row(call.site, identity)
        actual = row["inputs"]
        known = self._known(call.site, identity, actual, row)
        seen = {key: actual[key] for key in READ_BACK if key in actual}
        return {**seen, **known, **own_tags(call.site, state, row["tags"])}

    @override
    def preview(self, state: Properties, new: Properties, site: Site) -> Properties:
        outputs = super().preview(state, new, site)
        network, had = new.get("vpcConfig"), state.get("vpcConfig") or {}
        if isinstance(network, dict):
            made = {key: had.get(key, UNKNOWN) for key in ("clusterSecurityGroupId", "vpcId")}
            outputs["vpcConfig"] = {**had, **network, **made}
        if not state:
            outputs.setdefault("version", UNKNOWN)
        return outputs

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        row = active_cluster(call.site, identity)
        # UpdateClusterConfig leaves subnets alone that the request does not name.
        network = {"subnetIds": row["inputs"]["vpcConfig"]["subnetIds"], **new["vpcConfig"]}
        new = {**new, "vpcConfig": network}
        refuse_endpoint(network)
        _refuse_places(call.site, network, row["vpc"])
        had, wanted = (_mode(inputs) for inputs in (row["inputs"], new))
        backwards = MODES.index(wanted) < MODES.index(had)
        refuse((backwards, f"Unsupported authentication mode update from {had} to {wanted}"))
        for operation, request in eks_requests.update_cluster(identity, row["inputs"], new):
            call.site.hold("eks", operation, request)
        self._move_minor(call.site, identity, row, new.get("version") or DEFAULT_MINOR)
        self._move_network(call.site, identity, row, network["subnetIds"])
        row["inputs"] = declared(new)
        row["tags"] = all_tags(call.site, new)
        call.site.cloud.tables.put("clusters", identity, row)
        self._log_group(call.site, identity, new)
        return self._known(call.site, identity, new, row)

    @staticmethod
    def _move_minor(site: Site, name: str, row: dict[str, Any], wanted: str) -> None:
        """Raise the control plane by one minor, or take it back by one within the days after.

        Sources: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateClusterVersion.html,
        https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html
        """
        had = row["inputs"].get("version") or DEFAULT_MINOR
        if wanted == had:
            return
        groups = site.cloud.tables.all("node-groups", f"{name}/")
        minors = {key.partition("/")[2]: minor_of(group["release"]) for key, group in groups.items()}
        steps = _minor(wanted) - _minor(had)
        raised = row.get("raised") or {}
        newer = sorted(key for key, minor in minors.items() if minor == had)
        older = sorted(key for key, minor in minors.items() if minor != had)
        refuse(
            (
                steps not in (1, -1) or (steps == -1 and raised.get("from") != wanted),
                f"Unsupported Kubernetes minor version update from {had} to {wanted}",
            ),
            (
                steps == -1 and time.time() - raised.get("at", 0) > ROLLBACK_SECONDS,
                f"The rollback window of 7 days of cluster {name} is over",
            ),
        )
        refuse(
            (
                steps == -1 and newer,
                f"Rollback readiness insights have errors: kubelet version skew of nodegroups {', '.join(newer)}",
            ),
            (
                steps == 1 and older,
                f"Nodegroups {', '.join(older)} must be updated to match cluster version {had} before updating cluster "
                "version",
            ),
            code="InvalidRequestException",
        )
        row["raised"] = {"from": had, "at": time.time()} if steps == 1 else {}

    def _move_network(self, site: Site, name: str, row: dict[str, Any], wanted: list[str]) -> None:
        """Move the control plane's interfaces to other subnets of the zones of its creation.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
        """
        ec2, had = site.client("ec2"), row["inputs"]["vpcConfig"]["subnetIds"]
        if set(wanted) == set(had):
            return
        zones, of_creation = (
            sorted({subnet["AvailabilityZone"] for subnet in ec2.describe_subnets(SubnetIds=ids)["Subnets"]})
            for ids in (wanted, had)
        )
        refuse(
            (
                zones != of_creation,
                f"Provided subnets belong to the AZs '{','.join(zones)}'. But they should belong to the exact "
                f"set of AZs '{','.join(of_creation)}' in which subnets were provided during cluster creation.",
            )
        )
        self._attach(site, name, row, [subnet for subnet in wanted if subnet not in had])
        found = ec2.describe_network_interfaces(NetworkInterfaceIds=row["interfaces"])["NetworkInterfaces"]
        for interface in found:
            if interface["SubnetId"] not in wanted:
                ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
                row["interfaces"].remove(interface["NetworkInterfaceId"])

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        site = call.site
        row = cluster_row(site, identity)
        told = f"Cluster {identity} has deletion protection enabled: disable it first"
        refuse((row["inputs"].get("deletionProtection"), told), code="InvalidRequestException")
        site.client("eks").delete_cluster(name=identity)
        ec2 = site.client("ec2")
        for interface in row["interfaces"]:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        if not in_use.interfaces(site, "group-id", row["group"]):
            ec2.delete_security_group(GroupId=row["group"])
        for table in ("addons", "access-entries", "access-policies", "pod-identities"):
            for key in site.cloud.tables.all(table, f"{identity}/"):
                site.cloud.tables.remove(table, key)
        site.cloud.kubernetes(identity).forget()
        site.cloud.tables.remove("clusters", identity)


def _admit_creator(site: Site, name: str, row: dict[str, Any]) -> None:
    """Make the access entry of who makes a cluster, an administrator unless the cluster is asked to have none.

    Where access entries do not count, nothing shows who made it: the cluster knows all the same.
    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessConfigRequest.html
    """
    access, principal = row["inputs"].get("accessConfig") or {}, row["creator"]
    if (access.get("authenticationMode") or "CONFIG_MAP") == "CONFIG_MAP" or not principal:
        return
    if access.get("bootstrapClusterCreatorAdminPermissions") is False:
        return
    made, entry = principals.entity(site, principal), f"{name}/{principal}"
    told = {"type": "STANDARD", "by": "eks", "roleId": made.get("RoleId") or made.get("UserId") or ""}
    site.cloud.tables.put("access-entries", entry, {**told, "createdAt": time.time()})
    policy = f"arn:{site.scope.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    site.cloud.tables.put("access-policies", f"{entry}/{policy}", {"scope": {"type": "cluster"}})


def _refuse_network(site: Site, name: str, network: Properties, subnets: list[dict[str, Any]]) -> None:
    """Refuse zones in which EKS has no control plane, an API that nobody reaches, and private networks on a public one.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, /cluster-endpoint.html
    """
    identities = {subnet["AvailabilityZoneId"] for subnet in subnets}
    zones = ", ".join(sorted(identities & WITHOUT_CONTROL_PLANE.get(site.region, frozenset())))
    refuse((len(identities) < 2, "Subnets specified must be in at least two different AZs"))
    refuse(
        (
            zones,
            f"Cannot create cluster '{name}' because {zones}, the targeted availability zone, does not currently have "
            "sufficient capacity to support the cluster.",
        ),
        code="UnsupportedAvailabilityZoneException",
    )
    refuse_endpoint(network)


MODES: Final = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Authentication modes, in the order in which a cluster goes; there is no way back.

Source: https://docs.aws.amazon.com/eks/latest/userguide/setting-up-access-entries.html
"""


def _mode(inputs: Properties) -> str:
    return (inputs.get("accessConfig") or {}).get("authenticationMode") or MODES[0]


def refuse_without_entries(row: Properties) -> None:
    """Refuse a request about access entries of a cluster that counts none.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/setting-up-access-entries.html
    """
    counts_none = _mode(row["inputs"]) == MODES[0] and "accessConfig" in row["inputs"]
    rule = "must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."
    refuse((counts_none, f"The cluster's authentication mode {rule}"), code="InvalidRequestException")


def _refuse_places(site: Site, network: Properties, vpc: str) -> None:
    """A control plane's subnets and security groups are of one network, and there.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    """
    ids = [*network["subnetIds"], *(network.get("securityGroupIds") or ())]
    refuse_other_networks(site, vpc, ids, "InvalidParameterException", f"The cluster's VPC {vpc}")


def _addresses(inputs: Properties) -> str:
    return (inputs.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr") or ""


def _refuse_addresses(site: Site, inputs: Properties) -> None:
    """Refuse a range of Services that is public, or not the API server's own where it is a real one."""
    asked, served = _addresses(inputs), site.cloud.service_cidr
    private = not asked or any(IPv4Network(asked).subnet_of(IPv4Network(block)) for block in PRIVATE[:3])
    refuse(
        (not private, f"The specified Service IPv4 CIDR {asked} is not a private one"),
        (
            asked and served and asked != served,
            f"serviceIpv4Cidr {asked}: the API server of this cloud's clusters gives Services addresses of {served}. "
            "Declare that range, or none",
        ),
    )


def _refuse_services(site: Site, inputs: Properties, vpc: str) -> None:
    """Refuse a range of Services that is too large or too small, or that overlaps the network.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
    """
    if not (asked := _addresses(inputs)):
        return
    services, told = IPv4Network(asked), f"The specified Service IPv4 CIDR {asked}"
    (found,) = site.client("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"]
    ranges = [association["CidrBlock"] for association in found["CidrBlockAssociationSet"]]
    taken = [own for own in ranges if services.overlaps(IPv4Network(own))]
    refuse(
        (services.prefixlen not in SERVICE_PREFIXES, f"{told} is not /12 to /24"),
        (taken, f"{told} overlaps with {', '.join(taken)} of the VPC"),
    )


SERVICE_PREFIXES: Final = range(12, 25)
NETWORKS_OF_AN_ENDPOINT: Final = 40
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html"""


def refuse_endpoint(network: Properties) -> None:
    """Refuse an API endpoint that is neither public nor private, and networks that no request comes from."""
    public, private = network.get("endpointPublicAccess", True), network.get("endpointPrivateAccess", False)
    networks = network.get("publicAccessCidrs") or []
    wrong = [cidr for cidr in networks if public and _is_private(cidr)]
    most = NETWORKS_OF_AN_ENDPOINT
    refuse(
        (len(networks) > most, f"publicAccessCidrs: at most {most} CIDR blocks"),
        (not public and not private, "Private and public endpoint access cannot be false"),
        (wrong, f"The following CIDRs are not allowed in publicAccessCidrs: {', '.join(wrong)}"),
    )


def _is_private(cidr: str) -> bool:
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        return True
    return any(network.overlaps(ip_network(private)) for private in PRIVATE) and network.prefixlen > 0


def _authority(site: Site, name: str) -> str:
    """The certificate authority of a cluster's API, as EKS tells it."""
    authority = site.cloud.certificate_authority or f"certificate authority of {name}"
    return base64.b64encode(authority.encode()).decode()


def minor_of(release: str) -> str:
    """Minor version of an AMI release: ``1.35`` of ``1.35.2-20260901``."""
    return ".".join(release.split(".")[:2])


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def names_of_all(site: Site, arguments: Mapping[str, Any]) -> Properties:  # noqa: ARG001 (one form for all functions)
    """Answer of the function that lists the clusters of a region."""
    rows = site.cloud.tables.all("clusters", "")
    return {"names": sorted(name for name, row in rows.items() if row["region"] == site.region), "id": site.region}


def described(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes a cluster.

    Raises:
        NotFoundError: there is no such cluster.
    """
    name = arguments["name"]
    row = cluster_row(site, name)
    return {
        "id": name,
        "name": name,
        "status": row["status"],
        "version": row["inputs"].get("version") or DEFAULT_MINOR,
        "roleArn": row["roleArn"],
        "vpcConfig": {
            "subnetIds": row["inputs"]["vpcConfig"]["subnetIds"],
            "vpcId": row["vpc"],
            "clusterSecurityGroupId": row["group"],
        },
        "tags": row["tags"],
    }


def _service_addresses(site: Site, inputs: Properties) -> Properties:
    """``kubernetesNetworkConfig`` with the addresses that the API server gives Services, where it is a real one."""
    if site.cloud.service_cidr is None:
        return {}
    asked = inputs.get("kubernetesNetworkConfig") or {}
    return {"kubernetesNetworkConfig": {**asked, "serviceIpv4Cidr": site.cloud.service_cidr}}


def set_deletion_protection(site: Site, name: str, *, on: bool) -> None:
    """Do as ``aws eks update-cluster-config --[no-]deletion-protection``: moto 5.2.5 does not know the option."""
    row = active_cluster(site, name)
    row["inputs"]["deletionProtection"] = on
    site.cloud.tables.put("clusters", name, row)


def _digits(name: str) -> str:
    return str(int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))[:10]
