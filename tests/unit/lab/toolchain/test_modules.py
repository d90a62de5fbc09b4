"""The tools modules as they are committed."""

import re
from pathlib import Path

import pytest
import yaml

from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.pins import ARGOCD_OF_CHART

ROOT = Path(__file__).parents[4]
each = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@each
def test_a_module_pins_an_exact_version_and_says_which_go_it_needs(module: Module) -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", module.version)
    assert module.go_line >= (1, 21, 0)
    assert f"{module.upstream} {module.version} h1:" in (module.folder / "go.sum").read_text()


@each
def test_a_module_is_named_after_its_folder(module: Module) -> None:
    assert module.go_mod.startswith(f"module otel-on-spot/tools/{module.name}\n")


@each
def test_the_sources_of_a_module_import_exactly_what_is_built(module: Module) -> None:
    if module.packages == (".",):
        source = (module.folder / "main.go").read_text()
        assert f'"{module.upstream}' in source
        return
    source = (module.folder / "tools.go").read_text()
    assert source.startswith("//go:build tools\n")
    assert set(re.findall(r'_ "(\S+)"', source)) == set(module.packages)


def test_the_lab_is_built_in_the_versions_that_it_was_proven_with() -> None:
    assert {module.name: module.version for module in MODULES} == {
        "kubernetes": "v1.35.4",
        "karpenter": "v1.14.1",
        "argocd": "v3.2.11",
        "kwok": "v0.7.0",
        "aws-iam-authenticator": "v0.6.13",
        "helm": "v3.19.5",
        "etcd": "v3.6.8",
        "miniredis": "v2.40.0",
    }


def test_every_staging_module_of_kubernetes_has_the_minor_and_patch_of_kubernetes() -> None:
    kubernetes = next(module for module in MODULES if module.name == "kubernetes")
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)", kubernetes.go_mod, re.MULTILINE)

    assert len(replaced) > 20
    assert set(replaced) == {kubernetes.version.replace("v1.", "v0.", 1)}


def test_the_version_is_linked_into_the_binaries_that_print_one() -> None:
    flags = {module.name: module.linker_flags for module in MODULES}

    assert "-X k8s.io/component-base/version.gitVersion=v1.35.4" in flags["kubernetes"]
    assert "-X k8s.io/component-base/version.gitMinor=35" in flags["kubernetes"]
    assert "-X sigs.k8s.io/karpenter/pkg/operator.Version=1.14.1" in flags["karpenter"]
    assert "-X github.com/argoproj/argo-cd/v3/common.version=3.2.11" in flags["argocd"]
    assert flags["etcd"] == "-s -w"


def test_a_module_that_lost_its_require_or_go_line_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "go.mod").write_text("module example.test/etcd\n")
    etcd = Module(
        name="etcd", upstream="a.test/etcd", packages=(), binaries={}, peak_mib=1, cpu_seconds=1, root=tmp_path
    )

    with pytest.raises(LookupError, match=r"etcd/go\.mod: no version of a\.test/etcd; add a require line"):
        _ = etcd.version
    with pytest.raises(LookupError, match=r"etcd/go\.mod: no go line; add one"):
        _ = etcd.go_line


def test_every_chart_that_a_stack_pins_has_a_known_version_of_argo_cd() -> None:
    charts = {
        yaml.safe_load(path.read_text())["config"]["otel-on-spot:argocd"]["chartVersion"]
        for path in ROOT.glob("Pulumi.*.yaml")
    }

    assert charts
    assert charts <= ARGOCD_OF_CHART.keys()
