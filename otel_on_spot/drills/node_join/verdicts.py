"""Verdicts of the node-join drill: how far a node came, and why no further; pure functions of what was seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from otel_on_spot.doctor.check import aws_command
from otel_on_spot.doctor.checks.invisible import cause
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.findings import Finding
from otel_on_spot.report import Verdict, verdict_of

RUNBOOK: Final = "docs/runbooks/drills/node-join.md"
_verdict = partial(verdict_of, RUNBOOK)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a joining node. ``checks``: the doctor's, where it stops there."""

    id: str
    title: str
    rule: str
    checks: tuple[str, ...]


LAUNCHING: Final = (
    "instance-profile",
    "controller-permissions",
    "controller-identity",
    "karpenter-running",
    "discovery-tags",
    "node-classes",
    "node-pools",
    "spot-role",
    "pool-limits",
)
JOINING: Final = ("cluster", "node-role", "instance-profile", "invisible-nodes")
STEPS: Final = (
    Step(
        id="claimed",
        title="Karpenter makes a NodeClaim",
        rule="Karpenter makes a NodeClaim for a pod that no node takes",
        checks=LAUNCHING,
    ),
    Step(
        id="launched",
        title="EC2 launches the instance",
        rule="EC2 has room for one of the pool's instance types in one of its zones, and Karpenter may launch it",
        checks=LAUNCHING,
    ),
    Step(
        id="authenticated",
        title="The cluster lets the instance in",
        rule="the instance's role is admitted, and its kubelet makes its Node",
        checks=JOINING,
    ),
    Step(id="registered", title="Karpenter knows the Node", rule="Karpenter finds the claim's Node", checks=JOINING),
    Step(
        id="ready",
        title="The Node is Ready",
        rule="the kubelet reports Ready, which it does once the CNI plugin runs",
        checks=("node-role", "invisible-nodes"),
    ),
    Step(
        id="initialized",
        title="The Node is initialized",
        rule="startup taints are gone and the Node offers what was asked for",
        checks=("node-pools", "karpenter-running"),
    ),
    Step(id="running", title="A pod runs on it", rule="the scheduler binds the pod and the kubelet runs it", checks=()),
)


@dataclass(frozen=True, kw_only=True)
class Joining:
    """A joining node. ``reached``: seconds since the pod was made, by step. ``details``: what the step showed.

    ``claim``, ``instance``: empty where there is none. ``words``: what the objects and events of its steps said last.
    """

    pool: str
    timeout: float
    reached: Mapping[str, float]
    details: Mapping[str, str] = field(default_factory=dict)
    pod: str = ""
    claim: str = ""
    instance: str = ""
    words: str = ""

    @property
    def stopped(self) -> Step | None:
        """The first step that was not reached; None where all were."""
        return next((step for step in STEPS if step.id not in self.reached), None)


def verdicts(seen: Joining, facts: Facts | None) -> tuple[Verdict, ...]:
    """A verdict for each step up to the one where it stopped. ``facts``: what the doctor saw there and then."""
    judged = []
    before = 0.0
    for step in STEPS:
        if step is seen.stopped:
            judged.append(_stopped(seen, step, facts))
            break
        took = max(0.0, seen.reached[step.id] - before)  # Ready and registered come in either order
        before = max(before, seen.reached[step.id])
        detail = seen.details.get(step.id, "")
        what = f"{took:.1f} s" + (f", {detail}" if detail else "")
        judged.append(_verdict(step.id, step.title, what))
    return tuple(judged)


def _stopped(seen: Joining, step: Step, facts: Facts | None) -> Verdict:
    reached = [earlier.id for earlier in STEPS if earlier.id in seen.reached]
    after = f"after {reached[-1]}" if reached else "at the beginning"
    said = f"stopped {after}: not {step.id} {seen.timeout:.0f} s after the pod was made"
    why = why_stopped(seen, step, facts)
    finding = Finding(
        subject=seen.instance or seen.claim or seen.pod,
        seen=f"{said}; {why}" if why else said,
        rule=step.rule,
        remedy=_remedy(seen, facts),
    )
    return _verdict(step.id, step.title, f"stopped {after}", finding)


def why_stopped(seen: Joining, step: Step, facts: Facts | None) -> str:
    """Reason why it stopped, on one line; empty where none is known."""
    instance = next(
        (launched for launched in (facts.instances if facts else None) or () if launched.id == seen.instance), None
    )
    if step.id == "authenticated" and facts is not None and instance is not None and instance.state != "terminated":
        return f"{instance.state}, no Node; likely cause: {cause(facts, instance)}"
    if step.id == "authenticated" and facts is not None and facts.instances is not None and seen.instance:
        return "the instance is gone"
    return seen.words


def _remedy(seen: Joining, facts: Facts | None) -> tuple[str, ...]:
    remedy = ["kubectl get events -A --field-selector involvedObject.kind=NodeClaim --sort-by=.lastTimestamp"]
    if seen.instance and facts is not None:
        remedy.append(aws_command(facts, f"ec2 get-console-output --latest --instance-id {seen.instance}"))
    return tuple(remedy)
