"""Verification that everything is as it was before the drill: looked at, not assumed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.resilience import CONNECTION_ERRORS, describe
from otel_on_spot.drills.stress.preconditions import Workload, applications, sync_of
from otel_on_spot.drills.stress.watch import EVERY_SECONDS, Watch, claims
from otel_on_spot.findings import Finding
from otel_on_spot.kubernetes.names import PROJECT
from otel_on_spot.waiting import Deadline

SYNCED_SECONDS: Final = 60.0
STAYS_SECONDS: Final = 10.0
RULE: Final = "afterwards everything is as Git and other people had it"


@dataclass(frozen=True, kw_only=True)
class Before:
    """State before the drill. ``synced``: Applications. ``windows``: the project's. ``claims``: NodeClaims."""

    synced: frozenset[str]
    windows: tuple[Mapping[str, Any], ...]
    claims: frozenset[str]

    @classmethod
    def take(cls, drill: Drill) -> "Before":
        """Take it now."""
        return cls(
            synced=frozenset(name for name, status in _statuses(drill).items() if status == "Synced"),
            windows=_windows(drill),
            claims=frozenset(claim.name for claim in claims(drill.api)),
        )


@dataclass(frozen=True, kw_only=True)
class Restored:
    """Differences, if any. ``own``: of the workload and the suspension; ``others``: of everything else."""

    own: tuple[Finding, ...]
    others: tuple[Finding, ...]
    seconds: float


def _windows(drill: Drill) -> tuple[Mapping[str, Any], ...]:
    project = drill.api.get(PROJECT.path(drill.declared.argocd_namespace, drill.declared.project))
    return tuple(((project or {}).get("spec") or {}).get("syncWindows") or ())


def _statuses(drill: Drill) -> dict[str, str]:
    return {
        thing["metadata"]["name"]: sync_of(thing)
        for thing in applications(drill)
        if thing["spec"].get("project") == drill.declared.project
    }


def verify(drill: Drill, work: Workload, before: Before, watch: Watch) -> Restored:
    """Look until all is as it was, and stays so for a while; what is not by then is found.

    Args:
        drill: under way; its timeline gets the moment at which all is back.
        work: the workload that was scaled.
        before: Applications, sync windows and NodeClaims as they were.
        watch: takes the samples that are compared.

    Raises:
        DrillRefusedError: the workload is gone.
    """
    overall, stays = Deadline(SYNCED_SECONDS), None
    while True:
        found = _compare(drill, work, before, watch, overall.elapsed)
        stays = None if found.own or found.others else (stays or Deadline(STAYS_SECONDS))
        if stays and stays.over:
            drill.timeline.add("all is as it was", f"and stayed so for {STAYS_SECONDS:.0f} s")
            return found
        if not stays and overall.over:
            drill.timeline.add("not all is as it was")
            return found
        time.sleep(EVERY_SECONDS / 2)


def _compare(drill: Drill, work: Workload, before: Before, watch: Watch, seconds: float) -> Restored:
    try:
        sample = watch.sample()
        statuses, windows = _statuses(drill), _windows(drill)
    except (ApiException, *CONNECTION_ERRORS) as problem:
        silent = _finding(drill, "the API server", f"does not answer: {describe(problem)}")
        return Restored(own=(silent,), others=(), seconds=seconds)
    own = []
    if sample is None:
        own.append(_finding(drill, "the API server", "does not answer"))
    elif sample.wanted != work.before:
        own.append(_finding(drill, work.name, f"{sample.wanted} replicas, {work.before} before the drill and in Git"))
    elif sample.running + sample.pending > work.before:
        own.append(_finding(drill, work.name, f"{sample.running + sample.pending} pods are left, {work.before} wanted"))
    if statuses.get(work.application) != "Synced":
        own.append(_finding(drill, f"Application {work.application}", f"is {statuses.get(work.application, 'gone')}"))
    if windows != before.windows:
        own.append(
            _finding(
                drill,
                f"AppProject {drill.declared.project}",
                f"sync windows {list(windows)}, before the drill {list(before.windows)}",
            )
        )
    others = [
        _finding(drill, f"Application {name}", f"is {statuses.get(name, 'gone')}, and was Synced before the drill")
        for name in sorted(before.synced - {work.application})
        if statuses.get(name) != "Synced"
    ]
    return Restored(own=tuple(own), others=tuple(others), seconds=seconds)


def _finding(drill: Drill, subject: str, seen: str) -> Finding:
    remedy = (
        f"otel-on-spot drill restore --stack {drill.declared.stack}",
        f"otel-on-spot doctor --stack {drill.declared.stack} --only suspensions,applications",
    )
    return Finding(subject=subject, seen=seen, rule=RULE, remedy=remedy)
