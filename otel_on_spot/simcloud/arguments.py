"""The arguments that the simulated cloud takes of each resource type, and what it does not decide.

An argument that no entry names is refused by its name: nothing is silently accepted. ``UNDECIDED`` and the
``undecided`` arguments are the one list of what a green run here says nothing about;
``python -m otel_on_spot.simcloud.arguments`` prints it as it stands in docs/simulated-cloud.md.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from otel_on_spot.program.resource_types import RELEASE
from otel_on_spot.simcloud.properties import same


@dataclass(frozen=True)
class Arguments:
    """The arguments of a type.

    Attributes:
        taken: sent to AWS's API, or read, by the type's handler.
        only: taken with this one value.
        undecided: taken, and nothing follows from them here -> what is not decided.
    """

    taken: tuple[str, ...] = ()
    only: Mapping[str, Any] = field(default_factory=dict)
    undecided: Mapping[str, str] = field(default_factory=dict)

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(argument, reason) for each that the simulated cloud does not take."""
        for name, value in inputs.items():
            if name.startswith("__") or value is None or name in self.taken or name in self.undecided:
                continue
            if name not in self.only:
                yield (
                    name,
                    f"{_NOT_SIMULATED}: it is sent nowhere and decides nothing. Teach its handler, or leave it out",
                )
            elif not same(value, self.only[name]):
                yield name, f"{_NOT_SIMULATED} with another value than {self.only[name]!r} (given: {value!r})"


RANGES: Final = frozenset({"cidrBlock", "cidrBlocks", "destinationCidrBlock", "publicAccessCidrs", "serviceIpv4Cidr"})
"""Arguments of the AWS provider that are networks, wherever they stand."""


def not_networks(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, reason) for each network that the provider itself refuses: none, or one with host bits.

    Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/verify/validate.go
    (ValidIPv4CIDRNetworkAddress, ValidCIDRNetworkAddress)
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            at = f"{path}.{name}" if path else name
            if name not in RANGES:
                yield from not_networks(inner, at)
                continue
            for text in inner if isinstance(inner, list | tuple) else (inner,):
                if isinstance(text, str) and (why := _no_network(text)):
                    yield at, why
    elif isinstance(value, list | tuple):
        for item in value:
            yield from not_networks(item, path)


def _no_network(text: str) -> str:
    try:
        canonical = str(ip_network(text, strict=False))
    except ValueError:
        canonical = ""
    if canonical == text and "/" in text:
        return ""
    return f'"{text}" is not a valid CIDR block' + (f'; did you mean "{canonical}"?' if canonical else "")


_NOT_SIMULATED: Final = "the simulated cloud does not know this argument"
_BUS: Final = {"eventBusName": "default", "forceDestroy": False}

AWS: Final[dict[str, Arguments]] = {
    "aws:budgets/budget:Budget": Arguments(
        ("name", "budgetType", "timeUnit", "limitAmount", "limitUnit", "costFilters", "notifications", "tags"),
        only={"timePeriodEnd": "2087-06-15_00:00"},
    ),
    "aws:cloudwatch/eventRule:EventRule": Arguments(
        ("name", "description", "eventPattern", "state", "tags"), only=_BUS
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Arguments(("rule", "targetId", "arn"), only=_BUS),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Arguments(
        (
            *("name", "alarmDescription", "comparisonOperator", "threshold", "evaluationPeriods", "treatMissingData"),
            *("namespace", "metricName", "dimensions", "statistic", "period", "metricQueries", "actionsEnabled"),
            *("alarmActions", "okActions", "insufficientDataActions", "tags"),
        )
    ),
    "aws:cloudwatch/logGroup:LogGroup": Arguments(
        ("name", "retentionInDays", "kmsKeyId", "logGroupClass", "tags"), only={"skipDestroy": False}
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Arguments(("vpcId", "ingress", "egress", "tags")),
    "aws:ec2/eip:Eip": Arguments(("tags",), only={"domain": "vpc"}),
    "aws:ec2/flowLog:FlowLog": Arguments(
        ("vpcId", "trafficType", "logDestination", "iamRoleArn", "maxAggregationInterval", "logFormat", "tags"),
        only={"logDestinationType": "cloud-watch-logs"},
    ),
    "aws:ec2/internetGateway:InternetGateway": Arguments(("vpcId", "tags")),
    "aws:ec2/launchTemplate:LaunchTemplate": Arguments(
        (
            *("name", "description", "updateDefaultVersion", "tags"),
            *("blockDeviceMappings", "ebsOptimized", "imageId", "instanceType", "keyName", "metadataOptions"),
            *("tagSpecifications", "userData"),
        )
    ),
    "aws:ec2/natGateway:NatGateway": Arguments(
        ("allocationId", "subnetId", "tags"), only={"connectivityType": "public"}
    ),
    "aws:ec2/route:Route": Arguments(
        (
            *("routeTableId", "destinationCidrBlock"),
            *("gatewayId", "natGatewayId", "vpcEndpointId", "transitGatewayId"),
        )
    ),
    "aws:ec2/routeTable:RouteTable": Arguments(("vpcId", "tags")),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Arguments(("routeTableId", "subnetId")),
    "aws:ec2/securityGroup:SecurityGroup": Arguments(
        ("name", "description", "vpcId", "ingress", "egress", "tags"), only={"revokeRulesOnDelete": False}
    ),
    "aws:ec2/subnet:Subnet": Arguments(("vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch", "tags")),
    "aws:ec2/tag:Tag": Arguments(("resourceId", "key", "value")),
    "aws:ec2/vpc:Vpc": Arguments(("cidrBlock", "instanceTenancy", "enableDnsSupport", "enableDnsHostnames", "tags")),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Arguments(
        (
            *("vpcId", "serviceName", "vpcEndpointType", "routeTableIds", "subnetIds", "securityGroupIds"),
            *("privateDnsEnabled", "dnsOptions", "policy", "tags"),
        )
    ),
    "aws:eks/accessEntry:AccessEntry": Arguments(
        ("clusterName", "principalArn", "type", "kubernetesGroups", "userName", "tags")
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Arguments(
        ("clusterName", "principalArn", "policyArn", "accessScope")
    ),
    "aws:eks/addon:Addon": Arguments(
        (
            *("clusterName", "addonName", "addonVersion", "configurationValues", "podIdentityAssociations"),
            *("serviceAccountRoleArn", "tags"),
        ),
        undecided={
            "resolveConflictsOnCreate": "whose fields win where an add-on finds objects of others: it finds none",
            "resolveConflictsOnUpdate": "whose fields win where an add-on is changed: it has no objects",
            "preserve": "what of an add-on stays in the cluster after its deletion: it has no objects",
        },
    ),
    "aws:eks/cluster:Cluster": Arguments(
        (
            *("name", "roleArn", "version", "vpcConfig", "kubernetesNetworkConfig", "accessConfig", "encryptionConfig"),
            *("enabledClusterLogTypes", "deletionProtection", "bootstrapSelfManagedAddons", "tags"),
        ),
        undecided={
            "upgradePolicy": "what happens when a minor's standard support ends; the API answers with the policy",
            "zonalShiftConfig": "where traffic goes in a zonal shift; the API answers with the setting",
        },
    ),
    "aws:eks/nodeGroup:NodeGroup": Arguments(
        (
            *("clusterName", "nodeGroupName", "nodeRoleArn", "subnetIds", "scalingConfig", "instanceTypes", "amiType"),
            *("capacityType", "diskSize", "labels", "taints", "launchTemplate", "releaseVersion", "version", "tags"),
        ),
        undecided={
            "updateConfig": "how an update of the group replaces nodes: they stay, the API tells the new version",
            "nodeRepairConfig": "which nodes the group repairs: none falls ill",
            "forceUpdateVersion": "whether an update of the group waits for disruption budgets: it drains no node",
        },
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Arguments(
        ("clusterName", "namespace", "serviceAccount", "roleArn", "tags")
    ),
    "aws:fis/experimentTemplate:ExperimentTemplate": Arguments(
        ("description", "roleArn", "stopConditions", "targets", "actions", "tags")
    ),
    "aws:iam/instanceProfile:InstanceProfile": Arguments(("name", "path", "role", "tags")),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Arguments(
        ("url", "clientIdLists", "thumbprintLists", "tags")
    ),
    "aws:iam/policy:Policy": Arguments(("name", "path", "description", "policy", "tags")),
    "aws:iam/role:Role": Arguments(
        (*("name", "path", "description", "assumeRolePolicy", "maxSessionDuration", "permissionsBoundary", "tags"),),
        only={"forceDetachPolicies": False},
    ),
    "aws:iam/rolePolicy:RolePolicy": Arguments(("name", "role", "policy")),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Arguments(("role", "policyArn")),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": Arguments(("awsServiceName", "description")),
    "aws:kms/alias:Alias": Arguments(("name", "targetKeyId")),
    "aws:kms/key:Key": Arguments(
        ("description", "policy", "enableKeyRotation", "deletionWindowInDays", "tags"),
        only={"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "isEnabled": True, "keyUsage": "ENCRYPT_DECRYPT"},
    ),
    "aws:s3/bucket:Bucket": Arguments(("bucket", "tags"), only={"forceDestroy": False}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Arguments(
        ("bucket",), undecided={"rules": "when objects and their former versions go; the API answers with the rules"}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Arguments(("bucket", "policy")),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Arguments(
        ("bucket", "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Arguments(
        ("bucket", "rules")
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Arguments(("bucket", "versioningConfiguration")),
    "aws:sns/topic:Topic": Arguments(
        ("name", "displayName", "kmsMasterKeyId", "policy", "tags"),
        only={"contentBasedDeduplication": False, "fifoTopic": False},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Arguments(
        ("topic", "endpoint"),
        only={
            "confirmationTimeoutInMinutes": 1,
            "endpointAutoConfirms": False,
            "protocol": "email",
            "rawMessageDelivery": False,
        },
    ),
    "aws:sqs/queue:Queue": Arguments(
        (
            *("name", "messageRetentionSeconds", "sqsManagedSseEnabled", "visibilityTimeoutSeconds", "delaySeconds"),
            *("maxMessageSize", "receiveWaitTimeSeconds", "kmsMasterKeyId", "kmsDataKeyReusePeriodSeconds", "tags"),
        ),
        only={"fifoQueue": False},
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Arguments(("queueUrl", "policy")),
    RELEASE: Arguments(
        (*("name", "namespace", "chart", "version", "values", "timeout", "atomic", "createNamespace"),),
        undecided={
            "compat": "nothing: the provider's SDK sets it on each release",
            "repositoryOpts": "whether a repository has the chart in this version; the lab fetches it",
            "skipCrds": "what is in the chart's folder of CRDs; the lab leaves it out",
        },
    ),
}
"""Arguments of each type by its token."""

PROVIDERS: Final[dict[str, Arguments]] = {
    "pulumi:providers:aws": Arguments(
        ("region", "allowedAccountIds", "defaultTags", "version"),
        undecided={
            "skipCredentialsValidation": "whether credentials are looked at first: any are taken",
            "skipMetadataApiCheck": "whether credentials come from the instance: there is none",
            "skipRegionValidation": "whether the account has the region: it has every region that moto knows",
            "skipRequestingAccountId": "whether the account's id is asked for: it is always 123456789012",
        },
    ),
    "pulumi:providers:kubernetes": Arguments(
        (*("kubeconfig", "clusterIdentifier", "enableConfigMapMutable", "enableSecretMutable", "version"),),
        undecided={"enableServerSideApply": "client-side apply: every apply is server-side"},
    ),
}
"""Arguments of each provider by its token."""

UNDECIDED: Final[dict[str, str]] = {
    "capacity": "whether a zone has an instance type, On-Demand or Spot, at what price, and when Spot takes it back",
    "quotas": "how much an account may have of anything but Elastic IP addresses and VPCs (five of each in a region, "
    "until Service Quotas is asked for more)",
    "permissions": "without `--as`, whether the caller may make a request",
    "access": "with `--as` too, a chart's objects one by one (who installs one must be allowed everything), "
    "Kubernetes' own ClusterRoles but cluster-admin, and a preview's dry runs: where one is forbidden, the provider "
    "does without",
    "organizations": "service control policies, and permissions of other accounts' keys and roles",
    "boundaries": "whether the policy of a permissions boundary is there",
    "traffic": "whether packets arrive: of routes, rules and endpoints only a node group's way out is looked at",
    "images": "whether an AMI starts: every one does",
    "alarms": "whether an alarm fires and a message arrives: none is evaluated, no address confirms",
    "add-ons": "what an add-on's pods do, whether a version of it is there for the cluster's minor, and the keys that "
    "its schema has beyond those that public sources show: they are refused",
    "experiments": "whether a FIS template's targets are there, and any experiment: none runs",
    "keys": "whether a grant or a key policy lets a service use a key: nothing is encrypted",
    "events": "whether EventBridge delivers late, twice or not at all, and the operators inside an event pattern",
    "flow logs": "whether their role may write: EC2 makes them all the same, and they deliver nothing",
    "consistency": "how long IAM and EKS take to tell all their readers: at once, so that runs are alike, unless a "
    "fault says `lag`",
    "money": "what anything costs",
    "time": "how long AWS takes: public measurements and estimates, scaled",
}
"""What no argument tells, and the simulated cloud does not decide -> in words."""


def refuse_unknown(token: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(argument, reason) for each argument of a resource or a provider that is not known here.

    Kubernetes' objects are kept whole, as an API server keeps them.
    """
    known = AWS.get(token) or PROVIDERS.get(token)
    if known is None and token.startswith("kubernetes:"):
        return []
    return list((known or Arguments()).refusals(inputs))


def markdown() -> str:
    """The list of what the simulated cloud does not decide, as the page shows it."""
    lines = [f"- {name}: {text}" for name, text in UNDECIDED.items()]
    for token, known in sorted({**AWS, **PROVIDERS}.items()):
        kind = token.replace(":index/", ":").split("/")[0] + ":" + token.rpartition(":")[2] if "/" in token else token
        lines += [f"- `{kind}`, `{name}`: {text}" for name, text in sorted(known.undecided.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
