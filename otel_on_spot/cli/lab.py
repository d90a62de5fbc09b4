"""``lab``: the whole platform on this machine."""

import signal
import sys
from typing import Annotated, Any

import typer

from otel_on_spot.cli.application import Application

NO_LAB, FAILED, BAD_INPUT = 3, 1, 2

lab = Application(help="The whole platform on this machine: a real cluster over a simulated AWS.", no_args_is_help=True)

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack: reads Pulumi.<stack>.yaml.")]


@lab.command()
def up(
    stack: Stack = "lab",
    dirty: Annotated[bool, typer.Option("--dirty", help="Argo CD sees the files as they are, not HEAD.")] = False,
    revision: Annotated[str, typer.Option("--revision", help="The commit that Argo CD sees.")] = "HEAD",
    boot_seconds: Annotated[float, typer.Option("--boot-seconds", min=0, help="How long an instance boots.")] = 5.0,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until everything must be Healthy.")] = 900,
    engine: Annotated[
        bool, typer.Option("--engine", help="Apply by the pulumi CLI on PATH, not by the recorded graph.")
    ] = False,
) -> None:
    """Bring the platform up, or bring a running one to what the working tree declares now."""
    from otel_on_spot.lab import bring_up
    from otel_on_spot.lab.status import summary

    def act() -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        found = bring_up.up(
            stack,
            dirty=dirty,
            revision=revision,
            boot_seconds=boot_seconds,
            timeout_seconds=timeout,
            engine=engine,
            tell=lambda line: typer.echo(f"  {line}"),
        )
        summary(stack, found)
        if found["waits_for"]:
            raise typer.Exit(FAILED)

    _told(act)


@lab.command()
def status(stack: Stack = "lab") -> None:
    """Show the lab's processes and what is in its cluster."""
    from otel_on_spot.lab import control
    from otel_on_spot.lab.folder import Folder
    from otel_on_spot.lab.status import table

    _told(lambda: table(control.ask(Folder(stack), "status")))


@lab.command()
def down(stack: Stack = "lab") -> None:
    """End the lab, whatever state it is in."""
    from otel_on_spot.lab import bring_up

    _told(lambda: typer.echo(bring_up.down(stack)))


@lab.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def execute(context: typer.Context, stack: Stack = "lab") -> None:
    """Run a command where the lab's cluster and AWS are reachable: exec -- kubectl get nodes."""
    from otel_on_spot.lab import bring_up

    if not context.args:
        typer.echo("error: no command was given. Example: otel-on-spot lab exec -- kubectl get nodes", err=True)
        raise typer.Exit(BAD_INPUT)

    def act() -> None:
        raise typer.Exit(bring_up.inside(stack, context.args))

    _told(act)


@lab.command()
def logs(name: Annotated[str, typer.Argument(help="A process, as status names it.")], stack: Stack = "lab") -> None:
    """Print the log of a process."""
    from otel_on_spot.lab.folder import Folder

    file = Folder(stack).logs / f"{name}.log"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in file.parent.glob("*.log"))) or "none"
        typer.echo(f"error: {file}: there is no such log. Logs: {known}", err=True)
        raise typer.Exit(BAD_INPUT)
    sys.stdout.write(file.read_text(errors="replace"))


def _told(act: Any) -> None:
    """Do it; a mistake ends with one message."""
    from otel_on_spot.lab.folder import LabError, NoLabError
    from otel_on_spot.lab.toolchain import ToolchainError
    from otel_on_spot.plan.stack_file import StackFileError

    try:
        act()
    except NoLabError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(NO_LAB) from None
    except (LabError, ToolchainError, StackFileError) as problem:
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        typer.echo("stopped; nothing is left running", err=True)
        raise typer.Exit(130) from None
