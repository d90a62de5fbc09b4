"""Scales a Deployment by hand, and watches who puts it back."""

from dataclasses import dataclass, replace
from typing import Final

from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drift.verdicts import LINES, Drift, verdicts, why_not
from otel_on_spot.drills.drill import Drill, DrillRefused
from otel_on_spot.drills.following import follow
from otel_on_spot.drills.kubernetes_api import Api, Object
from otel_on_spot.drills.undo import scaled
from otel_on_spot.kubernetes.names import APPLICATION, DEPLOYMENT, TRACKING
from otel_on_spot.report import Report, Verdict
from otel_on_spot.target import Target

"""``application:group/kind:namespace/name``. Source: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/"""
EVERY_SECONDS: Final = 0.2
"""Argo CD reverts within a second."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to scale: path of the Deployment, its Application, its replicas before and after."""

    path: str
    name: str
    application: str
    before: int
    after: int


def plan(target: Target, api: Api, deployment: str, replicas: int | None) -> Plan:
    """What the drill would change.

    Args:
        deployment: ``name`` in the demo's namespace, or ``namespace/name``.
        replicas: what to scale to; None adds one.

    Raises:
        DrillRefused: there is no such Deployment, nobody would put it back, or nothing would change.
    """
    namespace, _, name = deployment.rpartition("/")
    namespace = namespace or target.declared.stateful_namespace
    path = DEPLOYMENT.path(namespace, name)
    found = api.get(path)
    if found is None:
        raise DrillRefused(
            f"--deployment {deployment}: no Deployment {name} in namespace {namespace}. Give a name of "
            f"`kubectl -n {namespace} get deployments`, or namespace/name"
        )
    tracked = (found["metadata"].get("annotations") or {}).get(TRACKING, "")
    if not tracked:
        raise DrillRefused(
            f"--deployment {deployment}: it has no annotation {TRACKING}, so no Application declares it and nobody would put "
            "it back. Give a Deployment that Argo CD deploys"
        )
    before = found["spec"].get("replicas", 1)
    after = before + 1 if replicas is None else replicas
    if after == before:
        raise DrillRefused(f"--replicas {replicas}: {deployment} has {before} already. Give another number")
    return Plan(
        path=path, name=f"{namespace}/{name}", application=tracked.partition(":")[0], before=before, after=after
    )


def rehearse(drill: Drill, wanted: Plan, patience: float) -> Report:
    """Scale, watch, and say what happened. ``patience``: seconds for each of both, the revert and Synced.

    Raises:
        LeaseHeld: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline = drill.api, drill.timeline
    drill.hold.will(scaled(wanted.path, wanted.before, wanted.after))
    api.merge(f"{wanted.path}/scale", {"spec": {"replicas": wanted.after}})
    began = timeline.add("scaled by hand", f"{wanted.name} from {wanted.before} to {wanted.after}").seconds
    reverted = synced = None
    state = ""

    def is_back() -> bool:
        return _replicas(api.get(wanted.path)) == wanted.before

    def is_synced() -> bool:
        nonlocal state
        state = _sync(api.get(_application(drill, wanted)))
        return state == "Synced" and is_back()

    if follow(drill, is_back, patience, EVERY_SECONDS):
        reverted = timeline.add("put back", f"by Application {wanted.application}").seconds - began
        if follow(drill, is_synced, patience, EVERY_SECONDS):
            synced = timeline.add("Synced", wanted.application).seconds - began
    else:
        timeline.add("not put back", f"within {patience:.0f} s: asking the doctor")
    seen = Drift(
        deployment=wanted.name,
        application=wanted.application,
        before=wanted.before,
        after=wanted.after,
        patience=patience,
        reverted=reverted,
        synced=synced,
        sync=state,
    )
    return _report(drill, seen)


def _report(drill: Drill, seen: Drift) -> Report:
    causes: tuple[Verdict, ...] = ()
    if seen.reverted is None:
        facts = diagnosis.look(drill.target)
        causes = diagnosis.causes(facts, LINES)
        seen = replace(seen, why=why_not(facts, seen.application))
    lines = verdicts(seen, drill.declared.argocd_namespace)
    measures = {"put back in": "not" if seen.reverted is None else f"{seen.reverted:.1f} s"}
    return drill.report((*lines, *causes), measures)


def _application(drill: Drill, wanted: Plan) -> str:
    return APPLICATION.path(drill.declared.argocd_namespace, wanted.application)


def _replicas(deployment: Object | None) -> int | None:
    return None if deployment is None else deployment["spec"].get("replicas", 1)


def _sync(application: Object | None) -> str:
    return (((application or {}).get("status") or {}).get("sync") or {}).get("status") or ""
