"""The app-of-apps: children in waves, cascading deletion, nothing that a child is not meant to get."""

from typing import Any

import pytest
import yaml

from infra import demo_chart
from tests.charts.demo_chart import ENVIRONMENTS, REPOSITORY, Wrapper
from tests.charts.footprint import CLUSTER_METADATA, ROOT_VALUES, child_objects, children_footprint, root_objects
from tests.charts.helm import HelmError

FINALIZER = "resources-finalizer.argocd.argoproj.io"


def applications(overrides: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    return {root_object["metadata"]["name"]: root_object for root_object in root_objects(overrides)}


def wave(application: dict[str, Any]) -> int:
    return int(application["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])


def child(name: str, **keys: object) -> dict[str, Any]:
    return {"applications": {name: keys}}


def test_the_root_renders_applications_and_nothing_else():
    assert {(root_object["apiVersion"], root_object["kind"]) for root_object in root_objects()} == {
        ("argoproj.io/v1alpha1", "Application")
    }
    assert {root_object["metadata"]["namespace"] for root_object in root_objects()} == {"argocd"}


def test_every_child_is_deleted_with_what_it_deployed():
    assert all(root_object["metadata"]["finalizers"] == [FINALIZER] for root_object in root_objects())


def test_what_others_rely_on_comes_in_an_earlier_wave():
    children = applications()

    assert wave(children["cluster-base"]) < wave(children["otel-demo"])


def test_a_child_heals_itself_prunes_and_tries_again_with_a_growing_pause():
    for application in root_objects():
        policy = application["spec"]["syncPolicy"]

        assert policy["automated"] == {"prune": True, "selfHeal": True}
        assert policy["retry"] == {
            "limit": 5,
            "refresh": True,
            "backoff": {"duration": "5s", "factor": 2, "maxDuration": "1m"},
        }


def test_a_child_is_read_from_the_repository_revision_and_project_of_the_root():
    for application in root_objects():
        spec = application["spec"]

        assert spec["project"] == ROOT_VALUES["project"]
        assert spec["source"]["repoURL"] == ROOT_VALUES["repoURL"]
        assert spec["source"]["targetRevision"] == ROOT_VALUES["targetRevision"]
        assert spec["destination"]["server"] == ROOT_VALUES["destinationServer"]
        assert (REPOSITORY / spec["source"]["path"] / "Chart.yaml").is_file()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environment_of_the_bridge_chooses_the_values_file(environment):
    for application in root_objects({"clusterMetadata": {"environment": environment}}):
        source = application["spec"]["source"]["helm"]

        assert source["valueFiles"] == [f"values-{environment}.yaml"]
        assert source["ignoreMissingValueFiles"] is True


def test_a_variant_lays_its_two_files_over_the_environments():
    varied = applications(child("otel-demo", variant="chart-0.41"))

    assert varied["otel-demo"]["spec"]["source"]["helm"]["valueFiles"] == [
        *demo_chart.value_files("dev", "chart-0.41")[1:]
    ]
    assert varied["cluster-base"]["spec"]["source"]["helm"]["valueFiles"] == ["values-dev.yaml"]


def test_a_child_gets_the_bridge_values_that_it_lists_and_no_others():
    children = applications()
    base = yaml.safe_load(children["cluster-base"]["spec"]["source"]["helm"]["values"])
    demo = yaml.safe_load(children["otel-demo"]["spec"]["source"]["helm"]["values"])

    assert base == {
        "global": {"clusterMetadata": {key: CLUSTER_METADATA[key] for key in ("clusterName", "environment")}}
    }
    assert demo == {
        "global": {"clusterMetadata": {key: CLUSTER_METADATA[key] for key in ("clusterName", "environment", "region")}}
    }


def test_a_child_that_lists_no_bridge_value_gets_none():
    added = applications(child("extra", path="gitops/charts/extra", namespace="extra"))["extra"]

    assert not {"values", "valuesObject"} & set(added["spec"]["source"]["helm"])


def test_the_demo_namespace_enforces_baseline_and_its_pods_wait_for_their_load_balancer():
    labels = applications()["otel-demo"]["spec"]["syncPolicy"]["managedNamespaceMetadata"]["labels"]

    assert labels == {
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled",
    }


def test_the_root_may_override_add_and_switch_off_children():
    overrides = {
        "applications": {
            "cluster-base": {"enabled": False},
            "otel-demo": {"wave": 7, "values": {"disruptionBudgets": {"maxUnavailable": 2}}},
            "extra": {"path": "gitops/charts/extra", "namespace": "extra"},
        }
    }

    children = applications(overrides)

    assert set(children) == {"otel-demo", "extra"}
    assert wave(children["otel-demo"]) == 7
    values = yaml.safe_load(children["otel-demo"]["spec"]["source"]["helm"]["values"])
    assert values["disruptionBudgets"] == {"maxUnavailable": 2}
    assert values["global"]["clusterMetadata"]["environment"] == CLUSTER_METADATA["environment"]


def test_fifty_applications_given_in_values_all_become_children():
    extra = {
        f"team-{n}": {"path": "gitops/charts/cluster-base", "namespace": f"team-{n}", "wave": n} for n in range(48)
    }

    children = applications({"applications": extra})

    assert len(children) == 50
    assert [wave(children[f"team-{n}"]) for n in range(48)] == list(range(48))


CHART = {
    "repoURL": "https://charts.example.com",
    "chart": "cert-manager",
    "targetRevision": "v1.18.2",
    "namespace": "cert-manager",
}


def test_a_chart_of_another_repository_becomes_a_child_with_its_version_and_values():
    added = applications(child("cert-manager", **CHART, values={"crds": {"enabled": True}}))["cert-manager"]

    assert added["spec"]["source"] == {
        "repoURL": "https://charts.example.com",
        "chart": "cert-manager",
        "targetRevision": "v1.18.2",
        "helm": {"releaseName": "cert-manager", "values": "crds:\n  enabled: true\n"},
    }


SOURCES = [
    {key: CHART[key] for key in ("repoURL", "chart", "targetRevision")}
    | {"valueFiles": ["$values/gitops/values/cert-manager.yaml"], "values": {"crds": {"enabled": True}}},
    {"ref": "values"},
    {"path": "gitops/issuers"},
]


def test_a_chart_takes_values_files_of_this_repository_at_the_roots_commit():
    spec = applications(child("cert-manager", namespace="cert-manager", sources=SOURCES))["cert-manager"]["spec"]
    here = {key: ROOT_VALUES[key] for key in ("repoURL", "targetRevision")}

    assert "source" not in spec
    assert spec["sources"] == [
        {
            **{key: CHART[key] for key in ("repoURL", "chart", "targetRevision")},
            "helm": {
                "releaseName": "cert-manager",
                "valueFiles": ["$values/gitops/values/cert-manager.yaml"],
                "values": "crds:\n  enabled: true\n",
            },
        },
        here | {"ref": "values"},
        here | {"path": "gitops/issuers"},
    ]


@pytest.mark.parametrize("kind", ["Kustomize", "Directory"])
def test_a_folder_of_this_repository_that_is_no_chart_is_left_for_argo_cd_to_look_at(kind):
    added = child("team", path="gitops/team", namespace="team", sourceType=kind)
    here = {key: ROOT_VALUES[key] for key in ("repoURL", "targetRevision")}

    assert applications(added)["team"]["spec"]["source"] == here | {"path": "gitops/team"}


def test_a_folder_of_another_repository_need_not_be_a_chart():
    elsewhere = {"repoURL": "https://example.com/team.git", "targetRevision": "v1.0.0"}
    added = applications(child("team", path="deploy", namespace="team", **elsewhere))["team"]["spec"]["source"]

    assert added == elsewhere | {"path": "deploy"}


def test_a_child_leaves_alone_what_another_controller_owns_when_it_syncs_too():
    ignored = [{"group": "apps", "kind": "Deployment", "name": "frontend", "jsonPointers": ["/spec/replicas"]}]
    spec = applications(child("otel-demo", ignoreDifferences=ignored))["otel-demo"]["spec"]

    assert spec["ignoreDifferences"] == ignored
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]


def test_a_child_may_have_sync_options_of_its_own_beside_ours():
    spec = applications(child("otel-demo", syncOptions=["PruneLast=true", "ServerSideApply=true"]))["otel-demo"]["spec"]

    assert spec["syncPolicy"]["syncOptions"] == [
        "FailOnSharedResource=true",
        "CreateNamespace=true",
        "ServerSideApply=true",
        "PruneLast=true",
    ]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (child("extra", **CHART, path="a"), "extra"),
        (child("extra", **CHART, sources=SOURCES), "extra"),
        (child("extra", namespace="extra", sources=[]), "sources"),
        (child("extra", namespace="extra", sources=[{"ref": "values", "values": {"a": 1}}]), "extra"),
        (child("extra", namespace="extra", sources=[{**SOURCES[0], "ref": "chart"}]), "extra"),
        (child("extra", namespace="extra", sources=[{"path": "a", "repoURL": "https://a.io/b"}]), "targetRevision is"),
        (child("extra", namespace="extra", sources=[{**SOURCES[0], "valueFiles": ["$v/../a.yaml"]}]), "valueFiles"),
        (child("extra", namespace="extra", path="a", sourceType="Kustomise"), "sourceType"),
        (child("extra", **{**CHART, "repoURL": None}), "repoURL"),
        (child("extra", **{**CHART, "targetRevision": None}), "targetRevision"),
        (child("extra", repoURL="https://example.com/a.git", path="a", namespace="b"), "targetRevision is missing"),
        (child("otel-demo", ignoreDifferences=[{"kind": "Deployment"}]), "ignoreDifferences"),
        (child("otel-demo", syncOptions=["ServerSideApply"]), "syncOptions"),
        (child("otel-demo", wawe=1), "wawe"),
        (child("otel-demo", wave="one"), "wave"),
        (child("otel-demo", enabled="no"), "enabled"),
        (child("otel-demo", path="/etc"), "path"),
        (child("otel-demo", clusterMetadata=["secret"]), "clusterMetadata"),
        (child("extra", namespace="extra"), "path"),
        (child("extra", path="gitops/charts/extra"), "namespace"),
        (child("Extra_App", path="a", namespace="b"), "Extra_App"),
        (child("extra", path="a", namespace="b", podSecurity={"enforce": "baseline"}), "createNamespace"),
        (child("extra", path="a", namespace="b", namespaceLabels={"a": "b"}), "createNamespace"),
        (child("cluster-base", createNamespace=False, podSecurity={"enforce": "baseline"}), "createNamespace"),
        ({"clusterMetadata": {"environment": "Prod!"}}, "environment"),
        ({"project": "default"}, "project"),
        ({"repoURL": None}, "repoURL"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(fault, named):
    with pytest.raises(HelmError, match=named):
        root_objects(fault)


def test_the_children_put_nothing_cluster_wide_but_what_a_project_can_list(wrapper: Wrapper):
    footprint = children_footprint(wrapper)
    expected = {
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
    }

    assert footprint.cluster_kinds == expected if footprint.complete else footprint.cluster_kinds < expected
    assert footprint.namespaces == {"argocd", "cluster-base", "otel-demo"}
    assert footprint.repositories == {ROOT_VALUES["repoURL"]}


def test_a_child_puts_nothing_into_a_namespace_other_than_its_own(wrapper: Wrapper):
    for application in root_objects():
        own = application["spec"]["destination"]["namespace"]

        assert {
            child_object["metadata"].get("namespace", own) for child_object in child_objects(wrapper, application)
        } == {own}


def test_no_two_children_render_the_same_object(wrapper: Wrapper):
    rendered = [
        (
            child_object["apiVersion"],
            child_object["kind"],
            child_object["metadata"].get("namespace"),
            child_object["metadata"]["name"],
        )
        for application in root_objects()
        for child_object in child_objects(wrapper, application)
    ]

    assert len(rendered) == len(set(rendered))
