"""Rules about the path EventBridge -> SQS -> Karpenter."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.stack import Fault, Resource, Stack, allows_beside, compared, denies_plain_http, each, statements
from policy.values import NO, YES, at, is_one_of, is_set, items, may_be, may_hold

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

Source: https://github.com/aws/karpenter-provider-aws/tree/v1.14.3/pkg/controllers/interruption/messages
"""


def _listens(rule: Resource, source: str, detail_type: str) -> bool:
    pattern = rule.document("eventPattern")
    return may_hold(at(pattern, "source"), source) and may_hold(at(pattern, "detail-type"), detail_type)


def every_event_has_a_rule(stack: Stack) -> Iterator[Fault]:
    """Exactly these five patterns, each enabled."""
    rules = list(stack.of(RULE))
    for rule in rules:
        pattern = rule.document("eventPattern")
        if isinstance(pattern, Mapping):
            if narrowed := sorted(set(pattern) - {"source", "detail-type"}):
                yield Fault(rule, f"narrowed by {', '.join(narrowed)}")
            for source in items(at(pattern, "source")):
                for detail_type in items(at(pattern, "detail-type")):
                    if not any(may_be(source, known) and may_be(detail_type, event) for known, event in PATTERNS):
                        yield Fault(rule, f"matches {source} / {detail_type}, which Karpenter does not parse")
        if is_one_of(rule.at("state"), "DISABLED") or is_one_of(rule.at("isEnabled"), *NO):
            yield Fault(rule, "disabled")
    for source, detail_type in sorted(PATTERNS):
        if not any(_listens(rule, source, detail_type) for rule in rules):
            yield Fault(None, f"no rule for {source} / {detail_type}")


def every_rule_has_a_target(stack: Stack) -> Iterator[Fault]:
    """Each rule has a target that is the queue."""
    queues = [queue.at("arn") for queue in stack.of(QUEUE)]
    for rule in stack.of(RULE):
        targets = [target.at("arn") for target in stack.of(TARGET) if may_be(target.at("rule"), rule.at("name"))]
        if not targets:
            yield Fault(rule, "has no target")
        elif not any(may_be(target, *queues) for target in targets):
            yield Fault(rule, f"sends to {', '.join(map(str, targets))}, which is not the queue")


def queue_policy_is_exact(stack: Stack) -> Iterator[Fault]:
    """SendMessage for exactly the stack's rules, everything denied without TLS, nothing else."""
    rules = [rule.at("arn") for rule in stack.of(RULE)]
    policies = list(stack.of(QUEUE_POLICY))
    for queue in () if policies else stack.of(QUEUE):
        yield Fault(queue, "the queue has no policy: EventBridge may not send to it")
    for policy in policies:
        document = policy.document("policy")
        if not denies_plain_http(document, "sqs:*"):
            yield Fault(policy, "plain HTTP is not denied")
        senders: list[Any] = []
        for row in statements(document, "Allow"):
            for problem in allows_beside(row, "sqs:SendMessage", "events.amazonaws.com"):
                yield Fault(policy, problem)
            arns = compared(row, "aws:SourceArn")
            if not arns:
                yield Fault(policy, "any rule of any account may send")
            senders += arns
        for arn in rules:
            if not may_be(arn, *senders):
                yield Fault(policy, f"rule {arn} may not send")
        for arn in senders:
            if not may_be(arn, *rules):
                yield Fault(policy, f"{arn} is no rule of this stack")


@each(QUEUE)
def queue_is_encrypted(queue: Resource) -> Iterator[str]:
    """SSE-SQS. A KMS key of AWS's own would stop EventBridge from sending."""
    if not may_be(queue.at("sqsManagedSseEnabled"), *YES) or is_set(queue.at("kmsMasterKeyId")):
        yield "not encrypted with SSE-SQS"


def controller_reads_the_queue(stack: Stack) -> Iterator[Fault]:
    """``settings.interruptionQueue`` is the name of this stack's queue."""
    names = [queue.at("name") for queue in stack.of(QUEUE)]
    for release in stack.of(RELEASE):
        setting = release.at("values", "settings", "interruptionQueue")
        if is_one_of(release.at("name"), "karpenter") and not may_be(setting, *names):
            queues = ", ".join(map(str, names)) or "missing"
            yield Fault(release, f"settings.interruptionQueue is {setting!r}; the queue's name is {queues}")
