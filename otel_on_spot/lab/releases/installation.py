"""Context of releases, and one installation under way."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otel_on_spot.lab.control import Log
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.lab.releases.identity import TokenFiles
from otel_on_spot.lab.releases.objects import ReleaseDeadline, ReleaseObjects
from otel_on_spot.lab.supervisor import ProcessFailedError, Program, Supervisor
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.lab.toolchain.modules import Module
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud

CAUSE = re.compile(r'^panic: |"level":"(ERROR|PANIC|FATAL)"|level=(error|fatal)')
LONGEST_CAUSE = 1000
STARTS = 3
"""A controller that ends by itself this often before it is ready does not become ready."""


class Processes:
    """Starts the controllers of releases, and starts one again when its command or its environment has changed."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._started: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}

    def run(self, program: Program, deadline: ReleaseDeadline, release: str) -> None:
        """See that the program runs as told and is ready.

        Raises:
            ApiError: it is not ready in time, with the last lines of its log.
            OperationCancelledError: the operation was cancelled.
        """
        told = (program.command, dict(program.environment))
        if self._supervisor.running(program.name):
            if self._started.get(program.name) == told:
                return
            self._supervisor.stop(program.name)
        why = ""
        for attempt in range(1, STARTS + 1):
            deadline.check()
            try:
                self._supervisor.start(replace(program, ready_seconds=max(1.0, deadline.left)))
            except ProcessFailedError as problem:
                if self._supervisor.running(program.name):
                    self._supervisor.stop(program.name)
                if not why or "ended with" in str(problem):
                    why = f"{problem}{_cause(problem.log)}"  # the last start may have been cut off by the deadline
                if attempt < STARTS and deadline.left:
                    deadline.pause(float(attempt))
                    continue
                raise ApiError(
                    "Timeout", f"release {release}: {program.name} does not become ready: {why}"
                ) from problem
            self._started[program.name] = told
            return

    def stop(self, name: str) -> None:
        """See that the program does not run."""
        self._started.pop(name, None)
        if self._supervisor.running(name):
            self._supervisor.stop(name)


def _cause(log: Path) -> str:
    """The last line of a log that says what went wrong: Go writes a stack below it."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    found = [line for line in lines if CAUSE.search(line)]
    return f"\nWhat it said: {found[-1][:LONGEST_CAUSE]}" if found else ""


@dataclass(frozen=True, kw_only=True)
class ReleaseContext:
    """Tools, folders and services for every release.

    ``folder``: for the controllers' own files. ``authority``: certificate authority of the lab, which signed the
    API server's, the Git server's and the STS front's certificate. ``log`` gets what the user should know, a line each.
    """

    tools: Tools
    folder: Path
    processes: Processes
    tokens: TokenFiles
    authority: Path
    log: Log


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A release being installed, upgraded or removed."""

    cloud: Cloud
    cluster: str
    inputs: dict[str, Any]

    @property
    def name(self) -> str:
        """The release's name."""
        return str(self.inputs["name"])

    @property
    def namespace(self) -> str:
        """The release's namespace."""
        return str(self.inputs.get("namespace") or "default")

    @property
    def values(self) -> dict[str, Any]:
        """The release's values."""
        return self.inputs.get("values") or {}

    @property
    def api(self) -> KubernetesApi:
        """The cluster's API."""
        api = self.cloud.kubernetes(self.cluster)
        assert isinstance(api, KubernetesApi), "the lab's releases need the lab's API server"
        return api

    @property
    def region(self) -> str:
        """The region that the cluster is in.

        Raises:
            ApiError: there is no such cluster.
        """
        row = self.cloud.tables.get("clusters", self.cluster)
        if row is None:
            raise ApiError("ResourceNotFoundException", f"No cluster found for name: {self.cluster}.")
        return str(row["region"])

    @property
    def objects(self) -> ReleaseObjects:
        """The release's objects."""
        return ReleaseObjects(self.cloud, self.api, self.name, self.namespace)


def moved_to(tools: Tools, module: Module, program: str, option: str) -> Tools:
    """The tools with those of a module that ``drill upgrade`` moves to.

    Args:
        tools: the lab's.
        module: such as ``KARPENTER_NEXT``.
        program: its name, for people.
        option: of the toolchain, that builds it.

    Raises:
        ApiError: it is not built.
    """
    if (moved := tools.moved_to(module)) is None:
        what = f'{program} is not built. Build it, outside of the lab: make tools ARGS="{option}". The lab may stay up'
        raise ApiError("UnknownVersion", what)
    return moved


def search_path(*tools: Path) -> str:
    """A PATH with the folders of these tools before the caller's own."""
    own = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    return os.pathsep.join([*dict.fromkeys(str(tool.parent) for tool in tools), own])
