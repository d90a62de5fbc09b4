"""The tools modules as they are committed, and what the lab runs against what a stack pins."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from otel_on_spot.lab.toolchain.modules import (
    ARGOCD,
    ARGOCD_CLI,
    ARGOCD_NEXT,
    ARGOCD_NEXT_CHART,
    ARGOCD_OF_CHART,
    COLLECTOR,
    KARPENTER,
    KARPENTER_NEXT,
    MODULES,
    PROMETHEUS,
    Module,
    differences,
)

ROOT = Path(__file__).parents[4]
ARGOCD_RELEASED = "20260914"
"""Day of v3.5.3. Source: https://proxy.golang.org/github.com/argoproj/argo-cd/v3/@v/v3.5.3.info"""
RUNS = {"kube-apiserver": "v1.36.3", "argocd-application-controller": "v3.5.3", "karpenter": "v1.14.3"}
ASKED_FOR = (KARPENTER_NEXT, ARGOCD_NEXT, PROMETHEUS, COLLECTOR, ARGOCD_CLI)
each = pytest.mark.parametrize("module", [*MODULES, *ASKED_FOR], ids=lambda module: module.name)


def go_mod(module: Module) -> str:
    return (module.folder / "go.mod").read_text()


@each
def test_a_module_pins_an_exact_version_and_says_which_go_it_needs(module: Module) -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", module.version)
    assert module.go_line >= Version("1.21")
    assert f"{module.upstream} {module.version} h1:" in (module.folder / "go.sum").read_text()


@each
def test_a_module_is_named_after_its_folder(module: Module) -> None:
    assert go_mod(module).startswith(f"module otel-on-spot/tools/{module.name}\n")


@each
def test_what_a_module_builds_is_what_the_lab_takes_from_it(module: Module) -> None:
    tools = re.findall(rf"^(?:tool |\t)({re.escape(module.upstream)}\S*)$", go_mod(module), re.MULTILINE)
    written = [re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1] for package in tools]
    if module.package == ".":
        assert f'"{module.upstream}' in (module.folder / "main.go").read_text()
        written = [module.name]
    assert written == list(module.binaries.values())


def test_the_lab_is_built_in_the_versions_that_it_was_proven_with() -> None:
    assert {module.name: module.version for module in MODULES} == {
        "kubernetes": "v1.36.3",
        "karpenter": "v1.14.3",
        "argocd": "v3.5.3",
        "kwok": "v0.8.0",
        "aws-iam-authenticator": "v0.6.13",
        "helm": "v4.2.1",
        "etcd": "v3.6.16",
        "miniredis": "v2.40.0",
        "external-snapshotter": "v8.6.0",
    }


def test_prometheus_is_no_tool_of_the_lab_and_looks_targets_up_by_dns_only() -> None:
    assert PROMETHEUS not in MODULES
    assert PROMETHEUS.version == "v0.316.0"
    assert PROMETHEUS.tags == ("remove_all_sd", "enable_dns_sd")


def test_the_collector_is_no_tool_of_the_lab_and_all_of_one_release() -> None:
    assert COLLECTOR not in MODULES
    components = re.findall(
        r"^\t(?:go\.opentelemetry\.io/collector/(?!confmap|component|pdata|consumer |extension |processor |receiver )"
        r"|github\.com/open-telemetry/opentelemetry-collector-contrib/)\S+ v(0\.\S+)",
        go_mod(COLLECTOR),
        re.MULTILINE,
    )
    assert len(components) > 20
    assert {f"v{version}" for version in components} == {COLLECTOR.version}


def test_argo_cds_command_line_is_no_tool_of_the_lab_and_of_the_version_that_the_lab_runs() -> None:
    assert ARGOCD_CLI not in MODULES
    assert ARGOCD_CLI.version == ARGOCD.version
    replaced = [re.findall(r"^\t(\S+ => \S+ \S+)$", go_mod(module), re.MULTILINE) for module in (ARGOCD_CLI, ARGOCD)]
    assert replaced[0] == replaced[1]


@pytest.mark.parametrize(
    ("module", "following"), [(KARPENTER, KARPENTER_NEXT), (ARGOCD, ARGOCD_NEXT)], ids=["karpenter", "argocd"]
)
def test_what_the_drill_moves_to_is_one_minor_further_and_no_tool_of_the_lab(module: Module, following: Module) -> None:
    here, further = Version(module.version), Version(following.version)

    assert following not in MODULES
    assert (further.major, further.minor) == (here.major, here.minor + 1)
    assert f"version={further}" in following.linker_flags.lower()


def test_the_next_argo_cd_is_built_as_the_labs_and_no_chart_is_known_that_brings_it() -> None:
    assert ARGOCD_NEXT_CHART not in ARGOCD_OF_CHART
    assert ARGOCD_NEXT.version not in ARGOCD_OF_CHART.values(), "a chart brings it: name that one"
    assert (ARGOCD_NEXT.folder / "main.go").read_text() == (ARGOCD.folder / "main.go").read_text().replace(
        ARGOCD.version, ARGOCD_NEXT.version
    )


def test_every_staging_module_of_kubernetes_has_the_minor_and_patch_of_kubernetes() -> None:
    kubernetes = next(module for module in MODULES if module.name == "kubernetes")
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)", go_mod(kubernetes), re.MULTILINE)

    assert len(replaced) > 20
    assert set(replaced) == {kubernetes.version.replace("v1.", "v0.", 1)}


def test_the_version_is_linked_into_the_binaries_that_print_one() -> None:
    flags = {module.name: module.linker_flags for module in MODULES}

    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags["kubernetes"]
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags["kubernetes"]
    assert "-X sigs.k8s.io/karpenter/pkg/operator.Version=1.14.3" in flags["karpenter"]
    assert "-X github.com/argoproj/argo-cd/v3/common.version=3.5.3" in flags["argocd"]
    assert flags["etcd"] == "-s -w"


def test_a_module_that_lost_its_require_or_go_line_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "go.mod").write_text("module example.test/etcd\n")
    etcd = replace(next(module for module in MODULES if module.name == "etcd"), root=tmp_path)

    with pytest.raises(LookupError, match=r"etcd/go\.mod: there is no version of go\.etcd\.io/etcd/\S+; add one"):
        _ = etcd.version
    with pytest.raises(LookupError, match=r"etcd/go\.mod: there is no go line; add one"):
        _ = etcd.go_line


@each
def test_a_module_is_built_from_modules_of_a_registry_alone(module: Module) -> None:
    replaced = re.findall(r"^(?:replace |\t)\S+(?: v\S+)? => (\S+)(.*)$", go_mod(module), re.MULTILINE)

    assert [by for by, version in replaced if not version.startswith(" v")] == []


def charts_of_the_stacks() -> set[str]:
    return {
        yaml.safe_load(path.read_text())["config"]["otel-on-spot:argocd"]["chartVersion"]
        for path in ROOT.glob("Pulumi.*.yaml")
    }


def test_every_chart_that_a_stack_pins_has_a_known_version_of_argo_cd() -> None:
    assert charts_of_the_stacks()
    assert charts_of_the_stacks() <= ARGOCD_OF_CHART.keys()


def test_the_lab_runs_the_minor_of_argo_cd_that_the_stacks_charts_bring() -> None:
    deployed = {Version(ARGOCD_OF_CHART[chart]).release[:2] for chart in charts_of_the_stacks()}

    assert deployed == {Version(ARGOCD.version).release[:2]}


def test_argo_cds_engine_is_of_a_commit_as_old_as_argo_cd_itself() -> None:
    """Upstream builds it from a folder that its module leaves out; another commit's engine is another program."""
    by_commit = r"^replace (\S+/gitops-engine) => \1 v0\.0\.0-(\d{8})\d{6}-[0-9a-f]{12}$"
    (engine,) = re.findall(by_commit, go_mod(ARGOCD), re.MULTILINE)

    assert engine == ("github.com/argoproj/argo-cd/gitops-engine", ARGOCD_RELEASED)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({}, None),
        (
            {"argocd": "v3.2.11"},
            "the program pins Argo CD v3.5.3 (chart 10.9.5 in Pulumi.lab.yaml), the lab runs v3.2.11; "
            "ARGOCD=path runs a binary of yours",
        ),
        ({"kubernetes": "1.3"}, "the program pins Kubernetes 1.3 (Pulumi.lab.yaml), the lab runs v1.36.3"),
        ({"karpenter": "1.14.10"}, "the program pins Karpenter 1.14.10 (Pulumi.lab.yaml), the lab runs v1.14.3"),
        (
            {"chart": "99.0.0"},
            "the program pins Argo CD of a version not known here (chart 99.0.0 in Pulumi.lab.yaml), "
            "the lab runs v3.5.3; ARGOCD=path runs a binary of yours",
        ),
    ],
)
def test_each_difference_from_a_stacks_pins_is_one_line(
    tmp_path: Path, change: dict[str, str], note: str | None
) -> None:
    pins = {"kubernetes": "1.36", "karpenter": "1.14.3", "chart": "10.9.5", **change}
    path = tmp_path / "Pulumi.lab.yaml"
    path.write_text(
        f'config:\n  otel-on-spot:cluster: {{kubernetesVersion: "{pins["kubernetes"]}"}}\n'
        f"  otel-on-spot:karpenter: {{version: {pins['karpenter']}}}\n"
        f"  otel-on-spot:argocd: {{chartVersion: {pins['chart']}}}\n"
    )
    runs = {**RUNS, "argocd-application-controller": change.get("argocd", "v3.5.3")}
    assert differences(runs, path) == ((note,) if note else ())


@pytest.mark.parametrize("text", [None, "", "config:\n  otel-on-spot:region: eu-west-1\n"])
def test_without_a_stack_file_or_its_settings_there_is_nothing_to_compare_with(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "Pulumi.lab.yaml"
    if text is not None:
        path.write_text(text)
    assert differences(RUNS, path) == ()
