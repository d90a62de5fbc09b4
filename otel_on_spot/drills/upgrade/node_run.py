"""Moves the AMI alias of Karpenter's nodes to another release and back, and watches how they are replaced."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from otel_on_spot.doctor.fact import parse_all
from otel_on_spot.doctor.facts_kubernetes import NodePool
from otel_on_spot.drills import diagnosis, undo
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.front_path import FrontProbe, require_served
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import Step
from otel_on_spot.drills.upgrade.node_verdicts import Course, NodeUpgrade, verdicts
from otel_on_spot.drills.upgrade.node_watch import NodeWatch, allowed, image_of, image_releases, leaving
from otel_on_spot.drills.upgrade.verdicts import DRIFTED
from otel_on_spot.drills.upgrade.watch import unready
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import NODE_CLAIM, NODE_CLASS, NODE_POOL, POOL_LABEL
from otel_on_spot.report import Report
from otel_on_spot.target import Target

EVERY_SECONDS: Final = 1.0
CHECKS: Final = ("karpenter-running", "node-classes", "node-pools", "pool-budgets", "drift-age", "disruption-budgets")
"""Checks of the doctor that explain why nodes are not replaced."""


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """Releases to move between, and the change of each EC2NodeClass."""

    before: str
    after: str
    steps: tuple[Step, ...]


def make_node_plan(target: Target, api: Api, releases: Collection[str]) -> NodePlan:
    """Plan the moves to the newest of these releases that the nodes are not of, and back.

    ``releases``: that there are images of, as in ``v20260901``.

    Raises:
        DrillRefusedError: no EC2NodeClass has an alias, a node is going or not of its release, there is no other
            release, a budget lets no node go now, or the front path is away.
    """
    doctor = f"otel-on-spot doctor --stack {target.declared.stack}"
    classes = [found for found in api.list(NODE_CLASS.path()) if _alias(found)]
    known = image_releases(classes)
    before = sorted(set(known.values()))
    if not classes or not before:
        raise DrillRefusedError(
            "no EC2NodeClass selects its images by an alias and has found some: there is nothing to move. See "
            f"{doctor} --only node-classes"
        )
    others = sorted(set(releases) - set(before))
    if len(before) > 1 or not others:
        raise DrillRefusedError(
            f"the images of the EC2NodeClasses are of {', '.join(before)}, and there are images of "
            f"{', '.join(sorted(releases))}: the drill moves from one release to another one, and back"
        )
    claims = list(api.list(NODE_CLAIM.path()))
    restless = [
        claim["metadata"]["name"]
        for claim in claims
        if leaving(claim) is not None or known.get(image_of(claim)) != before[0]
    ]
    if restless or not claims:
        raise DrillRefusedError(
            f"NodeClaims {', '.join(restless) or 'of Karpenter: none'}: going, or not of {before[0]}, before any "
            "drill. How nodes are replaced is seen on a platform that rests: wait until each is Ready and of it"
        )
    _require_budgets(api, claims)
    require_served(target, api)
    steps = tuple(undo.aliased(found, f"{_alias(found).partition('@')[0]}@{others[-1]}") for found in classes)
    return NodePlan(before=before[0], after=others[-1], steps=steps)


def _alias(node_class: Object) -> str:
    terms = node_class["spec"].get("amiSelectorTerms") or []
    return str(terms[0].get("alias") or "") if len(terms) == 1 else ""


def _require_budgets(api: Api, claims: Collection[Object]) -> None:
    pools = [(claim["metadata"].get("labels") or {}).get(POOL_LABEL, "") for claim in claims]
    held = [
        pool.name
        for pool in parse_all(NodePool, api.list(NODE_POOL.path()))
        if pool.name in pools and allowed(pool.budgets, pools.count(pool.name), datetime.now(UTC)) == 0
    ]
    if held:
        raise DrillRefusedError(
            f"NodePools {', '.join(sorted(held))}: their budgets let no {DRIFTED} node go now. Drill while they do "
            "(spec.disruption.budgets; schedules are in UTC), as an update of the alias would wait until then"
        )


class NodeUpgradeRun:
    """Both moves of the alias. The lease puts it back, whatever happens; nodes then follow by drift.

    Args:
        drill: under way.
        plan: the releases.
        timeout: seconds for each move.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.
        log: takes a line for people.
    """

    def __init__(self, drill: Drill, plan: NodePlan, *, timeout: float, gap: float | None, log: Log) -> None:
        self._drill, self._plan, self._timeout, self._gap, self._log = drill, plan, timeout, gap, log
        self._watch = NodeWatch(drill.api, drill.timeline, drill.declared)

    def run(self) -> Report:
        """Move, wait until every node is replaced, move back, wait again, and report.

        Raises:
            DrillRefusedError: the alias is not what it was when the drill was planned.
            LeaseHeldError: somebody took the lease over.
            ApiException: the server refused.
        """
        drill, plan = self._drill, self._plan
        with FrontProbe(drill, self._gap) as probed:
            self._watch.begin(plan.before, plan.after)
            for step in plan.steps:
                drill.lease.record_undo(step)
                if not undo.make_change(drill.target, drill.api, step):
                    raise DrillRefusedError(f"{step.what}: somebody changed it meanwhile. Nothing was moved; try again")
                drill.timeline.add("alias", step.what)
            courses = [self._follow()]
            self._watch.begin(plan.after, plan.before)
            drill.take_back(plan.steps, "alias", self._log)
            courses.append(self._follow())
        seen = NodeUpgrade(
            courses=tuple(courses),
            databases=self._watch.databases,
            on_spot=tuple(self._watch.on_spot),
            changed=self._changed(),
            unready=unready(drill.api),
            front=probed.front,
        )
        judged = diagnosis.explained(drill.target, verdicts(seen), CHECKS)
        took = {f"AMI {course.name}": f"{course.seconds:.1f} s{_each(course)}" for course in seen.courses}
        return drill.report(judged, {**took, "front path": seen.front.text})

    def _follow(self) -> Course:
        self._drill.wait_until(self._watch.is_done, self._timeout, EVERY_SECONDS)
        course = self._watch.course()
        what = f"{len(course.stayed)} nodes left" if course.stayed else f"every node is of {course.after}"
        self._drill.timeline.add("not done" if course.stayed else "done", what)
        return course

    def _changed(self) -> tuple[str, ...]:
        found = ((step.arguments, self._drill.api.get(step.arguments["path"])) for step in self._plan.steps)
        return tuple(
            f"{arguments['path'].rpartition('/')[2]} {thing['spec'].get('amiSelectorTerms') if thing else 'is gone'}"
            for arguments, thing in found
            if thing is None or thing["spec"].get("amiSelectorTerms") != arguments["before"]
        )


def _each(course: Course) -> str:
    times = ", ".join(f"{seconds:.0f}" for seconds in course.times)
    return f"; node by node {times} s" if times else ""
