"""Faults of capacity and interruptions: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from otel_on_spot.doctor.facts_aws import EncryptionKey
from otel_on_spot.doctor.facts_kubernetes import PoolBudget
from tests.unit.doctor.changes import (
    ACCOUNT,
    HEALTHY,
    Change,
    added,
    all_of,
    changed,
    declares,
    given,
    named,
    one_of,
    role_arn,
    without,
)

NOW = HEALTHY.taken_at
LONG_AGO = NOW - timedelta(hours=3)
POOL_NODE = one_of("instances", lambda one: one.spot)


def condition(kind: str, status: str, message: str = "") -> Change:
    """The node class has this condition, and is not Ready for it."""

    def change(listed: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            replace(entry, status=status, message=message) if entry.type in (kind, "Ready") else entry
            for entry in listed
        )

    return changed("node_classes", conditions=change)


def unregistered(listed: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        replace(entry, status="Unknown", message="Node not registered with cluster")
        if entry.type == "Registered"
        else entry
        for entry in listed
    )


def undecided(group: str, seconds: float) -> Change:
    """Karpenter has looked at the objects since so long ago, and not decided yet."""
    since = NOW - timedelta(seconds=seconds)

    def change(listed: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            replace(entry, status="Unknown", since=since) if entry.type == "Ready" else entry for entry in listed
        )

    return changed(group, conditions=change)


def deleted(seconds: float) -> Change:
    """The deletion of the claim of ``POOL_NODE`` was asked for so long ago."""
    return changed(
        "node_claims", lambda one: one.instance_id == POOL_NODE.id, deleted_at=NOW - timedelta(seconds=seconds)
    )


INVISIBLE = all_of(
    changed("instances", lambda one: one.id == POOL_NODE.id, launched_at=LONG_AGO),
    without("nodes", lambda one: one.instance_id == POOL_NODE.id),
    changed("node_claims", lambda one: one.instance_id == POOL_NODE.id, node="", conditions=unregistered),
)


def died(reason_code: str) -> Change:
    """EC2 ended an instance of the cluster at its launch."""
    dead = replace(POOL_NODE, id="i-dead", state="terminated", changed_at=NOW, reason_code=reason_code, reason="told")
    return added("instances", dead)


def budgeted(**values: Any) -> Change:
    """A pool has this budget too."""
    return pool(budgets=lambda had: (*had, PoolBudget(nodes="0", **values)))


def encrypted(key: EncryptionKey | None, named_as: str = "alias/queue") -> Change:
    """The queue has a KMS key."""
    return all_of(
        changed("queues", kms_key=named_as),
        given("encryption_keys", *([replace(key, named=named_as)] if key else [])),
    )


def key_of(*principals: dict[str, str], actions: tuple[str, ...] = ("kms:*",), **values: Any) -> EncryptionKey:
    """A key whose policy lets these principals do this."""
    statements = [{"Effect": "Allow", "Principal": p, "Action": list(actions), "Resource": "*"} for p in principals]
    policy = {"Version": "2012-10-17", "Statement": statements}
    return EncryptionKey(named="", arn="arn:aws:kms:eu-west-1:123456789012:key/k", policy=policy, **values)


def reads(queue: str) -> Change:
    """The controller reads this queue."""
    return changed("controllers", environment=lambda had: {**had, "INTERRUPTION_QUEUE": queue})


def subnet(letter: str, **values: Any) -> Change:
    return changed("subnets", named(f"otel-lab-private-{letter}"), **values)


def rule(name: str, **values: Any) -> Change:
    return changed("rules", named(f"otel-lab-{name}"), **values)


def pool(**values: Any) -> Change:
    return changed("node_pools", named("data"), **values)


EVENTS = {"Service": "events.amazonaws.com"}
KARPENTER = {"AWS": role_arn("otel-lab-karpenter-controller")}
ACCOUNT_ITSELF = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}

FAULTS: dict[str, tuple[str, Change, str]] = {
    "subnets lost their tag": (
        "discovery-tags",
        changed("subnets", tags=lambda had: {key: entry for key, entry in had.items() if "karpenter" not in key}),
        "no subnet matches",
    ),
    "one subnet lost its tag": (
        "discovery-tags",
        subnet("a", tags={"kubernetes.io/role/internal-elb": "1"}),
        "lost the discovery tag",
    ),
    "group lost its tag": ("discovery-tags", changed("security_groups", tags={}), "no security group matches"),
    "another VPC's subnet": ("discovery-tags", subnet("b", vpc_id="vpc-other"), "another VPC"),
    "another group of the cluster's tag": (
        "discovery-tags",
        added("security_groups", replace(one_of("security_groups"), id="sg-2")),
        "every node wears all 2 groups",
    ),
    "a public subnet of the cluster's tag": (
        "discovery-tags",
        added("subnets", replace(one_of("subnets"), id="subnet-2", tags={"karpenter.sh/discovery": "otel-lab"})),
        "subnet-2 carries it too, and no private subnet's tag",
    ),
    "a subnet that is nearly full": ("subnet-addresses", subnet("a", free_addresses=119), "119 addresses free"),
    "a subnet that is full": ("subnet-addresses", subnet("b", free_addresses=1), "1 address free"),
    "the account's key for EBS": ("launch-failures", died("Client.InternalError"), "the root volume's KMS key"),
    "too many volumes": ("launch-failures", died("Client.VolumeLimitExceeded"), "quota of EBS storage"),
    "a schedule that Karpenter cannot read": (
        "pool-budgets",
        budgeted(schedule="30 10 * * 1-7", duration="1h"),
        "the day of the week runs from 0 to 6",
    ),
    "a duration that Karpenter cannot read": (
        "pool-budgets",
        budgeted(schedule="30 10 * * 1", duration="90s"),
        "in hours and minutes",
    ),
    "a schedule without a duration": ("pool-budgets", budgeted(schedule="@daily"), "go together"),
    "a quota of Spot below the pools": (
        "vcpu-quotas",
        changed("quotas", lambda one: "Spot" in one.name, value=32.0),
        "32 vCPUs of Spot; spot may use 400",
    ),
    "a quota of On-Demand below the pools": (
        "vcpu-quotas",
        changed("quotas", lambda one: "On-Demand" in one.name, value=5.0),
        "5 vCPUs of On-Demand; data, on-demand may use 132",
    ),
    "node class not Ready": (
        "node-classes",
        condition("InstanceProfileReady", "False", "no such profile"),
        "InstanceProfileReady=False",
    ),
    "node class gone": ("node-classes", all_of(declares(node_classes=("default", "gpu"))), "no such EC2NodeClass"),
    "pool gone": ("node-pools", without("node_pools", named("data")), "no such NodePool"),
    "pool never looked at": ("node-pools", pool(conditions=()), "no conditions"),
    "node class that is never decided": ("node-classes", undecided("node_classes", 300), "Ready=Unknown"),
    "pool that is never decided": ("node-pools", undecided("node_pools", 300), "Ready=Unknown"),
    "pool that nobody looks at": ("node-pools", pool(conditions=(), created_at=LONG_AGO), "no conditions"),
    "invisible": ("invisible-nodes", INVISIBLE, "Registered=Unknown"),
    "no Spot role": ("spot-role", without("spot_roles"), "no such role"),
    "queue gone": ("interruption-queue", without("queues"), "does not exist"),
    "another queue read": ("interruption-queue", reads("other"), "reads other"),
    "an ARN for a name": ("interruption-queue", reads("arn:aws:sqs:eu:1:q"), "a name is asked for"),
    "no queue read": ("interruption-queue", reads(""), "interruption handling is off"),
    "encrypted with AWS's own key": (
        "interruption-key",
        encrypted(key_of(manager="AWS"), "alias/aws/sqs"),
        "EventBridge may not use it",
    ),
    "encrypted with a key that is gone": ("interruption-key", encrypted(None), "no such key"),
    "encrypted with a key that is off": (
        "interruption-key",
        encrypted(key_of(EVENTS, KARPENTER, state="PendingDeletion")),
        "it is PendingDeletion",
    ),
    "a key that EventBridge may not use": (
        "interruption-key",
        encrypted(key_of(KARPENTER)),
        "does not let events.amazonaws.com call kms:GenerateDataKey, kms:Decrypt",
    ),
    "a key with which EventBridge may only decrypt": (
        "interruption-key",
        encrypted(key_of(EVENTS, KARPENTER, actions=("kms:Decrypt",))),
        "call kms:GenerateDataKey: no warning arrives",
    ),
    "a key that Karpenter may not use": (
        "interruption-key",
        encrypted(key_of(EVENTS, ACCOUNT_ITSELF)),
        "otel-lab-karpenter-controller may not call kms:Decrypt",
    ),
    "no queue policy": ("interruption-policy", changed("queues", policy={}), "no policy"),
    "a rule may not send": (
        "interruption-policy",
        rule("rebalance", arn="arn:aws:events:eu-west-1:1:rule/otel-lab-rebalance"),
        "does not let otel-lab-rebalance send",
    ),
    "a rule is gone": (
        "interruption-rules",
        without("rules", named("otel-lab-spot-interruption")),
        "rule does not exist",
    ),
    "a rule is off": ("interruption-rules", rule("rebalance", state="DISABLED"), "DISABLED"),
    "a rule matches nothing": ("interruption-rules", rule("rebalance", pattern={"source": ["aws.ec3"]}), "its pattern"),
    "a rule without target": ("interruption-rules", rule("state-change", targets=()), "targets are none"),
    "an old message": ("interruption-backlog", changed("queues", oldest_seconds=240.0), "240 s"),
    "messages that nobody takes": ("interruption-backlog", changed("queues", waiting=(3, 3)), "3 messages waiting"),
    "ever more messages": ("interruption-backlog", changed("queues", waiting=(1, 3, 3, 4)), "4 messages waiting"),
    "nearly at the limit": ("pool-limits", pool(used={"cpu": "28", "memory": "1Gi"}), "28 of 32 used (88%)"),
}
SOUND: dict[str, Change] = {
    "an instance that is joining": all_of(
        INVISIBLE, changed("instances", lambda one: one.id == POOL_NODE.id, launched_at=NOW - timedelta(seconds=60))
    ),
    "an instance that Karpenter is terminating": all_of(INVISIBLE, deleted(20)),
    "node classes that are being looked at": undecided("node_classes", 20),
    "pools that are being looked at": undecided("node_pools", 20),
    "a pool that was just made": pool(conditions=(), created_at=NOW),
    "a burst of messages, taken one after another": changed("queues", waiting=(40, 33)),
    "a burst of messages, some of them taken": changed("queues", waiting=(40, 41), in_flight=10),
    "a message just now": changed("queues", oldest_seconds=2.0, waiting=(1, 0)),
    "no Spot pool, no Spot role": all_of(
        without("spot_roles"),
        lambda facts: replace(
            facts,
            declared=replace(facts.declared, pools={"data": facts.declared.pools["data"]}),
            node_pools=facts.node_pools,
        ),
    ),
    "a key that both may use": encrypted(key_of(EVENTS, KARPENTER)),
    "a key that the account gives to Karpenter": all_of(
        encrypted(key_of(EVENTS, ACCOUNT_ITSELF)),
        changed(
            "roles",
            named("otel-lab-karpenter-controller"),
            inline={"key": {"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}]}},
        ),
    ),
    "an instance that somebody terminated": died("Client.UserInitiatedShutdown"),
    "another cluster's instance that died": added(
        "instances", replace(POOL_NODE, id="i-dead", state="terminated", reason_code="Client.InternalError", tags={})
    ),
    "a descriptor for a schedule": budgeted(schedule="@daily", duration="10h"),
    "quotas that AWS does not tell": without("quotas"),
    "another rule of ours": added("rules", replace(one_of("rules"), name="otel-lab-own")),
}
