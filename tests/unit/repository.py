"""The program in a folder or a Git repository of its own, and the command line on it."""

import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from otel_on_spot import project
from otel_on_spot.cli import app, application

SMALL_PROGRAM = "import pulumi\npulumi.ComponentResource('a:b:C', 'c')\n"
"""Plans without the SDKs, which each process imports for seconds."""


def git(folder: Path, *arguments: str) -> str:
    """What a command of Git says in a folder, without its last line end. No configuration of the machine is used."""
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


def committed_program(folder: Path, *trees: str, program: str = "") -> Path:
    """The program, or another one in its place, with these folders of the project, committed to a new repository."""
    root = project.root()
    for tree in trees:
        shutil.copytree(root / tree, folder / tree, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*root.glob("Pulumi*.yaml"), root / "__main__.py", root / ".gitignore"]:
        shutil.copy(path, folder)
    if program:
        (folder / "__main__.py").write_text(program)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def invoked_on(folder: Path, *arguments: str) -> Result:
    """How a command ends on a copy of the project, by the program that this process has imported already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "_selected", folder)
        patch.setattr(application, "selected", lambda _: nullcontext())
        return CliRunner().invoke(app, list(arguments))
