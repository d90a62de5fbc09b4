"""The second door: the program's own graph, made by the handlers in dependency order, without a CLI.

``apply`` runs the program under the recording monitor, whose answers come from the simulated cloud: a resource is
registered when what it depends on is there, so the order and the parallelism are those of the graph. What comes back is
a ``program.recording.Recording`` whose ids and outputs are the cloud's. ``destroy`` takes it apart in reverse.
"""

import asyncio
import contextlib
import contextvars
import logging
import os
import re
import runpy
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from pulumi.runtime import config as runtime_config
from pulumi.runtime import mocks
from pulumi.runtime.settings import SETTINGS, configure, set_root_resource
from pulumi.runtime.stack import run_in_stack

from otel_on_spot import project
from otel_on_spot.plan.record import wind_down
from otel_on_spot.program import stack_file
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.live_monitor import LiveMonitor, Makers, is_made, subject
from otel_on_spot.simcloud.refusal import Refusal

WORKERS = 64


class NotApplied(Exception):  # noqa: N818
    """Some resources could not be made. ``recording`` holds what was."""

    def __init__(self, problems: list[str], recording: Recording) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.recording = recording


def apply(
    stack: str,
    cloud: Cloud,
    *,
    root: Path | None = None,
    config_overrides: Mapping[str, Any] | None = None,
    previous: Recording | None = None,
) -> Recording:
    """Make everything that ``__main__.py`` declares for a stack, or change what an earlier ``apply`` made.

    Args:
        previous: what an earlier call returned for this cloud. What it holds is read from the cloud first, so drift is
            put right; what is not declared any more is deleted at the end.
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``; None takes ``project.root()``.
        config_overrides: keys (without project) whose values replace the stack file's; None removes one.

    Raises:
        NotApplied: the cloud refused something.
    """
    root = root or project.root()
    found = stack_file.read(root, stack)
    values = dict(found.values)
    for key, value in (config_overrides or {}).items():
        values.pop(f"{found.project}:{key}", None)
        if value is not None:
            values[f"{found.project}:{key}"] = stack_file.text(value)

    def program() -> None:
        runpy.run_path(str(root / "__main__.py"), run_name="__main__")

    sys.path.insert(0, str(root))
    try:
        return _run(program, found.project, stack, values, found.secret_keys, cloud, previous)
    finally:
        sys.path.remove(str(root))


def apply_program(
    program: Callable[[], Any],
    cloud: Cloud,
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
    previous: Recording | None = None,
) -> Recording:
    """Make everything that a function declares. ``config`` keys are without the project. Raises as ``apply`` does."""
    values = {f"{project}:{key}": stack_file.text(value) for key, value in (config or {}).items()}
    return _run(program, project, stack, values, (), cloud, previous)


def _run(
    program: Callable[[], Any],
    project: str,
    stack: str,
    values: Mapping[str, str],
    secret_keys: tuple[str, ...],
    cloud: Cloud,
    previous: Recording | None,
) -> Recording:
    monitor = LiveMonitor(project, stack, cloud, previous)

    def in_context() -> None:
        runtime_config.set_all_config(dict(values), list(secret_keys))
        configure(
            mocks.MockSettings(
                monitor=monitor,
                monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
                engine=mocks.MockEngine(logging.getLogger(__name__)),
                project=project,
                stack=stack,
                dry_run=False,
                organization="organization",
                callbacks=None,
            )
        )
        set_root_resource(None)  # ty: ignore[invalid-argument-type]
        SETTINGS.outputs.clear()
        loop = asyncio.new_event_loop()
        # What failed is raised once; the SDK's other tasks need not tell it again when they are collected.
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.set_default_executor(ThreadPoolExecutor(WORKERS))
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run_in_stack(lambda: _silently(program)))
        finally:
            wind_down(loop)

    with mock.patch.dict(os.environ, {"PULUMI_ERROR_OUTPUT_STRING": "1"}), _quiet():
        try:
            contextvars.copy_context().run(in_context)
        except Exception:
            if not monitor.problems:
                raise
    recording = monitor.recording()
    left = tuple(one for one in previous or () if one.urn not in recording.by_urn)
    if monitor.problems:
        raise NotApplied(monitor.problems, replace(recording, registrations=(*left, *recording.registrations)))
    if any(map(is_made, left)):
        destroy(_declared_no_more(previous, recording), cloud)
    return recording


def _declared_no_more(previous: Recording | None, now: Recording) -> Recording:
    """The earlier graph with its made resources reduced to those that nobody declares now."""
    assert previous is not None
    registrations = tuple(replace(one, id="") if one.urn in now.by_urn and is_made(one) else one for one in previous)
    return replace(previous, registrations=registrations)


def _silently(program: Callable[[], Any]) -> None:
    program()


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


def destroy(recording: Recording, cloud: Cloud, *, unprotected: bool = False) -> None:
    """Delete what ``apply`` made: dependents first, as many at once as the graph allows.

    Args:
        unprotected: delete what is protected too.

    Raises:
        Refusal: something is protected; nothing was deleted.
        NotApplied: the cloud refused a deletion; the recording holds what is left.
    """
    made = {registration.urn: registration for registration in recording if is_made(registration)}
    protected = sorted(registration.name for registration in made.values() if registration.protect)
    if protected and not unprotected:
        raise Refusal("Protected", f"cannot be deleted because they are protected: {', '.join(protected)}")
    # A provider, or a component, between two resources carries the edge on.
    needs = {urn: _real(recording.direct_dependencies(one), recording, set(made)) - {urn} for urn, one in made.items()}
    dependents: dict[str, set[str]] = {urn: set() for urn in made}
    for urn, direct in needs.items():
        for below in direct:
            dependents[below].add(urn)
    makers, problems, failed = Makers(cloud, recording.by_urn), [], set()
    with ThreadPoolExecutor(WORKERS) as pool:
        running: dict[Future[None], str] = {}
        left = set(made)
        while left:
            busy = set(running.values())
            for urn in sorted(left - busy - failed):
                if not dependents[urn] & left:
                    running[pool.submit(_delete, makers, made[urn])] = urn
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                urn = running.pop(future)
                error = future.exception()
                if error is None:
                    left.discard(urn)
                else:
                    failed.add(urn)
                    problems.append(f"{made[urn].type} {made[urn].name}: {error}")
    if problems:
        raise NotApplied(
            problems, replace(recording, registrations=tuple(r for r in recording if r.urn in left or not is_made(r)))
        )


def _real(urns: set[str], recording: Recording, made: set[str], seen: frozenset[str] = frozenset()) -> set[str]:
    found: set[str] = set()
    for urn in urns - seen:
        if urn in made:
            found.add(urn)
        else:
            found |= _real(recording.direct_dependencies(recording.by_urn[urn]), recording, made, seen | {urn})
    return found


def _delete(makers: Makers, registration: Registration) -> None:
    handler, site = makers.of(registration)
    timeout = seconds(registration.custom_timeouts.get("delete", ""))
    state = makers.plain(registration.outputs)
    handler.do_delete(site, subject(registration), registration.id, state, timeout, threading.Event())


def seconds(duration: str) -> float:
    """A Go duration in seconds; 0 where there is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|h|m|s)", duration))
