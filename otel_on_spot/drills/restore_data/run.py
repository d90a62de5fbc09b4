"""Restores a volume beside its database, moves it to another node, and takes everything back."""

import time
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.node_join.observation import nominated, words
from otel_on_spot.drills.restore_data import manifests
from otel_on_spot.drills.restore_data.verdicts import Copy, Restore, verdicts
from otel_on_spot.drills.restore_data.volumes import Database, Volume, see, users
from otel_on_spot.drills.undo import Step, cordoned
from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import NODE, POD, SNAPSHOT, SNAPSHOT_CONTENT, VOLUME_CLAIM
from otel_on_spot.report import Report

EVERY_SECONDS: Final = 1.0
SPARE_SECONDS: Final = 120
STEPS: Final = 3
"""Waits of a drill, each of at most its timeout."""


class RestoreData:
    """One run of the drill.

    Args:
        drill: under way.
        database: whose volume is restored.
        timeout: seconds for each step.
        move: move the database itself, not the copy.

    Raises:
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """

    def __init__(self, drill: Drill, database: Database, timeout: float, *, move: bool) -> None:
        self.drill, self.database, self.timeout, self.move = drill, database, timeout, move
        self.name = f"drill-restore-data-{int(time.time())}"
        self.told: dict[str, Any] = {}

    def run(self) -> Report:
        """Snapshot, restore, move, and report how far it came."""
        if self._snapshot() and self._restore():
            self._follow()
        seen = Restore(
            database=self.database.name,
            namespace=self.database.namespace,
            claim=self.name,
            timeout=self.timeout,
            **self.told,
        )
        steps = {"snapshot": seen.snapshot_seconds, "restore": seen.restore_seconds, "move": seen.move_seconds}
        measures = {
            "in seconds": ", ".join(f"{step} {took:.1f}" for step, took in steps.items() if took is not None)
            or "nothing"
        }
        return self.drill.report(verdicts(seen), measures)

    def _make(self, path: str, thing: Object) -> float:
        what = f"{thing['kind']} {thing['metadata']['name']} made"
        self.drill.lease.record_undo(Step(kind="object", what=what, arguments={"path": path}))
        self.drill.api.create(path.rpartition("/")[0], thing)
        return self.drill.timeline.add(f"{thing['kind']} made", thing["metadata"]["name"]).seconds

    def _snapshot(self) -> bool:
        namespace, api = self.database.namespace, self.drill.api
        path = SNAPSHOT.path(namespace, self.name)
        began = self._make(path, manifests.snapshot(self.database, self.name))

        def ready() -> bool:
            return bool(((api.get(path) or {}).get("status") or {}).get("readyToUse"))

        if not self.drill.wait_until(ready, self.timeout, EVERY_SECONDS):
            self._stopped(path)
            return False
        status = (api.get(path) or {"status": {}})["status"]
        content = api.get(SNAPSHOT_CONTENT.path(name=status.get("boundVolumeSnapshotContentName", ""))) or {}
        self.told["handle"] = (content.get("status") or {}).get("snapshotHandle", "")
        self.told["snapshot_seconds"] = self.drill.timeline.add("ready to use", self.told["handle"]).seconds - began
        return True

    def _restore(self) -> bool:
        namespace, name = self.database.namespace, self.name
        path = VOLUME_CLAIM.path(namespace, name)
        began = self._make(path, manifests.claim(self.database, name))
        self._make_pod(name)
        volume = self._in_place(name, began, "restored")
        if volume is None:
            return False
        self.told["restored"], self.told["copy"] = volume, self._copy(volume)
        self.told["restore_seconds"] = self.drill.timeline.seconds - began
        return True

    def _make_pod(self, name: str) -> None:
        seconds = int(STEPS * self.timeout) + SPARE_SECONDS
        self._make(
            POD.path(self.database.namespace, name),
            manifests.pod(self.database, name, claimed=self.name, seconds=seconds),
        )

    def _copy(self, volume: Volume) -> Copy:
        """Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Volume.html"""
        try:
            (found,) = self.drill.target.aws("ec2").describe_volumes(VolumeIds=[volume.handle])["Volumes"]
        except (ClientError, BotoCoreError) as problem:
            return Copy(why_unknown=f"EC2 does not say what {volume.handle} was made of: {reason(problem)}")
        return Copy(snapshot=found.get("SnapshotId") or "", zone=found["AvailabilityZone"])

    def _follow(self) -> None:
        api, namespace = self.drill.api, self.database.namespace
        subject = f"database {self.database.name}" if self.move else f"the copy of {self.database.name}'s volume"
        before = see(api, namespace, self.database.volume.claim if self.move else self.name)
        self.told |= {"subject": subject, "before": before}
        if before is None:
            before = self.told["before"] = self.database.volume if self.move else self.told["restored"]
        path = NODE.path(name=before.node)
        self.drill.lease.record_undo(cordoned(path))
        api.merge(path, {"spec": {"unschedulable": True}})
        began = self.drill.timeline.add("node closed", f"{before.node} in {before.zone}").seconds
        api.delete(POD.path(namespace, before.pod))
        self.drill.timeline.add("pod ended", before.pod)
        if not self.move:
            self._make_pod(f"{self.name}-moved")
        moved = self._in_place(before.claim, began, "followed", elsewhere=before.node)
        if moved is not None:
            self.told["moved"] = moved
            self.told["move_seconds"] = self.drill.timeline.seconds - began

    def _in_place(self, claim: str, began: float, what: str, elsewhere: str = "") -> Volume | None:
        """The volume where it is attached under its running pod; None where it is not in time.

        ``began``: when the step did, in the drill's seconds. ``elsewhere``: node that it must not be on.
        """
        found: Volume | None = None

        def there() -> bool:
            nonlocal found
            found = see(self.drill.api, self.database.namespace, claim)
            return found is not None and found.in_place and found.node != elsewhere

        left = max(1.0, self.timeout - (self.drill.timeline.seconds - began))
        if self.drill.wait_until(there, left, EVERY_SECONDS) and found is not None:
            self.drill.timeline.add(what, f"{found.handle} on {found.node} in {found.zone}")
            return found
        self._stopped(VOLUME_CLAIM.path(self.database.namespace, claim), claim)
        return None

    def _stopped(self, path: str, claim: str = "") -> None:
        """What Karpenter, the scheduler or the driver said last, about the pod, its NodeClaim or the thing itself."""
        api, namespace = self.drill.api, self.database.namespace
        about = next(users(api, namespace, claim), None) if claim else None
        said = ""
        if about is not None:
            uid = about["metadata"]["uid"]
            said = words(api, uid, nominated(api, uid, namespace), namespace)
        thing = api.get(path)
        if not said and thing is not None:
            said = words(api, thing["metadata"]["uid"], (), namespace)
        self.told["words"] = said
        self.drill.timeline.add("stopped", said or "nobody says why")
