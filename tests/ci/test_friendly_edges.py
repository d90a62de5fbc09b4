"""Files for other tools: Backstage's entry, the development container, the bill of materials of a release."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from infra import names
from infra.settings import table
from infra.settings.table import rows
from otel_on_spot.cli import app
from otel_on_spot.cli.settings import settings
from tests.ci import commands
from tests.ci.workflows import REPOSITORY, parse, workflow

ENTITY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
TAG = re.compile(r"[a-z0-9:+#]+(-[a-z0-9:+#]+)*")
"""Sources: https://backstage.io/docs/features/software-catalog/descriptor-format (metadata.name, metadata.tags)."""


def faults(entry: dict[str, Any]) -> list[str]:
    """What Backstage would refuse of a Component."""
    metadata, spec = entry.get("metadata") or {}, entry.get("spec") or {}
    return [
        *(["apiVersion"] if entry.get("apiVersion") not in ("backstage.io/v1alpha1", "backstage.io/v1beta1") else []),
        *(["kind"] if entry.get("kind") != "Component" else []),
        *(["metadata.name"] if not ENTITY_NAME.fullmatch(str(metadata.get("name", ""))) else []),
        *(f"metadata.tags: {tag}" for tag in metadata.get("tags", ()) if not TAG.fullmatch(tag) or len(tag) > 63),
        *(
            f"metadata.annotations: {key}"
            for key, value in (metadata.get("annotations") or {}).items()
            if not isinstance(value, str)
        ),
        *(f"metadata.links: {link}" for link in metadata.get("links", ()) if not link.get("url")),
        *(f"spec.{key}" for key in ("type", "lifecycle", "owner") if not isinstance(spec.get(key), str)),
    ]


def catalog() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "catalog-info.yaml").read_text())


def test_backstage_takes_the_entry() -> None:
    assert faults(catalog()) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("apiVersion",), "v1", "apiVersion"),
        (("metadata", "name"), "otel on spot", "metadata.name"),
        (("metadata", "tags"), ["Spot"], "metadata.tags: Spot"),
        (("metadata", "annotations"), {"a": 1}, "metadata.annotations: a"),
        (("spec", "owner"), None, "spec.owner"),
        (("spec", "lifecycle"), None, "spec.lifecycle"),
    ],
)
def test_an_entry_that_backstage_refuses_is_seen(path: tuple[str, ...], value: Any, fault: str) -> None:
    entry = catalog()
    *parents, last = path
    target = entry
    for parent in parents:
        target = target[parent]
    target[last] = value

    assert faults(entry) == [fault]


def test_the_entry_names_what_is_there() -> None:
    entry = catalog()
    slug = entry["metadata"]["annotations"]["github.com/project-slug"]
    owner = entry["spec"]["owner"].removeprefix("group:")

    assert f"@{slug.partition('/')[0]}/{owner}" in (REPOSITORY / "CODEOWNERS").read_text()
    assert entry["metadata"]["annotations"]["argocd/app-name"] == names.PROJECT
    assert (REPOSITORY / entry["metadata"]["annotations"]["backstage.io/adr-location"]).is_dir()
    for link in entry["metadata"]["links"]:
        head, _, page = link["url"].partition("/blob/main/")
        assert head == f"https://github.com/{slug}"
        assert (REPOSITORY / page).is_file()


def test_the_development_container_ends_its_creation_with_the_makefiles_plan() -> None:
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    command = container["postCreateCommand"]

    assert command == "make plan"
    assert command.removeprefix("make ") in commands.makefile_targets()
    version = re.search(r"python:(\d+\.\d+)", container["image"])
    assert version
    assert version[1] == "3.11", "the oldest Python that the lock is for"
    assert re.search(r"^PYTHON \?= .*python3\.11", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


def test_a_release_attests_all_that_it_publishes_and_its_bill_of_materials() -> None:
    steps = parse(workflow("release"))["jobs"]["release"]["steps"]
    used = {str(step.get("uses", "")).partition("@")[0]: step.get("with", {}) for step in steps}

    assert next(step["run"] for step in steps if "run" in step) == "make release"
    assert used["actions/attest-build-provenance"]["subject-path"] == "dist/*"
    sbom = used["actions/attest-sbom"]
    assert sbom["subject-path"].removesuffix(".tar.gz") == sbom["sbom-path"].removesuffix(".cdx.json")
    assert "dist/*" in steps[-1]["run"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("otel-on-spot prefl", {"preflight"}),
        ("otel-on-spot drill spot", {"spot-interruption", "spot-storm"}),
        ("otel-on-spot plan --live", {"--live-prices"}),
        ("otel-on-spot resu", set[str]()),  # hidden
    ],
)
def test_a_shell_is_offered_commands_and_options(shell: str, typed: str, offered: set[str]) -> None:
    asked = {
        "_OTEL_ON_SPOT_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": typed,
        "COMP_CWORD": f"{len(typed.split()) - 1}",
    }
    told = CliRunner().invoke(app, [], prog_name="otel-on-spot", env=asked)

    assert told.exit_code == 0
    patterns = {"bash": r"^(\S+)$", "zsh": r'"([^"]+)":"', "fish": r"^(\S+)\t"}
    assert set(re.findall(patterns[shell], told.stdout, re.MULTILINE)) == offered


def test_every_key_is_explained_by_the_name_that_a_stack_file_gives_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = list(rows())
    monkeypatch.setattr(table, "rows", lambda: known)
    for key, _, meaning in known:
        asked = f"otel-on-spot:{key.replace('[]', '').replace('<name>', 'mine')}"
        settings(explain=asked)
        assert capsys.readouterr().out.splitlines()[:2] == [key, f"    {meaning}"], asked
        assert meaning


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release` writes, of a checkout with the locks alone."""
    folder = tmp_path_factory.mktemp("release")
    for file in ("Makefile", "pyproject.toml", "requirements-tools.txt", "README.md"):
        shutil.copy(REPOSITORY / file, folder)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    recipe = subprocess.run(
        ["make", "--just-print", "--always-make", "release", "RELEASE=v9.9.9"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (command,) = [line for line in recipe.replace("\\\n", " ").splitlines() if "cyclonedx-py" in line]
    (folder / "dist").mkdir()
    subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
    return folder / "dist"


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes(dist: Path) -> None:
    found = json.loads((dist / "otel-on-spot-v9.9.9.cdx.json").read_text())
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / "requirements-tools.txt").read_text(), re.MULTILINE)
    )
    listed = {component["name"]: component for component in found["components"]}

    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "otel-on-spot"
    assert {name: component["version"] for name, component in listed.items()} == locked
    assert all(component["purl"] == f"pkg:pypi/{name}@{locked[name]}" for name, component in listed.items())
    assert [name for name, each in listed.items() if not each.get("hashes") and "hashes" not in json.dumps(each)] == []
