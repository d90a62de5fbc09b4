"""``with-simulated-cloud -- pulumi up --stack dev``: run a command against a cloud on this machine."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otel_on_spot import project
from otel_on_spot.errors import ToolError

DIRECTORY = Path(tempfile.gettempdir()) / f"otel-on-spot-cloud-{os.getuid() if hasattr(os, 'getuid') else 0}"
CALLS = "calls.jsonl"
"""Every call of a command that ran as a role, and what was decided."""


class NoCommandError(ToolError):
    """The command does not exist; exits as a shell does."""

    exit_code = 127


def with_simulated_cloud(
    command: Annotated[list[str], typer.Argument(help="Command to run, after --.", metavar="-- COMMAND...")],
    directory: Annotated[
        Path, typer.Option("--dir", help="Folder of the cloud and, unless you have one, of the Pulumi backend.")
    ] = DIRECTORY,
    scale: Annotated[
        float, typer.Option("--scale", min=0.0, help="Real seconds per second of AWS; 0 waits for nothing.")
    ] = 0.0,
    faults: Annotated[
        Path | None, typer.Option("--faults", exists=True, dir_okay=False, help="JSON list of faults to inject.")
    ] = None,
    stand_in: Annotated[
        bool | None,
        typer.Option(
            "--eks-stand-in/--eks-plugin", help="Use our stand-in for the pulumi-eks component, or its own provider."
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=0.1, help="Minimum timeout in wall-clock seconds.")
    ] = 15.0,
    role: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="ROLE",
            help="Name or ARN of a role of the simulated account: every call of the AWS provider is decided by its "
            "policies, every one of the Kubernetes provider by its access entry. Without it everything is allowed.",
        ),
    ] = None,
) -> None:
    """Run COMMAND against a simulated AWS. Kubernetes is simulated too, all on this machine.

    The cloud's state stays in --dir: a second command sees the same cloud.
    """
    from otel_on_spot.simcloud.faults import FaultPlan

    try:
        plan = FaultPlan.load(faults)
        from otel_on_spot.simcloud.authorization import judged
        from otel_on_spot.simcloud.session import Session, run

        with Session(directory, scale=scale, faults=plan, stand_in=stand_in, patience=patience) as session:
            if role is None:
                code = run(session, command, project.chosen())
            else:
                with judged(session.cloud, role, session.directory / CALLS) as calls:
                    code = run(session, command, project.chosen())
                typer.echo(f"{calls.summary()} Each is in {session.directory / CALLS}.", err=True)
    except (RuntimeError, ValueError) as problem:
        raise ToolError(str(problem)) from None
    except FileNotFoundError as problem:
        raise NoCommandError(f"no such command: {problem.filename}") from None
    raise typer.Exit(code)
