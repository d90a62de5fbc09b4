"""Each mistake ends with one clear message, exit code 2 and no traceback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.plan import record

ROOT = Path(__file__).parents[3]
DEV = (ROOT / "Pulumi.dev.yaml").read_text()
PROD = (ROOT / "Pulumi.prod.yaml").read_text()


SCRIPT = """
import json, pathlib, sys
from typer.testing import CliRunner
from otel_on_spot.cli import app

endings = []
for text, arguments in json.load(sys.stdin):
    pathlib.Path("Pulumi.spoilt.yaml").write_text(text)
    ended = CliRunner().invoke(app, arguments)
    endings.append([ended.exit_code, ended.stdout, ended.stderr])
json.dump(endings, sys.stdout)
"""
"""Commands one after the other in one process, which has not imported another copy of the program."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program whose stack files may be spoilt."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def endings(project: Path) -> dict[str, tuple[int, str, str]]:
    """(exit code, standard output, standard error) of ``plan`` with each spoilt file."""
    asked = [(text, ["plan", "--stack", "spoilt"]) for text, _ in SPOILT.values()]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    (project / "Pulumi.spoilt.yaml").unlink()
    return {mistake: tuple(ending) for mistake, ending in zip(SPOILT, json.loads(ran.stdout), strict=True)}


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


SPOILT: dict[str, tuple[str, str]] = {
    "misspelt key": (replaced(DEV, "adminEnabled", "adminEnable"), "argocd.adminEnable"),
    "wrong type": (replaced(DEV, "weight: 50", "weight: heavy"), "pools.spot.weight"),
    "range too small": (replaced(DEV, "10.10.0.0/16", "10.10.0.0/26"), "network.cidr"),
    "overlapping subnets": (replaced(DEV, "cidr: 10.10.0.0/16", "cidr: 10.10.0.0/19"), "network.cidr"),
    "one zone in prod": (replaced(PROD, "[eu-west-1a, eu-west-1b, eu-west-1c]", "[eu-west-1a]"), "network.zones"),
    "name of 80 characters": (replaced(DEV, "name: otel-dev", f"name: {'x' * 80}"), "cluster.name"),
    "unsupported Kubernetes": (replaced(DEV, '"1.36"', '"1.29"'), "cluster.kubernetesVersion"),
    "ARN where a name belongs": (
        replaced(DEV, "name: otel-dev", "name: arn:aws:eks:eu-west-1:111122223333:cluster/x"),
        "cluster.name",
    ),
    "empty file": ("", "Pulumi.spoilt.yaml: the file is empty"),
    "not YAML": ("config:\n  a: [1\n  b: 2\n", "not YAML at line 3"),
    "a list": ("- 1\n", "not a map"),
    "no config": ("other: 1\n", "config"),
}


@pytest.mark.parametrize("mistake", SPOILT)
def test_a_spoilt_stack_file_ends_with_one_message(endings: dict[str, tuple[int, str, str]], mistake: str) -> None:
    code, output, error = endings[mistake]
    assert (code, output) == (2, "")
    assert error.count("error:") == 1
    assert error.startswith("error: ")
    assert SPOILT[mistake][1] in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stack", "moon"), "Stacks with a file: dev, lab, prod, staging"),
        (("--stack", "dev", "--against", "nowhere"), "nowhere"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(arguments: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(app, ["plan", *arguments])

    assert (ended.exit_code, "Traceback" in ended.stderr) == (2, False)
    assert said in ended.stderr


COMMANDS: dict[tuple[str, ...], tuple[int, str]] = {
    ("plan", "--stack", "moon"): (2, "error: stack 'moon': there is no such stack file."),
    ("settings", "--markdown"): (0, ""),
    ("doctor", "--only", "nothing"): (2, "error: "),
    ("drill", "stress", "--plot", "x.png"): (2, "error: --plot x.png: --plot writes SVG only."),
    ("recover", "--stack", "dev"): (2, "error: no pulumi on PATH."),
    ("lab", "status", "--stack", "moon"): (3, "error: no lab 'moon' is running."),
    ("with-simulated-cloud",): (2, "Usage: "),
}


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_ends_so_as_a_process_of_its_own(arguments: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": "", "XDG_STATE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "otel_on_spot", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    code, error = COMMANDS[arguments]

    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert ended.stderr.startswith(error)
    assert code or not ended.stderr


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make ``plan`` raise something."""

    def break_with(problem: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise problem

        monkeypatch.setattr(record, "record", fail)

    return break_with


def test_a_defect_ends_with_2_and_its_traceback_is_shown_when_asked_for(
    broken: Callable[[BaseException], None],
) -> None:
    broken(KeyError("x"))
    plain, verbose = CliRunner().invoke(app, ["plan"]), CliRunner().invoke(app, ["--verbose", "plan"])

    assert (plain.exit_code, verbose.exit_code) == (2, 2)
    assert plain.stderr == "error: unexpected KeyError: 'x'\nRun again with --verbose for the traceback.\n"
    assert "Traceback" in verbose.stderr
    assert verbose.stderr.endswith(plain.stderr)


def test_ctrl_c_ends_with_130(broken: Callable[[BaseException], None]) -> None:
    broken(KeyboardInterrupt())
    ended = CliRunner().invoke(app, ["plan"])

    assert (ended.exit_code, ended.stderr) == (130, "stopped\n")
