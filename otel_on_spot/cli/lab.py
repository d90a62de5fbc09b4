"""``lab``: the whole platform on this machine."""

import signal
import sys
from typing import Annotated

import typer

from otel_on_spot.cli.application import Application, Stack
from otel_on_spot.errors import EXIT_FINDINGS, ToolError

lab = Application(
    help="Run the whole platform on this machine. A real cluster over a simulated AWS.", no_args_is_help=True
)


@lab.command()
def up(
    *,
    stack: Stack = "lab",
    dirty: Annotated[bool, typer.Option("--dirty", help="Give Argo CD the working tree, not a commit.")] = False,
    revision: Annotated[str, typer.Option("--revision", help="Commit that Argo CD gets.")] = "HEAD",
    boot_seconds: Annotated[float, typer.Option("--boot-seconds", min=0, help="Boot time of an instance.")] = 5.0,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until everything must be Healthy.")] = 900,
    engine: Annotated[
        bool, typer.Option("--engine", help="Apply with the pulumi CLI on PATH, not with the recorded graph.")
    ] = False,
) -> None:
    """Start or update the platform. A running one becomes what the working tree declares now.

    Any stack runs in its own shape; what only AWS or another server can decide is set aside by name, and told.
    """
    from otel_on_spot.lab import lifecycle
    from otel_on_spot.lab.control import UpOptions
    from otel_on_spot.lab.status import summary

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = UpOptions(
            dirty=dirty, revision=revision, boot_seconds=boot_seconds, timeout_seconds=timeout, engine=engine
        )
        result = lifecycle.up(stack, options, log=lambda line: typer.echo(f"  {line}"))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; nothing is left running") from None
    summary(stack, result)
    if result["waits_for"]:
        raise typer.Exit(EXIT_FINDINGS)


@lab.command()
def status(stack: Stack = "lab") -> None:
    """Show the lab's processes and what is in its cluster."""
    from otel_on_spot.lab import control
    from otel_on_spot.lab.folder import Folder
    from otel_on_spot.lab.status import table

    table(control.ask(Folder(stack), "status"))


@lab.command()
def down(stack: Stack = "lab") -> None:
    """Stop the lab, whatever state it is in."""
    from otel_on_spot.lab import lifecycle

    typer.echo(lifecycle.down(stack))


@lab.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def execute(context: typer.Context, stack: Stack = "lab") -> None:
    """Run a command inside the lab. Its cluster and AWS are reachable there: lab exec -- kubectl get nodes."""
    from otel_on_spot.lab import lifecycle

    if not context.args:
        raise ToolError("no command was given. Example: otel-on-spot lab exec -- kubectl get nodes")
    raise typer.Exit(lifecycle.inside(stack, context.args))


@lab.command()
def logs(name: Annotated[str, typer.Argument(help="Process, as lab status names it.")], stack: Stack = "lab") -> None:
    """Print the log of a process."""
    from otel_on_spot.lab.folder import Folder

    file = Folder(stack).logs / f"{name}.log"
    if not file.is_file():
        known = ", ".join(sorted(log.stem for log in file.parent.glob("*.log"))) or "none"
        raise ToolError(f"{file}: there is no such log. Logs: {known}")
    sys.stdout.write(file.read_text(errors="replace"))
