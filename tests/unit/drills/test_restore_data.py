"""The restore-data drill on a cluster in memory: where it does not begin, what it makes and what it says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.restore_data import manifests
from otel_on_spot.drills.restore_data.run import RestoreData
from otel_on_spot.drills.restore_data.verdicts import Copy, Restore, verdicts
from otel_on_spot.drills.restore_data.volumes import Database, Volume, choose, see, zone_of
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.drills.undo import Step, cordoned, take_back
from otel_on_spot.kubernetes.names import (
    APP_NAME,
    EBS_DRIVER,
    EBS_ZONE,
    NODE,
    PERSISTENT_VOLUME,
    POD,
    SNAPSHOT_CLASS,
    SNAPSHOT_CONTENT,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_CLAIM,
    ZONE,
)
from otel_on_spot.report import Report
from tests.unit.drills.cluster import Cluster

SPACE = "otel-demo"


def add_volume(there: Cluster, claim: str, pod: str, node: str, **about: Any) -> None:
    """A bound claim, its volume, the pod that runs on it, and the attachment."""
    there.front.add(
        VOLUME_CLAIM,
        claim,
        spec={"storageClassName": "gp3", "volumeName": f"pv-{claim}", "resources": {"requests": {"storage": "10Gi"}}},
        status={"phase": "Bound"},
        **about,
    )
    in_zone = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["eu-west-1a"]}]}
    spec = {
        "csi": {"driver": EBS_DRIVER, "volumeHandle": f"vol-{claim}"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [in_zone]}},
    }
    there.front.add(PERSISTENT_VOLUME, f"pv-{claim}", spec=spec)
    run(there, claim, pod, node)


def run(there: Cluster, claim: str, pod: str, node: str) -> None:
    before = {("Pod", pod), ("VolumeAttachment", f"at-{claim}")}
    there.front.objects = [
        each for each in there.front.objects if (each["kind"], each["metadata"]["name"]) not in before
    ]
    mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    there.front.add(
        POD,
        pod,
        spec={"nodeName": node, "volumes": mounted, "nodeSelector": {"pool": "data"}},
        status={"phase": "Running"},
    )
    attached = {"attacher": EBS_DRIVER, "nodeName": node, "source": {"persistentVolumeName": f"pv-{claim}"}}
    there.front.add(VOLUME_ATTACHMENT, f"at-{claim}", spec=attached, status={"attached": True})


@pytest.fixture
def stored(there: Cluster) -> Cluster:
    """The cluster with a database on a volume."""
    for letter in "ab":
        labels = {ZONE: "eu-west-1a"}
        there.front.add(NODE, f"node-{letter}", metadata={"labels": labels}, spec={})
    add_volume(
        there,
        "postgresql-data",
        "postgresql-1",
        "node-a",
        metadata={"labels": {"app.kubernetes.io/name": "postgresql"}},
    )
    there.front.add(STORAGE_CLASS, "gp3", reclaimPolicy="Delete")
    there.front.add(SNAPSHOT_CLASS, "ebs", driver=EBS_DRIVER, deletionPolicy="Delete")
    return there


def chosen(stored: Cluster) -> Database:
    return choose(stored.api, SPACE, "postgresql")


def test_a_database_is_chosen_with_its_volume_and_its_pods_placement(stored: Cluster) -> None:
    found = chosen(stored)
    assert found.volume == Volume(
        claim="postgresql-data",
        name="pv-postgresql-data",
        handle="vol-postgresql-data",
        zone="eu-west-1a",
        pod="postgresql-1",
        node="node-a",
        node_zone="eu-west-1a",
        attached=("node-a",),
    )
    made = manifests.pod(found, "p", claimed="c", seconds=9)["spec"]
    assert (made["nodeSelector"], made["activeDeadlineSeconds"]) == ({"pool": "data"}, 9)
    assert manifests.claim(found, "s")["spec"]["dataSource"]["name"] == "s"


def without(kind: str) -> Callable[[Cluster], None]:
    def take(stored: Cluster) -> None:
        stored.front.objects = [each for each in stored.front.objects if each["kind"] != kind]

    return take


def unserved(stored: Cluster) -> None:
    stored.front.unserved.add(SNAPSHOT_CLASS.version)


def retained(kind: str, field: str) -> Callable[[Cluster], None]:
    def change(stored: Cluster) -> None:
        next(each for each in stored.front.objects if each["kind"] == kind)[field] = "Retain"

    return change


def of_another_driver(stored: Cluster) -> None:
    stored.front.find("PersistentVolume", "pv-postgresql-data")["spec"]["csi"]["driver"] = "efs.csi.aws.com"


def renamed(stored: Cluster) -> None:
    stored.front.find("PersistentVolumeClaim", "postgresql-data")["metadata"]["labels"][APP_NAME] = "cart"


def pending(stored: Cluster) -> None:
    stored.front.find("Pod", "postgresql-1")["status"]["phase"] = "Pending"


def detached(stored: Cluster) -> None:
    stored.front.find("VolumeAttachment", "at-postgresql-data")["spec"]["nodeName"] = "node-b"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, "no pod uses a volume of that name. Databases with a volume: cart"),
        (without("PersistentVolumeClaim"), "there is no volume of a database in namespace otel-demo"),
        (without("Pod"), "no pod uses a volume of that name. Databases with a volume: postgresql"),
        (pending, "its pod does not run on its volume"),
        (detached, "its pod does not run on its volume"),
        (of_another_driver, f"is not of {EBS_DRIVER}"),
        (
            retained("StorageClass", "reclaimPolicy"),
            "the copy that the drill restores would stay in the account, billed",
        ),
        (retained("VolumeSnapshotClass", "deletionPolicy"), "ebs (Retain). The drill's snapshot would stay"),
        (without("VolumeSnapshotClass"), f"VolumeSnapshotClasses of {EBS_DRIVER}: none"),
        (unserved, "Set persistence.backup"),
    ],
)
def test_it_does_not_begin_where_it_would_fail_or_leave_something_behind(
    stored: Cluster, change: Callable[[Cluster], None], said: str
) -> None:
    change(stored)
    with pytest.raises(DrillRefusedError) as refused:
        chosen(stored)
    assert said in str(refused.value)
    assert stored.front.writes == []


@pytest.mark.parametrize(
    ("expressions", "zone"),
    [
        ([{"key": EBS_ZONE, "operator": "In", "values": ["eu-west-1c"]}], "eu-west-1c"),
        ([{"key": ZONE, "operator": "In", "values": ["eu-west-1a", "eu-west-1b"]}], ""),
        ([], ""),
    ],
)
def test_the_zone_of_a_volume_is_read_by_either_label(expressions: list[Any], zone: str) -> None:
    terms = [{"matchExpressions": expressions}]
    assert zone_of({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}) == zone


class Lease:
    """What is to be taken back, in memory."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def record_undo(self, step: Step) -> None:
        self.steps.append(step)


class Rehearsal(Drill):
    """A drill that lets the cluster go on at each wait, and waits for nothing."""

    def wait_until(self, predicate: Callable[[], bool], seconds: float, every: float = 0.5) -> bool:
        target = cast("Any", self.target)
        if target.waits == target.ended_at:
            raise KeyboardInterrupt
        target.waits += 1
        goes_on(target.stored)
        return predicate()


class Told:
    """A platform whose EC2 says what a volume was made of."""

    def __init__(self, stored: Cluster, snapshot: str = "snap-1") -> None:
        self.stored, self.snapshot = stored, snapshot
        self.waits, self.ended_at = 0, -1
        self.declared, self.notes = stored.target.declared, ()

    def aws(self, service: str) -> Any:
        assert service == "ec2"
        return self

    def describe_volumes(self, VolumeIds: list[str]) -> Any:  # noqa: N803
        if not self.snapshot:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeVolumes")
        return {"Volumes": [{"VolumeId": VolumeIds[0], "SnapshotId": self.snapshot, "AvailabilityZone": "eu-west-1a"}]}


def goes_on(stored: Cluster) -> None:
    """What the controllers do: snapshots turn ready, claims are bound, pods run on the first node that is open."""
    for snapshot in [each for each in stored.front.objects if each["kind"] == "VolumeSnapshot"]:
        snapshot["status"] = {"readyToUse": True, "boundVolumeSnapshotContentName": "content"}
        stored.front.add(SNAPSHOT_CONTENT, "content", spec={}, status={"snapshotHandle": "snap-1"})
    names = [f"node-{letter}" for letter in "ab"]
    free = [name for name in names if not stored.front.find("Node", name)["spec"].get("unschedulable")]
    for pod in [each for each in stored.front.objects if each["kind"] == "Pod" and not each.get("status")]:
        claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        made = stored.front.find("PersistentVolumeClaim", claim)
        if made.get("status"):
            run(stored, claim, pod["metadata"]["name"], free[0])
        else:
            stored.front.objects.remove(made)
            add_volume(stored, claim, pod["metadata"]["name"], free[0])
    if not any(
        each["kind"] == "Pod" and each["metadata"]["name"].startswith("postgresql") for each in stored.front.objects
    ):
        run(stored, "postgresql-data", "postgresql-2", free[0])


def rehearsal(stored: Cluster, told: Told, lease: Lease) -> Rehearsal:
    return Rehearsal(
        name="restore-data",
        target=cast("Any", told),
        api=stored.api,
        lease=cast("Any", lease),
        timeline=Timeline(),
    )


def rehearsed(stored: Cluster, *, move: bool = False, snapshot: str = "snap-1") -> tuple[Report, list[Step]]:
    lease = Lease()
    drill = rehearsal(stored, Told(stored, snapshot), lease)
    return RestoreData(drill, chosen(stored), 1.0, move=move).run(), lease.steps


def lines(report: Report) -> dict[str, str]:
    return {verdict.id: verdict.status for verdict in report.verdicts}


@pytest.mark.parametrize(("move", "moved"), [(False, "drill-restore-data-"), (True, "postgresql-data")])
def test_the_copy_or_the_database_moves_and_every_change_is_written_down_first(
    stored: Cluster, move: bool, moved: str
) -> None:
    report, steps = rehearsed(stored, move=move)
    assert lines(report) == dict.fromkeys(("snapshot", "restored", "source", "followed"), "ok")
    assert report.exit_code == 0
    kinds = ["VolumeSnapshot", "PersistentVolumeClaim", "Pod", "node", *([] if move else ["Pod"])]
    assert [step.what.split()[0] for step in steps] == kinds
    ended = [path.rpartition("/")[2] for verb, path, _ in stored.front.writes if verb == "DELETE"]
    assert ended == (["postgresql-1"] if move else [steps[0].what.split()[1]])
    followed = next(moment.detail for moment in report.moments if moment.what == "followed")
    assert followed.startswith(f"vol-{moved}")
    for step in reversed(steps):
        take_back(cast("Any", stored.target), stored.api, step)
    assert "unschedulable" not in stored.front.find("Node", "node-a")["spec"]
    left = [each["metadata"]["name"] for each in stored.front.objects if "drill-restore" in each["metadata"]["name"]]
    assert {name.removeprefix("pv-").removeprefix("at-") for name in left} <= {steps[1].what.split()[1]}
    assert see(stored.api, SPACE, "postgresql-data") is not None


@pytest.mark.parametrize("move", [False, True], ids=["the copy", "the database"])
@pytest.mark.parametrize("waits", [0, 1, 2], ids=["snapshot", "restore", "move"])
def test_ctrl_c_at_any_wait_leaves_nothing_behind(stored: Cluster, waits: int, move: bool) -> None:
    told, lease = Told(stored), Lease()
    told.ended_at = waits
    with pytest.raises(KeyboardInterrupt):
        RestoreData(rehearsal(stored, told, lease), chosen(stored), 1.0, move=move).run()
    assert (told.waits, len(lease.steps)) == (waits, [1, 3, 4 if move else 5][waits])
    for step in reversed(lease.steps):
        take_back(cast("Any", stored.target), stored.api, step)

    made = ("VolumeSnapshot", "PersistentVolumeClaim", "Pod")
    left = [each["metadata"]["name"] for each in stored.front.objects if each["kind"] in made]
    assert [name for name in left if "drill" in name] == []
    assert not [each for each in stored.front.objects if (each.get("spec") or {}).get("unschedulable")]
    goes_on(stored)
    assert see(stored.api, SPACE, "postgresql-data") is not None


def test_a_pod_that_comes_back_on_its_node_has_not_followed(stored: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    node = stored.front.find("Node", "node-a")
    monkeypatch.setattr(stored.front, "meddle", lambda *_: node["spec"].pop("unschedulable", None) and None)
    assert lines(rehearsed(stored)[0])["followed"] == "found"


@pytest.mark.parametrize(("snapshot", "status"), [("snap-0", "found"), ("", "unknown")])
def test_a_volume_that_was_made_of_something_else_is_found(stored: Cluster, snapshot: str, status: str) -> None:
    report, _ = rehearsed(stored, snapshot=snapshot)
    assert lines(report)["source"] == status


def test_a_closed_node_is_opened_again_and_one_that_is_gone_is_no_failure(stored: Cluster) -> None:
    stored.front.find("Node", "node-a")["spec"]["unschedulable"] = True
    step = cordoned("/api/v1/nodes/node-a")
    assert take_back(stored.target, stored.api, step) == "takes pods again"
    assert "unschedulable" not in stored.front.find("Node", "node-a")["spec"]
    assert take_back(stored.target, stored.api, step) == "is not closed, or gone"
    assert take_back(stored.target, stored.api, cordoned("/api/v1/nodes/gone")) == "is not closed, or gone"


BEFORE = Volume(
    claim="c", name="pv", handle="vol-1", zone="z-a", pod="p", node="n-1", node_zone="z-a", attached=("n-1",)
)
SEEN = Restore(
    database="postgresql",
    namespace=SPACE,
    claim="c",
    timeout=30.0,
    snapshot_seconds=1.0,
    handle="snap-1",
    restore_seconds=2.0,
    restored=BEFORE,
    copy=Copy(snapshot="snap-1", zone="z-a"),
    subject="the copy",
    before=BEFORE,
    move_seconds=9.0,
    moved=replace(BEFORE, node="n-2", attached=("n-2",)),
)


@pytest.mark.parametrize(
    ("seen", "line", "said"),
    [
        (
            replace(SEEN, snapshot_seconds=None, restored=None, words="SnapshotFailed: no"),
            "snapshot",
            "the VolumeSnapshot is not ready to use after 30 s; SnapshotFailed: no",
        ),
        (
            replace(SEEN, restored=None, restore_seconds=None, words="ProvisioningFailed: no"),
            "restored",
            "no pod runs on the claim 30 s after it was made; ProvisioningFailed: no",
        ),
        (replace(SEEN, copy=Copy(snapshot="snap-1", zone="z-b")), "source", "made of snap-1 in z-b; its pod is in z-a"),
        (
            replace(SEEN, moved=None, move_seconds=None, words="no capacity in z-a"),
            "followed",
            "30 s after its node n-1 was closed no other node runs it in z-a, where its volume vol-1 is; "
            "no capacity in z-a",
        ),
    ],
)
def test_it_says_where_it_stopped_and_why(seen: Restore, line: str, said: str) -> None:
    judged = {verdict.id: verdict for verdict in verdicts(seen)}
    assert judged[line].status == "found"
    assert judged[line].findings[0].seen == said
    assert [found for found in judged if judged[found].status == "found"] == [line]
