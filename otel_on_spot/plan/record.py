"""Run the program under the recording monitor and hand back its graph."""

import asyncio
import contextlib
import contextvars
import logging
import os
import runpy
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pulumi
from pulumi.runtime import config as runtime_config
from pulumi.runtime import mocks
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.settings import SETTINGS, configure, set_root_resource
from pulumi.runtime.stack import run_in_stack

from otel_on_spot import project
from otel_on_spot.errors import ToolError
from otel_on_spot.plan.monitor import PlanError, RecordingMonitor
from otel_on_spot.program import stack_file
from otel_on_spot.program.recording import Recording


class ProgramError(ToolError):
    """The program refused to go on. The message is the program's own."""


def record(
    stack: str, *, root: Path | None = None, preview: bool = False, config_overrides: Mapping[str, Any] | None = None
) -> Recording:
    """The graph that ``__main__.py`` declares for a stack, with its committed stack file.

    Args:
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``; None takes ``project.root()``.
        preview: leave what only the cloud can tell unknown, as ``pulumi preview`` does before the first ``up``.
        config_overrides: keys (of the project, or ``aws:region``) whose values replace the stack file's; None removes one.

    Raises:
        program.stack_file.StackFileError: the stack file cannot be read, or there is no program.
        ProgramError: the program raised ``pulumi.RunError``, or ended itself.
        PlanError: the program did what the engine would refuse, or a plan cannot answer.
        RuntimeError: this process has imported another tree's modules of the same name.
        Exception: whatever else the program raised.
    """
    root = root or project.root()
    found = stack_file.read(root, stack)
    entry = root / "__main__.py"
    if not entry.is_file():
        raise stack_file.StackFileError("__main__.py: the file does not exist. It is the program: restore it from Git")
    values = dict(found.values)
    for key, value in (config_overrides or {}).items():
        full_key = stack_file.full_key(found.project, key)
        values.pop(full_key, None)
        if value is not None:
            values[full_key] = stack_file.text(value)

    def program() -> None:
        runpy.run_path(str(entry), run_name="__main__")

    with _importing_from(root):
        return _run(program, found.project, stack, values, found.secret_keys, preview, root)


def record_program(
    program: Callable[[], Any],
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
    preview: bool = False,
) -> Recording:
    """The graph that a function declares. ``config`` keys are the project's, or full. Raises as ``record`` does."""
    values = {stack_file.full_key(project, key): stack_file.text(value) for key, value in (config or {}).items()}
    return _run(program, project, stack, values, (), preview, None)


def _run(
    program: Callable[[], Any],
    project: str,
    stack: str,
    values: Mapping[str, str],
    secret_keys: tuple[str, ...],
    preview: bool,
    root: Path | None,
) -> Recording:
    monitor = RecordingMonitor(project, stack, preview=preview, region=values.get("aws:region", ""), root=root)

    def in_context() -> None:
        runtime_config.set_all_config(dict(values), list(secret_keys))
        configure(
            mocks.MockSettings(
                monitor=monitor,
                monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
                engine=_Engine(monitor),
                project=project,
                stack=stack,
                dry_run=preview,
                organization="organization",
                callbacks=None,
            )
        )
        set_root_resource(None)  # ty: ignore[invalid-argument-type]
        SETTINGS.outputs.clear()
        loop = asyncio.new_event_loop()
        # What failed is raised once; the SDK's other tasks need not tell it again when they are collected.
        loop.set_exception_handler(lambda _loop, _context: None)
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run_in_stack(_entry(program)))
        finally:
            wind_down(loop)

    with _environment(), _quiet():
        try:
            contextvars.copy_context().run(in_context)
        except pulumi.RunError as refusal:
            raise ProgramError(str(refusal)) from None
        except SystemExit as ended:
            raise ProgramError(f"the program ended itself with {ended.code!r}: raise pulumi.RunError instead") from None
        except Exception:
            if monitor.problems:
                raise PlanError(_told_once(monitor.problems)) from None
            raise
    if monitor.problems:
        raise PlanError(_told_once(monitor.problems))
    return monitor.recording()


def _told_once(problems: list[str]) -> str:
    return "\n".join(dict.fromkeys(problems))


def wind_down(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what a failed program left under way, and close its loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


def _entry(program: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> None:
        program()

    return run


class _Engine:
    """Takes what the program tells people; the SDK's own debug messages come in no fixed order."""

    def __init__(self, monitor: RecordingMonitor) -> None:
        self.monitor = monitor

    def Log(self, request: Any) -> None:  # noqa: N802 (the wire's name)
        if request.severity != engine_pb2.DEBUG:
            self.monitor.messages.append(request.message)

    def GetRootResource(self, _request: Any) -> Any:  # noqa: N802
        raise NotImplementedError

    def SetRootResource(self, _request: Any) -> None:  # noqa: N802
        return None


AMBIENT: Final = ("AWS_", "HELM_", "KUBE", "PULUMI_CONFIG", "PULUMI_DISABLE_RESOURCE_REFERENCES", "PULUMI_K8S_")
"""Beginnings of the variables that the SDKs read: a plan is the same on every machine."""


@contextlib.contextmanager
def _environment() -> Generator[None]:
    """An Output in an f-string raises, and the machine's own settings are out of sight."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(AMBIENT)}
    with mock.patch.dict(os.environ, kept | {"PULUMI_ERROR_OUTPUT_STRING": "1"}, clear=True):
        yield


TOOLS: Final = frozenset({"otel_on_spot"})
"""Packages that plan any tree, and never belong to the program."""


@contextlib.contextmanager
def _importing_from(root: Path) -> Generator[None]:
    """``python __main__.py`` has its folder first on the path; so has a recorded run."""
    packages = {path.parent.name for path in root.glob("*/__init__.py")} | {path.stem for path in root.glob("*.py")}
    for name in sorted(packages - TOOLS - {"__main__"}):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and not Path(origin).resolve().is_relative_to(root.resolve()):
            raise RuntimeError(
                f"{name} is imported from {origin}, not from {root}: record that tree in a process of its own"
            )
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """The SDK logs each failed registration; the failure itself is raised and told once."""
    logger = logging.getLogger("pulumi")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


__all__ = ["PlanError", "ProgramError", "record", "record_program"]
