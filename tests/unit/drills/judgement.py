"""The judgement of every drill of Spot on recorded courses: which line finds which fault, and what else is said."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from otel_on_spot.drills.drought import verdicts as drought
from otel_on_spot.drills.spot_interruption import verdicts as spot_interruption
from otel_on_spot.drills.spot_storm import verdicts as spot_storm
from otel_on_spot.drills.upgrade import argocd_verdicts as upgrade_argocd
from otel_on_spot.drills.upgrade import node_verdicts as upgrade_nodes
from otel_on_spot.drills.upgrade import verdicts as upgrade
from otel_on_spot.report import Verdict
from tests.unit.drills import argocd_upgrades, droughts, fronts, interruptions, node_upgrades, storms, upgrades


@dataclass(frozen=True, kw_only=True)
class Drill:
    """Courses of a drill, and who judges them.

    ``in_order``: courses by name. ``faults``: the course with a fault, the line that finds it, words of what that says
    was seen. ``follows``: lines that rightly say something too, by fault.
    """

    judge: Callable[[Any], tuple[Verdict, ...]]
    in_order: Mapping[str, Callable[[], Any]]
    faults: Mapping[str, tuple[Any, str, str]]
    follows: Mapping[str, set[str]]


def drill_of(judge: Any, table: Any) -> Drill:
    """A drill's own courses, and its first one with each front path of ``fronts``."""
    first = next(iter(table.IN_ORDER.values()))()
    waived = {name: lambda front=front: replace(first, front=front) for name, front in fronts.IN_ORDER.items()}
    faults = {name: (replace(first, front=front), "front-path", said) for name, (front, said) in fronts.FAULTS.items()}
    follows = getattr(table, "FOLLOWS", {})
    return Drill(judge=judge.verdicts, in_order=table.IN_ORDER | waived, faults=table.FAULTS | faults, follows=follows)


DRILLS: Final = {
    name: drill_of(judge, table)
    for name, judge, table in (
        ("drought", drought, droughts),
        ("spot-storm", spot_storm, storms),
        ("spot-interruption", spot_interruption, interruptions),
        ("upgrade", upgrade, upgrades),
        ("upgrade --what argocd", upgrade_argocd, argocd_upgrades),
        ("upgrade --what nodes", upgrade_nodes, node_upgrades),
    )
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A course, judged. ``missed``: the fault was not found by its line; ``false``: lines that found what is none."""

    name: str
    fault: bool
    missed: bool
    false: frozenset[str]


def judged() -> Iterator[Judged]:
    """All courses of all drills."""
    for drill, courses in DRILLS.items():
        for name, make in courses.in_order.items():
            found = {verdict.id for verdict in courses.judge(make()) if verdict.status != "ok"}
            yield Judged(name=f"{drill}: {name}", fault=False, missed=False, false=frozenset(found))
        for name, (course, line, said) in courses.faults.items():
            told = {verdict.id: verdict for verdict in courses.judge(course) if verdict.status != "ok"}
            findings = told[line].findings if line in told else ()
            yield Judged(
                name=f"{drill}: {name}",
                fault=True,
                missed=not any(said in f"{finding.subject}: {finding.seen}" for finding in findings),
                false=frozenset(told.keys() - {line} - courses.follows.get(name, set())),
            )
