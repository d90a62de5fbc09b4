"""Volumes of the databases under the real scheduler, controller manager, Karpenter and Argo CD; in staging's shape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.simcloud.inventory import TABLES
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, until

DATABASES = ("kafka", "opensearch", "postgresql", "prometheus", "valkey-cart")
SPACE = "otel-demo"
ZONE = "topology.kubernetes.io/zone"
PERSISTENCE = {"enabled": True, "backup": {"schedule": "0 3 * * *", "keep": 3}}


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of staging, which has persistence and backups."""
    made = Lab(tmp_path_factory.mktemp("staging"), "staging")
    try:
        found = made.up(boot_seconds=2.0, timeout_seconds=420.0)
        assert found["waits_for"] == [], "\n".join([*made.log_lines, *found["waits_for"]])
        yield made
    finally:
        made.down()


def data_nodes(lab: Lab) -> dict[str, Any]:
    nodes = lab.get("nodes")
    return {
        node["metadata"]["name"]: node
        for node in nodes
        if node["metadata"]["labels"].get("karpenter.sh/nodepool") == "data"
    }


def claim_of(lab: Lab, database: str) -> str:
    """Name of the claim that a database's running pod mounts; empty while there is none."""
    pods = lab.get("pods", namespace=SPACE, selector=f"opentelemetry.io/name={database}")
    return next(
        (
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
            for volume in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        ),
        "",
    )


def of_driver(lab: Lab, what: str, **asked: Any) -> list[dict[str, Any]]:
    """EBS volumes or snapshots that the driver made."""
    found = lab.aws("ec2", f"describe_{what}", **asked)[what.capitalize()]
    return [each for each in found if any(tag["Key"] == "ebs.csi.aws.com/cluster" for tag in each.get("Tags") or [])]


def nothing_of_the_drill(lab: Lab, spare: list[str]) -> bool:
    """Its snapshot, claim and pods are gone, its volume and EBS snapshot too; it holds no lease, and closed no node."""
    kinds = "pods,persistentvolumeclaims,volumesnapshots.snapshot.storage.k8s.io"
    left = lab.get(kinds, namespace=SPACE, selector="otel-on-spot/drill")
    copies = [volume for volume in of_driver(lab, "volumes") if volume.get("SnapshotId")]
    made = of_driver(lab, "snapshots", OwnerIds=["self"])
    closed = {node["metadata"]["name"] for node in lab.get("nodes") if node["spec"].get("unschedulable")} - set(spare)
    return not (left or copies or made or closed or lab.lease())


def attached(lab: Lab) -> dict[str, str]:
    """Node by PersistentVolume."""
    return {
        each["spec"]["source"]["persistentVolumeName"]: each["spec"]["nodeName"]
        for each in lab.get("volumeattachments")
        if (each.get("status") or {}).get("attached")
    }


def test_every_database_runs_on_a_volume_of_its_own_in_the_zone_of_its_node(staging: Lab) -> None:
    claims = {claim["metadata"]["name"]: claim for claim in staging.get("persistentvolumeclaims", namespace=SPACE)}
    assert set(claims) == {f"{database}-data" for database in DATABASES}
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in staging.get("nodes")}
    until("all are attached", lambda: len(attached(staging)) == len(DATABASES), 30)
    on = attached(staging)
    for claim in claims.values():
        assert claim["status"]["phase"] == "Bound"
        volume = staging.get("persistentvolume", claim["spec"]["volumeName"])
        (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        labels = nodes[on[volume["metadata"]["name"]]]
        assert term["matchExpressions"] == [{"key": ZONE, "operator": "In", "values": [labels[ZONE]]}]
        assert labels["karpenter.sh/nodepool"] == "data"


@pytest.fixture
def spare(staging: Lab) -> Iterator[list[str]]:
    """The data nodes beside postgresql's, closed: one that has room for it would do instead of a new one."""
    pods = staging.get("pods", namespace=SPACE, selector="opentelemetry.io/name=postgresql")
    spare = [name for name in data_nodes(staging) if name != pods[0]["spec"]["nodeName"]]
    if spare:
        staging.kubectl("cordon", *spare)
    yield spare
    for name in spare:
        staging.kubectl("uncordon", name, check=False)  # one that nothing needed is gone


def test_a_volume_is_restored_beside_its_database_and_follows_to_a_new_node_in_its_zone(
    staging: Lab, tmp_path: Path, spare: list[str]
) -> None:
    before = data_nodes(staging)
    seen = rehearse(staging, tmp_path, "restore-data", "--timeout", "90", keep="restore-data")
    assert seen.lines == dict.fromkeys(("snapshot", "restored", "source", "followed"), "ok"), seen.told
    (new,) = set(data_nodes(staging)) - set(before)
    zone = data_nodes(staging)[new]["metadata"]["labels"][ZONE]
    assert f"to {new} in {zone}" in seen.looked_at("followed")
    until("nothing of the drill is left", lambda: nothing_of_the_drill(staging, spare), 60)


def test_a_zone_without_capacity_is_told_and_the_database_is_back_on_its_volume(
    staging: Lab, tmp_path: Path, spare: list[str]
) -> None:
    with staging.short_of("on-demand"):
        options = ("--timeout", "20", "--move")
        seen = rehearse(staging, tmp_path, "restore-data", *options, keep="restore-data-no-capacity")
    assert seen.lines == {"snapshot": "ok", "restored": "ok", "source": "ok", "followed": "found"}, seen.told
    assert "no other node runs it in eu-west-1" in seen.said("followed")
    assert "InsufficientCapacityError" in seen.said("followed")
    until("postgresql is back", lambda: claim_of(staging, "postgresql") == "postgresql-data")
    until("nothing of the drill is left", lambda: nothing_of_the_drill(staging, spare), 60)


def backed_up(lab: Lab) -> dict[str, str]:
    """Age by VolumeSnapshot."""
    return {
        each["metadata"]["name"]: each["metadata"]["labels"].get("otel-on-spot/backup", "")
        for each in lab.get("volumesnapshots.snapshot.storage.k8s.io", namespace=SPACE)
        if each["status"]["readyToUse"]
    }


def test_a_backup_is_restored_by_one_line_and_a_teardown_leaves_its_snapshots_and_no_volume(staging: Lab) -> None:
    staging.kubectl("create", "job", "--from=cronjob/volume-backup", "backup-now", f"--namespace={SPACE}")
    staging.kubectl("wait", "--for=condition=complete", "--timeout=90s", "job/backup-now", f"--namespace={SPACE}")
    backups = backed_up(staging)
    assert sorted(backups.values()) == ["1"] * len(DATABASES)
    name = next(name for name in backups if name.startswith("postgresql-data-"))
    staging.apply(persistence={**PERSISTENCE, "volumes": {"postgresql": {"restoreFrom": name}}})
    until("postgresql runs on the restored volume", lambda: claim_of(staging, "postgresql") == name, 120)
    assert staging.get("persistentvolumeclaim", "postgresql-data", SPACE)["status"]["phase"] == "Bound"

    assert [resource for resource in staging.ask("destroy") if resource[0] not in TABLES] == []
    until("no volume is left", lambda: staging.aws("ec2", "describe_volumes")["Volumes"] == [], 30)
    assert len(of_driver(staging, "snapshots", OwnerIds=["self"])) == len(DATABASES)
