"""``with-simulated-cloud -- pulumi up --stack dev``: run a command against a cloud on this machine."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otel_on_spot import project

DIRECTORY = Path(tempfile.gettempdir()) / f"otel-on-spot-cloud-{os.getuid() if hasattr(os, 'getuid') else 0}"


def with_simulated_cloud(
    command: Annotated[list[str], typer.Argument(help="the command, after --", metavar="-- COMMAND...")],
    directory: Annotated[
        Path, typer.Option("--dir", help="where the cloud and, unless you have one, the Pulumi backend are kept")
    ] = DIRECTORY,
    scale: Annotated[
        float, typer.Option("--scale", min=0.0, help="real seconds per second of AWS; 0 waits for nothing")
    ] = 0.0,
    faults: Annotated[
        Path | None, typer.Option("--faults", exists=True, dir_okay=False, help="JSON list of faults")
    ] = None,
    stand_in: Annotated[
        bool | None,
        typer.Option(
            "--eks-stand-in/--eks-plugin", help="our stand-in for the pulumi-eks component, or its own provider"
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=0.1, help="real seconds that a timeout lasts at least")
    ] = 15.0,
) -> None:
    """Run COMMAND with AWS and Kubernetes simulated on this machine.

    The cloud's state stays in --dir: a second command sees the same cloud.
    """
    from otel_on_spot.simcloud.faults import FaultPlan

    try:
        plan = FaultPlan.load(faults)
        from otel_on_spot.simcloud.session import Session, run

        with Session(directory, scale=scale, faults=plan, stand_in=stand_in, patience=patience) as session:
            code = run(session, command, project.chosen())
    except (RuntimeError, ValueError) as problem:
        typer.echo(f"with-simulated-cloud: {problem}", err=True)
        raise typer.Exit(2) from None
    except FileNotFoundError as problem:
        typer.echo(f"with-simulated-cloud: no such command: {problem.filename}", err=True)
        raise typer.Exit(127) from None
    raise typer.Exit(code)
