"""Verdicts of the drift drill: pure functions of what was seen."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from otel_on_spot.doctor.checks.gitops import held
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.findings import Finding
from otel_on_spot.report import Verdict, verdict_of

RUNBOOK: Final = "docs/runbooks/drills/drift.md"
_verdict = partial(verdict_of, RUNBOOK)
CHECKS: Final = ("applications", "suspensions")
"""Checks of the doctor that explain why nothing is put back."""


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
