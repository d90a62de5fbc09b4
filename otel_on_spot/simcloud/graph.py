"""The recorded graph: the program's own resources, made by the handlers in dependency order, without a CLI.

``apply`` runs the program under the recording monitor, whose answers come from the simulated cloud: a resource is
registered when what it depends on is there, so the order and the parallelism are those of the graph. What comes back is
a ``program.recording.Recording`` whose ids and outputs are the cloud's. ``destroy`` takes it apart in reverse.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from otel_on_spot.program import runner
from otel_on_spot.program.monitor import Monitor
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import FromCloud, Providers, is_made, plain, subject, timeout_seconds
from otel_on_spot.simcloud.handler import Attempt

WORKERS = 64


class ApplyError(Exception):
    """Some resources could not be made, or deleted. ``recording`` holds what is there."""

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
        stack: name of the stack.
        cloud: where it is made.
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``; None takes ``project.root()``.
        config_overrides: keys (without project) whose values replace the stack file's; None removes one.
        previous: what an earlier call returned for this cloud. What it holds is read from the cloud first, so drift is
            put right; what is not declared any more is deleted at the end.

    Raises:
        ApplyError: the cloud refused something.
    """
    return _applied(runner.of_stack(stack, root, config_overrides), cloud, previous)


def apply_program(
    program: Callable[[], Any],
    cloud: Cloud,
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
    previous: Recording | None = None,
) -> Recording:
    """Make everything that a function declares. Raises as ``apply`` does.

    Args:
        program: declares resources, as ``__main__.py`` does.
        cloud: where they are made.
        project: name of the project.
        stack: name of the stack.
        config: values by key of the project, or by full key such as ``aws:region``.
        previous: what an earlier call returned for this cloud; see ``apply``.
    """
    return _applied(runner.of_function(program, project=project, stack=stack, config=config), cloud, previous)


def _applied(program: runner.Program, cloud: Cloud, previous: Recording | None) -> Recording:
    monitor = Monitor(program.project, program.stack, FromCloud(cloud, previous), root=program.root)
    runner.run(program, monitor, workers=WORKERS)
    recording = monitor.recording()
    undeclared = tuple(before for before in previous or () if before.urn not in recording.by_urn)
    if monitor.problems:
        raise ApplyError(monitor.problems, replace(recording, registrations=(*undeclared, *recording.registrations)))
    if previous is not None and any(map(is_made, undeclared)):
        # The earlier graph, with its made resources reduced to those that nobody declares now.
        reduced = (replace(r, id="") if r.urn in recording.by_urn and is_made(r) else r for r in previous)
        destroy(replace(previous, registrations=tuple(reduced)), cloud)
    return recording


def destroy(recording: Recording, cloud: Cloud, *, unprotected: bool = False) -> None:
    """Delete what ``apply`` made: dependents first, as many at once as the graph allows.

    Args:
        recording: what ``apply`` returned.
        cloud: where it was made.
        unprotected: delete what is protected too.

    Raises:
        ApiError: something is protected; nothing was deleted.
        ApplyError: the cloud refused a deletion; the recording holds what is left.
    """
    made = {registration.urn: registration for registration in recording if is_made(registration)}
    protected = sorted(registration.name for registration in made.values() if registration.protect)
    if protected and not unprotected:
        raise ApiError("Protected", f"cannot be deleted because they are protected: {', '.join(protected)}")
    dependents: dict[str, set[str]] = {urn: set() for urn in made}
    for urn, registration in made.items():
        for below in _made_below(recording.direct_dependencies(registration), recording, set(made)) - {urn}:
            dependents[below].add(urn)
    providers, problems, left = Providers(cloud), [], set(made)
    order = TopologicalSorter(dependents)
    order.prepare()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        while True:
            for urn in sorted(order.get_ready()):
                running[pool.submit(_delete, providers, made[urn], recording.by_urn)] = urn
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                urn = running.pop(future)
                if (error := future.exception()) is None:
                    left.discard(urn)
                    order.done(urn)
                else:
                    problems.append(f"{made[urn].type} {made[urn].name}: {error}")
    if problems:
        raise ApplyError(
            problems, replace(recording, registrations=tuple(r for r in recording if r.urn in left or not is_made(r)))
        )


def _made_below(urns: set[str], recording: Recording, made: set[str], passed: frozenset[str] = frozenset()) -> set[str]:
    """The made resources behind these: a provider, or a component, between two resources carries the edge on."""
    found: set[str] = set()
    for urn in urns - passed:
        if urn in made:
            found.add(urn)
        else:
            further = recording.direct_dependencies(recording.by_urn[urn])
            found |= _made_below(further, recording, made, passed | {urn})
    return found


def _delete(providers: Providers, registration: Registration, registrations: Mapping[str, Registration]) -> None:
    if registration.retain_on_delete:
        return
    handler, site = providers.of(registration, registrations)
    timeout, state = timeout_seconds(registration, "delete"), plain(registration.outputs)
    handler.do_delete(Attempt(site, subject(registration), timeout), registration.id, state)
