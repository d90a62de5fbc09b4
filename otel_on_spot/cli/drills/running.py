"""How a drill runs from the command line: its platform, its end, its exit code."""

import contextlib
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from otel_on_spot.cli.operating import bar, could_not_look, tell_report

if TYPE_CHECKING:
    from otel_on_spot.drills.drill import Drill
    from otel_on_spot.drills.kubernetes_api import Api
    from otel_on_spot.report import Report
    from otel_on_spot.target import Target

FOUND, STOPPED = 1, 130


def tell(line: str) -> None:
    """A line of progress: on stderr, so that ``--json -`` stays clean."""
    with contextlib.suppress(OSError):  # the terminal is gone; the drill goes on to put things back
        typer.echo(f"  {line}", err=True)


@contextmanager
def platform(
    context: typer.Context, stack: str, kube_context: str | None, kubeconfig: Path | None
) -> "Generator[tuple[Target, Api]]":
    """The platform of a stack; mistakes end with 2, what could not be taken back with 1, Ctrl-C, SIGTERM and SIGHUP with 130."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with could_not_look(context):
        from otel_on_spot.drills.drill import reach
        from otel_on_spot.drills.holding import NotRestored

        try:
            with bar(f"planning {stack}"):
                found = reach(stack, kube_context, kubeconfig)
            yield found
        except NotRestored as left:
            typer.echo(f"error: {left}", err=True)
            raise typer.Exit(FOUND) from None
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(STOPPED) from None


def run(
    context: typer.Context,
    *,
    name: str,
    stack: str,
    kube_context: str | None,
    kubeconfig: Path | None,
    json_file: Path | None,
    why: str,
    seconds: float,
    act: "Callable[[Drill], Report]",
    check: "Callable[[Target, Api], None]" = lambda _target, _api: None,
) -> None:
    """Run a drill to its report.

    Args:
        act: the drill itself; the lease is held, and afterwards everything is taken back.
        check: raises DrillRefused where it must not begin.
    """
    from otel_on_spot.drills.drill import begun, require_same_cluster

    with platform(context, stack, kube_context, kubeconfig) as (target, api):
        require_same_cluster(target)
        check(target, api)
        with begun(target, api, name, why=why, seconds=seconds, tell=tell) as drill:
            report = act(drill)
        sys.stderr.flush()
        tell_report(report, json_file)
    raise typer.Exit(report.exit_code)
