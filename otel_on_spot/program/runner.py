"""A Pulumi program, run in this process under a monitor of ours. All that is known of the SDK's internals is here."""

import asyncio
import contextlib
import contextvars
import gc
import inspect
import logging
import os
import runpy
import sys
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pulumi
from pulumi.runtime import config as runtime_config
from pulumi.runtime import mocks, resource
from pulumi.runtime.proto import engine_pb2, source_pb2
from pulumi.runtime.settings import SETTINGS, configure, set_root_resource
from pulumi.runtime.stack import run_in_stack
from typing_extensions import override

from otel_on_spot import project
from otel_on_spot.errors import ToolError
from otel_on_spot.program import stack_file
from otel_on_spot.program.monitor import Monitor
from otel_on_spot.program.values import Secret

AMBIENT: Final = ("AWS_", "HELM_", "KUBE", "PULUMI_CONFIG", "PULUMI_DISABLE_RESOURCE_REFERENCES", "PULUMI_K8S_")
"""Beginnings of the variables that the SDKs read: a run is the same on every machine."""
TOOLS: Final = frozenset({"otel_on_spot"})
"""Packages that plan any tree, and never belong to the program."""


class ProgramError(ToolError):
    """The program refused to go on. The message is the program's own."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program, and the stack that it runs for.

    Args:
        run: declares its resources.
        project: name of the project.
        stack: name of the stack.
        config: full key (``project:key``) -> text.
        secret_keys: keys whose values are secret.
        root: the folder that its modules are imported from; None where it is a function of this process.
    """

    run: Callable[[], Any]
    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict)
    secret_keys: tuple[str, ...] = ()
    root: Path | None = None


def of_stack(stack: str, root: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Program:
    """The program of a project, with a stack's committed file.

    Args:
        stack: name of the stack.
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``; None takes ``project.root()``.
        overrides: keys (of the project, or full) whose values replace the stack file's; None removes one, and a
            ``Secret`` is one that the engine would have kept encrypted.

    Raises:
        StackFileError: the stack file cannot be read, or there is no program.
    """
    root = root or project.root()
    declared = stack_file.read(root, stack)
    entry = root / "__main__.py"
    if not entry.is_file():
        raise stack_file.StackFileError("__main__.py: the file does not exist. It is the program: restore it from Git")
    config, secret_keys = dict(declared.values), set(declared.secret_keys)
    for key, value in (overrides or {}).items():
        full_key = stack_file.full_key(declared.project, key)
        config.pop(full_key, None)
        secret_keys.discard(full_key)
        if isinstance(value, Secret):
            secret_keys.add(full_key)
            config[full_key] = stack_file.text(value.value)
        elif value is not None:
            config[full_key] = stack_file.text(value)
    return Program(
        run=lambda: runpy.run_path(str(entry), run_name="__main__"),
        project=declared.project,
        stack=stack,
        config=config,
        secret_keys=tuple(sorted(secret_keys)),
        root=root,
    )


def of_function(
    function: Callable[[], Any],
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
) -> Program:
    """A function as a program.

    Args:
        function: declares resources, as ``__main__.py`` does.
        project: name of the project.
        stack: name of the stack.
        config: values by key of the project, or by full key such as ``aws:region``.
    """
    values = {stack_file.full_key(project, key): stack_file.text(value) for key, value in (config or {}).items()}
    return Program(run=function, project=project, stack=stack, config=values)


def run(program: Program, monitor: Monitor, *, workers: int = 0) -> None:
    """Run a program to its end. What the monitor refused is in ``monitor.problems`` afterwards.

    Args:
        program: what to run.
        monitor: answers the program.
        workers: how many registrations may wait at once; 0 where the monitor answers without waiting.

    Raises:
        ProgramError: the program raised ``pulumi.RunError``, or ended itself.
        RuntimeError: this process has imported another tree's modules of the same name.
        Exception: whatever else the program raised, unless the monitor refused something.
    """
    with _importing_from(program.root), _environment(), _quiet(), _without_garbage_collection(), _short_traces():
        try:
            contextvars.copy_context().run(_run_in_context, program, monitor, workers)
        except pulumi.RunError as refusal:
            raise ProgramError(str(refusal)) from None
        except SystemExit as ended:
            raise ProgramError(f"the program ended itself with {ended.code!r}: raise pulumi.RunError instead") from None
        except Exception:
            if not monitor.problems:
                raise


@contextlib.contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Importing the SDKs makes hundreds of thousands of objects that stay: a third of the time was looking at them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _short_traces() -> AbstractContextManager[Any]:
    """The SDK's trace of each resource reads the source of every frame: an eighth of the time, for one line of it."""
    return mock.patch.object(resource, "_get_stack_trace", _nearest_line)


def _nearest_line() -> source_pb2.StackTrace:
    """The line of the program itself that is nearest to the constructors of a resource; nothing where there is none."""
    frame, constructors = inspect.currentframe(), 0
    while frame is not None and constructors < 3:  # of Resource, CustomResource and the resource's own class
        constructors += frame.f_code.co_name == "__init__"
        frame = frame.f_back
    while frame is not None and not _is_the_programs(Path(frame.f_code.co_filename)):
        frame = frame.f_back
    if frame is None:
        return source_pb2.StackTrace()
    position = source_pb2.SourcePosition(uri=Path(frame.f_code.co_filename).as_uri(), line=frame.f_lineno)
    return source_pb2.StackTrace(frames=[source_pb2.StackFrame(pc=position)])


def _is_the_programs(file: Path) -> bool:
    return file.is_absolute() and "site-packages" not in file.parts


def _run_in_context(program: Program, monitor: Monitor, workers: int) -> None:
    runtime_config.set_all_config(dict(program.config), list(program.secret_keys))
    configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
            engine=_Engine(monitor),
            project=program.project,
            stack=program.stack,
            dry_run=monitor.preview,
            organization="organization",
            callbacks=None,
        )
    )
    set_root_resource(None)  # ty: ignore[invalid-argument-type]
    SETTINGS.outputs.clear()
    loop = asyncio.new_event_loop()
    # What failed is raised once; the SDK's other tasks need not report it again when they are collected.
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.set_default_executor(ThreadPoolExecutor(workers) if workers else _AtOnce())
    asyncio.set_event_loop(loop)

    def entry() -> None:  # the SDK would await what a program returns
        program.run()

    try:
        loop.run_until_complete(run_in_stack(entry))
    finally:
        _wind_down(loop)


class _AtOnce(ThreadPoolExecutor):
    """Runs what is submitted in the caller's thread: no thread is started for an answer that takes no time."""

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as problem:  # noqa: BLE001 (the future carries it)
            future.set_exception(problem)
        return future


def _wind_down(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what a failed program left under way, and close its loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


class _Engine:
    """Takes what the program logs; the SDK's own debug messages come in no fixed order."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    def Log(self, request: Any) -> None:  # noqa: N802 (the wire's name)
        if request.severity != engine_pb2.DEBUG:
            self.monitor.messages.append(request.message)

    def GetRootResource(self, _request: Any) -> Any:  # noqa: N802
        raise NotImplementedError

    def SetRootResource(self, _request: Any) -> None:  # noqa: N802
        return None


@contextlib.contextmanager
def _environment() -> Generator[None]:
    """An Output in an f-string raises, and the machine's own settings are out of sight."""
    visible = {key: value for key, value in os.environ.items() if not key.startswith(AMBIENT)}
    with mock.patch.dict(os.environ, visible | {"PULUMI_ERROR_OUTPUT_STRING": "1"}, clear=True):
        yield


@contextlib.contextmanager
def _importing_from(root: Path | None) -> Generator[None]:
    """``python __main__.py`` has its folder first on the path; so has a run.

    Raises:
        RuntimeError: this process has imported another tree's modules of the same name.
    """
    if root is None:
        yield
        return
    packages = {path.parent.name for path in root.glob("*/__init__.py")} | {path.stem for path in root.glob("*.py")}
    for name in sorted(packages - TOOLS - {"__main__"}):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and not Path(origin).resolve().is_relative_to(root.resolve()):
            raise RuntimeError(
                f"{name} is imported from {origin}, not from {root}: run that tree in a process of its own"
            )
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """The SDK logs each failed registration; the failure itself is raised once."""
    logger = logging.getLogger("pulumi")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
