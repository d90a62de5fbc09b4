"""The one table of resource types: what the plan, the recovery and the simulated cloud know of each.

The provider's schema in the Python SDK does not say which inputs replace a resource (``willReplaceOnChanges`` is in the
provider's plugin alone), so the keys are those of the providers' own sources:

- AWS: ``ForceNew`` and ``CustomizeDiff`` in the resource's file in
  https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service, which pulumi-aws bridges; ``region``
  of a resource that is not global replaces it (https://www.pulumi.com/registry/packages/aws/how-to-guides/enhanced-region-support/).
  Ids: ``d.SetId`` and ``@IdAttrFormat`` in the same files.
- Kubernetes: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go (``forceNew``); ids
  are ``namespace/name``, of a kind without a namespace ``name`` (``fqName``).
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from otel_on_spot.kubernetes.kubeconfig import cluster_of

KUBERNETES_PROVIDER: Final = "pulumi:providers:kubernetes"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


@dataclass(frozen=True, kw_only=True)
class ProviderScope:
    """The account and region that an AWS provider works in.

    The defaults are the account of AWS's own documentation examples, and any region.
    """

    account: str = "111122223333"
    region: str = "eu-west-1"

    @property
    def partition(self) -> str:
        """AWS partition of the region. Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html."""
        return next((name for prefix, name in PARTITIONS.items() if self.region.startswith(prefix)), "aws")

    @property
    def dns_suffix(self) -> str:
        """Domain of AWS's endpoints in this region."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One type.

    Attributes:
        replace_on: input paths whose change makes a new resource.
        replace_on_removal: input paths whose removal alone makes a new one.
        id: its id, the import id too, as a template over inputs and scope; empty where AWS makes it up.
        id_prefix: of an id that AWS makes up, its prefix, if all ids of the type have one; ``arn`` where it is the ARN.
        arn: the ARN's template; ``{id}`` is the id, ``{hash}`` something that AWS makes up.
        name: the input that Pulumi makes up where it is missing, and the longest name it may have.
        defaults: inputs that the provider fills in where they are missing.
        computed: outputs that only the cloud knows.
        is_global: without a region of its own.
    """

    replace_on: tuple[str, ...] = ()
    replace_on_removal: tuple[str, ...] = ()
    id: str = ""
    id_prefix: str = ""
    arn: str = ""
    name: tuple[str, int] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    is_global: bool = False

    def replaced_by(self, path: str, before: Any, after: Any) -> bool:
        """Decide if a change of an input makes a new resource.

        Args:
            path: the input, with dots between the names of nested ones.
            before: its old value; None where there was none.
            after: its new value; None where there is none.
        """
        return any(_reaches(key, path, before, after) for key in self.replace_on) or (
            after is None and path in self.replace_on_removal
        )


def _reaches(key: str, path: str, before: Any, after: Any) -> bool:
    """Decide if a change at a path changes the value under a key: at it, inside it, or above it."""
    if path == key or path.startswith(f"{key}."):
        return True
    if not key.startswith(f"{path}."):
        return False
    for name in key.removeprefix(f"{path}.").split("."):
        before = before.get(name) if isinstance(before, Mapping) else None
        after = after.get(name) if isinstance(after, Mapping) else None
    return before != after


AWS: Final[dict[str, ResourceType]] = {
    "aws:budgets/budget:Budget": ResourceType(
        defaults={"timePeriodEnd": "2087-06-15_00:00"},
        replace_on=("accountId", "name", "namePrefix"),
        id="{account}:{name}",
        arn="arn:{partition}:budgets::{account}:budget/{name}",
        name=("name", 100),
        computed=("arn", "accountId", "costTypes", "timePeriodStart"),
        is_global=True,
    ),
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        defaults={"eventBusName": "default", "forceDestroy": False},
        replace_on=("name", "namePrefix", "eventBusName"),
        id="{bus/}{name}",
        arn="arn:{partition}:events:{region}:{account}:rule/{bus/}{name}",
        name=("name", 64),
        computed=("arn",),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        defaults={"eventBusName": "default", "forceDestroy": False},
        replace_on=("rule", "targetId", "eventBusName"),
        id="{bus-}{rule}-{targetId}",
        name=("targetId", 64),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ResourceType(
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
        replace_on=("name",),
        id="{name}",
        arn="arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}",
        name=("name", 255),
        computed=("arn", "evaluateLowSampleCountPercentiles"),
    ),
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        defaults={"retentionInDays": 0, "skipDestroy": False},
        replace_on=("name", "namePrefix", "logGroupClass"),
        id="{name}",
        arn="arn:{partition}:logs:{region}:{account}:log-group:{name}",
        name=("name", 512),
        computed=("arn", "logGroupClass"),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ResourceType(
        replace_on=("vpcId",),
        id_prefix="sg",
        arn="arn:{partition}:ec2:{region}:{account}:security-group/{id}",
        computed=("arn", "name", "ownerId", "description"),
    ),
    "aws:ec2/eip:Eip": ResourceType(
        replace_on=(
            "address",
            "customerOwnedIpv4Pool",
            "domain",
            "ipamPoolId",
            "networkBorderGroup",
            "publicIpv4Pool",
        ),
        id_prefix="eipalloc",
        arn="arn:{partition}:ec2:{region}:{account}:elastic-ip/{id}",
        computed=(
            "allocationId",
            "arn",
            "associationId",
            "publicIp",
            "publicDns",
            "privateIp",
            "instance",
            "networkInterface",
        ),
    ),
    "aws:ec2/flowLog:FlowLog": ResourceType(
        replace_on=(
            "deliverCrossAccountRole",
            "destinationOptions",
            "eniId",
            "iamRoleArn",
            "logDestination",
            "logDestinationType",
            "logFormat",
            "maxAggregationInterval",
            "subnetId",
            "trafficType",
            "transitGatewayAttachmentId",
            "transitGatewayId",
            "vpcId",
        ),
        id_prefix="fl",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-flow-log/{id}",
        computed=("arn", "logFormat", "logDestinationType"),
    ),
    "aws:ec2/internetGateway:InternetGateway": ResourceType(
        id_prefix="igw",
        arn="arn:{partition}:ec2:{region}:{account}:internet-gateway/{id}",
        computed=("arn", "ownerId"),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": ResourceType(
        replace_on=("name", "namePrefix"),
        id_prefix="lt",
        arn="arn:{partition}:ec2:{region}:{account}:launch-template/{id}",
        name=("name", 125),
        computed=("arn", "latestVersion", "defaultVersion"),
    ),
    "aws:ec2/natGateway:NatGateway": ResourceType(
        defaults={"connectivityType": "public"},
        replace_on=("allocationId", "connectivityType", "privateIp", "secondaryPrivateIpAddressCount", "subnetId"),
        id_prefix="nat",
        computed=("associationId", "networkInterfaceId", "privateIp", "publicIp"),
    ),
    "aws:ec2/route:Route": ResourceType(
        replace_on=("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId", "routeTableId"),
        id="r-{routeTableId}{destination_hash}",
        computed=("instanceId", "instanceOwnerId", "networkInterfaceId", "origin", "state"),
    ),
    "aws:ec2/routeTable:RouteTable": ResourceType(
        replace_on=("vpcId",),
        id_prefix="rtb",
        arn="arn:{partition}:ec2:{region}:{account}:route-table/{id}",
        computed=("arn", "ownerId", "routes", "propagatingVgws"),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ResourceType(
        replace_on=("gatewayId", "subnetId"), id_prefix="rtbassoc"
    ),
    "aws:ec2/securityGroup:SecurityGroup": ResourceType(
        defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
        replace_on=("description", "name", "namePrefix", "vpcId"),
        id_prefix="sg",
        arn="arn:{partition}:ec2:{region}:{account}:security-group/{id}",
        name=("name", 255),
        computed=("arn", "ownerId", "vpcId", "ingress", "egress"),
    ),
    "aws:ec2/subnet:Subnet": ResourceType(
        replace_on=(
            "availabilityZone",
            "availabilityZoneId",
            "cidrBlock",
            "ipv6Native",
            "outpostArn",
            "vpcId",
        ),
        id_prefix="subnet",
        arn="arn:{partition}:ec2:{region}:{account}:subnet/{id}",
        computed=("arn", "availabilityZoneId", "ownerId"),
    ),
    "aws:ec2/tag:Tag": ResourceType(replace_on=("key", "resourceId"), id="{resourceId},{key}"),
    "aws:ec2/vpc:Vpc": ResourceType(
        defaults={"instanceTenancy": "default", "enableDnsSupport": True},
        # Only from dedicated to default is instanceTenancy changed in place (CustomizeDiff).
        replace_on=("cidrBlock", "instanceTenancy", "ipv4IpamPoolId", "ipv4NetmaskLength"),
        id_prefix="vpc",
        arn="arn:{partition}:ec2:{region}:{account}:vpc/{id}",
        computed=(
            "arn",
            "defaultNetworkAclId",
            "defaultRouteTableId",
            "defaultSecurityGroupId",
            "mainRouteTableId",
            "ownerId",
        ),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ResourceType(
        defaults={"vpcEndpointType": "Gateway"},
        replace_on=(
            "resourceConfigurationArn",
            "serviceName",
            "serviceNetworkArn",
            "serviceRegion",
            "vpcEndpointType",
            "vpcId",
        ),
        id_prefix="vpce",
        arn="arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}",
        computed=(
            "arn",
            "cidrBlocks",
            "dnsEntries",
            "networkInterfaceIds",
            "ownerId",
            "policy",
            "prefixListId",
            "requesterManaged",
            "state",
        ),
    ),
    "aws:eks/accessEntry:AccessEntry": ResourceType(
        defaults={"type": "STANDARD"},
        replace_on=("clusterName", "principalArn", "type"),
        id="{clusterName}:{principalArn}",
        arn="arn:{partition}:eks:{region}:{account}:access-entry/{clusterName}/role/{account}/{hash}",
        computed=("accessEntryArn", "createdAt", "modifiedAt", "userName", "kubernetesGroups"),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": ResourceType(
        replace_on=("accessScope", "clusterName", "policyArn", "principalArn"),
        id="{clusterName}#{principalArn}#{policyArn}",
        computed=("associatedAt", "modifiedAt"),
    ),
    "aws:eks/addon:Addon": ResourceType(
        replace_on=("addonName", "clusterName", "namespaceConfig"),
        id="{clusterName}:{addonName}",
        arn="arn:{partition}:eks:{region}:{account}:addon/{clusterName}/{addonName}/{hash}",
        computed=("arn", "createdAt", "modifiedAt", "addonVersion", "configurationValues"),
    ),
    "aws:eks/cluster:Cluster": ResourceType(
        defaults={"bootstrapSelfManagedAddons": True},
        replace_on=(
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "bootstrapSelfManagedAddons",
            "kubernetesNetworkConfig.ipFamily",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
            "name",
            "outpostConfig.controlPlaneInstanceType",
            "outpostConfig.controlPlanePlacement.groupName",
            "roleArn",
        ),
        # Envelope encryption can be turned on in place, and never off (CustomizeDiff).
        replace_on_removal=("encryptionConfig",),
        id="{name}",
        arn="arn:{partition}:eks:{region}:{account}:cluster/{name}",
        name=("name", 100),
        computed=(
            "arn",
            "certificateAuthority",
            "clusterId",
            "createdAt",
            "endpoint",
            "identities",
            "platformVersion",
            "status",
        ),
    ),
    "aws:eks/nodeGroup:NodeGroup": ResourceType(
        replace_on=(
            "amiType",
            "capacityType",
            "clusterName",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
            "nodeGroupName",
            "nodeGroupNamePrefix",
            "nodeRoleArn",
            "remoteAccess",
            "subnetIds",
        ),
        id="{clusterName}:{nodeGroupName}",
        arn="arn:{partition}:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/{hash}",
        name=("nodeGroupName", 63),
        computed=(
            "arn",
            "status",
            "resources",
            "version",
            "releaseVersion",
            "diskSize",
            "amiType",
            "capacityType",
            "instanceTypes",
            "nodeGroupNamePrefix",
        ),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ResourceType(
        replace_on=("clusterName", "namespace", "serviceAccount"),
        id_prefix="a",
        arn="arn:{partition}:eks:{region}:{account}:podidentityassociation/{clusterName}/{id}",
        computed=("associationArn", "associationId", "externalId"),
    ),
    "aws:fis/experimentTemplate:ExperimentTemplate": ResourceType(),
    "aws:iam/instanceProfile:InstanceProfile": ResourceType(
        defaults={"path": "/"},
        replace_on=("name", "namePrefix", "path"),
        id="{name}",
        arn="arn:{partition}:iam::{account}:instance-profile{path}{name}",
        name=("name", 128),
        computed=("arn", "createDate", "uniqueId"),
        is_global=True,
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": ResourceType(
        replace_on=("url",),
        id="arn:{partition}:iam::{account}:oidc-provider/{issuer}",
        arn="arn:{partition}:iam::{account}:oidc-provider/{issuer}",
        computed=("arn", "thumbprintLists"),
        is_global=True,
    ),
    "aws:iam/policy:Policy": ResourceType(
        defaults={"path": "/"},
        replace_on=("description", "name", "namePrefix", "path"),
        id="arn:{partition}:iam::{account}:policy{path}{name}",
        arn="arn:{partition}:iam::{account}:policy{path}{name}",
        name=("name", 128),
        computed=("arn", "policyId", "attachmentCount"),
        is_global=True,
    ),
    "aws:iam/role:Role": ResourceType(
        defaults={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
        replace_on=("name", "namePrefix", "path"),
        id="{name}",
        arn="arn:{partition}:iam::{account}:role{path}{name}",
        name=("name", 64),
        computed=("arn", "createDate", "uniqueId", "managedPolicyArns", "inlinePolicies"),
        is_global=True,
    ),
    "aws:iam/rolePolicy:RolePolicy": ResourceType(
        replace_on=("name", "namePrefix", "role"), id="{role}:{name}", name=("name", 128), is_global=True
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ResourceType(
        replace_on=("policyArn", "role"), id="{role}/{policyArn}", is_global=True
    ),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": ResourceType(
        replace_on=("awsServiceName", "customSuffix"),
        id_prefix="arn",
        arn="arn:{partition}:iam::{account}:role/aws-service-role/{awsServiceName}/AWSServiceRole",
        computed=("arn", "createDate", "name", "path", "uniqueId"),
        is_global=True,
    ),
    "aws:kms/alias:Alias": ResourceType(
        replace_on=("name", "namePrefix"),
        id="{name}",
        arn="arn:{partition}:kms:{region}:{account}:{name}",
        computed=("arn", "targetKeyArn"),
    ),
    "aws:kms/key:Key": ResourceType(
        defaults={"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "isEnabled": True, "keyUsage": "ENCRYPT_DECRYPT"},
        replace_on=("customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"),
        arn="arn:{partition}:kms:{region}:{account}:key/{id}",
        computed=("arn", "keyId", "policy", "rotationPeriodInDays"),
    ),
    "aws:s3/bucket:Bucket": ResourceType(
        defaults={"forceDestroy": False},
        replace_on=("bucket", "bucketNamespace", "bucketPrefix", "objectLockEnabled"),
        id="{bucket}",
        arn="arn:{partition}:s3:::{bucket}",
        name=("bucket", 63),
        computed=("arn", "bucketRegion"),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ResourceType(
        replace_on=("bucket", "expectedBucketOwner"), id="{bucket}"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ResourceType(replace_on=("bucket",), id="{bucket}"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ResourceType(replace_on=("bucket",), id="{bucket}"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ResourceType(
        replace_on=("bucket", "expectedBucketOwner"), id="{bucket}"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ResourceType(
        replace_on=("bucket", "expectedBucketOwner"), id="{bucket}"
    ),
    "aws:sns/topic:Topic": ResourceType(
        defaults={"contentBasedDeduplication": False, "fifoTopic": False},
        replace_on=("fifoTopic", "name", "namePrefix"),
        id="arn:{partition}:sns:{region}:{account}:{name}",
        arn="arn:{partition}:sns:{region}:{account}:{name}",
        name=("name", 256),
        computed=("arn", "beginningArchiveTime", "fifoThroughputScope", "owner", "policy", "signatureVersion"),
    ),
    "aws:sns/topicSubscription:TopicSubscription": ResourceType(
        defaults={"confirmationTimeoutInMinutes": 1, "endpointAutoConfirms": False, "rawMessageDelivery": False},
        replace_on=("endpoint", "protocol", "topic"),
        id_prefix="arn",
        arn="{topic}:{hash}",
        computed=("arn", "confirmationWasAuthenticated", "filterPolicyScope", "ownerId", "pendingConfirmation"),
    ),
    "aws:sqs/queue:Queue": ResourceType(
        defaults={
            "delaySeconds": 0,
            "fifoQueue": False,
            "messageRetentionSeconds": 345600,
            "receiveWaitTimeSeconds": 0,
            "visibilityTimeoutSeconds": 30,
        },
        replace_on=("fifoQueue", "name", "namePrefix"),
        id="https://sqs.{region}.{dns_suffix}/{account}/{name}",
        arn="arn:{partition}:sqs:{region}:{account}:{name}",
        name=("name", 80),
        computed=("arn", "url", "policy", "kmsDataKeyReusePeriodSeconds", "sqsManagedSseEnabled"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": ResourceType(replace_on=("queueUrl",), id="{queueUrl}"),
}
"""AWS's types by their token."""

OTHER: Final[dict[str, ResourceType]] = {
    RELEASE: ResourceType(
        defaults={"namespace": "default"},
        replace_on=("name", "namespace"),
        id="{namespace}/{name}",
        name=("name", 53),
        computed=("status", "resourceNames", "manifest", "checksum"),
    ),
    # Source: https://github.com/pulumi/pulumi-aws/blob/master/provider/resources.go (ForcesProviderReplace)
    "pulumi:providers:aws": ResourceType(replace_on=("region",)),
}
CONTENT: Final = {
    "kubernetes:core/v1:ConfigMap": ("data", "binaryData", "immutable"),
    "kubernetes:core/v1:Secret": ("data", "stringData", "immutable"),
}
"""Inputs that a provider never changes in place without ``enableConfigMapMutable`` or ``enableSecretMutable``."""
OBJECT: Final = ResourceType(replace_on=("apiVersion", "kind", "metadata.name", "metadata.namespace"))
NEW_TYPE: Final = {"kubernetes:core/v1:Secret": ("type",)}
"""Inputs that no provider changes in place, beside an object's identity."""


def resource_type(token: str, *, mutable: bool = False) -> ResourceType:
    """The facts of a type; of one that is not in the table, that nothing is known.

    Args:
        token: the type's token.
        mutable: of a ConfigMap or a Secret, that its provider changes its content in place.
    """
    if token in AWS:
        found = AWS[token]
        return found if found.is_global else replace(found, replace_on=(*found.replace_on, "region"))
    if token in OTHER:
        return OTHER[token]
    if not token.startswith("kubernetes:"):
        return ResourceType()
    content = () if mutable else CONTENT.get(token, ())
    return replace(OBJECT, replace_on=(*OBJECT.replace_on, *NEW_TYPE.get(token, ()), *content))


def is_mutable(token: str, configuration: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Decide if a provider changes the content of a ConfigMap or a Secret in place: it may, and the object allows it.

    Args:
        token: the type's token.
        configuration: inputs of the Kubernetes provider.
        inputs: the object's inputs before the change.
    """
    flags = {
        "kubernetes:core/v1:ConfigMap": "enableConfigMapMutable",
        "kubernetes:core/v1:Secret": "enableSecretMutable",
    }
    allowed = str(configuration.get(flags.get(token, ""))).lower() == "true"
    return allowed and str(inputs.get("immutable")).lower() != "true"


def fields(inputs: Mapping[str, Any], scope: ProviderScope) -> dict[str, Any]:
    """Names that the templates of ids and ARNs may use: the inputs, the scope, and what follows from them."""
    bus = inputs.get("eventBusName") or "default"
    found: dict[str, Any] = {key: value for key, value in inputs.items() if isinstance(value, str)}
    found |= {name: getattr(scope, name) for name in ("account", "region", "partition", "dns_suffix")}
    found |= {"path": inputs.get("path") or "/", "bus/": "", "bus-": ""}
    if bus != "default":
        found |= {"bus/": f"{bus}/", "bus-": f"{bus}-"}
    if isinstance(inputs.get("url"), str):
        found["issuer"] = re.sub("^https://", "", inputs["url"])
    destination = inputs.get("destinationCidrBlock") or inputs.get("destinationIpv6CidrBlock")
    if isinstance(destination, str):
        found["destination_hash"] = zlib.crc32(destination.encode())
    return found


def identity(token: str, inputs: Mapping[str, Any], scope: ProviderScope | None = None) -> str:
    """The id of a resource whose id follows from its inputs; empty where the cloud makes it up.

    Raises:
        KeyError: an input that the id is made of is missing.
    """
    if token.startswith("kubernetes:"):
        within = inputs if is_release(token) else inputs["metadata"]
        namespace = within.get("namespace") or ("default" if is_release(token) else "")
        return f"{namespace}/{within['name']}" if namespace else str(within["name"])
    return resource_type(token).id.format_map(fields(inputs, scope or ProviderScope()))


def is_release(token: str) -> bool:
    """Decide if a type is a Helm release, whatever its version."""
    return token.startswith("kubernetes:helm.sh/") and token.endswith(":Release")


def kubernetes_provider_replaced(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Decide if a Kubernetes provider's inputs lead to another cluster, which replaces everything in it.

    A cluster identifier says which cluster it is, whatever the kubeconfig. What is not text is not known yet.
    Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go (DiffConfig)
    """
    earlier, later = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    kubeconfigs = old.get("kubeconfig"), new.get("kubeconfig")
    if earlier and earlier == later:
        return False
    if earlier or later:
        return earlier is not None or kubeconfigs[0] != kubeconfigs[1]
    unknown = any(text is not None and not isinstance(text, str) for text in kubeconfigs)
    return unknown or cluster_of(kubeconfigs[0]) != cluster_of(kubeconfigs[1])


SUBNET: Final = "aws:ec2/subnet:Subnet"
EXISTING_NETWORK: Final = "otel-on-spot:index:ExistingNetwork"
"""Component of a VPC that is there: its inputs say what the program was given of it."""


def subnet_zones(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Zones of the subnets that (type, inputs) of resources make or are given, each once, in their order."""
    zones: list[str] = []
    for token, inputs in resources:
        zones += [str(inputs["availabilityZone"])] if token == SUBNET else []
        zones += inputs["zones"] if token == EXISTING_NETWORK else []
    return list(dict.fromkeys(zones))
