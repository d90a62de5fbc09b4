"""Scales a Deployment by hand, and watches who puts it back."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from otel_on_spot.doctor.checks.gitops import held
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.undo import scaled
from otel_on_spot.findings import Finding
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import APPLICATION, DEPLOYMENT, TRACKING
from otel_on_spot.report import Report, Verdict, verdict_of
from otel_on_spot.target import Target

RUNBOOK: Final = "docs/runbooks/drills/drift.md"
_verdict = partial(verdict_of, RUNBOOK)
CHECKS: Final = ("applications", "suspensions")
"""Checks of the doctor that explain why nothing is put back."""
EVERY_SECONDS: Final = 0.2
"""Argo CD reverts within a second."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A scale by hand. Seconds count from the scale; None where it did not come within ``timeout``.

    ``deployment``: namespace/name. ``application``: the Argo CD Application that declares it. ``why``: why it was not
    put back.
    """

    deployment: str
    application: str
    before: int
    after: int
    timeout: float
    reverted: float | None
    synced: float | None
    sync: str = ""
    why: str = ""


def why_not(facts: Facts, application: str) -> str:
    """Reason why Argo CD does not put things back: off, held by a window, or broken; empty where none was seen."""
    found = next((seen for seen in facts.applications or () if seen.name == application), None)
    if found is None:
        return "" if facts.applications is None else f"there is no Application {application}"
    if not found.automated:
        return f"automatic sync of Application {application} is off"
    if facts.projects is not None and (holding := held(facts, found)):
        return f"sync windows of AppProject {found.project} hold automatic syncs: {holding.told()}"
    if found.operation in ("Failed", "Error"):
        return f"the last sync of Application {application} ended {found.operation}: {found.operation_message}"
    return found.problems[0] if found.problems else ""


def verdicts(seen: Drift, namespace: str) -> tuple[Verdict, ...]:
    """Two verdicts: put back in time, and Synced afterwards. ``namespace``: Argo CD's."""
    return (_reverted(seen, namespace), *(() if seen.reverted is None else (_synced(seen, namespace),)))


def _reverted(seen: Drift, namespace: str) -> Verdict:
    if seen.reverted is not None:
        what = f"{seen.deployment} from {seen.after} back to {seen.before} replicas in {seen.reverted:.1f} s"
        return _verdict("reverted", "Put back", what)
    why = seen.why or "nothing that was seen speaks against it"
    finding = Finding(
        subject=seen.deployment,
        seen=f"{seen.after} replicas for {seen.timeout:.0f} s where Git declares {seen.before}: {why}",
        rule=f"Argo CD puts a change by hand back within {seen.timeout:.0f} s",
        remedy=(
            f"kubectl -n {namespace} describe application {seen.application}",
            f"kubectl -n {namespace} logs statefulset/argocd-application-controller --since=10m",
        ),
    )
    what = f"{seen.deployment} stayed at {seen.after} replicas"
    return _verdict("reverted", "Put back", what, finding)


def _synced(seen: Drift, namespace: str) -> Verdict:
    if seen.synced is not None:
        what = f"Application {seen.application} in {seen.synced:.1f} s"
        return _verdict("synced", "Synced again", what)
    finding = Finding(
        subject=seen.application,
        seen=f"{seen.sync or 'no state'} {seen.timeout:.0f} s after the scale, although the Deployment was put back",
        rule="an Application is Synced once what was changed by hand is put back",
        remedy=(f"kubectl -n {namespace} describe application {seen.application}",),
        severity="warning",
    )
    what = f"Application {seen.application} is {seen.sync}"
    return _verdict("synced", "Synced again", what, finding)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A change by hand: path of the Deployment, its Application, its replicas before and after."""

    path: str
    name: str
    application: str
    before: int
    after: int


def make_plan(target: Target, api: Api, deployment: str, replicas: int | None) -> Plan:
    """Plan the change.

    Args:
        target: the platform.
        api: its API server.
        deployment: ``name`` in the demo's namespace, or ``namespace/name``.
        replicas: what to scale to; None adds one.

    Raises:
        DrillRefusedError: there is no such Deployment, nobody would put it back, or nothing would change.
    """
    namespace, _, name = deployment.rpartition("/")
    namespace = namespace or target.declared.stateful_namespace
    path = DEPLOYMENT.path(namespace, name)
    found = api.get(path)
    if found is None:
        raise DrillRefusedError(
            f"--deployment {deployment}: no Deployment {name} in namespace {namespace}. Give a name of "
            f"`kubectl -n {namespace} get deployments`, or namespace/name"
        )
    # application:group/kind:namespace/name; https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
    tracked = (found["metadata"].get("annotations") or {}).get(TRACKING, "")
    if not tracked:
        raise DrillRefusedError(
            f"--deployment {deployment}: it has no annotation {TRACKING}, so no Application declares it and nobody "
            "would put it back. Give a Deployment that Argo CD deploys"
        )
    before = found["spec"].get("replicas", 1)
    after = before + 1 if replicas is None else replicas
    if after == before:
        raise DrillRefusedError(f"--replicas {replicas}: {deployment} has {before} already. Give another number")
    return Plan(
        path=path, name=f"{namespace}/{name}", application=tracked.partition(":")[0], before=before, after=after
    )


def run(drill: Drill, plan: Plan, timeout: float) -> Report:
    """Scale, watch, and report what happened. ``timeout``: seconds for each of both, the revert and Synced.

    Raises:
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline = drill.api, drill.timeline
    drill.lease.record_undo(scaled(plan.path, plan.before, plan.after))
    api.merge(f"{plan.path}/scale", {"spec": {"replicas": plan.after}})
    began = timeline.add("scaled by hand", f"{plan.name} from {plan.before} to {plan.after}").seconds
    reverted = synced = None
    sync = ""

    def is_back() -> bool:
        found = api.get(plan.path)
        return found is not None and found["spec"].get("replicas", 1) == plan.before

    def is_synced() -> bool:
        nonlocal sync
        sync = _sync(api.get(APPLICATION.path(drill.declared.argocd_namespace, plan.application)))
        return sync == "Synced" and is_back()

    if drill.wait_until(is_back, timeout, EVERY_SECONDS):
        reverted = timeline.add("put back", f"by Application {plan.application}").seconds - began
        if drill.wait_until(is_synced, timeout, EVERY_SECONDS):
            synced = timeline.add("Synced", plan.application).seconds - began
    else:
        timeline.add("not put back", f"within {timeout:.0f} s: asking the doctor")
    seen = Drift(
        deployment=plan.name,
        application=plan.application,
        before=plan.before,
        after=plan.after,
        timeout=timeout,
        reverted=reverted,
        synced=synced,
        sync=sync,
    )
    return _report(drill, seen)


def _report(drill: Drill, seen: Drift) -> Report:
    causes: tuple[Verdict, ...] = ()
    if seen.reverted is None:
        facts = diagnosis.collect_facts(drill.target)
        causes = diagnosis.causes(facts, CHECKS)
        seen = replace(seen, why=why_not(facts, seen.application))
    judged = verdicts(seen, drill.declared.argocd_namespace)
    measures = {"put back in": "not" if seen.reverted is None else f"{seen.reverted:.1f} s"}
    return drill.report((*judged, *causes), measures)


def _sync(application: Object | None) -> str:
    return (((application or {}).get("status") or {}).get("sync") or {}).get("status") or ""
