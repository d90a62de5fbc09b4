"""The project that the tools work on: the folder with Pulumi.yaml, its program and its stack files.

The tools never take their own folder for it. A command works on the project that ``--project`` names, else on the one
that the current folder lies in; what it starts runs in that project's folder, and so finds the same one.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from otel_on_spot.errors import ToolError

MARKER: Final = "Pulumi.yaml"
"""Source: https://www.pulumi.com/docs/iac/concepts/projects/ (the folder with this file is the project's root)."""
PACKAGE_PARENT: Final = Path(__file__).resolve().parents[1]
"""Folder from which this package was imported: a child process needs it on its path."""

_selected: Path | None = None


class ProjectError(ToolError):
    """A folder is no project. The message says what was given, the rule, and what to do."""


def find(folder: Path) -> Path:
    """Root of the project that a folder is, or lies in.

    Raises:
        ProjectError: the folder does not exist, is a file, or neither it nor a folder above it holds Pulumi.yaml.
    """
    start = folder.expanduser().resolve()
    if not start.is_dir():
        what = "is a file" if start.exists() else "does not exist"
        raise ProjectError(f"{folder}: the folder {what}. Give the folder with {MARKER}: --project DIR")
    for candidate in (start, *start.parents):
        if (candidate / MARKER).is_file():
            return candidate
    raise ProjectError(
        f"{start}: no {MARKER} here or in any folder above. Change into the project, or name its folder: --project DIR"
    )


def chosen() -> Path | None:
    """Root of the project that ``selected`` is open for."""
    return _selected


def root() -> Path:
    """Root of the project in use: the selected one, else the one that the current folder lies in.

    Raises:
        ProjectError: there is none.
    """
    return _selected or find(Path.cwd())


@contextmanager
def selected(folder: Path | None = None) -> Generator[Path]:
    """Work on a project: its root is ``root()``, and its ``infra`` is the one that is imported.

    ``folder``: the project's folder or one below it; None takes the current one.

    Raises:
        ProjectError: it is no project, or this process has imported the ``infra`` of another one.
    """
    global _selected
    before, found = _selected, find(folder or Path.cwd())
    origin = getattr(sys.modules.get("infra"), "__file__", None)
    if origin is not None and not Path(origin).resolve().is_relative_to(found):
        raise ProjectError(f"infra was imported from {Path(origin).parent}, not from {found}: use a process of its own")
    sys.path.insert(0, str(found))
    _selected = found
    try:
        yield found
    finally:
        _selected = before
        sys.path.remove(str(found))


def python_path() -> str:
    """``PYTHONPATH`` for a child process that imports this package and the project's ``infra``."""
    return os.pathsep.join(dict.fromkeys((str(root()), str(PACKAGE_PARENT))))
