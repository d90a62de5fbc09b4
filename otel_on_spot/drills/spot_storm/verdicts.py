"""Verdicts of the spot-storm drill: pure functions of what was seen."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from otel_on_spot.drills.spot_interruption.verdicts import CHECKS as HEARING
from otel_on_spot.drills.spot_interruption.verdicts import REPLACING
from otel_on_spot.drills.spot_storm.course import Seen
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.spot_arithmetic import WARNING_SECONDS

RUNBOOK: Final = "docs/runbooks/drills/spot-storm.md"
_verdict = partial(verdict_of, RUNBOOK)
NAMED: Final = 5


def verdicts(seen: Seen) -> tuple[Verdict, ...]:
    """A verdict for each promise; where nobody heard a warning, that and the front path."""
    front = seen.front.verdict(RUNBOOK)
    if not seen.handled:
        return (_heard(seen), front)
    return (_heard(seen), _drained(seen), front, _answering(seen), _whole(seen))


def checks(seen: Seen) -> tuple[str, ...]:
    """Checks of the doctor on the way that was not gone to its end."""
    return HEARING if len(seen.handled) < len(seen.warned) else REPLACING


def _late(seen: Seen, at: Mapping[str, float]) -> list[str]:
    """Nodes where it did not happen within the warning, with what is known."""
    return [
        f"{node} ({f'{at[node]:.0f} s' if node in at else 'never'})"
        for node in seen.warned
        if at.get(node, float("inf")) > WARNING_SECONDS
    ]


def _named(late: list[str]) -> str:
    return ", ".join(late[:NAMED]) + (f" and {len(late) - NAMED} more" if len(late) > NAMED else "")


def _heard(seen: Seen) -> Verdict:
    title, late = "Karpenter hears every warning", _late(seen, seen.handled)
    what = f"{seen.handled_text}, all sent in {seen.sent:.1f} s"
    finding = Finding(
        subject=format_count(len(late), "node"),
        seen=f"not handled in {WARNING_SECONDS} s: {_named(late)}",
        rule=f"Karpenter deletes each NodeClaim within {WARNING_SECONDS} s of its warning, however many come at once",
        remedy=(
            "otel-on-spot doctor --only " + ",".join(HEARING),
            "kubectl -n kube-system logs deployment/karpenter --since=10m",
        ),
    )
    return _verdict("heard", title, what, finding if late or not seen.warned else None, count=len(seen.warned))


def _drained(seen: Seen) -> Verdict:
    title, late = "Drained before they go", _late(seen, seen.drained)
    last = max(seen.drained.values(), default=0.0)
    what = f"{len(seen.drained)} of {len(seen.warned)} nodes empty, the last {last:.1f} s after, of {WARNING_SECONDS} s"
    left = f": {_named(list(seen.left))}" if seen.left else ""
    finding = Finding(
        subject=format_count(len(late), "node"),
        seen=f"not empty in {WARNING_SECONDS} s: {_named(late)}; {format_count(len(seen.left), 'pod')} left{left}",
        rule=f"every pod has left {WARNING_SECONDS} s after the warning: a budget that waits for a replacement which "
        "boots, or a long terminationGracePeriodSeconds, holds it",
        remedy=("otel-on-spot doctor --only two-minutes,blast-radius,disruption-budgets",),
    )
    return _verdict("drained", title, what, finding if late else None, count=len(seen.warned))


def _answering(seen: Seen) -> Verdict:
    """Ready endpoints are what a cluster's own clients see, by HTTP or not."""
    title = "Least answering"
    what = f"at least {seen.least} ready: {seen.over_time}"
    if seen.least > 0 or (seen.front.promised.waived and seen.endpoints):
        return _verdict("answering", title, what)
    finding = Finding(
        subject=f"namespace {seen.front.namespace}",
        seen=f"a Service of the front path had no ready endpoint: {seen.over_time}",
        rule=seen.front.promised.rule,
        remedy=("otel-on-spot doctor --only blast-radius,disruption-budgets",),
    )
    return _verdict("answering", title, what, finding)


def _whole(seen: Seen) -> Verdict:
    title = "Workloads are whole again"
    if seen.whole is not None and seen.whole <= seen.timeout:
        return _verdict("whole", title, f"all Ready {seen.whole:.1f} s after the warnings")
    finding = Finding(
        subject=format_count(len(seen.waiting), "workload"),
        seen=f"not whole {seen.timeout:.0f} s after the warnings: {_named(list(seen.waiting)) or 'nodes hold pods'}",
        rule=f"what ran on the nodes is Ready elsewhere within {seen.timeout:.0f} s (--timeout)",
        remedy=("kubectl get pods -A --field-selector status.phase=Pending", "kubectl get nodeclaims -o wide"),
    )
    return _verdict("whole", title, "not in time", finding)


def measures(seen: Seen, channel: str) -> Mapping[str, str]:
    """Numbers of the drill by name."""
    return {
        "warned": f"{format_count(len(seen.warned), 'node')} at once: {seen.storm.text}",
        "warning": channel,
        "messages until handled": seen.handled_text,
        "least answering": f"{seen.least} ready endpoints: {seen.over_time}",
        "time to whole": "never" if seen.whole is None else f"{seen.whole:.1f} s",
        "front path": seen.front.text,
    }
