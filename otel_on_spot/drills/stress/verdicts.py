"""Verdicts of the stress drill: what it promised, and what was seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from otel_on_spot.drills.stress.preconditions import Workload
from otel_on_spot.drills.stress.verification import Restored
from otel_on_spot.drills.stress.watch import Sample, Watch
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of

PAGE: Final = "docs/runbooks/drills/stress.md"
_verdict = partial(verdict_of, PAGE)
EVENTS: Final = "kubectl get events --all-namespaces --sort-by=.lastTimestamp"


@dataclass(kw_only=True)
class Course:
    """The course of a drill. Seconds: ``scaled`` since it began, ``all_running`` since the scale, ``held``.

    ``reverted``: the sample that showed other replicas than the drill's. ``dips``: samples with fewer pods Running,
    while holding.
    """

    work: Workload
    replicas: int
    hold: float
    max_wait: float
    scaled: float = 0.0
    all_running: float | None = None
    held: float = 0.0
    most_running: int = 0
    reverted: Sample | None = None
    dips: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Take in a sample since the scale."""
        self.most_running = max(self.most_running, sample.running)
        if sample.wanted != self.replicas and self.reverted is None:
            self.reverted = sample

    def add_held(self, sample: Sample) -> None:
        """Take in a sample while holding."""
        self.add(sample)
        if sample.running < self.replicas:
            self.dips.append(sample)


def verdicts(course: Course, restored: Restored) -> tuple[Verdict, ...]:
    """Pods ran, it held, it was restored, nothing else changed."""
    (ran, missing), (held, lost) = _ran(course), _held(course)
    return (
        _verdict("replicas", "All replicas run", ran, *missing),
        _verdict("held", "The suspension held", held, *lost),
        _verdict("restored", "Restored", f"as before, after {restored.seconds:.0f} s of looking", *restored.own),
        _verdict("untouched", "Nothing else changed", "other Applications are as they were", *restored.others),
    )


def _ran(course: Course) -> tuple[str, tuple[Finding, ...]]:
    if course.all_running is not None:
        return f"{course.replicas} pods Running {course.all_running:.1f} s after the scale", ()
    work = course.work
    finding = Finding(
        subject=work.name,
        seen=f"at most {course.most_running} of {course.replicas} pods were Running, waited {course.max_wait:.0f} s",
        rule=f"all replicas are Running within {course.max_wait:.0f} s (--max-wait)",
        remedy=(
            f"kubectl -n {work.namespace} get pods -l {work.selector} --field-selector status.phase=Pending",
            "kubectl get nodepools,nodeclaims",
        ),
    )
    return f"at most {course.most_running} pods Running", (finding,)


def _held(course: Course) -> tuple[str, tuple[Finding, ...]]:
    rule = f"{course.replicas} replicas stay, and all run, for {course.hold:.0f} s (--hold)"
    name = course.work.name
    found = []
    if course.reverted is not None:
        since = course.reverted.seconds - course.scaled
        seen = f"scaled back to {course.reverted.wanted} by somebody else, {since:.0f} s after the scale"
        look = ("kubectl get appprojects --all-namespaces -o jsonpath='{.items[*].spec.syncWindows}'", EVENTS)
        found.append(Finding(subject=name, seen=seen, rule=rule, remedy=look))
    elif course.dips:
        lowest = min(sample.running for sample in course.dips)
        when = course.dips[0].seconds - course.scaled
        looks = format_count(len(course.dips), "look")
        seen = f"{lowest} of {course.replicas} pods Running in {looks}, first {when:.0f} s after the scale"
        found.append(Finding(subject=name, seen=seen, rule=rule, remedy=(EVENTS,), severity="warning"))
    elif course.all_running is None:
        seen = "never held: not all pods ran"
        found.append(
            Finding(subject=name, seen=seen, rule=rule, remedy=("see the line `replicas`",), severity="warning")
        )
    return f"held for {course.held:.0f} s", tuple(found)


def measures(course: Course, watch: Watch, estimate: str, left_over: str) -> Mapping[str, str]:
    """Numbers of the drill, by name.

    Args:
        course: what happened to the workload, and when, in seconds.
        watch: the samples of pods, nodes and their cost.
        estimate: what the nodes were expected to cost, as it was told before the drill.
        left_over: what was still there of the drill at its end.
    """
    samples = watch.samples
    kinds = sorted({kind for sample in samples for kind in sample.nodes})
    nodes = ", ".join(f"{max(sample.nodes.get(kind, 0) for sample in samples)} {kind}" for kind in kinds) or "none"
    first, highest = samples[0] if samples else None, watch.highest_cost
    cost = "no price" if highest is None else f"{highest:.3f} USD/h"
    return {
        "replicas": f"{course.work.before} -> {course.replicas}, at most {course.most_running} Running",
        "all Running": "never" if course.all_running is None else f"{course.all_running:.1f} s after the scale",
        "held": f"{course.held:.1f} s",
        "Karpenter's nodes at most": nodes,
        "their cost": f"{first.cost_text if first else 'not seen'} before, at most {cost}",
        "estimated": estimate,
        "left over": left_over,
    }
