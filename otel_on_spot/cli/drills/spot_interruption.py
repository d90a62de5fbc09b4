"""``drill spot-interruption``: what a Spot warning does to a node, its pods and the front path."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.drills.running import run
from otel_on_spot.cli.operating import JsonFile, Kubeconfig, KubeContext, Stack, Why

if TYPE_CHECKING:
    from otel_on_spot.drills.drill import Drill
    from otel_on_spot.drills.kubernetes_api import Api
    from otel_on_spot.drills.spot_interruption.candidates import Candidate
    from otel_on_spot.report import Report
    from otel_on_spot.target import Target


def spot_interruption(
    context: typer.Context,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    node: Annotated[
        str | None, typer.Option("--node", help="The Spot node to interrupt; one of the front path, by default.")
    ] = None,
    allow_stateful: Annotated[
        bool, typer.Option("--allow-stateful", help="Even a node that keeps the only copy of data.")
    ] = False,
    fis: Annotated[
        bool,
        typer.Option(
            "--fis", help="By an AWS FIS experiment, which proves the rules too (karpenter.interruptionExperiments)."
        ),
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until all is well again.")] = 600.0,
    gap: Annotated[float, typer.Option("--gap", min=0, help="How many seconds the front path may be away.")] = 60.0,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Warn one Spot node of its end, and follow taint, drain, replacement and pods, with the front path's availability all along.

    The node is lost: Karpenter drains, terminates and replaces it. Exit code 0: all promises held. 1: not. 2: could not look.
    """
    wanted: list[Candidate] = []

    def check(target: "Target", api: "Api") -> None:
        from otel_on_spot.drills.spot_interruption.rehearsal import plan

        wanted.append(plan(target, api, node, allow_stateful=allow_stateful, fis=fis))

    def act(drill: "Drill") -> "Report":
        from otel_on_spot.drills.spot_interruption.rehearsal import rehearse

        return rehearse(drill, wanted[0], fis=fis, patience=timeout, gap=gap)

    run(
        context,
        name="spot-interruption",
        stack=stack,
        kube_context=kube_context,
        kubeconfig=kubeconfig,
        json_file=json_file,
        why=why,
        seconds=timeout + 180,
        act=act,
        check=check,
    )
