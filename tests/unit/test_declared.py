"""What a plan declares is kept as long as everything that it comes from is what it was."""

from pathlib import Path

import pytest

from otel_on_spot import declared
from otel_on_spot.plan import record
from tests.unit.doctor.changes import HEALTHY


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a stack file and a program, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "project"
    (root / "infra").mkdir(parents=True)
    (root / "gitops/charts/otel-demo").mkdir(parents=True)
    (root / "Pulumi.lab.yaml").write_text("config: {}\n")
    (root / "infra" / "cluster.py").write_text("VERSION = 1\n")
    return root


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stacks that were planned."""
    stacks: list[str] = []
    monkeypatch.setattr(record, "record", lambda stack, *, root: stacks.append(stack))
    monkeypatch.setattr(declared, "from_recording", lambda _recording, *, root: HEALTHY.declared)
    return stacks


def test_a_stack_that_did_not_change_is_planned_once(project: Path, planned: list[str]) -> None:
    assert declared.of_stack("lab", project) == declared.of_stack("lab", project) == HEALTHY.declared
    assert planned == ["lab"]


@pytest.mark.parametrize(
    "file",
    [
        "Pulumi.lab.yaml",
        "infra/cluster.py",
        "infra/added.py",
        "__main__.py",
        "gitops/charts/otel-demo/values.yaml",
        "gitops/charts/otel-demo/values-lab.yaml",
    ],
)
def test_a_change_of_stack_file_or_program_is_planned_anew(project: Path, planned: list[str], file: str) -> None:
    declared.of_stack("lab", project)
    (project / file).write_text("# changed\n")
    declared.of_stack("lab", project)
    assert planned == ["lab", "lab"]


def test_another_version_of_an_sdk_is_planned_anew(
    project: Path, planned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    declared.of_stack("lab", project)
    monkeypatch.setattr(declared.metadata, "version", lambda _: "999")
    declared.of_stack("lab", project)
    assert planned == ["lab", "lab"]


def test_each_stack_and_each_project_is_kept_by_itself(project: Path, planned: list[str], tmp_path: Path) -> None:
    for stack, root in (("lab", project), ("dev", project), ("lab", tmp_path), ("lab", project)):
        declared.of_stack(stack, root)
    assert planned == ["lab", "dev", "lab"]


def test_what_was_kept_by_another_version_is_planned_anew(project: Path, planned: list[str], tmp_path: Path) -> None:
    declared.of_stack("lab", project)
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text("{}")
    assert declared.of_stack("lab", project) == HEALTHY.declared
    assert planned == ["lab", "lab"]


def test_a_cache_that_cannot_be_written_costs_time_only(
    project: Path, planned: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert declared.of_stack("lab", project) == declared.of_stack("lab", project) == HEALTHY.declared
    assert planned == ["lab", "lab"]
