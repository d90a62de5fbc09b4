"""Physical names, their limits, and tags: plain strings, known at preview.

Only what a person or another system types has a physical name; everything else is auto-named by Pulumi.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from infra import regions

CLUSTER_NAME_LIMIT: Final = 40
"""Characters of a cluster name. Every name below must fit its own AWS limit with a cluster name of this length."""

ROLE_NAME_LIMIT: Final = 64
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
POLICY_NAME_LIMIT: Final = 128
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
QUEUE_NAME_LIMIT: Final = 80
"""Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"""
RULE_NAME_LIMIT: Final = 64
"""Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""
ALARM_NAME_LIMIT: Final = 255
"""Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
TOPIC_NAME_LIMIT: Final = 256
"""Source: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"""
BUDGET_NAME_LIMIT: Final = 100
"""Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html"""

DISCOVERY_TAG: Final = "karpenter.sh/discovery"
"""The tag that Karpenter's selectors look for. Tag and selector both come from ``StackNames.discovery_tags``."""

NODE_ACCESS_TAG: Final = "otel-on-spot/node-access"
"""The tag that says how the cluster admits Karpenter's nodes.

Written when it does, on the security group that EKS made.
"""

IDENTITY_TAG: Final = "otel-on-spot/karpenter-identity"
"""The tag that says by what Karpenter's controller gets its role, beside ``NODE_ACCESS_TAG``.

Written when its release is rolled out.
"""

OWNER_TAG: Final = "otel-on-spot/stack"
"""The tag that says which stack an IAM role, policy or instance profile belongs to: region and stack.

IAM's names are the account's, and the other tags are the same where two stacks have one cluster name in two regions.
"""
AMI_ALIAS_TAG: Final = "otel-on-spot/ami-alias"
"""The tag that says which AMI alias the node class has. Written when it does, beside the other one."""

SECRETS_KEY_TAG: Final = "otel-on-spot/secrets-key"
"""The tag of a cluster whose secrets another key than the stack's own encrypts: its ARN.

The provider's function that describes a cluster leaves its key out. EKS writes tag and key in one call.
"""

EXISTING_VPC_TAG: Final = "otel-on-spot/existing-vpc"
"""The tag of a cluster in a VPC that the stack did not make: its id. EKS writes tag and cluster in one call."""

DRILL_TAGS: Final = {"otel-on-spot/drill": "spot-interruption"}
"""Tags that a drill puts on the one instance that its experiment may take, and takes off again."""

KARPENTER_NAMESPACE: Final = "kube-system"
KARPENTER_SERVICE_ACCOUNT: Final = "karpenter"
ARGOCD_NAMESPACE: Final = "argocd"
DEMO_NAMESPACE: Final = "otel-demo"
DEMO_PASSWORDS: Final = "demo-passwords-"
LOAD_BALANCER_CONTROLLER: Final = "aws-load-balancer-controller"
"""Name of the controller's chart, Application, namespace and service account."""
PROJECT: Final = "platform"
"""Name of the AppProject and of the root Application."""

SYSTEM_TAINT_KEY: Final = "CriticalAddonsOnly"
"""Taint of the system node group. Source: the tolerations of the karpenter and CoreDNS charts' defaults."""
SYSTEM_NODE_LABEL: Final = ("node-role", "system")
RoleUser = Literal[
    "karpenter-node", "karpenter-controller", "system-node", "cluster", "vpc-cni", "ebs-csi", "flow-logs",
    "experiments", "load-balancers",
]  # fmt: skip
"""Who assumes a role of the stack: Karpenter's nodes, whose instance profile has the name too, and its controller; the
system nodes; EKS for the cluster; the VPC CNI's DaemonSet; the EBS CSI controller; what writes VPC flow logs;
experiments of AWS FIS; and the AWS Load Balancer Controller, whose policy has the name too.
"""


@dataclass(frozen=True, kw_only=True)
class StackNames:
    """Cluster and region of the stack, and every physical name that follows from them.

    ``stack``: the Pulumi stack's own name, for ``owner_tags`` alone.
    ``iam_path`` and ``permissions_boundary``: where in IAM its roles, policies and profiles are made, and the policy
    that no role of it can do more than; none where the account asks for none. What is there keeps the path that it was
    made with (``ignore_changes``): a new one would replace the roles under a living cluster.
    """

    cluster: str
    region: str
    stack: str = ""
    iam_path: str | None = None
    permissions_boundary: str | None = None

    @property
    def partition(self) -> str:
        """AWS partition of the region."""
        return regions.partition(self.region)

    def role(self, user: RoleUser) -> str:
        """Name of the role that somebody of the stack assumes."""
        return f"{self.cluster}-{user}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of all roles that the program may make; its policies and profile are named, made and gone with them."""
        return tuple(map(self.role, get_args(RoleUser)))

    @property
    def owner_tags(self) -> dict[str, str]:
        """The tag of everything in IAM that has a name of this stack."""
        return {OWNER_TAG: f"{self.region}/{self.stack}"}

    @property
    def interruption_queue(self) -> str:
        """Name of the queue that Karpenter reads: what ``settings.interruptionQueue`` takes, never its ARN."""
        return f"{self.cluster}-interruption"

    def interruption_rule(self, event: str) -> str:
        """Name of an EventBridge rule, one per kind of event."""
        return f"{self.cluster}-{event}"

    def alarm(self, signal: str) -> str:
        """Name of a CloudWatch alarm."""
        return f"{self.cluster}-{signal}"

    @property
    def alarm_topic(self) -> str:
        """Name of the topic that alarms go to, where the stack has its own."""
        return f"{self.cluster}-alarms"

    @property
    def budget(self) -> str:
        """Name of the AWS budget, which is the account's and in no region."""
        return f"{self.cluster}-{self.region}"

    def controller_policy(self, group: str) -> str:
        """Name of one of the controller's managed policies."""
        return f"{self.cluster}-karpenter-{group}"

    @property
    def discovery_tags(self) -> dict[str, str]:
        """The tags by which Karpenter finds this cluster's subnets and security group."""
        return {DISCOVERY_TAG: self.cluster}

    @property
    def volume_tags(self) -> dict[str, str]:
        """The tag by which the EBS CSI driver's cluster-scoped policy knows this cluster's nodes and volumes.

        The driver puts it on volumes, EKS another one on its own nodes; Karpenter's nodes have it from their class.
        Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEBSCSIDriverEKSClusterScopedPolicy.html
        """
        return {"ebs.csi.aws.com/cluster-name": self.cluster}

    @property
    def owned_tags(self) -> dict[str, str]:
        """The tag that Karpenter puts on every instance that it launches for the cluster."""
        return {f"kubernetes.io/cluster/{self.cluster}": "owned"}

    def role_arn(self, account_id: str, user: RoleUser) -> str:
        """ARN of a role of this account, as it will be when the role is made."""
        return f"arn:{self.partition}:iam::{account_id}:role{self.iam_path or '/'}{self.role(user)}"

    def aws_policy(self, name: str) -> str:
        """ARN of a policy that AWS manages."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"

    def cluster_metadata(self, environment: str) -> dict[str, str]:
        """Plain facts of the stack that the charts in Git may use."""
        return {
            "clusterName": self.cluster,
            "environment": environment,
            "region": self.region,
            "interruptionQueue": self.interruption_queue,
            "nodeRole": self.role("karpenter-node"),
        }


def demo_passwords(version: int) -> str:
    """Name of the Secret with the demo's passwords; what uses it starts anew with another name."""
    return f"{DEMO_PASSWORDS}{version}"


def default_tags(environment: str, cluster: str, extra: dict[str, str]) -> dict[str, str]:
    """Tags of every AWS resource of the stack; the program's own win."""
    own = {"environment": environment, "cluster": cluster, "managed-by": "pulumi"}
    return own | extra | own
