"""Verdicts of the restore-data drill: pure functions of what was seen."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from otel_on_spot.drills.restore_data.volumes import Volume
from otel_on_spot.findings import Finding
from otel_on_spot.report import Verdict, verdict_of

RUNBOOK: Final = "docs/runbooks/drills/restore-data.md"
_verdict = partial(verdict_of, RUNBOOK)
ZONE_RULE: Final = (
    "a volume does not leave its zone: its pod runs there, on whatever node, as long as EC2 has capacity in it"
)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """The EBS volume of the restored claim, as EC2 tells it. ``why_unknown``: why EC2 did not."""

    snapshot: str = ""
    zone: str = ""
    why_unknown: str = ""


@dataclass(frozen=True, kw_only=True)
class Restore:
    """What the drill saw. Seconds of each step; None where it did not come within ``timeout``.

    ``subject``: what was moved, as in "database postgresql". ``handle``: id of the EBS snapshot. ``words``: what
    Karpenter, the scheduler or the driver said last where it stopped.
    """

    database: str
    namespace: str
    claim: str
    timeout: float
    snapshot_seconds: float | None = None
    handle: str = ""
    restore_seconds: float | None = None
    restored: Volume | None = None
    copy: Copy = Copy()
    subject: str = ""
    before: Volume | None = None
    move_seconds: float | None = None
    moved: Volume | None = None
    words: str = ""


def verdicts(seen: Restore) -> tuple[Verdict, ...]:
    """A verdict for each step, up to the one where it stopped."""
    judged = [_snapshot(seen)]
    if seen.snapshot_seconds is not None:
        judged.append(_restored(seen))
    if seen.restored is not None:
        judged.append(_source(seen))
        judged.append(_followed(seen))
    return tuple(judged)


def _snapshot(seen: Restore) -> Verdict:
    if seen.snapshot_seconds is not None:
        what = f"{seen.handle} of {seen.database}'s volume in {seen.snapshot_seconds:.1f} s"
        return _verdict("snapshot", "The volume is snapshotted", what)
    finding = Finding(
        subject=f"{seen.namespace}/{seen.claim}",
        seen=_said(f"the VolumeSnapshot is not ready to use after {seen.timeout:.0f} s", seen.words),
        rule="a snapshot of a database's volume becomes ready to use; the first one of a volume copies all of it",
        remedy=(f"kubectl -n {seen.namespace} describe volumesnapshot {seen.claim}",),
    )
    return _verdict("snapshot", "The volume is snapshotted", f"{seen.database}'s volume", finding)


def _restored(seen: Restore) -> Verdict:
    title = "A pod runs on the restored volume"
    if seen.restored is not None and seen.restore_seconds is not None:
        volume = seen.restored
        return _verdict(
            "restored", title, f"{volume.handle} on {volume.node} in {volume.zone}, {seen.restore_seconds:.1f} s"
        )
    finding = Finding(
        subject=f"{seen.namespace}/{seen.claim}",
        seen=_said(f"no pod runs on the claim {seen.timeout:.0f} s after it was made", seen.words),
        rule="a claim that begins with a snapshot is bound to a volume in the zone of its pod, and the pod runs",
        remedy=(
            f"kubectl -n {seen.namespace} describe persistentvolumeclaim {seen.claim}",
            "kubectl get events -A --field-selector type=Warning --sort-by=.lastTimestamp",
        ),
    )
    return _verdict("restored", title, f"a claim from {seen.handle}", finding)


def _source(seen: Restore) -> Verdict:
    """The volume was made from this snapshot and no other, where its pod is."""
    title, volume = "The volume is the snapshot's", seen.restored
    assert volume is not None
    if seen.copy.why_unknown:
        return Verdict(id="source", title=title, status="unknown", runbook=RUNBOOK, why_unknown=seen.copy.why_unknown)
    if (seen.copy.snapshot, seen.copy.zone) == (seen.handle, volume.node_zone):
        return _verdict("source", title, f"{volume.handle} is of {seen.handle}, in {seen.copy.zone}")
    finding = Finding(
        subject=volume.handle,
        seen=f"made of {seen.copy.snapshot or 'no snapshot'} in {seen.copy.zone}; its pod is in {volume.node_zone}",
        rule=f"it is made of {seen.handle}, in the zone of its pod",
        remedy=(f"aws ec2 describe-volumes --volume-ids {volume.handle}",),
    )
    return _verdict("source", title, volume.handle, finding)


def _followed(seen: Restore) -> Verdict:
    title, before = "The volume follows to another node", seen.before
    assert before is not None
    if seen.moved is not None and seen.move_seconds is not None:
        volume = seen.moved
        what = f"{volume.handle} of {seen.subject} from {before.node} to {volume.node} in {volume.zone}"
        what += f", {seen.move_seconds:.1f} s"
        return _verdict("followed", title, what)
    finding = Finding(
        subject=seen.subject,
        seen=_said(
            f"{seen.timeout:.0f} s after its node {before.node} was closed no other node runs it in {before.zone}, "
            f"where its volume {before.handle} is",
            seen.words,
        ),
        rule=ZONE_RULE,
        remedy=(
            "kubectl get events -A --field-selector involvedObject.kind=NodeClaim --sort-by=.lastTimestamp",
            "restoreFrom with the newest snapshot begins in any zone: docs/runbooks/restore-data.md, a zone without "
            "capacity",
        ),
    )
    return _verdict("followed", title, f"{before.handle} of {seen.subject}", finding)


def _said(what: str, words: str) -> str:
    return f"{what}; {words}" if words else what
