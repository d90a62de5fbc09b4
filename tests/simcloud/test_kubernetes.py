"""The simulated API server: kinds, namespaces, field owners, finalizers and who serves them."""

import pytest

from otel_on_spot.kubernetes.names import CONFIG_MAP, NAMESPACE, NODE_CLASS, NODE_POOL, SECRET
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError
from tests.simcloud.conftest import Maker


def test_there_is_no_node_pool_without_its_crd(cluster: Maker) -> None:
    with pytest.raises(ApiError, match='no matches for kind "NodePool"'):
        cluster.object(NODE_POOL, "spot", spec={"weight": 1})
    cluster.chart("karpenter-crd")
    assert cluster.object(NODE_POOL, "spot", spec={"weight": 1}).id == "spot"


def test_an_object_needs_its_namespace(cluster: Maker) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        cluster.object(CONFIG_MAP, "a", "nowhere")


def test_a_namespace_takes_what_is_in_it_along(cluster: Maker) -> None:
    namespace = cluster.object(NAMESPACE, "demo")
    inside = cluster.object(CONFIG_MAP, "a", "demo")
    namespace.delete()
    assert inside.read() is None
    assert namespace.read() is None


def test_a_patch_makes_a_namespace_or_takes_over_one_that_is_there_and_leaves_it_when_it_goes(cluster: Maker) -> None:
    api = cluster.site.cloud.kubernetes(cluster.site.cluster)
    argo_cds = {"name": "there", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": argo_cds}, "argocd-controller")
    for name, labels in (("there", argo_cds["labels"]), ("new", None)):
        patch = cluster.make(
            "kubernetes:core/v1:NamespacePatch", name, apiVersion="v1", kind="Namespace", metadata={"name": name}
        )
        read = patch.read()
        assert (patch.id, read and read["metadata"].get("labels")) == (name, labels)
        patch.delete()
        left = api.get("v1", "Namespace", name)
        assert left is not None
        assert "deletionTimestamp" not in left["metadata"]


def test_a_field_that_somebody_else_owns_is_a_conflict_unless_forced(cluster: Maker) -> None:
    api = cluster.site.cloud.kubernetes(cluster.site.cluster)
    about = {"name": "aws-auth", "namespace": "kube-system"}
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"mapRoles": "theirs"}}, "eks")
    ours = {"mapRoles": "ours"}
    with pytest.raises(ApiError, match=r"Conflict.*data\.mapRoles"):
        cluster.object(CONFIG_MAP, "aws-auth", metadata=about, data=ours)
    forced = about | {"annotations": {"pulumi.com/patchForce": "true"}}
    assert cluster.object(CONFIG_MAP, "aws-auth", metadata=forced, data=ours).outputs["data"] == ours


def test_a_secret_is_kept_as_the_api_keeps_it_and_read_as_it_was_given(cluster: Maker) -> None:
    secret = cluster.object(SECRET, "token", stringData={"password": "hush"})
    kept = cluster.site.cloud.kubernetes(cluster.site.cluster).get("v1", "Secret", "token", "default")
    assert kept is not None
    assert kept["data"] == {"password": "aHVzaA=="}
    read = secret.read()
    assert read is not None
    assert read["stringData"] == {"password": "hush"}


def test_a_node_class_whose_controller_is_gone_hangs_until_the_timeout(cluster: Maker) -> None:
    cluster.chart("karpenter-crd")
    node_class = cluster.object(NODE_CLASS, "default", spec={})
    with pytest.raises(
        ApiError, match="Timeout: deletion of EC2NodeClass default: the karpenter release is not installed"
    ):
        node_class.delete(timeout=0.1)
    assert node_class.read() is not None


def test_crds_that_go_take_their_objects_along(cluster: Maker) -> None:
    crds = cluster.chart("karpenter-crd")
    made = cluster.object(NODE_POOL, "spot", spec={"weight": 1})
    crds.delete()
    assert made.read() is None


def test_a_release_waits_for_nodes_and_leaves_nothing_where_there_are_none(cluster: Maker) -> None:
    with pytest.raises(ApiError, match="waiting for a node of a managed node group"):
        cluster.chart("argo-cd", name="argocd", atomic=True, timeout=1)
    assert cluster.site.cloud.tables.all("releases", f"{cluster.site.cluster}|") == {}


def test_karpenter_without_its_crds_panics(cluster: Maker) -> None:
    with pytest.raises(ApiError, match="the controller panics, its CRDs are missing: NodePool"):
        cluster.chart("karpenter", values={})


def test_nobody_answers_where_there_is_no_cluster(cluster: Maker) -> None:
    made = cluster.object(CONFIG_MAP, "a")
    cluster.site.cloud.tables.remove("clusters", cluster.site.cluster)
    with pytest.raises(ApiError, match="unreachable"):
        made.delete()


def test_what_is_gone_cannot_be_deleted_twice_but_the_provider_is_content(cluster: Maker) -> None:
    made = cluster.object(CONFIG_MAP, "a")
    api = cluster.site.cloud.kubernetes(cluster.site.cluster)
    made.delete()
    made.delete()
    with pytest.raises(NotFoundError):
        api.delete({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}})
