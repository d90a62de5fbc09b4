"""cluster-base: priority classes, the default storage class, read access to Karpenter."""

from typing import Any

import pytest

from tests.charts import helm
from tests.charts.demo_chart import REPOSITORY
from tests.charts.workloads import by_name

CHART = REPOSITORY / "gitops" / "charts" / "cluster-base"
# Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#priorityclass
HIGHEST_USER_PRIORITY = 1_000_000_000


def objects(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return helm.render(CHART, release="cluster-base", namespace="cluster-base", values=values or {})


def test_a_database_outranks_a_stateless_pod_and_the_platform_outranks_both():
    values = {name: one["value"] for name, one in by_name(objects(), "PriorityClass").items()}

    assert values["stateless"] < values["stateful"] < values["platform-critical"] <= HIGHEST_USER_PRIORITY


def test_a_pod_that_names_no_class_is_stateless_and_pushes_nobody_out():
    classes = by_name(objects(), "PriorityClass")

    assert [name for name, one in classes.items() if one["globalDefault"]] == ["stateless"]
    assert classes["stateless"]["preemptionPolicy"] == "Never"


def test_the_default_storage_class_is_encrypted_gp3_made_where_the_pod_was_scheduled():
    storage = by_name(objects(), "StorageClass")["gp3"]

    assert storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    assert storage["provisioner"] == "ebs.csi.aws.com"
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    assert storage["reclaimPolicy"] == "Delete"
    assert storage["parameters"]["type"] == "gp3"
    assert storage["parameters"]["encrypted"] == "true"


def test_a_volume_carries_the_names_of_its_cluster_and_environment():
    values = {
        "global": {"clusterMetadata": {"clusterName": "blue", "environment": "prod"}},
        "storageClass": {"tags": {"team": "a"}},
    }

    parameters = by_name(objects(values), "StorageClass")["gp3"]["parameters"]

    tags = {value for key, value in parameters.items() if key.startswith("tagSpecification_")}
    assert tags == {"cluster=blue", "environment=prod", "team=a"}


def test_a_key_of_volumes_is_in_the_class_which_is_made_anew_for_it_alone():
    key = "arn:aws:kms:eu-west-1:123456789012:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
    found, without = (
        by_name(objects(values), "StorageClass")["gp3"] for values in ({"storageClass": {"kmsKeyId": key}}, {})
    )
    assert found["parameters"]["kmsKeyId"] == key
    assert found["parameters"]["encrypted"] == "true"
    assert found["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "Force=true,Replace=true"
    assert "kmsKeyId" not in without["parameters"]
    assert "argocd.argoproj.io/sync-options" not in without["metadata"]["annotations"]


def test_whoever_may_view_may_see_why_karpenter_did_not_launch_a_node():
    role = by_name(objects(), "ClusterRole")["karpenter-view"]

    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"storageClass": {"encrypted": False}}, "encrypted"),
        ({"storageClass": {"tags": {"aws:x": "y"}}}, "aws:x"),
        ({"priorityClasses": {"stateful": {"value": 2_000_000_000}}}, "value"),
        ({"priorityClasses": {"system-mine": {"value": 1, "description": "x"}}}, "system-mine"),
        ({"priorityClasses": {"stateful": {"globalDefault": True}}}, "globalDefault"),
        ({"storageclass": {}}, "storageclass"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(fault, named):
    with pytest.raises(helm.HelmError, match=named):
        objects(fault)


def test_the_class_of_snapshots_is_there_with_the_backup_alone_and_a_snapshot_takes_its_copy_along():
    found = by_name(objects({"volumeSnapshotClass": {"enabled": True}}), "VolumeSnapshotClass")

    assert by_name(objects(), "VolumeSnapshotClass") == {}
    assert found["ebs"]["driver"] == "ebs.csi.aws.com"
    assert found["ebs"]["deletionPolicy"] == "Delete"
