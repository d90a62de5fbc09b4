"""The Git server as a program of the lab."""

import sys
from pathlib import Path

from otel_on_spot.lab import places
from otel_on_spot.lab.health import http_ok
from otel_on_spot.lab.supervisor import Program
from otel_on_spot.project import PACKAGE_PARENT


def program(folder: Path, certificate: Path, key: Path, authority: Path) -> Program:
    """The server of the bare repositories in a folder.

    Args:
        folder: holds ``<name>.git``.
        certificate: PEM file, for the host name of ``places.GIT_URL``.
        key: PEM file of its key.
        authority: PEM file of who signed it.
    """
    host, port = places.GIT
    command = (
        "-m",
        "otel_on_spot.lab.gitops.server",
        "--folder",
        str(folder),
        "--certificate",
        str(certificate),
        "--key",
        str(key),
    )
    return Program(
        name="git",
        command=(sys.executable, *command, "--host", host, "--port", str(port)),
        environment={"PYTHONPATH": str(PACKAGE_PARENT), "PYTHONUNBUFFERED": "1"},
        ready=lambda: http_ok(f"https://{host}:{port}/healthz", ca=authority),
        restart=True,
    )
