"""Deletions that do not end: whose finalizer nobody serves, or that wait for longer than a drain takes."""

from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, age, check, looked_at, require, update_command
from otel_on_spot.doctor.checks.controller import is_down
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Terminating
from otel_on_spot.findings import Finding, format_duration

PATIENCE: Final = {
    "NodePool": timedelta(minutes=60),
    "EC2NodeClass": timedelta(minutes=60),
    "NodeClaim": timedelta(minutes=60),
    "Node": timedelta(minutes=60),
}
OTHERWISE: Final = timedelta(minutes=15)
"""Time that a deletion may take: nodes are drained first, within terminationGracePeriod; everything else is quick."""
KARPENTER: Final = ("karpenter.sh/", "karpenter.k8s.aws/")


@check("finalizers", "Deletions that do not end", "terminating", "controllers", "projects", "applications")
def finalizers(facts: Facts, terminating: tuple[Terminating, ...]) -> Judging:
    """Every deletion that was asked for has ended, or is on its way with somebody who serves its finalizers."""
    for deletion in terminating:
        cause = _cause(facts, deletion)
        waited = age(facts, deletion.since)
        if not cause and waited < PATIENCE.get(deletion.kind, OTHERWISE):
            continue
        place = f"-n {deletion.namespace} " if deletion.namespace else ""
        message = f"; {deletion.message}" if deletion.message else ""
        waits_for = ", ".join(deletion.finalizers) or "its dependents"
        yield Finding(
            subject=f"{deletion.kind} {deletion.name}",
            seen=f"Terminating for {format_duration(waited)}, waits for {waits_for}{cause and f': {cause}'}{message}",
            rule="whoever serves a finalizer lives longer than the object; never remove the finalizer first",
            remedy=(f"kubectl {place}describe {deletion.kind.lower()} {deletion.name}", update_command(facts)),
        )
    return looked_at(terminating, "deletion under way", "deletions under way")


def _cause(facts: Facts, deletion: Terminating) -> str:
    """Reason why nobody will serve it; empty where somebody may."""
    of_karpenter = any(finalizer.startswith(KARPENTER) for finalizer in deletion.finalizers)
    if of_karpenter and all(is_down(facts, controller) for controller in require(facts, "controllers")):
        return "Karpenter is not running, and only it serves that"
    if deletion.kind == "Application":
        projects = {project.name for project in require(facts, "projects")}
        wanted = next((app.project for app in require(facts, "applications") if app.name == deletion.name), "")
        if wanted and wanted not in projects:
            return f"its AppProject {wanted} is gone, and Argo CD deletes nothing without it"
    return ""


CHECKS: Final = (finalizers,)
