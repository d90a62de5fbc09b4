"""The list of rules, and what a stack breaks of it.

Control ids: FSBP = AWS Foundational Security Best Practices, CIS = CIS EKS benchmark, CKV = checkov.
"""

from dataclasses import dataclass

from policy import cloud, gitops, interruption, nodes
from policy.stack import Check, Fault, Stack
from policy.waivers import waived


@dataclass(frozen=True)
class Rule:
    """A rule: its name, a check that yields what breaks it, why it is there, and what mends it."""

    name: str
    check: Check
    why: str
    do: str


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A broken rule, and what breaks it. ``waiver`` is the recorded reason where the environment may break it."""

    rule: Rule
    fault: Fault
    waiver: str | None

    @property
    def resource(self) -> str:
        """Logical name of the resource that breaks the rule; ``the stack`` where it is no single one."""
        return self.fault.resource.name if self.fault.resource else "the stack"

    def __str__(self) -> str:
        return f"{self.resource}: {self.fault.problem}. Do: {self.rule.do}."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The rules' verdict on a stack: every violation, and the rules that wait for values that are not known yet."""

    environment: str
    violations: tuple[Violation, ...]
    undecided: tuple[Rule, ...]

    @property
    def refused(self) -> tuple[Violation, ...]:
        """Violations without a waiver."""
        return tuple(violation for violation in self.violations if violation.waiver is None)

    @property
    def passed(self) -> tuple[Rule, ...]:
        """Rules that the stack keeps, whatever the values that are not known yet."""
        broken = {violation.rule for violation in self.violations}
        return tuple(rule for rule in RULES if rule not in broken and rule not in self.undecided)


RULES: tuple[Rule, ...] = (
    Rule(
        "node-role-admitted",
        nodes.role_is_admitted,
        why="a node whose role is not admitted never joins (lesson 1)",
        do="admit the role by cluster.nodeAccess: the cluster hands out the AdmittedNodeRole that node classes take",
    ),
    Rule(
        "node-entry-type",
        nodes.entry_is_ec2_linux,
        why="only an EC2_LINUX access entry lets a node in (Karpenter #7558)",
        do="give the access entry type EC2_LINUX",
    ),
    Rule(
        "imdsv2-hop-one",
        nodes.imds_is_closed_to_pods,
        why="pods must not use the node's role (FSBP EC2.8, CKV_AWS_341)",
        do="set httpTokens: required and httpPutResponseHopLimit: 1",
    ),
    Rule(
        "volumes-encrypted",
        nodes.volumes_are_encrypted,
        why="root volumes are encrypted (FSBP EC2.3, CKV_AWS_8)",
        do="declare the root volume as a block device with encrypted: true",
    ),
    Rule(
        "no-ssh",
        nodes.nobody_enters_by_ssh,
        why="a shell comes through SSM, not a key (CKV_AWS_100)",
        do="remove the key pair; open a shell with `aws ssm start-session`",
    ),
    Rule(
        "no-public-nodes",
        nodes.nodes_are_private,
        why="nodes have no public address (FSBP EC2.9, CIS 5.4.3)",
        do="set associatePublicIPAddress: false, and leave mapPublicIpOnLaunch out",
    ),
    Rule(
        "discovery-matches",
        nodes.discovery_matches,
        why="Karpenter finds what the tags say (Karpenter #1558)",
        do="use the tags of this stack's subnets and security groups in the selector terms",
    ),
    Rule(
        "stateful-on-demand",
        nodes.databases_have_a_home,
        why="databases have an On-Demand, tainted pool (lesson 2)",
        do="keep a tainted pool with stateful: true, and an untainted one with spot among its capacityTypes",
    ),
    Rule(
        "ami-pinned",
        nodes.ami_is_pinned,
        why="@latest replaces nodes when AWS publishes",
        do="set nodeClass.amiAlias to a release, al2023@v and its date",
    ),
    Rule(
        "platform-on-system-nodes",
        nodes.platform_needs_no_node_of_karpenter,
        why="Karpenter must not need a node that only Karpenter could make: CoreDNS drained onto Spot goes with it",
        do="select the system nodes in the add-on's configuration and the chart's values; for Karpenter also "
        "dnsPolicy: Default and AWS_REGION in controller.env",
    ),
    Rule(
        "interruption-rules",
        interruption.every_event_has_a_rule,
        why="all five events reach the queue, in AWS's own words (lesson 3)",
        do="declare one enabled rule for each event that Karpenter parses, with source and detail-type alone",
    ),
    Rule(
        "interruption-targets",
        interruption.every_rule_has_a_target,
        why="every rule sends to this stack's queue (lesson 3)",
        do="give each rule a target with the queue's ARN",
    ),
    Rule(
        "interruption-queue-policy",
        interruption.queue_policy_is_exact,
        why="the queue takes what these rules send, over TLS, and nothing else (lesson 3)",
        do="allow sqs:SendMessage to events.amazonaws.com for this stack's rules, and deny sqs:* without TLS",
    ),
    Rule(
        "interruption-queue-encrypted",
        interruption.queue_is_encrypted,
        why="messages are encrypted at rest (FSBP SQS.1)",
        do="set sqsManagedSseEnabled: true, without a KMS key",
    ),
    Rule(
        "alarm-topic",
        cloud.topic_takes_this_accounts_alarms,
        why="only this account's alarms are told, over TLS, under a key that CloudWatch may use (FSBP SNS.1)",
        do="give the topic a key of its own, and a policy with cloudwatch.amazonaws.com, aws:SourceAccount and TLS",
    ),
    Rule(
        "interruption-queue-name",
        interruption.controller_reads_the_queue,
        why="the controller gets the queue's name, not its ARN (Karpenter #6024)",
        do="set the chart's settings.interruptionQueue to the queue's name",
    ),
    Rule(
        "pass-role-exact",
        cloud.only_exact_roles_are_passed,
        why="only the node role can be passed (CKV_AWS_110)",
        do="name the role's ARN as the statement's Resource",
    ),
    Rule(
        "no-wildcard-writes",
        cloud.no_wildcard_writes,
        why="no action has a star, and no write applies to everything (CKV_AWS_62, 63, 355)",
        do="name each action, and the resources that it writes to",
    ),
    Rule(
        "endpoint-not-open",
        cloud.endpoint_is_not_open,
        why="the API is not open to the world (CKV_AWS_38)",
        do="list the networks in cluster.endpoint.publicCidrs",
    ),
    Rule(
        "endpoint-private",
        cloud.endpoint_is_private,
        why="the API is private (FSBP EKS.1, CIS 5.4.2)",
        do="set cluster.endpoint.public: false and private: true",
    ),
    Rule(
        "secrets-encrypted",
        cloud.secrets_are_encrypted,
        why="Kubernetes secrets are encrypted with a rotated key (FSBP EKS.3, CKV_AWS_7)",
        do="encrypt secrets by encryptionConfig with a key that has enableKeyRotation: true",
    ),
    Rule(
        "audit-logs",
        cloud.audit_log_is_kept,
        why="the audit log is kept (FSBP EKS.8)",
        do="add audit to cluster.logTypes",
    ),
    Rule(
        "all-control-plane-logs",
        cloud.all_logs_are_kept,
        why="all five logs are kept (CKV_AWS_37)",
        do="set cluster.logTypes to all five",
    ),
    Rule(
        "log-retention",
        cloud.logs_expire,
        why="no log group keeps for ever (CKV_AWS_66)",
        do="set retentionInDays",
    ),
    Rule(
        "flow-logs",
        cloud.flow_logs_are_kept,
        why="the VPC keeps flow logs (FSBP EC2.6)",
        do="set network.flowLogs: true",
    ),
    Rule(
        "default-group-closed",
        cloud.default_group_is_closed,
        why="the default security group has no rule (FSBP EC2.2)",
        do="declare the VPC's default security group without rules",
    ),
    Rule(
        "deletion-protected",
        cloud.cluster_is_protected,
        why="nobody deletes the cluster by accident",
        do="set cluster.deletionProtection: true",
    ),
    Rule(
        "addons-pinned",
        cloud.addons_are_pinned,
        why="a preview changes nothing that nobody changed",
        do="set the add-on's version in cluster.addons",
    ),
    Rule(
        "project-bounded",
        gitops.project_is_bounded,
        why="a project of its own, with no star (argo-cd app-of-apps is admin-only)",
        do="name repositories, namespaces and kinds one by one, in a project other than default",
    ),
    Rule(
        "root-respects-suspension",
        gitops.root_respects_suspension,
        why="a person's suspension survives the root (lesson 4)",
        do="ignore /spec/syncPolicy/automated of Applications, with RespectIgnoreDifferences=true",
    ),
    Rule(
        "root-cascades",
        gitops.root_cascades,
        why="deleting the root deletes what it deployed, load balancers too",
        do="add the finalizer resources-finalizer.argocd.argoproj.io",
    ),
    Rule(
        "project-keeps-sync-windows",
        gitops.project_leaves_sync_windows,
        why="`pulumi up` does not end a drill's lease (lesson 4)",
        do="remove spec.syncWindows from the program; drills and people write it",
    ),
    Rule(
        "waves-wait",
        gitops.waves_wait,
        why="Argo CD waits for a child's health between waves (argo-cd #5585)",
        do="define resource.customizations.health.argoproj.io_Application in the chart's configs.cm",
    ),
    Rule(
        "argocd-closed",
        gitops.argocd_is_closed,
        why="no insecure server, no exec, no anonymous user",
        do="set server.insecure, exec.enabled and users.anonymous.enabled to false in the chart's values",
    ),
    Rule(
        "argocd-admin-disabled",
        gitops.argocd_admin_is_disabled,
        why="no shared local admin",
        do="set argocd.adminEnabled: false",
    ),
    Rule(
        "charts-pinned",
        gitops.charts_are_pinned,
        why="a chart version does not move",
        do="give the chart's version as three numbers",
    ),
    Rule(
        "git-revision-pinned",
        gitops.revision_is_pinned,
        why="a branch moves; a tag or commit does not",
        do="set gitops.revision to a tag such as v1.2.3 or to a full commit",
    ),
)


def violations(stack: Stack, *rules: Rule) -> list[Violation]:
    """Everything that breaks one of the rules (all, where none is named), waived or not."""
    return [
        Violation(rule=rule, fault=fault, waiver=waived(stack.environment, rule.name))
        for rule in rules or RULES
        for fault in rule.check(stack)
    ]


def judge(stack: Stack) -> Verdict:
    """The verdict on a stack. A rule is undecided where only a value that is not known yet could break it."""
    found, strict = violations(stack), stack.strict()
    possible = {violation.rule for violation in (found if strict == stack else violations(strict))}
    undecided = possible - {violation.rule for violation in found}
    return Verdict(
        environment=stack.environment,
        violations=tuple(found),
        undecided=tuple(rule for rule in RULES if rule in undecided),
    )
