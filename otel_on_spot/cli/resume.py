"""``resume``: put back what an interrupted drill left."""

from typing import Annotated

import typer

from otel_on_spot.cli.drills.running import platform, tell
from otel_on_spot.cli.operating import Kubeconfig, KubeContext, Stack


def resume(
    context: typer.Context,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    force: Annotated[
        bool, typer.Option("--force", help="Without looking whether the drill's holder is alive.")
    ] = False,
) -> None:
    """Put back what an interrupted drill left: a suspension, a scale, a pod, an experiment.

    Exit code 0: nothing is left. 1: something could not be put back. 2: a drill is under way, or nobody answers.
    """
    with platform(context, stack, kube_context, kubeconfig) as (target, api):
        from otel_on_spot.drills.leftovers import clean_up

        def progress(line: str) -> None:
            if not line.startswith("taken back"):  # told below
                tell(line)

        told = clean_up(target, api, progress, force=force)
        for line in told:
            typer.echo(f"put back: {line}")
        typer.echo("nothing is left" if told else "no drill has left anything")
