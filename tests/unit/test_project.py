"""The tools work on the project that is named, else on the one of the current folder.

Anything else ends in one message.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_on_spot import project
from otel_on_spot.cli import app

ROOT = Path(__file__).parents[2]


def test_the_project_is_found_from_a_folder_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "gitops" / "charts")

    assert project.root() == ROOT
    assert project.find(ROOT) == ROOT


@pytest.mark.parametrize(
    "command",
    [["plan"], ["settings"], ["doctor"], ["recover", "--stack", "dev"], ["lab", "status"], ["drill", "drift"]],
)
@pytest.mark.parametrize(
    ("folder", "rule"),
    [
        ("nowhere", "does not exist"),
        ("file", "is a file"),
        (".", "no Pulumi.yaml here or in any folder above"),
    ],
)
def test_a_folder_that_is_no_project_ends_every_command_with_one_message(
    command: list[str], folder: str, rule: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    ended = CliRunner().invoke(app, [*command, "--project", str(tmp_path / folder)])

    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: ")
    assert rule in ended.stderr
    assert "--project DIR" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_project_the_current_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    ended = CliRunner().invoke(app, ["plan"])

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert str(tmp_path) in ended.stderr


def test_the_simulated_cloud_needs_no_project_and_runs_in_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran: list[Path | None] = []
    monkeypatch.setattr("otel_on_spot.simcloud.session.Session", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr("otel_on_spot.simcloud.session.run", lambda _session, _command, folder: ran.append(folder) or 0)

    for options in ([], ["--project", str(ROOT)]):
        ended = CliRunner().invoke(app, ["with-simulated-cloud", *options, "--dir", str(tmp_path / "c"), "--", "true"])
        assert ended.exit_code == 0, ended.output

    assert ran == [None, ROOT]


def test_the_tools_plan_a_project_elsewhere_from_any_folder_by_that_projects_own_program(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(ROOT / "infra", other / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(ROOT / name, other / name)
    (other / "__main__.py").write_text(
        "import pulumi\nfrom infra.names import StackNames\n"
        "pulumi.export('queue', StackNames(cluster='otel-dev', region='eu-west-1').interruption_queue)\n"
    )
    names = other / "infra" / "names.py"
    names.write_text(names.read_text().replace("-interruption", "-warnings"))

    ended = subprocess.run(
        [sys.executable, "-m", "otel_on_spot", "plan", "--project", str(other), "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert '"otel-dev-warnings"' in ended.stdout


def test_one_process_does_not_mix_the_programs_of_two_projects(tmp_path: Path) -> None:
    import infra  # noqa: F401 (the program of this project is in this process now)

    (tmp_path / "Pulumi.yaml").write_text("name: other\n")
    with pytest.raises(project.ProjectError, match="use a process of its own"), project.selected(tmp_path):
        pass


def test_a_selected_project_is_left_again(tmp_path: Path) -> None:
    before = list(sys.path)
    with project.selected(ROOT):
        assert project.chosen() == ROOT
        assert project.python_path().split(os.pathsep)[0] == str(ROOT)

    assert project.chosen() is None
    assert sys.path == before
