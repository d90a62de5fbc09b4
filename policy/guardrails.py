"""The list of rules.

Control ids: FSBP = AWS Foundational Security Best Practices, CIS = CIS EKS benchmark, CKV = checkov.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policy import cloud, gitops, interruption, nodes
from policy.resource import Stack
from policy.waivers import waived

Check = Callable[[Stack], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: its name, why it is there, and a check that yields what breaks it."""

    name: str
    why: str
    check: Check


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A broken rule: which, and what was seen. ``waiver`` is the recorded reason where the environment may break it."""

    rule: str
    seen: str
    waiver: str | None


RULES: tuple[Rule, ...] = (
    Rule(name="node-role-admitted", why="a node whose role is not admitted never joins (lesson 1)", check=nodes.role_is_admitted),
    Rule(name="node-entry-type", why="only an EC2_LINUX access entry lets a node in (Karpenter #7558)", check=nodes.entry_is_ec2_linux),
    Rule(name="imdsv2-hop-one", why="pods must not use the node's role (FSBP EC2.8, CKV_AWS_341)", check=nodes.imds_is_closed_to_pods),
    Rule(name="volumes-encrypted", why="root volumes are encrypted (FSBP EC2.3, CKV_AWS_8)", check=nodes.volumes_are_encrypted),
    Rule(name="no-ssh", why="a shell comes through SSM, not a key (CKV_AWS_100)", check=nodes.nobody_enters_by_ssh),
    Rule(name="no-public-nodes", why="nodes have no public address (FSBP EC2.9, CIS 5.4.3)", check=nodes.nodes_are_private),
    Rule(name="discovery-matches", why="Karpenter finds what the tags say (Karpenter #1558)", check=nodes.discovery_matches),
    Rule(name="stateful-on-demand", why="databases have an On-Demand, tainted pool (lesson 2)", check=nodes.databases_have_a_home),
    Rule(name="ami-pinned", why="@latest replaces nodes when AWS publishes", check=nodes.ami_is_pinned),
    Rule(name="interruption-rules", why="all five events reach the queue, in AWS's own words (lesson 3)", check=interruption.every_event_has_a_rule),
    Rule(name="interruption-targets", why="every rule sends to this stack's queue (lesson 3)", check=interruption.every_rule_has_a_target),
    Rule(name="interruption-queue-policy", why="the queue takes what these rules send, over TLS, and nothing else (lesson 3)", check=interruption.queue_policy_is_exact),
    Rule(name="interruption-queue-encrypted", why="messages are encrypted at rest (FSBP SQS.1)", check=interruption.queue_is_encrypted),
    Rule(name="interruption-queue-name", why="the controller gets the queue's name, not its ARN (Karpenter #6024)", check=interruption.controller_reads_the_queue),
    Rule(name="pass-role-exact", why="only the node role can be passed (CKV_AWS_110)", check=cloud.only_exact_roles_are_passed),
    Rule(name="no-wildcard-writes", why="no action has a star, and no write applies to everything (CKV_AWS_62, 63, 355)", check=cloud.no_wildcard_writes),
    Rule(name="endpoint-not-open", why="the API is not open to the world (CKV_AWS_38)", check=cloud.endpoint_is_not_open),
    Rule(name="endpoint-private", why="the API is private (FSBP EKS.1, CIS 5.4.2)", check=cloud.endpoint_is_private),
    Rule(name="secrets-encrypted", why="Kubernetes secrets are encrypted with a rotated key (FSBP EKS.3, CKV_AWS_7)", check=cloud.secrets_are_encrypted),
    Rule(name="audit-logs", why="the audit log is kept (FSBP EKS.8)", check=cloud.audit_log_is_kept),
    Rule(name="all-control-plane-logs", why="all five logs are kept (CKV_AWS_37)", check=cloud.all_logs_are_kept),
    Rule(name="log-retention", why="no log group keeps for ever (CKV_AWS_66)", check=cloud.logs_expire),
    Rule(name="flow-logs", why="the VPC keeps flow logs (FSBP EC2.6)", check=cloud.flow_logs_are_kept),
    Rule(name="default-group-closed", why="the default security group has no rule (FSBP EC2.2)", check=cloud.default_group_is_closed),
    Rule(name="deletion-protected", why="nobody deletes the cluster by accident", check=cloud.cluster_is_protected),
    Rule(name="addons-pinned", why="a preview changes nothing that nobody changed", check=cloud.addons_are_pinned),
    Rule(name="project-bounded", why="a project of its own, with no star (argo-cd app-of-apps is admin-only)", check=gitops.project_is_bounded),
    Rule(name="root-respects-suspension", why="a person's suspension survives the root (lesson 4)", check=gitops.root_respects_suspension),
    Rule(name="root-cascades", why="deleting the root deletes what it deployed, load balancers too", check=gitops.root_cascades),
    Rule(name="project-keeps-sync-windows", why="`pulumi up` does not end a drill's lease (lesson 4)", check=gitops.project_leaves_sync_windows),
    Rule(name="waves-wait", why="Argo CD waits for a child's health between waves (argo-cd #5585)", check=gitops.waves_wait),
    Rule(name="argocd-closed", why="no insecure server, no exec, no anonymous user", check=gitops.argocd_is_closed),
    Rule(name="argocd-admin-disabled", why="no shared local admin", check=gitops.argocd_admin_is_disabled),
    Rule(name="charts-pinned", why="a chart version does not move", check=gitops.charts_are_pinned),
    Rule(name="git-revision-pinned", why="a branch moves; a tag or commit does not", check=gitops.revision_is_pinned),
)  # fmt: skip


def violations(stack: Stack) -> list[Violation]:
    """Everything that breaks a rule, waived or not."""
    return [
        Violation(rule=rule.name, seen=seen, waiver=waived(stack.environment, rule.name))
        for rule in RULES
        for seen in rule.check(stack)
    ]
