"""Moves Argo CD to another version and back, the second time under a suspension, and watches its Applications."""

from dataclasses import dataclass
from typing import Any, Final

from otel_on_spot.drills import diagnosis, drift
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.front_path import FRONT, FrontProbe, require_served
from otel_on_spot.drills.resilience import signals_deferred
from otel_on_spot.drills.stress.preconditions import sync_of, sync_status
from otel_on_spot.drills.stress.run import TRIAL_SECONDS, suspend
from otel_on_spot.drills.timeline import Log, Timeline
from otel_on_spot.drills.undo import Step, is_same, moved, scaled
from otel_on_spot.drills.upgrade.argocd_verdicts import PRODUCT, ArgocdUpgrade, Astray, Suspension, verdicts
from otel_on_spot.drills.upgrade.moving import Mover, Product
from otel_on_spot.drills.upgrade.verdicts import Move
from otel_on_spot.drills.upgrade.watch import compare_pods, definitions, generations, newly_stored
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    APP_VERSION,
    APPLICATION,
    APPLICATION_SET,
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    NODE,
    POD,
    PROJECT,
    TRACKING,
)
from otel_on_spot.report import Report
from otel_on_spot.target import Target

KINDS: Final = (APPLICATION, APPLICATION_SET, PROJECT)
"""Kinds that Argo CD brings the CRDs of."""
MARKER: Final = "argocd-cm"
"""ConfigMap that the chart labels with Argo CD's version.

Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.9.5/charts/argo-cd/templates/_common.tpl (argo-cd.labels)
"""
BROKEN: Final = ("Degraded", "Missing", "Suspended")
"""States of health in which an Application is not whole.

Progressing is not: a pod of it may boot elsewhere. Nor is Unknown: nobody has looked yet.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
"""
EVERY_SECONDS: Final = 0.5
"""Argo CD undoes a difference within two seconds."""
CHECKS: Final = ("applications", "suspensions")
"""Checks of the doctor that explain why an Application is not as Git has it."""


def marker_path(namespace: str) -> str:
    """API path of the object that says Argo CD's version."""
    return CONFIG_MAP.path(namespace, MARKER)


def specs(api: Api, namespace: str) -> dict[str, Any]:
    """Spec of each Application and AppProject, by its name in words; a drill's deny window is no part of it."""
    found = {}
    for kind in (APPLICATION, PROJECT):
        for thing in api.list(kind.path(namespace)):
            spec = {key: value for key, value in thing["spec"].items() if key != "syncWindows"}
            found[f"{kind.kind} {thing['metadata']['name']}"] = spec
    return found


def health_of(application: Object) -> str:
    """``Healthy``, ``Progressing``, ``Degraded``, ...; ``Unknown`` where it does not say."""
    return str((_status(application).get("health") or {}).get("status") or "Unknown")


def _status(application: Object) -> dict[str, Any]:
    return application.get("status") or {}


def _operation(application: Object) -> str:
    """What tells one sync from another: when the last one began."""
    return str((_status(application).get("operationState") or {}).get("startedAt") or "")


class ApplicationWatch:
    """Applications, each time they are looked at.

    ``namespace``: Argo CD's.

    Attributes:
        during: what happens at the moment, as in ``v3.5.3 to v3.6.1``.
        moving: the next version is not ready yet: what is said and done is the one's that is left.
        held: Application that differs from Git by the drill's own doing; empty where there is none.
        astray: Applications that were not Synced or not whole, each state of each move once.
        syncs: syncs that began.
    """

    def __init__(self, api: Api, namespace: str, timeline: Timeline) -> None:
        self._api, self._namespace, self._timeline = api, namespace, timeline
        self.during = ""
        self.moving = False
        self.held = ""
        self.astray: list[Astray] = []
        self.syncs: list[Astray] = []
        self._there = self._list()
        self._operations = {name: _operation(thing) for name, thing in self._there.items()}
        self._compared: dict[str, str] = {}
        self.count = len(self._there)

    def _list(self) -> dict[str, Object]:
        return {thing["metadata"]["name"]: thing for thing in self._api.list(APPLICATION.path(self._namespace))}

    def look(self) -> None:
        """Look once."""
        now = self._list()
        for name in self._operations.keys() - now.keys():
            self._note(name, "it is gone", early=False)
        for name, application in now.items():
            sync, health, operation = sync_of(application), health_of(application), _operation(application)
            if name != self.held:
                early = self.moving or self._compared.get(name) == _moment(application)
                if sync == "OutOfSync":
                    self._note(name, f"OutOfSync{_differing(application)}", early=early)
                if health in BROKEN:
                    self._note(name, health, early=early)
            if operation != self._operations.get(name, ""):
                self._operations[name] = operation
                seen = f"a sync began at {operation}"
                self.syncs.append(Astray(application=name, seen=seen, during=self.during, early=self.moving))
                self._timeline.add("synced", f"Application {name}")
        self._there = now

    def _note(self, name: str, seen: str, *, early: bool) -> None:
        astray = Astray(application=name, seen=seen, during=self.during, early=early)
        if astray not in self.astray:
            self.astray.append(astray)
            self._timeline.add("astray", f"Application {name}: {seen}")

    def expect(self) -> None:
        """From now on, wait for comparisons with Git that are newer than those that are there."""
        self._there = self._list()
        self._compared = {name: _moment(thing) for name, thing in self._there.items()}

    @property
    def behind(self) -> tuple[str, ...]:
        """Applications that were not compared since, or are not Synced and Healthy yet, at the last look."""
        return tuple(
            name
            for name, before in sorted(self._compared.items())
            if name not in self._there or _moment(self._there[name]) == before or not self._is_well(self._there[name])
        )

    def _is_well(self, application: Object) -> bool:
        """Synced and Healthy; the one that the drill changed is OutOfSync."""
        if application["metadata"]["name"] == self.held:
            return sync_of(application) == "OutOfSync"
        return (sync_of(application), health_of(application)) == ("Synced", "Healthy")


def _moment(application: Object) -> str:
    return str(_status(application).get("reconciledAt") or "")


def _differing(application: Object) -> str:
    """What of it differs, in words."""
    resources = [
        f"{resource.get('kind')} {resource.get('namespace', '')}/{resource.get('name')}"
        for resource in _status(application).get("resources") or ()
        if resource.get("status") == "OutOfSync"
    ]
    return f" by {', '.join(resources)}" if resources else ""


@dataclass(frozen=True, kw_only=True)
class ArgocdPlan:
    """Versions to move between, the object that says Argo CD's, and the scale by hand."""

    before: str
    after: str
    path: str
    by_hand: drift.Plan


def version_of(api: Api, namespace: str) -> str:
    """Version that the chart labels its objects with; empty where there is none."""
    found = api.get(marker_path(namespace)) or {}
    return str(((found.get("metadata") or {}).get("labels") or {}).get(APP_VERSION, ""))


def make_plan(target: Target, api: Api, after: str) -> ArgocdPlan:
    """Plan the moves.

    Raises:
        DrillRefusedError: Argo CD is not there or in that version already, an Application is not Synced and Healthy or
            is being synced, no Deployment can be scaled by hand, or the front path is away.
    """
    namespace, doctor = target.declared.argocd_namespace, f"otel-on-spot doctor --stack {target.declared.stack}"
    before = version_of(api, namespace)
    if not before:
        raise DrillRefusedError(f"namespace {namespace}: no ConfigMap {MARKER} says Argo CD's version. See {doctor}")
    if before == after:
        raise DrillRefusedError(f"{PRODUCT} is {before} already: there is nothing to move to. Bring it back: make lab")
    there = list(api.list(APPLICATION.path(namespace)))
    restless = [
        f"{thing['metadata']['name']} ({sync_of(thing)}, {health_of(thing)}"
        f"{', being synced' if 'operation' in thing else ''})"
        for thing in there
        if (sync_of(thing), health_of(thing)) != ("Synced", "Healthy") or "operation" in thing
    ]
    if restless or not there:
        raise DrillRefusedError(
            f"Applications {', '.join(restless) or 'of Argo CD: none'}: before any drill. What a version changes is "
            f"seen on a platform that rests: wait until each is Synced and Healthy, or see {doctor} --only applications"
        )
    require_served(target, api)
    return ArgocdPlan(before=before, after=after, path=marker_path(namespace), by_hand=_by_hand(target, api))


def _by_hand(target: Target, api: Api) -> drift.Plan:
    """One more replica of a Deployment that Git declares and no HPA owns; of the front path where there is one.

    Raises:
        DrillRefusedError: there is none.
    """
    namespace = target.declared.stateful_namespace
    owned = {
        autoscaler["spec"].get("scaleTargetRef", {}).get("name") for autoscaler in api.list(AUTOSCALER.path(namespace))
    }
    there = [
        thing["metadata"]["name"]
        for thing in api.list(DEPLOYMENT.path(namespace))
        if TRACKING in (thing["metadata"].get("annotations") or {})
    ]
    free = [name for name in (*reversed(FRONT), *sorted(there)) if name in there and name not in owned]
    if not free:
        raise DrillRefusedError(
            f"namespace {namespace}: Argo CD deploys no Deployment there whose scale no HPA owns, so whether a "
            "suspension holds cannot be seen. Turn demo.autoscaling off for the drill"
        )
    return drift.make_plan(target, api, f"{namespace}/{free[0]}", None)


class ArgocdUpgradeRun:
    """Both moves, the second one under a deny window with a scale by hand.

    Args:
        drill: under way.
        plan: the versions.
        mover: what brings Argo CD to a version.
        timeout: seconds for each move, and again for what follows it.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.
        log: takes a line for people.
    """

    def __init__(
        self, drill: Drill, plan: ArgocdPlan, mover: Mover, *, timeout: float, gap: float | None, log: Log
    ) -> None:
        self._drill, self._plan, self._timeout, self._gap, self._log = drill, plan, timeout, gap, log
        self._api, self._namespace = drill.api, drill.declared.argocd_namespace
        self._argocd = Product(
            name=PRODUCT,
            marker=f"ConfigMap {MARKER}",
            version=lambda: version_of(self._api, self._namespace),
            generations=lambda: generations(self._api, KINDS),
            mover=mover,
        )
        self._pods = list(self._api.list(POD.path()))
        self._definitions = definitions(self._api, KINDS)
        self._specs = specs(self._api, self._namespace)
        self._watch = ApplicationWatch(self._api, self._namespace, drill.timeline)
        self._behind: dict[str, tuple[str, ...]] = {}
        self._noticed: list[str] = []
        self._reverted = ""
        self._scaled = False

    def run(self) -> Report:
        """Move up, wait until all is compared, suspend, move back, wait again, end the suspension, and report.

        Raises:
            LeaseHeldError: somebody took the lease over.
            ApiException: the server refused.
        """
        drill, plan, moves = self._drill, self._plan, list[Move]()
        drill.lease.record_undo(moved(plan.path, plan.before, plan.after, "argocd"))
        window: Step | None = None
        suspension: Suspension | None = None
        with FrontProbe(drill, self._gap) as probed:
            try:
                moves.append(self._move(plan.before, plan.after))
                if not moves[-1].error and self._follow(moves[-1]):
                    window = self._suspend()
            finally:
                if self._argocd.version() != plan.before:
                    with signals_deferred(self._log):
                        moves.append(self._move(plan.after, plan.before))
            self._follow(moves[-1])
            count, changed_pods = self._pods_that_stayed()
            if window is not None:
                suspension = self._end(window)
        seen = ArgocdUpgrade(
            moves=tuple(moves),
            applications=self._watch.count,
            behind=self._behind,
            astray=tuple(self._watch.astray),
            syncs=tuple(self._watch.syncs),
            suspension=suspension,
            pods=count,
            moved=changed_pods,
            changed=self._changed(),
            stored=newly_stored(self._definitions, definitions(self._api, KINDS)),
            version=self._argocd.version(),
            timeout=self._timeout,
            front=probed.front,
        )
        judged = diagnosis.explained(drill.target, verdicts(seen), CHECKS)
        took = {f"{PRODUCT} {move.name}": f"{move.at['done']:.1f} s" for move in seen.moves}
        return drill.report(judged, {**took, "front path": seen.front.text})

    def _move(self, before: str, after: str) -> Move:
        self._watch.during, self._watch.moving = f"{before} to {after}", True
        try:
            return self._argocd.move(self._drill, before, after, self._timeout, look=self._look)
        finally:
            self._watch.moving = False

    def _look(self) -> None:
        self._watch.look()
        if self._scaled and not self._reverted and (replicas := self._replicas()) != self._plan.by_hand.after:
            self._reverted = f"it was {replicas} again in spite of it, with {self._argocd.version() or 'no Argo CD'}"
            self._drill.timeline.add("reverted", self._plan.by_hand.name)

    def _replicas(self) -> int:
        found = self._api.get(self._plan.by_hand.path) or {"spec": {"replicas": 0}}
        return int(found["spec"].get("replicas", 1))

    def _follow(self, move: Move) -> bool:
        """Wait until the version compared every Application with Git, and says that it is as it should be."""
        self._watch.expect()

        def is_compared() -> bool:
            self._look()
            return not self._watch.behind

        self._drill.wait_until(is_compared, self._timeout, EVERY_SECONDS)
        self._behind[move.name] = self._watch.behind
        if self._scaled and not self._behind[move.name]:
            self._noticed.append(move.after)
        self._drill.timeline.add("not compared" if self._watch.behind else "compared", ", ".join(self._watch.behind))
        return not self._watch.behind

    def _suspend(self) -> Step:
        """Suspend, scale by hand, and wait until the newer version says so and leaves it."""
        drill, by_hand = self._drill, self._plan.by_hand
        window = suspend(drill)
        self._watch.held = by_hand.application
        drill.lease.record_undo(scaled(by_hand.path, by_hand.before, by_hand.after))
        self._api.merge(f"{by_hand.path}/scale", {"spec": {"replicas": by_hand.after}})
        self._scaled = True
        drill.timeline.add("scaled by hand", f"{by_hand.name} from {by_hand.before} to {by_hand.after}")
        if drill.wait_until(self._is_noticed, self._timeout, EVERY_SECONDS):
            self._noticed.append(self._plan.after)
            drill.timeline.add("noticed", f"Application {by_hand.application} is OutOfSync")
            drill.wait_until(self._is_reverted, min(TRIAL_SECONDS, self._timeout), EVERY_SECONDS)
        return window

    def _is_reverted(self) -> bool:
        self._look()
        return bool(self._reverted)

    def _is_noticed(self) -> bool:
        self._look()
        return sync_status(self._drill, self._plan.by_hand.application) == "OutOfSync"

    def _end(self, window: Step) -> Suspension:
        """End the suspension; Argo CD puts the scale back."""
        drill, by_hand = self._drill, self._plan.by_hand
        project = self._api.get(PROJECT.path(self._namespace, drill.declared.project)) or {"spec": {}}
        windows = project["spec"].get("syncWindows") or ()
        held = any(is_same(entry, window.arguments["window"]) for entry in windows)
        syncs = list(self._watch.syncs)
        drill.take_back([window], "the suspension ends", self._log)
        ended, self._scaled = drill.timeline.seconds, False

        def is_back() -> bool:
            self._watch.look()
            return self._replicas() == by_hand.before and sync_status(drill, by_hand.application) == "Synced"

        put_back = drill.wait_until(is_back, self._timeout, EVERY_SECONDS)
        seconds = drill.timeline.seconds - ended
        drill.timeline.add("put back" if put_back else "not put back", by_hand.name)
        own = [sync for sync in self._watch.syncs if sync not in syncs and sync.application == by_hand.application]
        self._watch.syncs = [sync for sync in self._watch.syncs if sync not in own]
        return Suspension(
            workload=by_hand.name,
            application=by_hand.application,
            before=by_hand.before,
            after=by_hand.after,
            noticed=tuple(self._noticed),
            reverted=self._reverted,
            window=held,
            put_back=seconds if put_back else None,
        )

    def _pods_that_stayed(self) -> tuple[int, tuple[str, ...]]:
        """Their number, and what became of those that are not as they were."""
        nodes = {
            node["metadata"]["name"]
            for node in self._api.list(NODE.path())
            if not node["metadata"].get("deletionTimestamp") and not node["spec"].get("unschedulable")
        }
        return compare_pods(self._pods, list(self._api.list(POD.path())), lambda node: node in nodes)

    def _changed(self) -> tuple[str, ...]:
        now = specs(self._api, self._namespace)
        return tuple(sorted(name for name in self._specs.keys() | now.keys() if self._specs.get(name) != now.get(name)))
