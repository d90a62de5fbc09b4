"""Applications: in sync, healthy, suspended no longer than somebody said, and gone when they were deleted."""

import json
from datetime import datetime, timedelta
from typing import Final

from otel_on_spot.doctor.check import Check, CheckResult, age, seen, up
from otel_on_spot.doctor.checks.leases import Lease, covers, lease
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Application, DrillLease, Project
from otel_on_spot.findings import Finding, format_count, format_duration

AUTOMATED: Final = {"spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}}
PROGRESSING: Final = timedelta(minutes=15)
SETTLING: Final = timedelta(minutes=2)
"""Time for what starts with the Application's objects, such as the metrics that an autoscaler asks for."""
REFRESH: Final = timedelta(minutes=5)
"""Time in which an error of Argo CD's own is over: its repository server moved to another node, and it looks again.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/high_availability/ (timeout.reconciliation: 2 to 3 minutes)
"""
REMOVAL: Final = timedelta(minutes=2)
"""Time in which a drill that came to its end takes everything back, its window last."""
PLANNED: Final = timedelta(days=1)
"""A lease that begins later than this is not planned, but left over from a year ago."""


def patch(namespace: str, what: str, kind: str, change: object) -> str:
    """The command that patches an object: no command line of Argo CD's own is needed for it."""
    return f"kubectl -n {namespace} patch {what} --type={kind} --patch='{json.dumps(change)}'"


def describe(one: Application) -> str:
    """The command that tells an Application's conditions and the end of its last sync."""
    return f"kubectl -n {one.namespace} describe application {one.name}"


def sync(one: Application) -> str:
    """The command that starts a full sync, hooks included."""
    return patch(one.namespace, f"application {one.name}", "merge", {"operation": {"sync": {}}})


def _without(project: Project, position: int, schedule: str) -> str:
    """The command that removes a window: only where it still stands at this place."""
    place = f"/spec/syncWindows/{position}"
    change = [{"op": "test", "path": f"{place}/schedule", "value": schedule}, {"op": "remove", "path": place}]
    return patch(project.namespace, f"appproject {project.name}", "json", change)


def active_leases(facts: Facts) -> list[tuple[Project, Lease]]:
    """Leases that hold automatic syncs back now."""
    found = [
        (project, one)
        for project in seen(facts, "projects")
        for window in project.windows
        if (one := lease(window, facts.taken_at))
    ]
    return [(project, one) for project, one in found if one.active(facts.taken_at)]


def held(facts: Facts, application: Application) -> bool:
    """Whether a lease holds the Application now."""
    return any(
        project.name == application.project and covers(one.window, application) for project, one in active_leases(facts)
    )


def applications(facts: Facts) -> CheckResult:
    """Every Application of the platform is Synced and Healthy, or on its way there."""
    declared = facts.declared
    found = [one for one in seen(facts, "applications") if one.project == declared.project]
    rule = "every Application of the platform is Synced and Healthy"
    findings, suspended, syncing = [], 0, 0
    if declared.root_application not in {one.name for one in found}:
        gone = "there is no root Application: nothing deploys the platform"
        findings.append(Finding(subject=declared.root_application, seen=gone, rule=rule, remedy=(up(facts),)))
    going = {one.name for one in facts.terminating or () if one.kind == "Application"}
    for one in found:
        if one.name in going:
            continue  # its deletion has a line of its own
        suspended += held(facts, one) or not one.automated
        syncing += one.operation == "Running"
        problem = _problem(facts, one)
        if problem:
            findings.append(
                Finding(
                    subject=one.name,
                    seen=problem,
                    rule=rule,
                    remedy=(describe(one), sync(one)),
                    severity="critical" if one.health in ("Degraded", "Missing") else "warning",
                )
            )
    told_too = "".join(f", {n} {what}" for n, what in ((suspended, "suspended"), (syncing, "syncing")) if n)
    return CheckResult(
        count=len(found), what=f"{format_count(len(found), 'Application')}{told_too}", findings=tuple(findings)
    )


def _problem(facts: Facts, one: Application) -> str:
    if one.problems and not _passing(facts, one.problems_since, REFRESH):
        return one.problems[0]
    if one.operation in ("Failed", "Error"):
        return f"its last sync ended {one.operation}: {one.operation_message}"
    if one.health == "Missing" and one.operation == "Running":
        return ""
    if one.health in ("Degraded", "Missing") and not _passing(facts, one.health_since, SETTLING):
        return f"health {one.health}"
    if one.operation == "Running":
        return ""
    if one.health == "Progressing" and one.health_since and age(facts, one.health_since) > PROGRESSING:
        return f"Progressing for {format_duration(age(facts, one.health_since))}"
    if one.sync != "Synced" and one.automated and not held(facts, one):
        things = f" ({', '.join(one.out_of_sync)})" if one.out_of_sync else ""
        return f"{one.sync}{things}, and automatic sync does not put it right"
    return ""


def _passing(facts: Facts, since: datetime | None, patience: timedelta) -> bool:
    """Whether it may be over by itself: it is known to be younger than that."""
    return since is not None and age(facts, since) < patience


def suspensions(facts: Facts) -> CheckResult:
    """No suspension without an end, none past its end, and no window of the past that comes back in a year, no dead drill."""
    declared = facts.declared
    findings: list[Finding] = []
    leases, recurring = 0, 0
    for project in seen(facts, "projects"):
        for position, window in enumerate(project.windows):
            one = lease(window, facts.taken_at)
            if one is None:
                recurring += window.kind == "deny"
                continue
            leases += one.active(facts.taken_at)
            problem = _overdue(facts, one)
            if problem:
                findings.append(
                    Finding(
                        subject=f"AppProject {project.name}",
                        seen=f"deny window {window.schedule} for {window.duration}: {problem}",
                        rule="a suspension ends when its lease does, and its window is removed",
                        remedy=(_without(project, position, window.schedule),),
                        severity="critical" if one.active(facts.taken_at) else "warning",
                    )
                )
    findings += [
        Finding(
            subject=f"Application {one.name}",
            seen="automatic sync is off, and no lease ends that",
            rule="a suspension is a deny window with an end; every Application of the platform syncs by itself",
            remedy=(patch(one.namespace, f"application {one.name}", "merge", AUTOMATED),),
            severity="warning",
        )
        for one in seen(facts, "applications")
        if one.project == declared.project and not one.automated
    ]
    findings += [one for held in seen(facts, "drill_leases") if (one := _left_behind(facts, held))]
    what = f"{format_count(leases, 'lease')} held"
    if recurring:
        what += f", {format_count(recurring, 'recurring deny window')} not judged"
    return CheckResult(count=len(seen(facts, "projects")), what=what, findings=tuple(findings))


def _left_behind(facts: Facts, one: DrillLease) -> Finding | None:
    """A drill whose holder says nothing any more: it died, and what it changed is still so."""
    silent = timedelta() if one.renewed_at is None else age(facts, one.renewed_at)
    if silent <= timedelta(seconds=one.seconds):
        return None
    why = f" ({one.why})" if one.why else ""
    return Finding(
        subject=f"Lease {one.namespace}/{one.name}",
        seen=f"drill {one.drill} of {one.holder}{why} has said nothing for {format_duration(silent)}: it died, and what it changed may still be so",
        rule=f"a drill that runs renews its lease, every {one.seconds:.0f} s at least, and gives it up at its end",
        remedy=(f"otel-on-spot drill restore --stack {facts.declared.stack}",),
        severity="warning",
    )


def _overdue(facts: Facts, one: Lease) -> str:
    now = facts.taken_at
    if one.active(now):
        late = now - one.until > REMOVAL
        return f"its lease ended {format_duration(now - one.until)} ago, and it still holds" if late else ""
    if one.began_at > now:
        return "" if one.began_at - now <= PLANNED else "over, and it comes back every year"
    over = now - one.ends_at
    return f"over for {format_duration(over)}, and it comes back every year" if over > REMOVAL else ""


CHECKS: Final = (
    Check(
        id="applications",
        title="Applications in sync",
        needs=("applications", "projects"),
        judge=applications,
    ),
    Check(
        id="suspensions",
        title="Suspensions and leases",
        needs=("applications", "projects", "drill_leases"),
        judge=suspensions,
    ),
)
