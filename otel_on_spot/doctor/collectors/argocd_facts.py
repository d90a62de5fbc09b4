"""Facts of Argo CD: Applications, projects with their sync windows, and the lease of a drill that suspends them."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors.cluster_facts import moment
from otel_on_spot.doctor.facts_kubernetes import Application, DrillLease, Project, SyncWindow
from otel_on_spot.drill_lease import DURATION_SECONDS, NAME, PREFIX, lease_path
from otel_on_spot.drills.kubernetes_api import Api, Object

SELF_HEAL_SECONDS: Final = 5.0
"""Argo CD waits that long before it heals again. Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-application-controller/"""
MOST: Final = 5
"""Objects that are named."""


def applications(
    list_again: Callable[[], list[Object]], sleep: Callable[[float], None] = time.sleep
) -> tuple[Application, ...]:
    """Every Application; where one differs from Git with no sync under way, it gets the time of a self-heal to be put right."""
    found = _applications(list_again())
    if any(one.automated and one.sync != "Synced" and one.operation != "Running" for one in found):
        sleep(SELF_HEAL_SECONDS)
        return _applications(list_again())
    return found


def _applications(things: Iterable[Object]) -> tuple[Application, ...]:
    return tuple(map(_application, things))


def _application(thing: Object) -> Application:
    spec, status = thing["spec"], thing.get("status") or {}
    automated = (spec.get("syncPolicy") or {}).get("automated")
    health, operation = status.get("health") or {}, status.get("operationState") or {}
    return Application(
        namespace=thing["metadata"]["namespace"],
        name=thing["metadata"]["name"],
        project=spec["project"],
        automated=automated is not None and automated.get("enabled", True) is not False,
        sync=(status.get("sync") or {}).get("status") or "Unknown",
        health=health.get("status") or "Unknown",
        health_since=moment(health.get("lastTransitionTime")),
        operation=operation.get("phase") or "",
        operation_message=(operation.get("message") or "")[:300],
        problems=tuple(
            f"{one['type']}: {one.get('message') or ''}"[:300]
            for one in status.get("conditions") or ()
            if one["type"].endswith("Error")
        ),
        out_of_sync=tuple(
            f"{one['kind']}/{one['name']}" for one in status.get("resources") or () if one.get("status") == "OutOfSync"
        )[:MOST],
        refreshed_at=moment(status.get("reconciledAt")),
    )


def projects(things: Iterable[Object]) -> tuple[Project, ...]:
    """Every AppProject with its sync windows."""

    def window(one: dict[str, Any]) -> SyncWindow:
        return SyncWindow(
            kind=one.get("kind") or "",
            schedule=one.get("schedule") or "",
            duration=one.get("duration") or "",
            zone=one.get("timeZone") or "UTC",
            applications=tuple(one.get("applications") or ()),
            description=one.get("description") or "",
        )

    return tuple(
        Project(
            namespace=one["metadata"]["namespace"],
            name=one["metadata"]["name"],
            windows=tuple(map(window, one["spec"].get("syncWindows") or ())),
        )
        for one in things
    )


def drill_leases(api: Api, declared: Declared) -> tuple[DrillLease, ...]:
    """The Lease of a drill, where there is one."""
    found = api.get(lease_path(declared.argocd_namespace))
    if found is None:
        return ()
    metadata, spec = found["metadata"], found.get("spec") or {}
    notes = metadata.get("annotations") or {}
    return (
        DrillLease(
            namespace=metadata["namespace"],
            name=NAME,
            drill=notes.get(f"{PREFIX}drill", "?"),
            holder=spec.get("holderIdentity") or "?",
            why=notes.get(f"{PREFIX}why", ""),
            renewed_at=moment(spec.get("renewTime") or metadata.get("creationTimestamp")),
            seconds=spec.get("leaseDurationSeconds") or DURATION_SECONDS,
        ),
    )
