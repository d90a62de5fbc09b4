"""Verdicts of the upgrade drill on Argo CD: pure functions of what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.drills.upgrade.verdicts import RUNBOOK, Move, back, moved, order, pods_stay
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of

PRODUCT: Final = "Argo CD"
MOVED: Final = (
    "otel-on-spot lab logs argocd-application-controller",
    "otel-on-spot lab logs argocd-repo-server",
)
ORDER: Final = "the CRDs come before the controllers: one without a field that it writes loses what it says there"
ORDERED: Final = ("kubectl get crds -l app.kubernetes.io/part-of=argocd",)
APPLICATIONS: Final = "kubectl -n argocd get applications -o custom-columns="
RESTARTS: Final = "involvedObject.kind=Pod --sort-by=.lastTimestamp"
"""Which events tell of pods that Argo CD touched."""
_verdict = partial(verdict_of, RUNBOOK)


@dataclass(frozen=True, kw_only=True)
class Astray:
    """An Application that was not as Git has it, not whole, or synced.

    ``seen``: how; ``during``: what. ``early``: the version that is left said or did so, before the other one was ready.
    """

    application: str
    seen: str
    during: str
    early: bool = False


@dataclass(frozen=True, kw_only=True)
class Suspension:
    """A scale by hand under the drill's deny window.

    Attributes:
        workload: namespace/name.
        application: that declares it.
        before: replicas in Git.
        after: replicas by hand.
        noticed: versions that said OutOfSync.
        reverted: what undid it while it was suspended, in words.
        window: the deny window was there until the drill took it away.
        put_back: seconds from the window's end until the replicas were Git's and the Application Synced; None: not.
    """

    workload: str
    application: str
    before: int
    after: int
    noticed: tuple[str, ...]
    reverted: str
    window: bool
    put_back: float | None


@dataclass(frozen=True, kw_only=True)
class ArgocdUpgrade:
    """Both moves and what became of the platform.

    Attributes:
        moves: to the other version, and back where that did not fail.
        applications: their number.
        behind: by move, Applications that the version did not compare with Git in time.
        astray: Applications that were not Synced or not whole, apart from the one under the suspension.
        syncs: Applications that were synced, each with during what, apart from what was put back at the end.
        suspension: None where the first move failed, or its version did not compare every Application.
        pods: number of pods on nodes that stayed.
        moved: those of them that were replaced or restarted, each with what became of it.
        changed: Applications and AppProjects whose spec is not what it was.
        stored: CRDs that keep objects in a version in which they did not before, each with it.
        version: that is declared at the end.
        timeout: seconds for each wait.
    """

    moves: tuple[Move, ...]
    applications: int
    behind: Mapping[str, tuple[str, ...]]
    astray: tuple[Astray, ...]
    syncs: tuple[Astray, ...]
    suspension: Suspension | None
    pods: int
    moved: tuple[str, ...]
    changed: tuple[str, ...]
    stored: tuple[str, ...]
    version: str
    timeout: float
    front: Front


def verdicts(seen: ArgocdUpgrade) -> tuple[Verdict, ...]:
    """A verdict for each promise; of the suspension only where there was one."""
    suspension = () if seen.suspension is None else (_suspended(seen.suspension), _put_back(seen.suspension, seen))
    return (
        moved(PRODUCT, seen.moves, MOVED), order(PRODUCT, seen.moves, ORDER, ORDERED),
        _compared(seen), _stays(seen), _syncs(seen), *suspension,
        pods_stay(seen.pods, seen.moved, RESTARTS), _back(seen), seen.front.verdict(RUNBOOK),
    )  # fmt: skip


def _compared(seen: ArgocdUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"{PRODUCT} {move}",
            seen=f"Applications not compared with Git within {seen.timeout:.0f} s: {', '.join(behind)}",
            rule="each version compares every Application with Git: what nobody compares stays Synced in words alone",
            remedy=(f"{APPLICATIONS}NAME:.metadata.name,COMPARED:.status.reconciledAt", *MOVED),
        )
        for move, behind in seen.behind.items()
        if behind
    )
    what = f"{format_count(seen.applications, 'Application')} by each version"
    return _verdict("compared", "Compared with Git", what, *findings, count=seen.applications)


def _stays(seen: ArgocdUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"Application {astray.application}",
            seen=f"{astray.seen} while {PRODUCT} moved from {astray.during}",
            rule="nothing changed in Git or in the cluster: another version says Synced and Healthy too",
            remedy=(
                f"kubectl -n argocd get application {astray.application} -o yaml  # status.resources, .conditions",
                "otel-on-spot doctor --only applications",
            ),
        )
        for astray in seen.astray
        if not astray.early
    )
    count = seen.applications - len({astray.application for astray in seen.astray if not astray.early})
    what = f"{count} of {format_count(seen.applications, 'Application')} Synced and Healthy in each version"
    return _verdict("stays", "Applications stay Synced", what + _early(seen.astray), *findings, count=seen.applications)


def _early(seen: Sequence[Astray]) -> str:
    """What the version that is left said or did as the CRDs changed under it, in words."""
    told = [f"{astray.application}: {astray.seen} ({astray.during})" for astray in seen if astray.early]
    return f"; before the next one was ready, {', '.join(told)}" if told else ""


def _syncs(seen: ArgocdUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"Application {sync.application}",
            seen=f"{sync.seen} while {PRODUCT} moved from {sync.during}",
            rule="a change of version syncs nothing: Git is what it was",
            remedy=(f"kubectl -n argocd get application {sync.application} -o jsonpath='{{.status.operationState}}'",),
        )
        for sync in seen.syncs
        if not sync.early
    )
    what = "neither version synced anything" if not findings else format_count(len(findings), "sync")
    return _verdict("syncs", "Nothing is synced", what + _early(seen.syncs), *findings, count=seen.applications)


def _suspended(seen: Suspension) -> Verdict:
    by_hand = f"{seen.workload} by hand from {seen.before} to {seen.after}"
    problems = [
        *([seen.reverted] if seen.reverted else []),
        *([] if seen.window else ["the deny window is gone from the AppProject"]),
        *([] if len(seen.noticed) > 1 else ["it was not said to be OutOfSync by both versions: nobody looked"]),
    ]
    finding = Finding(
        subject=seen.workload,
        seen=f"{by_hand}: {'; '.join(problems)}",
        rule="a drill's deny window holds automatic syncs in either version, and through the change",
        remedy=("otel-on-spot doctor --only suspensions,applications", "docs/runbooks/argocd-reverts-a-scale.md"),
    )
    what = f"{by_hand}, OutOfSync in {' and '.join(seen.noticed) or 'no version'}, and left"
    return _verdict("suspended", "A suspension holds", what, *([finding] if problems else []))


def _put_back(seen: Suspension, upgrade: ArgocdUpgrade) -> Verdict:
    title = "Put back once it is over"
    if seen.put_back is not None:
        return _verdict("put-back", title, f"{seen.workload} in {seen.put_back:.1f} s after the suspension")
    finding = Finding(
        subject=seen.workload,
        seen=f"not at {seen.before} replicas, or Application {seen.application} not Synced, "
        f"{upgrade.timeout:.0f} s after the suspension's end",
        rule="once the deny window is gone, Argo CD puts back what was changed by hand",
        remedy=("otel-on-spot doctor --only suspensions,applications", *MOVED),
    )
    return _verdict("put-back", title, "not put back", finding)


def _back(seen: ArgocdUpgrade) -> Verdict:
    first = seen.moves[0].before
    problems = (
        *([f"{PRODUCT} is {seen.version or 'gone'}"] if seen.version != first else []),
        *(f"{name} is not what it was" for name in seen.changed),
        *(f"objects are kept in another version: {kept}" for kept in seen.stored),
    )
    rule = "a minor can be taken back: the older controllers read what the newer ones wrote"
    what = f"{first} again, Applications and AppProjects as before"
    return back(f"{PRODUCT} {first}", problems, rule, what, "kubectl -n argocd get applications,appprojects")
