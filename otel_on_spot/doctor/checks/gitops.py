"""Applications: in sync, healthy, suspended no longer than somebody said, and gone when they were deleted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, age, check, require, update_command
from otel_on_spot.doctor.checks.sync_windows import LOOKAHEAD, Hold, Suspension, hold, suspension_of, unreadable
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Application, DrillLease, Project
from otel_on_spot.findings import Finding, format_count, format_duration

AUTOMATED: Final = {"spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}}
PROGRESSING: Final = timedelta(minutes=15)
SETTLING: Final = timedelta(minutes=2)
"""Time for what starts with the Application's objects, such as the metrics that an autoscaler asks for."""
REFRESH: Final = timedelta(minutes=5)
"""Time in which an error of Argo CD's own is over: its repository server moved to another node, and it looks again.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/high_availability/ (timeout.reconciliation)
"""
REMOVAL: Final = timedelta(minutes=2)
"""Time in which a drill that came to its end takes everything back, its window last."""
PLANNED: Final = timedelta(days=1)
"""A lease that begins later than this is not planned, but left over from a year ago."""


def patch(namespace: str, what: str, kind: str, change: object) -> str:
    """The command that patches an object: no command line of Argo CD's own is needed for it.

    Args:
        namespace: the object's.
        what: kind and name as kubectl takes them, such as ``application web``.
        kind: of patch, ``merge`` or ``json``.
        change: the patch itself, written as JSON.
    """
    return f"kubectl -n {namespace} patch {what} --type={kind} --patch='{json.dumps(change)}'"


def describe(application: Application) -> str:
    """The command that tells an Application's conditions and the end of its last sync."""
    return f"kubectl -n {application.namespace} describe application {application.name}"


def sync(application: Application) -> str:
    """The command that starts a full sync, hooks included, as Argo CD's own command line and page do.

    With the options of the Application's own syncs, and with the last one's state taken away: up to Argo CD 3.4.7 its
    resources and results would stand for this one's, which then says Succeeded and runs no hook.

    Source: ``SetAppOperation`` of Argo CD's util/argo; https://github.com/argoproj/argo-cd/issues/28701 and 29332
    """
    operation = {"sync": {"syncOptions": application.sync_options}}
    change = {"operation": operation, "status": {"operationState": None}}
    return patch(application.namespace, f"application {application.name}", "merge", change)


def give_up(application: Application) -> str:
    """The command that ends the tries of a failed sync: automatic sync begins anew, with what is declared by now.

    A sync by hand would be merged into the one that is there, and keep its revision and its source.
    """
    change = {"operation": None, "status": {"operationState": None}}
    return patch(application.namespace, f"application {application.name}", "merge", change)


def _without(project: Project, position: int, schedule: str) -> str:
    """The command that removes a window: only where it still stands at this place."""
    place = f"/spec/syncWindows/{position}"
    change = [{"op": "test", "path": f"{place}/schedule", "value": schedule}, {"op": "remove", "path": place}]
    return patch(project.namespace, f"appproject {project.name}", "json", change)


def held(facts: Facts, application: Application) -> Hold | None:
    """Sync windows of its project that hold the Application now; None where none does."""
    windows = [
        window
        for project in require(facts, "projects")
        if project.name == application.project
        for window in project.windows
    ]
    return hold(windows, application, facts.taken_at)


def _windows_of(application: Application) -> str:
    """The command that shows the sync windows of an Application's project."""
    return f"kubectl -n {application.namespace} get appproject {application.project} -o jsonpath={{.spec.syncWindows}}"


@check("applications", "Applications in sync", "applications", "projects")
def applications(facts: Facts, applications: tuple[Application, ...]) -> Judging:
    """Every Application of the platform is Synced and Healthy, or on its way there."""
    declared = facts.declared
    found = [application for application in applications if application.project == declared.project]
    rule = "every Application of the platform is Synced and Healthy"
    suspended, syncing = 0, 0
    if declared.root_application not in {application.name for application in found}:
        gone = "there is no root Application: nothing deploys the platform"
        yield Finding(subject=declared.root_application, seen=gone, rule=rule, remedy=(update_command(facts),))
    going = {deletion.name for deletion in facts.terminating or () if deletion.kind == "Application"}
    for application in found:
        if application.name in going:
            continue  # its deletion has a line of its own
        holding = held(facts, application)
        suspended += holding is not None or not application.automated
        syncing += application.operation == "Running"
        problem = _problem(facts, application, holding)
        if problem:
            denied = holding is not None and not holding.manual
            stale = bool(_tries_what_is_no_longer_wanted(application)) and application.automated
            yield Finding(
                subject=application.name,
                seen=f"{problem}; held by {holding.told()}" if holding else problem,
                rule=rule,
                remedy=(
                    describe(application),
                    _windows_of(application) if denied else give_up(application) if stale else sync(application),
                ),
                severity="critical" if application.health in ("Degraded", "Missing") else "warning",
            )
    told_too = "".join(f", {n} {what}" for n, what in ((suspended, "suspended"), (syncing, "syncing")) if n)
    return len(found), f"{format_count(len(found), 'Application')}{told_too}"


def _problem(facts: Facts, application: Application, holding: Hold | None) -> str:
    if application.problems and not _passing(facts, application.problems_since, REFRESH):
        return application.problems[0]
    if application.operation in ("Failed", "Error"):
        return f"its last sync ended {application.operation}: {application.operation_message}"
    if application.health == "Missing" and application.operation == "Running":
        return ""
    if application.health in ("Degraded", "Missing") and not _passing(facts, application.health_since, SETTLING):
        return f"health {application.health}"
    if application.operation == "Running":
        return _tries_what_is_no_longer_wanted(application)
    if (
        application.health == "Progressing"
        and application.health_since
        and age(facts, application.health_since) > PROGRESSING
    ):
        return f"Progressing for {format_duration(age(facts, application.health_since))}"
    if application.sync != "Synced" and application.automated and holding is None:
        things = f" ({', '.join(application.out_of_sync)})" if application.out_of_sync else ""
        return f"{application.sync}{things}, and automatic sync does not put it right"
    return ""


def _tries_what_is_no_longer_wanted(application: Application) -> str:
    """A failed sync is tried again with the source that it began with, whatever has been declared since.

    Source: https://github.com/argoproj/argo-cd/issues/28794
    """
    tried, wanted = application.tried_revision, application.wanted_revision
    if not (application.operation == "Running" and application.failed_tries and tried and tried != wanted):
        return ""
    return f"its sync has failed at {tried}, and tries it again ({application.failed_tries}) where {wanted} is declared"


def _passing(facts: Facts, since: datetime | None, patience: timedelta) -> bool:
    """True where it may be over by itself: it is known to be younger than ``patience``."""
    return since is not None and age(facts, since) < patience


@check("suspensions", "Suspensions and leases")
def suspensions(
    facts: Facts,
    applications: tuple[Application, ...],
    projects: tuple[Project, ...],
    drill_leases: tuple[DrillLease, ...],
) -> Judging:
    """No suspension is without an end or past it, no window of the past comes back in a year, and no drill has died.

    Windows that come back are somebody's own; they are told where Argo CD cannot read them or they never open.
    """
    leases, recurring = 0, 0
    for project in projects:
        for position, window in enumerate(project.windows):
            remedy = (_without(project, position, window.schedule),)
            if problem := unreadable(window):
                yield Finding(
                    subject=f"AppProject {project.name}",
                    seen=f"sync window {window.schedule!r} for {window.duration!r}: {problem}",
                    rule="Argo CD reads every sync window: what one that it cannot read covers is never synced",
                    remedy=remedy,
                )
                continue
            suspension = suspension_of(window, facts.taken_at)
            if suspension is None:
                recurring += 1
                continue
            active = suspension.active(facts.taken_at)
            leases += active
            if problem := _overdue(facts, suspension):
                yield Finding(
                    subject=f"AppProject {project.name}",
                    seen=f"deny window {window.schedule} for {window.duration}: {problem}",
                    rule="a suspension ends when its lease does, and its window is removed",
                    remedy=remedy,
                    severity="critical" if active else "warning",
                )
    ours = [application for application in applications if application.project == facts.declared.project]
    for application in ours:
        if not application.automated:
            yield Finding(
                subject=f"Application {application.name}",
                seen="automatic sync is off, and no lease ends that",
                rule="a suspension is a deny window with an end; every Application of the platform syncs by itself",
                remedy=(patch(application.namespace, f"application {application.name}", "merge", AUTOMATED),),
                severity="warning",
            )
    for lease in drill_leases:
        yield from _left_behind(facts, lease)
    ends = []
    for application in ours:
        holding = held(facts, application)
        if holding is None or any(map(unreadable, holding.windows)):
            continue
        if holding.until is not None:
            ends.append(holding.until)
            continue
        yield Finding(
            subject=f"Application {application.name}",
            seen=f"{holding.told()}: nothing is synced for the next {LOOKAHEAD.days} days",
            rule="sync windows let automatic syncs through at some time",
            remedy=(_windows_of(application),),
            severity="warning",
        )
    what = f"{format_count(leases, 'lease')} held"
    if recurring:
        what += f", {format_count(recurring, 'recurring window')}"
    if ends:
        what += f", {format_count(len(ends), 'Application')} held until {max(ends).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return len(projects), what


def _left_behind(facts: Facts, held: DrillLease) -> Iterator[Finding]:
    """A drill whose holder says nothing any more: it died, and what it changed is still so."""
    silent = timedelta() if held.renewed_at is None else age(facts, held.renewed_at)
    if silent > timedelta(seconds=held.seconds):
        why = f" ({held.why})" if held.why else ""
        yield Finding(
            subject=f"Lease {held.namespace}/{held.name}",
            seen=f"drill {held.drill} of {held.holder}{why} has said nothing for {format_duration(silent)}: "
            "it died, and what it changed may still be so",
            rule=f"a drill that runs renews its lease, every {held.seconds:.0f} s at least, and gives it up at its end",
            remedy=(f"otel-on-spot drill restore --stack {facts.declared.stack}",),
            severity="warning",
        )


def _overdue(facts: Facts, suspension: Suspension) -> str:
    now = facts.taken_at
    if suspension.active(now):
        late = now - suspension.until > REMOVAL
        return f"its lease ended {format_duration(now - suspension.until)} ago, and it still holds" if late else ""
    if suspension.began_at > now:
        return "" if suspension.began_at - now <= PLANNED else "over, and it comes back every year"
    over = now - suspension.ends_at
    return f"over for {format_duration(over)}, and it comes back every year" if over > REMOVAL else ""


CHECKS: Final = (applications, suspensions)
