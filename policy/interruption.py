"""Rules about the path EventBridge -> SQS -> Karpenter."""

import json
from collections.abc import Iterator
from typing import Final

from policy.resource import Stack, statements

QUEUE, QUEUE_POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"

PATTERNS: Final = frozenset({
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    ("aws.ec2", "EC2 Instance State-change Notification"),
    ("aws.health", "AWS Health Event"),
    ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
})  # fmt: skip
"""(source, detail-type) of the events that Karpenter parses, letter by letter: a wrong one never matches, in silence.

Source: https://github.com/aws/karpenter-provider-aws/tree/v1.14.1/pkg/controllers/interruption/messages
"""


def every_event_has_a_rule(stack: Stack) -> Iterator[str]:
    """Exactly these five patterns, each enabled."""
    seen = set()
    for rule in stack.of(RULE):
        pattern = json.loads(rule.at("eventPattern") or "{}")
        for source in pattern.get("source", []):
            for detail_type in pattern.get("detail-type", []):
                seen.add((source, detail_type))
        if set(pattern) - {"source", "detail-type"}:
            yield f"{rule.name}: narrowed by {sorted(set(pattern) - {'source', 'detail-type'})}"
        if rule.at("state") == "DISABLED":
            yield f"{rule.name}: disabled"
    for source, detail_type in sorted(PATTERNS - seen):
        yield f"no rule for {source} / {detail_type}"
    for source, detail_type in sorted(seen - PATTERNS):
        yield f"a rule for {source} / {detail_type}, which Karpenter does not parse"


def every_rule_has_a_target(stack: Stack) -> Iterator[str]:
    """Each rule has a target that is the queue."""
    queues = {q.at("arn") for q in stack.of(QUEUE)}
    targets = {t.at("rule"): t.at("arn") for t in stack.of(TARGET)}
    for rule in stack.of(RULE):
        name = rule.at("name")
        if name not in targets:
            yield f"{rule.name}: has no target"
        elif targets[name] not in queues and isinstance(targets[name], str):
            yield f"{rule.name}: sends to {targets[name]}, which is not the queue"


def queue_policy_is_exact(stack: Stack) -> Iterator[str]:
    """SendMessage for exactly the stack's rules, everything denied without TLS, nothing else."""
    rule_arns = {r.at("arn") for r in stack.of(RULE)}
    if stack.has(QUEUE) and not stack.has(QUEUE_POLICY):
        yield "the queue has no policy: EventBridge may not send to it"
    for policy in stack.of(QUEUE_POLICY):
        document = policy.document("policy")
        if document is None:
            continue  # ARNs are not known before the first update
        rows = statements(document)
        allowed = [row for row in rows if row["Effect"] == "Allow"]
        tls = [
            row
            for row in rows
            if row["Effect"] == "Deny" and row.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        if not tls or tls[0]["Action"] != ["sqs:*"] or tls[0].get("Principal") != "*":
            yield f"{policy.name}: plain HTTP is not denied"
        sources: set[str] = set()
        for row in allowed:
            if row["Action"] != ["sqs:SendMessage"] or row.get("Principal") != {"Service": "events.amazonaws.com"}:
                yield f"{policy.name}: allows {row['Action']} to {row.get('Principal')}"
            arns = row.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])
            sources |= {arns} if isinstance(arns, str) else set(arns)
            if not arns:
                yield f"{policy.name}: any rule of any account may send"
        for arn in sorted(str(a) for a in rule_arns - sources if a):
            yield f"{policy.name}: rule {arn} may not send"
        for arn in sorted(sources - rule_arns):
            yield f"{policy.name}: {arn} is no rule of this stack"


def queue_is_encrypted(stack: Stack) -> Iterator[str]:
    """SSE-SQS. A KMS key of AWS's own would stop EventBridge from sending."""
    for queue in stack.of(QUEUE):
        if queue.at("sqsManagedSseEnabled") is not True or queue.at("kmsMasterKeyId"):
            yield f"{queue.name}: not encrypted with SSE-SQS"


def controller_reads_the_queue(stack: Stack) -> Iterator[str]:
    """``settings.interruptionQueue`` is the name of this stack's queue."""
    names = {q.at("name") for q in stack.of(QUEUE)}
    for release in stack.of(RELEASE):
        if release.at("name") != "karpenter":
            continue
        given = release.at("values", "settings", "interruptionQueue")
        if given not in names:
            yield f"{release.name}: settings.interruptionQueue is {given!r}; the queue's name is {', '.join(map(str, names)) or 'missing'}"
