"""Children of the app-of-apps, judged before the first resource: keys, sources, destinations, what the root gets."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from infra import demo_chart
from infra.app_of_apps import AppOfAppsArgs, project_spec, root_spec
from infra.ingress import NAME as APPLICATION_OF_LOAD_BALANCERS
from infra.settings import children, models, parse
from infra.settings.children import BUILT_IN, LABELLED
from infra.settings.ingress import OWN_CHILD
from infra.settings.loader import SECRET_KEYS, model_within
from otel_on_spot.plan.record import record
from otel_on_spot.program.stack_file import SECRET_PLACEHOLDER
from otel_on_spot.program.values import Secret, masked, revealed
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import ROOT, committed, keys_of

CHART = {
    "repoURL": "https://charts.example.com",
    "chart": "cert-manager",
    "targetRevision": "v1.18.2",
    "namespace": "cert-manager",
}
ADMITTED = {"sourceRepositories": ["https://charts.example.com"], "namespaces": ["cert-manager", "team"]}
GIT = {"repoURL": "https://example.com/team.git", "path": "deploy", "targetRevision": "v1.0.0", "namespace": "team"}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n"


def with_gitops(stack: str = "dev", **keys: Any) -> dict[str, Any]:
    raw = committed(stack)
    return raw | {"gitops": raw["gitops"] | keys}


def with_child(name: str, child: dict[str, Any], stack: str = "dev", **gitops: Any) -> dict[str, Any]:
    return with_gitops(stack, applications={name: child}, **(ADMITTED | gitops))


def admitting(child: dict[str, Any]) -> dict[str, Any]:
    """What else ``gitops`` says where a child's repository is admitted."""
    return {"sourceRepositories": [child["repoURL"]]} if "repoURL" in child else {}


@pytest.mark.parametrize(
    ("name", "child", "gitops", "key"),
    [
        ("otel-demo", {"enable": False}, {}, "enable"),
        ("otel-demo", {"enabled": "no"}, {}, "enabled"),
        ("otel-demo", {"enabled": "false"}, {}, "enabled"),
        ("otel-demo", {"wave": "1"}, {}, "wave"),
        ("otel-demo", {"path": "/etc"}, {}, "path"),
        ("otel-demo", {"path": "gitops//x"}, {}, "path"),
        ("otel-demo", {"namespace": "Shop"}, {}, "namespace"),
        ("otel-demo", {"namespace": "shop"}, {}, "namespace"),
        ("otel-demo", {"clusterMetadata": ["secret"]}, {}, "clusterMetadata[0]"),
        ("otel-demo", {"podSecurity": {"enforce": "strict"}}, {}, "podSecurity.enforce"),
        ("otel-demo", {"podSecurity": {"enforced": "baseline"}}, {}, "podSecurity.enforced"),
        ("otel-demo", {"createNamespace": False, "podSecurity": {"enforce": "baseline"}}, {}, "createNamespace"),
        ("otel-demo", {"createNamespace": False}, {}, "createNamespace"),
        ("otel-demo", {"values": []}, {}, "values"),
        ("otel-demo", {"chart": "opentelemetry-demo"}, {}, "chart"),
        ("otel-demo", {"syncOptions": ["ServerSideApply"]}, {}, "syncOptions[0]"),
        ("otel-demo", {"ignoreDifferences": [{"kind": "Deployment"}]}, {}, "ignoreDifferences[0]"),
        (
            "otel-demo",
            {"ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["spec.replicas"]}]},
            {},
            "ignoreDifferences[0].jsonPointers[0]",
        ),
        ("cert-manager", CHART | {"path": "charts/x"}, {}, "chart"),
        ("cert-manager", CHART | {"repoURL": "https://other.example.com"}, {}, "repoURL"),
        ("cert-manager", CHART | {"namespace": "elsewhere"}, {}, "namespace"),
        ("cert-manager", {key: CHART[key] for key in CHART if key != "namespace"}, {}, "namespace"),
        ("cert-manager", {key: CHART[key] for key in CHART if key != "targetRevision"}, {}, "targetRevision"),
        ("cert-manager", {key: CHART[key] for key in CHART if key != "repoURL"}, {}, "repoURL"),
        ("team", {"namespace": "team"}, {}, "path"),
        ("team", {"path": "a", "namespace": "team", "repoURL": "https://charts.example.com"}, {}, "targetRevision"),
        ("team", {"path": "a", "namespace": "team", "podSecurity": {"enforce": "baseline"}}, {}, "createNamespace"),
        ("cert-manager", CHART, {"sourceRepositories": []}, "repoURL"),
        ("platform", CHART, {}, ""),
        ("otel-demo", {"syncOptions": ["ServersideApply=true"]}, {}, "syncOptions"),
        ("otel-demo", {"syncOptions": ["ServerSideApply=True"]}, {}, "syncOptions"),
        ("otel-demo", {"syncOptions": ["PrunePropagationPolicy=later"]}, {}, "syncOptions"),
        ("otel-demo", {"syncOptions": ["CreateNamespace=false"]}, {}, "syncOptions"),
        (
            "otel-demo",
            {"ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]},
            {},
            "ignoreDifferences[0].group",
        ),
        (
            "otel-demo",
            {"ignoreDifferences": [{"group": "apps/v1", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]},
            {},
            "ignoreDifferences[0].group",
        ),
        ("cert-manager", CHART | {"variant": "large"}, {}, "variant"),
        ("team", GIT | {"variant": "large"}, {}, "variant"),
        ("team", GIT | {"targetRevision": "1.*"}, {}, "targetRevision"),
        ("team", GIT | {"path": "../x"}, {}, "path"),
        ("team", GIT | {"path": "gitops/../../x"}, {}, "path"),
        ("team", GIT | {"repoURL": "registry.example.com/x"}, {"sourceRepositories": []}, "repoURL"),
        ("cert-manager", CHART | {"repoURL": "oci://registry.example.com"}, {"sourceRepositories": []}, "repoURL"),
        ("cert-manager", CHART | {"repoURL": "git@github.com:a/b.git"}, {"sourceRepositories": []}, "repoURL"),
        ("team", GIT | {"repoURL": "https://me:sentinel@example.com/x"}, {"sourceRepositories": []}, "repoURL"),
    ],
)
def test_a_child_that_argo_cd_would_refuse_is_refused_with_its_key(
    name: str, child: dict[str, Any], gitops: dict[str, Any], key: str
) -> None:
    assert f"gitops.applications.{name}.{key}".rstrip(".") in keys_of(with_child(name, child, **gitops))


LENT: dict[str, Any] = {"ref": "values"}
OF_CHART: dict[str, Any] = {
    "repoURL": "https://charts.example.com",
    "chart": "cert-manager",
    "targetRevision": "v1.18.2",
    "valueFiles": ["$values/gitops/values/cert-manager.yaml"],
    "values": {"crds": {"enabled": True}},
}
OF_GIT: dict[str, Any] = {"repoURL": "https://example.com/team.git", "path": "deploy", "targetRevision": "v1.0.0"}


@pytest.mark.parametrize(
    ("sources", "key"),
    [
        ([OF_CHART, LENT], None),
        ([LENT, OF_CHART, {"path": "gitops/kustomize/issuers"}], None),
        ([OF_CHART | {"valueFiles": ["values-prod.yaml", "$values/a.yaml"]}, LENT | {"path": "gitops/issuers"}], None),
        ([OF_CHART | {"valueFiles": ["$team/a.yaml"]}, OF_GIT | {"ref": "team"}], None),
        ([OF_CHART, OF_GIT, LENT], None),
        ([], "sources"),
        ([LENT], "sources"),
        ([OF_CHART], "sources[0].valueFiles"),
        ([OF_CHART | {"valueFiles": ["$other/a.yaml"]}, LENT], "sources[0].valueFiles"),
        ([OF_CHART | {"valueFiles": ["$values/../a.yaml"]}, LENT], "sources[0].valueFiles"),
        ([OF_CHART | {"valueFiles": ["../a.yaml"]}, LENT], "sources[0].valueFiles"),
        ([OF_CHART | {"valueFiles": ["https://example.com/a.yaml"]}, LENT], "sources[0].valueFiles[0]"),
        ([OF_CHART | {"valueFiles": ["a/$values/b.yaml"]}, LENT], "sources[0].valueFiles[0]"),
        ([OF_CHART, LENT, LENT], "sources[2].ref"),
        ([OF_CHART, {"ref": "va.lues"}], "sources[1].ref"),
        ([OF_CHART | {"ref": "chart"}, LENT], "sources[0].ref"),
        ([OF_CHART, LENT | {"values": {"a": 1}}], "sources[1].values"),
        ([OF_CHART, LENT | {"valueFiles": ["a.yaml"]}], "sources[1].valueFiles"),
        ([OF_CHART, LENT, {}], "sources[2].path"),
        ([OF_CHART | {"path": "charts/x"}, LENT], "sources[0].chart"),
        ([OF_CHART | {"targetRevision": None}, LENT], "sources[0].targetRevision"),
        ([OF_CHART | {"repoURL": "https://other.example.com"}, LENT], "sources[0].repoURL"),
        ([OF_CHART, LENT | {"repoURL": "https://other.example.com/x", "targetRevision": "v1"}], "sources[1].repoURL"),
        ([OF_CHART, LENT | {"path": "../x"}], "sources[1].path"),
        ([OF_CHART, LENT, {"path": "gitops/x", "targetRevision": "v1"}], "sources[2].targetRevision"),
        ([OF_CHART, OF_GIT | {"targetRevision": "1.*"}, LENT], "sources[1].targetRevision"),
        ([OF_CHART, LENT, {"path": "a", "kustomize": {}}], "sources[2].kustomize"),
        ([OF_CHART | {"values": {"auth": {"password": "sentinel"}}}, LENT], "sources[0].values.auth.password"),
    ],
)
def test_several_sources_of_a_child_are_judged_each_and_together(
    sources: list[dict[str, Any]], key: str | None
) -> None:
    given = [{name: value for name, value in source.items() if value is not None} for source in sources]
    repositories = ["https://charts.example.com", "https://example.com/team.git"]
    raw = with_child("cert-manager", {"namespace": "cert-manager", "sources": given}, sourceRepositories=repositories)

    assert keys_of(raw) == ([] if key is None else [f"gitops.applications.cert-manager.{key}"])


@pytest.mark.parametrize(
    ("name", "child", "key"),
    [
        ("cert-manager", {"path": "a"}, "path"),
        ("cert-manager", {"chart": "a"}, "chart"),
        ("cert-manager", {"repoURL": "https://charts.example.com"}, "repoURL"),
        ("cert-manager", {"targetRevision": "v1.0.0"}, "targetRevision"),
        ("cert-manager", {"values": {"a": 1}}, "values"),
        ("cert-manager", {"variant": "large"}, "variant"),
        ("cert-manager", {"clusterMetadata": ["region"]}, "clusterMetadata"),
        ("cert-manager", {"sourceType": "Helm"}, "sourceType"),
        ("otel-demo", {"namespace": "otel-demo"}, "sources"),
    ],
)
def test_a_child_has_one_source_or_several(name: str, child: dict[str, Any], key: str) -> None:
    child = {"namespace": "cert-manager", "sources": [OF_CHART, LENT], **child}

    assert keys_of(with_child(name, child)) == [f"gitops.applications.{name}.{key}"]


def test_prod_pins_each_source() -> None:
    moving = [OF_CHART | {"targetRevision": "v1.*"}, LENT, OF_GIT | {"targetRevision": "main"}]
    raw = with_child(
        "cert-manager",
        {"namespace": "cert-manager", "sources": moving},
        stack="prod",
        sourceRepositories=["https://charts.example.com", "https://example.com/team.git"],
    )

    assert keys_of(raw) == [f"gitops.applications.cert-manager.sources[{index}].targetRevision" for index in (0, 2)]


@pytest.mark.parametrize(
    ("name", "child", "key"),
    [
        ("team", {"path": "gitops/team", "sourceType": "Kustomize"}, None),
        ("team", {"path": "gitops/team", "sourceType": "Directory"}, None),
        ("team", {"path": "gitops/team", "sourceType": "Kustomise"}, "sourceType"),
        ("team", {"path": "gitops/team", "sourceType": "Kustomize", "values": {"a": 1}}, "values"),
        ("team", {"path": "gitops/team", "sourceType": "Directory", "variant": "large"}, "variant"),
        ("team", {"path": "gitops/team", "sourceType": "Kustomize", "clusterMetadata": ["region"]}, "clusterMetadata"),
        ("team", GIT | {"sourceType": "Kustomize"}, "sourceType"),
        ("cluster-base", {"namespace": "cluster-base", "sourceType": "Kustomize"}, "sourceType"),
    ],
)
def test_a_folder_of_this_repository_may_be_a_kustomization(name: str, child: dict[str, Any], key: str | None) -> None:
    raw = with_child(name, {"namespace": "team", **child}, sourceRepositories=["https://example.com/team.git"])

    assert keys_of(raw) == ([] if key is None else [f"gitops.applications.{name}.{key}"])


def test_a_kustomization_that_would_be_rendered_as_a_chart_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team/kustomization.yaml").write_text("resources: []")
    monkeypatch.setattr("infra.settings.children.demo_chart.ROOT", tmp_path)

    assert [*problems("dev", gitops_of("team"))] == ["gitops.applications.team.sourceType"]
    (tmp_path / "team/Chart.yaml").touch()
    assert [*problems("dev", gitops_of("team"))] == []


def gitops_of(path: str) -> models.GitOps:
    child = {"namespace": "team", "path": path}
    return models.GitOps.model_validate(with_child("team", child)["gitops"])


def problems(environment: str, gitops: models.GitOps) -> list[str]:
    return [problem.key for problem in children.problems(environment, gitops)]


def levels(name: str, level: str, namespace: str = "team") -> dict[str, Any]:
    child = {"path": "gitops/x", "namespace": namespace, "createNamespace": True, "podSecurity": {"enforce": level}}
    return {name: child}


@pytest.mark.parametrize(
    ("applications", "key"),
    [
        (levels("a", "baseline") | levels("b", "restricted"), "b.podSecurity"),
        (levels("a", "baseline") | levels("b", "baseline"), None),
        (levels("a", "baseline") | {"b": {"path": "gitops/x", "namespace": "team"}}, None),
        (levels("a", "baseline") | {"b": levels("b", "restricted")["b"] | {"enabled": False}}, None),
        (levels("a", "restricted", "argocd"), "a.podSecurity"),
        (levels("a", "restricted", "otel-demo"), "a.podSecurity"),
        (levels("a", "restricted", "kube-system"), "a.podSecurity"),
        (levels("a", "restricted", "otel-demo") | {"otel-demo": {"enabled": False}}, None),
        (
            {"a": {"path": "x", "namespace": "argocd", "createNamespace": True, "namespaceLabels": {"a": "b"}}},
            "a.namespaceLabels",
        ),
        *(
            (
                {"a": {"path": "x", "namespace": "team", "createNamespace": True, "namespaceLabels": {label: "b"}}},
                "a.namespaceLabels",
            )
            for label in ("pod-security.kubernetes.io/enforce", "kubernetes.io/metadata.name")
        ),
    ],
)
def test_a_namespace_has_labels_by_one_child(applications: dict[str, Any], key: str | None) -> None:
    raw = with_gitops(applications=applications, namespaces=["team", "kube-system"])

    assert keys_of(raw) == ([] if key is None else [f"gitops.applications.{key}"])


def test_a_misspelt_key_of_a_child_is_told_with_the_right_one() -> None:
    _, problems = parse(with_child("otel-demo", {"enable": False}))

    assert [problem.do.partition("?")[0] for problem in problems] == ["did you mean enabled"]


@pytest.mark.parametrize(
    ("name", "child"),
    [
        ("otel-demo", {"enabled": False}),
        ("otel-demo", {"values": {"opentelemetry-demo": {"components": {"ad": {"enabled": False}}}}}),
        (
            "otel-demo",
            {"ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]},
        ),
        ("cert-manager", CHART),
        ("cert-manager", CHART | {"createNamespace": True, "podSecurity": {"enforce": "restricted"}, "wave": -1}),
        ("team", {"path": "gitops/charts/team", "namespace": "team", "syncOptions": ["PruneLast=true"]}),
        ("team", GIT | {"syncOptions": ["Prune=confirm", "PrunePropagationPolicy=orphan", "Validate=false"]}),
        ("team", GIT | {"repoURL": "oci://registry.example.com/charts/x", "path": ".", "targetRevision": "1.2.3"}),
        ("cert-manager", CHART | {"repoURL": "registry.example.com/charts"}),
        *(
            ("cert-manager", CHART | {"targetRevision": revision})
            for revision in ("^1.18", "~1.18.0", "1.18.*", ">=1.18 <2")
        ),
        ("cert-manager", CHART | {"values": {"a": {"b": None}, "c": [None, 1]}}),
    ],
)
def test_a_sound_child_reaches_the_root_as_it_was_written(name: str, child: dict[str, Any]) -> None:
    settings, problems = parse(with_child(name, child, **admitting(child)))

    assert problems == []
    assert settings is not None
    told = root_values(settings)["applications"]
    assert demo_chart.over(told, {name: child}) == told
    assert set(told) == {name, "otel-demo"}


def test_a_null_of_a_child_takes_away_what_the_program_or_the_chart_says() -> None:
    """Helm's own way of leaving something out; elsewhere a key without a value is most often an unfinished line."""
    less = {"persistence": {"claims": {"kafka": None}}, "networkPolicy": {"internet": {"clients": {"grafana": None}}}}
    settings, problems = parse(with_child("otel-demo", {"values": less}, stack="prod"))

    assert problems == []
    assert settings is not None
    told = root_values(settings)["applications"]["otel-demo"]["values"]
    assert "kafka" not in told["persistence"]["claims"]
    assert "opensearch" in told["persistence"]["claims"]
    assert told["networkPolicy"] == less["networkPolicy"]
    assert keys_of(with_child("otel-demo", {"wave": None})) == ["gitops.applications.otel-demo.wave"]


def test_another_placement_reaches_every_database() -> None:
    selector = {"karpenter.sh/nodepool": "store"}
    toleration = {"key": "dedicated", "operator": "Equal", "value": "store", "effect": "NoSchedule"}
    placed = {"nodeSelector": selector, "tolerations": [toleration]}
    raw = with_child("otel-demo", {"values": {"placement": placed}})
    store = raw["pools"]["data"] | {"taints": [{"key": "dedicated", "value": "store", "effect": "NoSchedule"}]}
    raw["pools"] = {name: pool for name, pool in raw["pools"].items() if name != "data"} | {"store": store}
    settings, problems = parse(raw)

    assert problems == []
    assert settings is not None
    demo = root_values(settings)["applications"]["otel-demo"]["values"]["opentelemetry-demo"]
    found = [demo["components"][name]["schedulingRules"] for name in ("kafka", "postgresql", "valkey-cart")]
    found += [demo["opensearch"], demo["prometheus"]["server"]]
    assert [one["nodeSelector"]["karpenter.sh/nodepool"] for one in found] == ["store"] * 5
    assert [one["tolerations"] for one in found] == [[toleration]] * 5


@pytest.mark.parametrize(
    ("gitops", "stack", "keys"),
    [
        ({"repository": "https://me:sentinel@github.com/a/b.git"}, "dev", ["gitops.repository"]),
        ({"repository": "https://ghp_sentinel@github.com/a/b.git"}, "dev", ["gitops.repository"]),
        ({"repository": "https://acme@dev.azure.com/acme/p/_git/r"}, "dev", []),
        ({"sourceRepositories": ["https://me:sentinel@x.io/y"]}, "dev", ["gitops.sourceRepositories[0]"]),
        ({"sourceRepositories": ["*"]}, "dev", ["gitops.sourceRepositories[0]"]),
        ({"namespaces": ["team-*"]}, "dev", ["gitops.namespaces[0]"]),
        (
            {"clusterKinds": [{"group": "cert-manager.io/v1", "kind": "Issuer"}]},
            "dev",
            ["gitops.clusterKinds[0].group"],
        ),
        ({"imageRegistries": {"docker.io": "mirror/hub"}}, "dev", ["gitops.imageRegistries.docker.io"]),
        ({"imageRegistries": {"docker.io": "mirror:5000/hub/x"}}, "dev", []),
    ],
)
def test_bounds_are_bounds_and_no_url_has_a_password(gitops: dict[str, Any], stack: str, keys: list[str]) -> None:
    _, problems = parse(with_gitops(stack, **gitops))

    assert [problem.key for problem in problems] == keys
    assert "sentinel" not in str(problems)


@pytest.mark.parametrize(
    ("applications", "keys"),
    [
        ({"cluster-base": {"enabled": False}}, ["cluster-base.enabled"]),
        ({"cluster-base": {"enabled": False}, "otel-demo": {"enabled": False}}, []),
        ({"cluster-base": {"wave": 1}}, ["cluster-base.wave"]),
        ({"otel-demo": {"wave": 0}}, ["cluster-base.wave"]),
        ({"cluster-base": {"wave": 4}, "otel-demo": {"wave": 5}}, []),
        ({"otel-demo": {"namespace": "team"}}, ["otel-demo.namespace"]),
        ({"cluster-base": {"namespace": "cluster-base"}}, []),
        (
            {"otel-demo": {"createNamespace": True, "podSecurity": {"enforce": "restricted"}}},
            ["otel-demo.podSecurity.enforce"],
        ),
        ({"otel-demo": {"createNamespace": True, "podSecurity": {"enforce": "baseline"}}}, []),
        ({"otel-demo": {"values": {"frontPath": {"onDemandFloor": 1}}}}, ["otel-demo.values"]),
        ({"otel-demo": {"values": {"monitoring": {"alerts": "demo"}}}}, ["otel-demo.values"]),
        ({"otel-demo": {"values": {"passwords": {"secretName": ""}}}}, ["otel-demo.values"]),
        ({"otel-demo": {"values": {"persistence": {"storageClassName": "gp2"}}}}, ["otel-demo.values"]),
        ({"otel-demo": {"values": {"frontPath": {"workloads": ["cart"]}}}}, []),
    ],
)
def test_the_demo_keeps_what_it_cannot_do_without(applications: dict[str, Any], keys: list[str]) -> None:
    raw = with_gitops(applications=applications, namespaces=["team"])

    assert keys_of(raw) == [f"gitops.applications.{key}" for key in keys]


def test_a_child_may_not_have_the_name_of_the_load_balancers_application() -> None:
    shop = {"shop": {"host": "shop.acme.io", "scheme": "internal", "inboundCidrs": ["10.0.0.0/8"]}}

    assert OWN_CHILD == APPLICATION_OF_LOAD_BALANCERS
    assert keys_of(with_child(OWN_CHILD, CHART) | {"ingress": shop}) == ["gitops.applications.ingress"]
    assert keys_of(with_child(OWN_CHILD, CHART)) == []


@pytest.mark.parametrize("token", ["ghp_x\n", " ghp_x", "me:ghp_x", "Bearer abc"])
def test_a_token_is_the_token_alone_and_is_not_shown(token: str) -> None:
    _, problems = parse(with_gitops() | {"gitToken": token})

    assert [(problem.key, problem.given) for problem in problems] == [("gitToken", "[secret]")]


def root_values(settings: models.Settings) -> dict[str, Any]:
    return yaml.safe_load(root_spec(args(settings))["source"]["helm"]["values"])


def args(settings: models.Settings) -> AppOfAppsArgs:
    return AppOfAppsArgs(
        config=settings.gitops,
        persistence=settings.persistence,
        token=None,
        ssh_key=None,
        app_key=None,
        cluster_metadata={},
        protect=False,
        after=(),
    )


@pytest.mark.parametrize(
    ("child", "pinned"),
    [
        (CHART, True),
        (CHART | {"targetRevision": "1.18.x"}, False),
        (CHART | {"targetRevision": "main"}, False),
        ({"path": "a", "namespace": "team", "targetRevision": "main"}, False),
        ({"path": "a", "namespace": "team", "targetRevision": "v1.0.0"}, True),
        ({"path": "a", "namespace": "team"}, True),
    ],
)
def test_prod_deploys_no_child_that_moves(child: dict[str, Any], pinned: bool) -> None:
    found = keys_of(with_child("added", child, stack="prod"))

    assert found == ([] if pinned else ["gitops.applications.added.targetRevision"])
    assert keys_of(with_child("added", child, stack="dev")) == []


def test_the_settings_of_a_child_are_those_of_the_charts_own_schema() -> None:
    definitions = json.loads((ROOT / "gitops/apps/values.schema.json").read_text())["definitions"]
    schema = definitions["application"]
    inner = {
        "sources": definitions["source"],
        "podSecurity": schema["properties"]["podSecurity"],
        "ignoreDifferences": schema["properties"]["ignoreDifferences"]["items"],
    }

    assert aliases(models.Application) == set(schema["properties"])
    for key, definition in inner.items():
        field = next(f for n, f in models.Application.model_fields.items() if (f.alias or n) == key)
        model = model_within(field.annotation)
        assert model is not None
        assert aliases(model) == set(definition["properties"])


def aliases(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_the_built_in_children_are_those_of_the_chart() -> None:
    applications = yaml.safe_load((ROOT / "gitops/apps/values.yaml").read_text())["applications"]

    assert {name: application["namespace"] for name, application in applications.items()} == dict(BUILT_IN)
    assert {name for name, application in applications.items() if "podSecurity" in application} == LABELLED


def test_a_cluster_kind_of_an_added_child_is_admitted_beside_the_built_in_ones() -> None:
    plain, _ = parse(committed("dev"))
    wider, problems = parse(
        with_gitops(clusterKinds=[{"group": "cert-manager.io", "kind": "ClusterIssuer"}, {"kind": "Namespace"}])
    )

    assert problems == []
    assert plain is not None
    assert wider is not None
    before, after = (project_spec(args(entry))["clusterResourceWhitelist"] for entry in (plain, wider))
    assert after == [*before, {"group": "cert-manager.io", "kind": "ClusterIssuer"}]
    assert keys_of(with_gitops(clusterKinds=[{"kind": "clusterissuer"}])) == ["gitops.clusterKinds[0].kind"]


def test_children_follow_the_commit_of_the_root_so_that_a_new_one_comes_in_waves() -> None:
    settings, _ = parse(committed("dev"))
    assert settings is not None
    helm = root_spec(args(settings))["source"]["helm"]

    assert helm["parameters"] == [{"name": "targetRevision", "value": "$ARGOCD_APP_REVISION", "forceString": True}]


def test_a_retry_of_the_root_looks_at_the_newest_commit_and_a_sync_ends() -> None:
    plan = recorded("dev")
    root = next(masked(dict(r.inputs)) for r in plan if r.name == "platform-root")
    argocd = next(masked(dict(r.inputs)) for r in plan if r.name == "argocd-release")

    assert root["spec"]["syncPolicy"]["retry"]["refresh"] is True
    assert 1800 <= argocd["values"]["configs"]["params"]["controller.sync.timeout.seconds"] <= 7200


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:acme/otel-on-spot.git",
        "ssh://git@git.acme.io:2222/otel-on-spot.git",
        "ssh://APKAEXAMPLE@git-codecommit.eu-central-1.amazonaws.com/v1/repos/x",
        "acme@vs-ssh.visualstudio.com:v3/acme/p/r",
    ],
)
def test_an_ssh_url_has_its_key(url: str) -> None:
    raw = with_gitops(repository=url)

    assert keys_of(raw) == ["gitops.repository"]
    assert keys_of(raw | {"gitSshKey": KEY}) == []
    assert keys_of(committed("dev") | {"gitSshKey": KEY}) == ["gitSshKey"]
    assert set(keys_of(raw | {"gitToken": "token"})) == {"gitops.repository", "gitToken"}


@pytest.mark.parametrize(
    "key",
    [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here",
        "-----BEGIN PUBLIC KEY-----\nsentinel\n-----END PUBLIC KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsentinel\n-----END ENCRYPTED PRIVATE KEY-----",
        "~/.ssh/sentinel",
        KEY.replace("\n", "\\n"),
    ],
)
def test_a_key_that_opens_nothing_is_refused_and_not_shown(key: str) -> None:
    _, problems = parse(with_gitops(repository="git@github.com:acme/x.git") | {"gitSshKey": key})

    assert "gitSshKey" in [problem.key for problem in problems]
    assert [problem.given for problem in problems if problem.key == "gitSshKey"] == ["[secret]"]
    assert not any(part in str(problem) for problem in problems for part in ("sentinel", "AAAA"))


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"auth": {"password": "sentinel"}}, "auth.password"),
        ({"grafana": {"adminPassword": "sentinel"}}, "grafana.adminPassword"),
        ({"users": [{"passwd": "sentinel"}]}, "users[0].passwd"),
        ({"passwords": {"adminPassword": ["sentinel"]}}, "passwords.adminPassword[0]"),
        ({"env": [{"name": "A", "value": "b"}, {"name": "DB_PASSWORD", "value": "sentinel"}]}, "env[1].value"),
        ({"oidc": {"clientSecret": "sentinel"}}, "oidc.clientSecret"),
        ({"dd": {"api_key": "sentinel"}}, "dd.api_key"),
        ({"config": "url: https://x\ntoken: ghp_" + "sentinel" * 4 + "0123"}, "config"),
        ({"tls": {"key": "-----BEGIN EC PRIVATE KEY-----\nsentinel"}}, "tls.key"),
        ({"auth": {"existingSecret": "db", "passwordKey": "password", "password": ""}}, None),
        ({"auth": {"usePassword": True, "password": None, "secretKeys": {"adminPasswordKey": "a"}}}, None),
        ({"oidc": {"clientSecret": "$argocd-oidc:clientSecret"}}, None),
        ({"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}, None),
    ],
)
def test_a_credential_in_the_values_of_a_child_is_refused_and_not_shown(
    values: dict[str, Any], path: str | None
) -> None:
    _, problems = parse(with_child("cert-manager", CHART | {"values": values}))

    assert [problem.key for problem in problems] == (
        [] if path is None else [f"gitops.applications.cert-manager.values.{path}"]
    )
    assert "sentinel" not in str(problems)


def test_whatever_holds_a_secret_is_known_as_one() -> None:
    holding = {name for name, field in models.Settings.model_fields.items() if "SecretStr" in repr(field.annotation)}

    assert holding == SECRET_KEYS == {"git_token", "git_ssh_key", "github_app_private_key"}


def test_the_key_reaches_argo_cd_as_a_secret_and_nothing_else() -> None:
    plan = record(
        "dev",
        config_overrides={
            "gitops": committed("dev")["gitops"] | {"repository": "git@github.com:acme/x.git"},
            "gitSshKey": Secret(KEY),
        },
    )
    (secret,) = [r for r in plan if r.name == "platform-repository"]

    shown = masked(dict(secret.inputs))

    assert KEY.split("\n")[1] not in json.dumps(shown, default=str)
    assert set(revealed(secret.inputs)["stringData"]) == {"type", "url", "sshPrivateKey"}


APP_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEsentinel\nAAAA\n-----END RSA PRIVATE KEY-----\n"
APP = {"appId": 123456, "installationId": 7654321}
ENTERPRISE = "https://github.acme.io/platform/otel-on-spot.git"


@pytest.mark.parametrize(
    ("gitops", "secrets", "wrong"),
    [
        ({"githubApp": APP}, {"githubAppPrivateKey": APP_KEY}, []),
        ({"githubApp": APP}, {}, ["gitops.githubApp"]),
        ({}, {"githubAppPrivateKey": APP_KEY}, ["githubAppPrivateKey"]),
        ({"githubApp": APP | {"appId": "123456"}}, {"githubAppPrivateKey": APP_KEY}, ["gitops.githubApp.appId"]),
        ({"githubApp": APP | {"appId": True}}, {"githubAppPrivateKey": APP_KEY}, ["gitops.githubApp.appId"]),
        (
            {"githubApp": APP | {"installationId": 0}},
            {"githubAppPrivateKey": APP_KEY},
            ["gitops.githubApp.installationId"],
        ),
        ({"githubApp": {"appId": 1}}, {"githubAppPrivateKey": APP_KEY}, ["gitops.githubApp.installationId"]),
        (
            {"githubApp": APP | {"enterpriseBaseUrl": "https://github.acme.io/api/v3"}, "repository": ENTERPRISE},
            {"githubAppPrivateKey": APP_KEY},
            [],
        ),
        (
            {"githubApp": APP, "repository": ENTERPRISE},
            {"githubAppPrivateKey": APP_KEY},
            ["gitops.githubApp.enterpriseBaseUrl"],
        ),
        (
            {"githubApp": APP | {"enterpriseBaseUrl": "https://github.acme.io/api/v3"}},
            {"githubAppPrivateKey": APP_KEY},
            ["gitops.githubApp.enterpriseBaseUrl"],
        ),
        (
            {"githubApp": APP, "repository": "git@github.com:acme/x.git"},
            {"githubAppPrivateKey": APP_KEY, "gitSshKey": KEY},
            ["gitops.githubApp", "githubAppPrivateKey"],
        ),
        ({"githubApp": APP}, {"githubAppPrivateKey": APP_KEY, "gitToken": "token"}, ["githubAppPrivateKey"]),
        *(
            (
                {"githubApp": APP | {"enterpriseBaseUrl": api}, "repository": ENTERPRISE},
                {"githubAppPrivateKey": APP_KEY},
                ["gitops.githubApp.enterpriseBaseUrl"],
            )
            for api in ("https://github.acme.io", "https://git.other.io/api/v3")
        ),
        (
            {
                "githubApp": APP | {"enterpriseBaseUrl": "https://api.acme.ghe.com"},
                "repository": "https://acme.ghe.com/a/b",
            },
            {"githubAppPrivateKey": APP_KEY},
            [],
        ),
    ],
)
def test_an_app_has_its_numbers_its_key_and_its_github(
    gitops: dict[str, Any], secrets: dict[str, str], wrong: list[str]
) -> None:
    assert keys_of(with_gitops(**gitops) | secrets) == wrong


@pytest.mark.parametrize(
    "key",
    [
        APP_KEY.replace("\n", " "),
        APP_KEY.replace("\n", "\\n"),
        APP_KEY.splitlines()[1],
        APP_KEY.replace("RSA PRIVATE", "OPENSSH PRIVATE"),
        APP_KEY.replace("RSA PRIVATE", "PUBLIC"),
        APP_KEY.partition("-----END")[0],
    ],
)
def test_an_apps_key_is_the_whole_pem_file_and_is_not_shown(key: str) -> None:
    _, problems = parse(with_gitops(githubApp=APP) | {"githubAppPrivateKey": key})

    assert [(problem.key, problem.given) for problem in problems] == [("githubAppPrivateKey", "[secret]")]
    assert "sentinel" not in str(problems)


def test_what_stands_for_a_secret_in_a_plan_passes_for_an_apps_key() -> None:
    given: dict[str, Any] = {"githubApp": APP}

    assert models.UNOPENED == SECRET_PLACEHOLDER
    assert keys_of(with_gitops(**given) | {"githubAppPrivateKey": SECRET_PLACEHOLDER}) == []


def test_an_app_reaches_argo_cd_under_the_keys_that_it_reads() -> None:
    enterprise = {"repository": ENTERPRISE, "githubApp": APP | {"enterpriseBaseUrl": "https://github.acme.io/api/v3"}}
    given = {"gitops": committed("dev")["gitops"] | enterprise, "githubAppPrivateKey": Secret(APP_KEY)}
    (secret,) = [r for r in record("dev", config_overrides=given) if r.name == "platform-repository"]

    assert "sentinel" not in json.dumps(masked(dict(secret.inputs)), default=str)
    assert revealed(secret.inputs)["stringData"] == {
        "type": "git",
        "url": ENTERPRISE,
        "githubAppID": "123456",
        "githubAppInstallationID": "7654321",
        "githubAppPrivateKey": APP_KEY,
        "githubAppEnterpriseBaseUrl": "https://github.acme.io/api/v3",
    }
