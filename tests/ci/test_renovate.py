"""renovate.json: what it names is there, and its expressions find every pin that they are for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings.models import ArgoCd, Karpenter, Settings
from tests.ci.workflows import REPOSITORY

CONFIG: dict[str, Any] = json.loads((REPOSITORY / "renovate.json").read_text())
CUSTOM: list[dict[str, Any]] = CONFIG["customManagers"]
STACKS = {path.name: yaml.safe_load(path.read_text())["config"] for path in REPOSITORY.glob("Pulumi.*.yaml")}
KARPENTER, ARGOCD, ADDONS, CLI, CRDS = CUSTOM


def tracked() -> list[str]:
    """Files that a manager could look at, from the repository."""
    top = [path for path in REPOSITORY.iterdir() if path.is_file()]
    below = [
        path
        for name in (".github", "infra", "gitops", "otel_on_spot", "tests")
        for path in (REPOSITORY / name).rglob("*")
    ]
    return [str(path.relative_to(REPOSITORY)) for path in [*top, *below]]


def files(manager: dict[str, Any]) -> list[str]:
    patterns = [re.compile(pattern.strip("/")) for pattern in manager["managerFilePatterns"]]
    return [file for file in tracked() if any(pattern.search(file) for pattern in patterns)]


def matches(manager: dict[str, Any], text: str) -> list[dict[str, str]]:
    """What the manager's expressions find; JavaScript writes a named group without the P."""
    return [
        found.groupdict()
        for expression in manager["matchStrings"]
        for found in re.finditer(expression.replace("(?<", "(?P<"), text)
    ]


def found(manager: dict[str, Any], file: str) -> list[dict[str, str]]:
    return matches(manager, (REPOSITORY / file).read_text())


@pytest.mark.parametrize("manager", CUSTOM, ids=[manager["description"][:20] for manager in CUSTOM])
def test_a_managers_files_exist_and_its_expression_finds_a_version_in_them(manager: dict[str, Any]) -> None:
    assert files(manager)
    assert [match for file in files(manager) for match in found(manager, file)]
    for file in files(manager):
        for match in found(manager, file):
            assert match["currentValue"]
            assert match.get("depName") or manager["depNameTemplate"]


def test_every_stack_has_one_karpenter_and_one_argo_cd_and_they_are_found() -> None:
    assert sorted(files(KARPENTER)) == sorted(files(ARGOCD)) == sorted(STACKS)
    for file, config in STACKS.items():
        assert found(KARPENTER, file) == [{"currentValue": config["otel-on-spot:karpenter"]["version"]}]
        assert found(ARGOCD, file) == [{"currentValue": config["otel-on-spot:argocd"]["chartVersion"]}]


def test_charts_are_looked_up_where_the_program_takes_them_from() -> None:
    assert (
        f"oci://{KARPENTER['packageNameTemplate']}" == f"{Karpenter.model_fields['chart_repository'].default}/karpenter"
    )
    assert ARGOCD["registryUrlTemplate"] == ArgoCd.model_fields["chart_repository"].default


def test_every_add_on_is_found_and_asked_for_the_kubernetes_of_the_stacks() -> None:
    (file,) = files(ADDONS)
    addons = Settings.model_fields["cluster"].annotation.model_fields["addons"].default_factory()  # ty: ignore[missing-attribute]
    asked = {match["depName"]: match["currentValue"] for match in found(ADDONS, file)}
    assert asked == addons.by_name()
    kubernetes = {config["otel-on-spot:cluster"]["kubernetesVersion"] for config in STACKS.values()}
    package = json.loads(ADDONS["packageNameTemplate"].replace("{{{depName}}}", "coredns"))
    assert package == {"kubernetesVersion": kubernetes.pop(), "addonName": "coredns"}
    assert not kubernetes


def test_every_cli_of_the_workflows_is_found() -> None:
    texts = {path: path.read_text() for path in (REPOSITORY / ".github" / "workflows").glob("*.yml")}
    assert sum(text.count("pulumi-version:") for text in texts.values()) == sum(
        len(matches(CLI, text)) for text in texts.values()
    )


def test_the_crds_of_both_projects_are_found() -> None:
    assert [match["depName"].split("/")[2] for file in files(CRDS) for match in found(CRDS, file)] == [
        "karpenter-provider-aws",
        "argo-cd",
    ]


def test_every_manager_has_files_and_every_rule_names_what_there_is() -> None:
    first = {
        "github-actions": ".github/workflows/check.yml",
        "pep621": "pyproject.toml",
        "pip_requirements": "requirements.txt",
        "gomod": "otel_on_spot/lab/go/helm/go.mod",
        "helmv3": "gitops/charts/otel-demo/Chart.yaml",
        "custom.regex": "Pulumi.dev.yaml",
    }
    assert set(CONFIG["enabledManagers"]) == set(first)
    assert [file for file in first.values() if not (REPOSITORY / file).exists()] == []
    locks = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("requirements*.txt")}
    assert locks == set(files(CONFIG["pip_requirements"]))
    for rule in CONFIG["packageRules"]:
        assert set(rule.get("matchManagers", ())) <= set(first), rule["description"]
        assert [file for file in rule.get("matchFileNames", ()) if not (REPOSITORY / file).exists()] == []


def test_every_page_that_the_descriptions_name_is_there() -> None:
    named = re.findall(r"(?:docs|otel_on_spot)/[\w./-]+\.md", (REPOSITORY / "renovate.json").read_text())
    assert named
    assert [path for path in named if not Path(REPOSITORY, path).exists()] == []


def test_a_version_that_is_written_in_another_way_is_missed() -> None:
    assert matches(KARPENTER, "  otel-on-spot:karpenter:\n    nodeRepair: true\n    version: 1.14.3\n") == []
