"""Checks of an interruption's way, link by link: rules, targets, queue policy, queue, controller, backlog."""

import json
from typing import Final

from otel_on_spot.doctor.check import Judging, aws_command, check, require, update_command
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import EncryptionKey, Queue, Rule
from otel_on_spot.doctor.facts_kubernetes import QUEUE_VARIABLE, Controller
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import EVENTS, allows, may_send

OLD_SECONDS: Final = 60
"""A warning is two minutes: a message that waited for one of them is half lost."""
SENDS: Final = ("kms:GenerateDataKey", "kms:Decrypt")
READS: Final = "kms:Decrypt"
"""What a sender, and a reader, of an encrypted queue calls."""
RESTART: Final = "kubectl -n {namespace} rollout restart deployment/karpenter"
NO_QUEUE: Final = "no queue: see interruption-queue"


def declared_queue(facts: Facts) -> Queue | None:
    """The stack's queue, where it exists."""
    return next((queue for queue in require(facts, "queues") if queue.name == facts.declared.interruption_queue), None)


@check("interruption-queue", "Interruption queue")
def queue(facts: Facts, queues: tuple[Queue, ...], controllers: tuple[Controller, ...]) -> Judging:
    """The queue exists, and it is the one that the controller reads."""
    name, update = facts.declared.interruption_queue, update_command(facts)
    problems: list[tuple[str, ...]] = []
    if declared_queue(facts) is None:
        restart = RESTART.format(namespace=facts.declared.karpenter_namespace)
        problems.append(("the queue does not exist", update, restart))
    for controller in controllers:
        read = controller.environment.get(QUEUE_VARIABLE, "")
        if not read:
            problems.append((f"the controller's {QUEUE_VARIABLE} is empty: interruption handling is off", update))
        elif ":" in read:
            wrong = f"the controller's {QUEUE_VARIABLE} is {read}: an ARN or URL where a name is asked for"
            problems.append((wrong, update))
        elif read != name:
            problems.append((f"the controller reads {read}: warnings in {name} are seen by nobody", update))
    for text, *remedy in problems:
        rule = "the stack's queue exists and Karpenter reads it, by name"
        yield Finding(subject=name, seen=text, rule=rule, remedy=tuple(remedy))
    return len(queues), name


@check("interruption-policy", "Queue policy", "queues", "rules")
def policy(facts: Facts, rules: tuple[Rule, ...]) -> Judging:
    """The queue's policy lets every rule send."""
    found = declared_queue(facts)
    if found is None:
        return 0, NO_QUEUE
    refused = [rule.name for rule in rules if not may_send(found.policy, found.arn, rule.arn)]
    if refused:
        yield Finding(
            subject=found.name,
            seen="it has no policy" if not found.policy else f"it does not let {', '.join(refused)} send",
            rule="the queue's policy lets events.amazonaws.com send for each of the stack's rules",
            remedy=(update_command(facts),),
        )
    return len(rules), f"{format_count(len(rules), 'rule')} may send"


@check("interruption-key", "Queue's key", "queues", "encryption_keys", "roles")
def key(facts: Facts) -> Judging:
    """A KMS key of the queue's, where it has one, serves EventBridge, which sends, and Karpenter, which reads."""
    found = declared_queue(facts)
    if found is None:
        return 0, NO_QUEUE
    if not found.kms_key:
        return 1, "SQS's own key"
    if problem := _key_problem(facts, found.kms_key):
        yield Finding(
            subject=found.name,
            seen=f"messages are encrypted with {found.kms_key}: {problem}",
            rule="a KMS key on the queue is a customer's and Enabled; it lets events.amazonaws.com generate data "
            "keys and decrypt, and Karpenter's role decrypt",
            remedy=(aws_command(facts, f"kms describe-key --key-id {found.kms_key}"), update_command(facts)),
        )
    return 1, f"key {found.kms_key}"


def _key_problem(facts: Facts, named: str) -> str:
    """Reason why a message does not get through with this key; empty where it does.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    (Configure KMS permissions for AWS services)
    """
    keys: tuple[EncryptionKey, ...] = require(facts, "encryption_keys")
    found = next((known for known in keys if known.named == named), None)
    if named.endswith("alias/aws/sqs") or (found and found.manager == "AWS"):
        return "it is AWS's own, its policy cannot be changed, and EventBridge may not use it: no warning arrives"
    if found is None:
        return "there is no such key: no message is written or read"
    if found.state != "Enabled":
        return f"it is {found.state}: no message is written or read"
    lacking = [action for action in SENDS if not allows(found.policy, action, None, None, {"Service": EVENTS})]
    if lacking:
        return f"its policy does not let {EVENTS} call {', '.join(lacking)}: no warning arrives"
    role = next((role for role in require(facts, "roles") if role.name == facts.declared.controller_role), None)
    if role is None:
        return ""
    by_key = allows(found.policy, READS, None, None, {"AWS": role.arn})
    own = [document for document in (*role.policies.values(), *role.inline.values()) if document]
    names_role = role.arn in json.dumps((by_key.statement or {}).get("Principal"))
    if by_key and (names_role or allows(own, READS, found.arn)):
        return ""
    return f"{role.name} may not call {READS} with it: Karpenter reads no message"


@check("interruption-rules", "Rules and targets")
def rules(facts: Facts, rules: tuple[Rule, ...]) -> Judging:
    """All declared rules exist, are enabled, match what AWS sends, and have the queue as a target."""
    found = {rule.name: rule for rule in rules}
    wanted = facts.declared.rules
    for name, pattern in wanted.items():
        rule = found.get(name)
        problem = ""
        if rule is None:
            problem = "the rule does not exist"
        elif rule.state != "ENABLED":
            problem = f"the rule is {rule.state}"
        elif dict(rule.pattern) != dict(pattern):
            problem = f"its pattern is {dict(rule.pattern)}, not {dict(pattern)}"
        elif not any(target.rpartition(":")[2] == facts.declared.interruption_queue for target in rule.targets):
            problem = f"its targets are {', '.join(rule.targets) or 'none'}; the queue is not among them"
        if problem:
            yield Finding(
                subject=name,
                seen=problem,
                rule=f"all {len(wanted)} rules are enabled and send to {facts.declared.interruption_queue}",
                remedy=(update_command(facts),),
                # A rebalance recommendation leaves an event and drains nothing.
                severity="warning" if name.endswith("-rebalance") else "critical",
            )
    return len(found), f"{len(found)} of {format_count(len(wanted), 'rule')}"


@check("interruption-backlog", "Oldest message", "queues")
def backlog(facts: Facts) -> Judging:
    """Karpenter empties the queue: by CloudWatch's age of the oldest message, or else by counts.

    In a burst of events messages wait while others are taken: then a count falls, or some are in flight.
    """
    queue = declared_queue(facts)
    if queue is None:
        return 0, NO_QUEUE
    waiting = max(queue.waiting, default=0)
    if queue.oldest_seconds is not None:
        told = f"oldest message {queue.oldest_seconds:.0f} s (CloudWatch)"
        late = queue.oldest_seconds >= OLD_SECONDS
    else:
        told = f"{format_count(waiting, 'message')} waiting (by count; CloudWatch has no age)"
        late = len(queue.waiting) > 1 and list(queue.waiting) == sorted(queue.waiting) and queue.in_flight == 0
    if late:
        namespace = facts.declared.karpenter_namespace
        yield Finding(
            subject=queue.name,
            seen=told,
            rule=f"Karpenter receives a message at once; none waits for {OLD_SECONDS} s",
            remedy=(
                f"kubectl -n {namespace} logs deployment/karpenter --since=15m",
                RESTART.format(namespace=namespace),
            ),
        )
    return waiting, told


CHECKS: Final = (queue, key, policy, rules, backlog)
