"""make: a verb has one meaning, and what is not right ends with one message before anything is built."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ci.workflows import REPOSITORY


def make(folder: Path, *words: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in {"STACK", "MAKEFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without a virtual environment."""
    for file in [REPOSITORY / "Makefile", *REPOSITORY.glob("Pulumi*.yaml")]:
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up"], "no STACK was given"),
        (["up", "STACK="], "no STACK was given"),
        (["up", "STACK=lab"], "the stack lab has no account"),
        (["up", "STACK=nowhere"], "Stacks with a file: dev lab prod staging"),
        (["up", "STACK=dev"], "no pulumi on PATH"),
    ],
)
def test_up_is_aws_and_asks_for_a_stack_before_anything_is_prepared(
    checkout: Path, words: list[str], says: str
) -> None:
    ended = make(checkout, *words)

    assert ended.returncode == 2
    assert says in ended.stderr.splitlines()[0]
    assert ended.stdout == ""
    assert not (checkout / ".venv").exists()


@pytest.fixture
def prepared(checkout: Path) -> Path:
    """A checkout whose .venv was made for it, as ``python -m venv`` writes it."""
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(shutil.which("true") or "/bin/true")
    (programs / "pip").write_text(f"#!{programs}/python\n")
    return checkout


def test_an_environment_of_another_checkout_is_refused_with_what_to_do(prepared: Path, tmp_path: Path) -> None:
    (prepared / ".venv" / "bin" / "pip").write_text("#!/home/me/old/.venv/bin/python3.11\n")

    ended = make(prepared, "-n", "plan")

    assert ended.returncode == 2
    assert "belongs to /home/me/old/.venv, not to this folder" in ended.stderr
    assert "`make clean`" in ended.stderr


def test_an_environment_whose_python_is_gone_is_refused_with_what_to_do(prepared: Path) -> None:
    (prepared / ".venv" / "bin" / "python").unlink()
    (prepared / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")

    ended = make(prepared, "-n", "plan")

    assert ended.returncode == 2
    assert "the Python that it was made from is gone" in ended.stderr
    assert make(prepared, "clean").returncode == 0
    assert not (prepared / ".venv").exists()


def test_an_environment_of_an_older_lock_is_brought_up_to_date(prepared: Path) -> None:
    (prepared / ".venv" / "bin" / "python").unlink()
    (prepared / ".venv" / "bin" / "python").write_text("#!/bin/sh\necho 1\n")
    (prepared / ".venv" / "bin" / "python").chmod(0o755)
    for name in ("bootstrap", "plan-ready", "test-ready"):
        (prepared / ".venv" / name).touch()
        os.utime(prepared / ".venv" / name, (1, 1))
    for file in REPOSITORY.glob("requirements*.txt"):
        shutil.copy(file, prepared)

    planned = make(prepared, "-n", "plan", path=os.environ["PATH"])

    assert planned.returncode == 0, planned.stderr
    assert "--require-hashes -r requirements-tools.txt" in planned.stdout


def test_no_process_builds_a_grammar_of_iris_when_it_imports_kubernetes() -> None:
    """kubernetes imports kubernetes-validate where that is installed, it jsonschema, and that rfc3987-syntax: 1.2 s."""
    locked = (REPOSITORY / "requirements-dev.txt").read_text()

    assert "\njsonschema==" in locked
    assert "rfc3987" not in locked
