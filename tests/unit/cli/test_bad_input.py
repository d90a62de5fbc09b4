"""Each mistake ends with one clear message, exit code 2 and no traceback."""

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
from tests.unit.repository import invoked_on

ROOT = Path(__file__).parents[3]
DEV = (ROOT / "Pulumi.dev.yaml").read_text()
PROD = (ROOT / "Pulumi.prod.yaml").read_text()


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
def test_a_spoilt_stack_file_ends_with_one_message(tmp_path: Path, mistake: str) -> None:
    text, told = SPOILT[mistake]
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "Pulumi.spoilt.yaml").write_text(text)
    ended = invoked_on(tmp_path, "plan", "--stack", "spoilt")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.count("error:") == 1
    assert ended.stderr.startswith("error: ")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


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
