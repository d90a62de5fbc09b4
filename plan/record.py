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

from plan import stack_file
from plan.monitor import PlanError, RecordingMonitor
from plan.recording import Recording

ROOT: Final = Path(__file__).parents[1]


class ProgramError(Exception):
    """The program refused to go on. The message is the program's own."""


def record(
    stack: str, *, root: Path = ROOT, preview: bool = False, config_overrides: Mapping[str, Any] | None = None
) -> Recording:
    """The graph that ``__main__.py`` declares for a stack, with its committed stack file.

    Args:
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``.
        preview: leave what only the cloud can tell unknown, as ``pulumi preview`` does before the first ``up``.
        config_overrides: keys (without project) whose values replace the stack file's; None removes one.

    Raises:
        plan.stack_file.StackFileError: the stack file cannot be read.
        ProgramError: the program raised ``pulumi.RunError``.
        PlanError: the program did what the engine would refuse, or a plan cannot answer.
    """
    found = stack_file.read(root, stack)
    values = dict(found.values)
    for key, value in (config_overrides or {}).items():
        if value is None:
            values.pop(f"{found.project}:{key}", None)
        else:
            values[f"{found.project}:{key}"] = stack_file.text(value)

    def program() -> None:
        runpy.run_path(str(root / "__main__.py"), run_name="__main__")

    with _importing_from(root):
        return _run(program, found.project, stack, values, found.secret_keys, preview)


def record_program(
    program: Callable[[], Any],
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
    preview: bool = False,
) -> Recording:
    """The graph that a function declares. ``config`` keys are without the project. Raises as ``record`` does."""
    values = {f"{project}:{key}": stack_file.text(value) for key, value in (config or {}).items()}
    return _run(program, project, stack, values, (), preview)


def _run(
    program: Callable[[], Any],
    project: str,
    stack: str,
    values: Mapping[str, str],
    secret_keys: tuple[str, ...],
    preview: bool,
) -> Recording:
    monitor = RecordingMonitor(project, stack, preview=preview)

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
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run_in_stack(_entry(program)))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    with mock.patch.dict(os.environ, {"PULUMI_ERROR_OUTPUT_STRING": "1"}), _quiet():
        try:
            contextvars.copy_context().run(in_context)
        except pulumi.RunError as refusal:
            raise ProgramError(str(refusal)) from None
        except Exception:
            if monitor.problems:
                raise PlanError("\n".join(monitor.problems)) from None
            raise
    if monitor.problems:
        raise PlanError("\n".join(monitor.problems))
    return monitor.recording()


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


@contextlib.contextmanager
def _importing_from(root: Path) -> Generator[None]:
    """``python __main__.py`` has its folder first on the path; so has a recorded run."""
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
