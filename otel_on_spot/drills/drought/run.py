"""The drought drill: take capacity away, scale, follow the fall-back, give it back, follow the return."""

import time
from dataclasses import dataclass, replace
from typing import Final

from infra.settings.instance_types import meeting
from otel_on_spot.drills import diagnosis, undo
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.drought.verdicts import CHECKS, FORGETS_SECONDS, ON_DEMAND, Course, measures, verdicts
from otel_on_spot.drills.drought.watch import Follow, remembers, running
from otel_on_spot.drills.front_path import FrontProbe, require_served
from otel_on_spot.drills.pods import CONTAINER, LABEL, NAMESPACE, spec
from otel_on_spot.drills.resilience import CONNECTION_ERRORS, describe
from otel_on_spot.drills.shortage import (
    SPOT,
    Shortage,
    capacity_types,
    concerned,
    is_tainted,
    narrowing,
    require_something_left,
    requirements,
)
from otel_on_spot.drills.stress.preconditions import Workload
from otel_on_spot.drills.stress.prices import Prices
from otel_on_spot.drills.stress.run import Keep
from otel_on_spot.drills.stress.watch import EVERY_SECONDS, OnSample, Watch
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import Step
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import DEPLOYMENT, NODE_CLASS, NODE_POOL
from otel_on_spot.report import Report, Verdict
from otel_on_spot.spot_arithmetic import most_rounds
from otel_on_spot.target import Target
from otel_on_spot.waiting import Deadline

DRILL: Final = "drought"
MODEL: Final = "frontend"
"""Workload of the demo whose requests the pods take."""
TOLD_SECONDS: Final = 60.0
"""How long pods may wait, where nothing at all is to be had, until somebody says why."""
BESIDE_SECONDS: Final = 180.0
"""Seconds of the lease beyond waiting: to begin, and to put things back."""


def deployment(name: str, replicas: int, model: Workload) -> Object:
    """A Deployment of pods that request what the model's do and name no pool: they go where it would.

    They are ended at once, and nothing is behind them: what it takes away is theirs alone.
    """
    cpu, memory = model.requests
    requests = {"cpu": f"{int(cpu * 1000)}m", "memory": str(int(memory))}
    like, labels = model.template["spec"], {LABEL: DRILL, "app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": spec(
            {**CONTAINER, "resources": {"requests": requests}},
            nodeSelector=dict(like.get("nodeSelector") or {}),
            tolerations=list(like.get("tolerations") or []),
        ),
    }
    return {
        "apiVersion": DEPLOYMENT.version,
        "kind": DEPLOYMENT.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def held(vcpus: int, mib: int, model: Workload, replicas: int) -> int:
    """How many of the drill's pods a node holds, its own daemons not counted.

    Args:
        vcpus: of the node.
        mib: of the node: its memory.
        model: what a pod asks for.
        replicas: pods of the drill: no node holds more.
    """
    cpu, memory = model.requests
    return min(
        replicas,
        int(vcpus // cpu) if cpu else replicas,
        int(mib * 2**20 // memory) if memory else replicas,
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the drill.

    ``within``: seconds beyond a boot in which all pods must run. ``max_wait``, ``max_return``: seconds for which that,
    and the return to Spot, are followed. ``narrow``: narrow NodePools, in a lab too. ``gap``: see ``front_path``.
    """

    shortage: Shortage
    replicas: int
    within: float
    max_wait: float
    max_return: float
    narrow: bool
    gap: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be changed, found before anything is.

    ``steps``: the shortage; ``types``: that Spot pools allow; ``most_rounds``: until EC2 has refused all of them.
    """

    steps: tuple[Step, ...]
    by_switch: bool
    types: int
    most_rounds: int
    model: Workload


def longest_seconds(options: Options) -> float:
    """Seconds that a drill may take: the lease's promise."""
    waits = 2 if options.shortage.everything else 1
    return waits * options.max_wait + options.max_return + BESIDE_SECONDS


def make_plan(target: Target, api: Api, options: Options) -> Plan:
    """Everything that the drill needs to know before it begins.

    Raises:
        DrillRefusedError: it may not begin; the message says why.
        ApiException: the server refused to show something.
    """
    namespace = target.declared.stateful_namespace
    found = api.get(DEPLOYMENT.path(namespace, MODEL))
    if found is None:
        raise DrillRefusedError(
            f"there is no Deployment {MODEL} in namespace {namespace}: what a pod of the front path asks for is not "
            f"known. See otel-on-spot doctor --stack {target.declared.stack} --only applications"
        )
    model = Workload(
        namespace=namespace,
        name=MODEL,
        path=DEPLOYMENT.path(namespace, MODEL),
        selector="",
        before=found["spec"].get("replicas", 1),
        application="",
        template=found["spec"]["template"],
    )
    if not any(model.requests):
        raise DrillRefusedError(f"Deployment {namespace}/{MODEL} requests nothing: its pods need no node")
    require_served(target, api)
    pools = list(api.list(NODE_POOL.path()))
    shortage = options.shortage
    require_something_left(shortage, pools, _zones(api))
    if shortage.partial and remembers(api):
        raise DrillRefusedError(
            f"{shortage.text}: EC2 refused a NodeClaim within the last {FORGETS_SECONDS} s, and Karpenter still leaves "
            "alone what it was refused, wherever that is. Wait three minutes, and try again"
        )
    if (
        not shortage.everything
        and not shortage.partial
        and not any(ON_DEMAND in capacity_types(pool) and not is_tainted(pool) for pool in pools)
    ):
        raise DrillRefusedError(
            "no NodePool that takes any pod launches On-Demand: without Spot every pod would wait. Declare one of a "
            "smaller weight (pools.on-demand, as in Pulumi.lab.yaml), or see what stays up with --all"
        )
    by_switch = target.simulated and not options.narrow
    steps = (
        (_switch(target, shortage),)
        if by_switch
        else tuple(narrowing(shortage, pool) for pool in concerned(shortage, pools))
    )
    spot = [pool for pool in concerned(shortage, pools) if SPOT in capacity_types(pool)]
    types = {kind.name: kind for pool in spot for kind in meeting(requirements(pool))}.values()
    fitting = (held(kind.vcpus, kind.mib, model, options.replicas) for kind in types)
    return Plan(
        steps=steps, by_switch=by_switch, types=len(types), most_rounds=most_rounds(filter(None, fitting)), model=model
    )


def _zones(api: Api) -> list[str]:
    """Zones of the subnets that node classes found."""
    classes = api.list(NODE_CLASS.path())
    return sorted({subnet["zone"] for thing in classes for subnet in (thing.get("status") or {}).get("subnets") or []})


def _switch(target: Target, shortage: Shortage) -> Step:
    try:
        short = undo.shortages(target)
    except CONNECTION_ERRORS as problem:
        raise DrillRefusedError(
            f"the simulated EC2 has no switch for its capacity: {describe(problem)}. Give --narrow, which narrows "
            "NodePools as on AWS"
        ) from None
    if short:
        raise DrillRefusedError(
            f"the simulated EC2 is short already: {short}. Whoever made that must give it back first, or "
            f"`otel-on-spot drill restore --stack {target.declared.stack}` where a drill left it"
        )
    return undo.short_of(shortage.text, shortage.row)


class Drought:
    """One run, while the lease is held, which takes everything back, whatever happens.

    Args:
        drill: under way.
        options: of the drill.
        plan: what is changed.
        log: gets a line for each thing that happens.
        on_sample: gets every sample.
    """

    def __init__(self, drill: Drill, options: Options, plan: Plan, log: Log, on_sample: OnSample) -> None:
        self._drill, self._options, self._plan, self._log = drill, options, plan, log
        self._name = f"drill-drought-{int(time.time())}"
        self._prices = Prices(drill.target)
        self._work = replace(
            plan.model,
            namespace=NAMESPACE,
            name=self._name,
            path=DEPLOYMENT.path(NAMESPACE, self._name),
            selector=f"app={self._name}",
            before=0,
        )
        self._watch = Watch(drill, self._work, self._prices, on_sample)
        self._follow = Follow(drill, self._watch, self._prices)
        self._namespace = drill.declared.stateful_namespace
        self._course = Course(
            shortage=options.shortage,
            by_switch=plan.by_switch,
            replicas=options.replicas,
            types=plan.types,
            most_rounds=plan.most_rounds,
            within=options.within,
            max_wait=options.max_wait,
            max_return=options.max_return,
        )

    def run(self, keep: Keep) -> Report:
        """Take away, scale, follow, give back, follow. ``keep``: gets all samples and moments at the end.

        Raises:
            LeaseHeldError: somebody took the lease over.
            ApiException: the server refused.
        """
        drill, course, timeline = self._drill, self._course, self._drill.timeline
        try:
            with FrontProbe(drill, self._options.gap) as probed:
                demo = running(drill.api, self._namespace)
                self._take_away()
                self._scale()
                if course.shortage.everything:
                    self._wait(TOLD_SECONDS, until_told=True)
                else:
                    self._wait(self._options.max_wait)
                course.on_demand, course.on_launched = self._follow.placed()
                course.refusals = self._follow.refusals(course.taken)
                course.remembered = self._follow.remembered
                course.told = self._follow.told()
                last = self._watch.samples[-1] if self._watch.samples else None
                course.pending = last.pending if last else 0
                course.demo = (demo, running(drill.api, self._namespace))
                self._give_back()
                if course.shortage.everything:
                    self._wait(self._options.max_wait)
                if self._options.max_return and not course.shortage.partial:
                    self._return()
                course.front = probed.front
        finally:
            course.launches = tuple(self._follow.launches.values())
            course.moves = tuple(self._follow.moves)
            course.spent = self._follow.spent
            keep(tuple(self._watch.samples), timeline.moments)
        return self._report()

    def _take_away(self) -> None:
        drill = self._drill
        for step in self._plan.steps:
            drill.lease.record_undo(step)
            if not undo.make_change(drill.target, drill.api, step):
                raise DrillRefusedError(f"{step.what}: it is so already, or it is gone. Nothing was taken away")
            drill.timeline.add("taken away", step.what)
        self._course.taken = drill.timeline.seconds
        self._follow.begin("drought")

    def _scale(self) -> None:
        drill, path = self._drill, self._work.path
        drill.lease.record_undo(undo.created(path))
        thing = deployment(self._name, self._options.replicas, self._plan.model)
        drill.api.create(path.rpartition("/")[0], thing)
        cpu, memory = self._work.requests
        drill.timeline.add(
            "scaled", f"{self._options.replicas} pods of {cpu} vCPU and {memory / 2**20:.0f} MiB, as {MODEL} asks for"
        )

    def _wait(self, seconds: float, *, until_told: bool = False) -> None:
        """Until all pods run; where nothing is to be had, until somebody says why they wait."""
        course, deadline = self._course, Deadline(seconds)
        since = "came back" if course.given_back is not None else "went"
        while not deadline.over:
            sample = self._follow.look()
            if sample is not None:
                course.most_running = max(course.most_running, sample.running)
                if sample.running >= course.replicas:
                    course.running = sample.seconds
                    self._drill.timeline.add("all Running", f"{course.took:.1f} s after capacity " + since)
                    return
                if until_told and sample.pending and (told := self._follow.told()):
                    self._drill.timeline.add("told", told[0])
                    return
            self._drill.pause(EVERY_SECONDS)
        self._drill.timeline.add("not all Running", f"{course.most_running} of {course.replicas} in {seconds:.0f} s")

    def _give_back(self) -> None:
        """Now, and not only when the lease ends."""
        drill, course = self._drill, self._course
        drill.take_back(self._plan.steps, "given back", self._log)
        course.given_back = drill.timeline.seconds
        self._follow.begin("return")
        self._follow.returning = True

    def _return(self) -> None:
        course, deadline = self._course, Deadline(self._options.max_return)
        while True:
            over, sample = deadline.over, self._follow.look()
            if sample is not None:
                course.left_on_demand = self._follow.on_demand_left()
                if not course.left_on_demand and sample.running >= course.replicas:
                    course.back = sample.seconds
                    self._drill.timeline.add("back on Spot", f"{len(self._follow.moves)} pods moved")
                    return
            if over:
                left = len(course.left_on_demand)
                self._drill.timeline.add("not back", f"{left} pods and nodes left after {deadline.seconds:.0f} s")
                return
            self._drill.pause(EVERY_SECONDS)

    def _report(self) -> Report:
        course = self._course
        judged = verdicts(course)
        causes: tuple[Verdict, ...] = ()
        if any(verdict.status == "found" and verdict.id in ("running", "fallback", "rounds") for verdict in judged):
            causes = diagnosis.causes(diagnosis.collect_facts(self._drill.target), CHECKS)
        report = self._drill.report((*judged, *causes), measures(course))
        return replace(report, notes=(*report.notes, *self._prices.notes))
