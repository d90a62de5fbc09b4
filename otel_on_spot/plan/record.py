"""The program's graph, recorded without an account, a CLI or a network."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otel_on_spot.errors import ToolError
from otel_on_spot.plan.answers import AssumedVpc, MadeUp
from otel_on_spot.program import runner
from otel_on_spot.program.monitor import Monitor
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.resource_types import ProviderScope


class PlanError(ToolError):
    """The program did something that the engine would refuse, or that a plan cannot answer."""


def record(
    stack: str, *, root: Path | None = None, preview: bool = False, config_overrides: Mapping[str, Any] | None = None
) -> Recording:
    """The graph that ``__main__.py`` declares for a stack, with its committed stack file.

    Args:
        stack: name of the stack.
        root: the folder with Pulumi.yaml, the stack files and ``__main__.py``; None takes ``project.root()``.
        preview: leave what only the cloud can tell unknown, as ``pulumi preview`` does before the first ``up``.
        config_overrides: keys (of the project, or ``aws:region``) whose values replace the stack file's; None removes
            a key.

    Raises:
        StackFileError: the stack file cannot be read, or there is no program.
        ProgramError: the program raised ``pulumi.RunError``, or ended itself.
        PlanError: the program did what the engine would refuse, or a plan cannot answer.
        RuntimeError: this process has imported another tree's modules of the same name.
        Exception: whatever else the program raised.
    """
    return _recorded(runner.of_stack(stack, root, config_overrides), preview=preview)


def record_program(
    program: Callable[[], Any],
    *,
    project: str = "otel-on-spot",
    stack: str = "test",
    config: Mapping[str, Any] | None = None,
    preview: bool = False,
) -> Recording:
    """The graph that a function declares. Raises as ``record`` does.

    Args:
        program: declares resources, as ``__main__.py`` does.
        project: name of the project.
        stack: name of the stack.
        config: values by key of the project, or by full key such as ``aws:region``.
        preview: leave what only the cloud can tell unknown, as ``pulumi preview`` does.
    """
    return _recorded(runner.of_function(program, project=project, stack=stack, config=config), preview=preview)


def _recorded(program: runner.Program, *, preview: bool) -> Recording:
    region = program.config.get("aws:region")
    scope = ProviderScope(region=region) if region else ProviderScope()
    answers = MadeUp(scope, preview=preview, vpc=AssumedVpc.of(program.config, program.project))
    monitor = Monitor(program.project, program.stack, answers, preview=preview, root=program.root)
    runner.run(program, monitor)
    if monitor.problems:
        raise PlanError("\n".join(dict.fromkeys(monitor.problems)))
    return monitor.recording()
