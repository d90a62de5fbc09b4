"""``drill drift``: who puts a change by hand back, and how fast."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.drills.running import run
from otel_on_spot.cli.operating import JsonFile, Kubeconfig, KubeContext, Stack, Why

if TYPE_CHECKING:
    from otel_on_spot.drills.drift.rehearsal import Plan
    from otel_on_spot.drills.drill import Drill
    from otel_on_spot.drills.kubernetes_api import Api
    from otel_on_spot.report import Report
    from otel_on_spot.target import Target


def drift(
    context: typer.Context,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    deployment: Annotated[
        str, typer.Option("--deployment", help="What to scale: a name in the demo's namespace, or namespace/name.")
    ] = "frontend",
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=0, help="What to scale it to; one more than it has, by default.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for it to be put back.")] = 60.0,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Scale a Deployment by hand, time how long Argo CD takes to put it back, and see that it is Synced.

    Where nobody puts it back, the drill says why and does so itself. Exit code 0: put back. 1: not. 2: could not look.
    """
    wanted: list[Plan] = []

    def check(target: "Target", api: "Api") -> None:
        from otel_on_spot.drills.drift.rehearsal import plan

        wanted.append(plan(target, api, deployment, replicas))

    def act(drill: "Drill") -> "Report":
        from otel_on_spot.drills.drift.rehearsal import rehearse

        return rehearse(drill, wanted[0], timeout)

    run(
        context,
        name="drift",
        stack=stack,
        kube_context=kube_context,
        kubeconfig=kubeconfig,
        json_file=json_file,
        why=why,
        seconds=2 * timeout + 60,
        act=act,
        check=check,
    )
