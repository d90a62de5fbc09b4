"""``drill node-join``: does a new node join, and how long does each step take."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.drills.running import run
from otel_on_spot.cli.operating import JsonFile, Kubeconfig, KubeContext, Stack, Why

if TYPE_CHECKING:
    from otel_on_spot.drills.drill import Drill
    from otel_on_spot.drills.kubernetes_api import Api, Object
    from otel_on_spot.report import Report
    from otel_on_spot.target import Target


def node_join(
    context: typer.Context,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    pool: Annotated[str, typer.Option("--pool", help="NodePool to launch the node from.")] = "spot",
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until a pod runs on the node.")] = 300.0,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Launch one node through Karpenter for a pod of the drill's own, and follow it until the pod runs; then take both back.

    Where it stops, the drill says why. Exit code 0: the pod ran. 1: it did not. 2: could not look.
    """
    wanted: list[Object] = []

    def check(_target: "Target", api: "Api") -> None:
        from otel_on_spot.drills.node_join.rehearsal import pool_of

        wanted.append(pool_of(api, pool))

    def act(drill: "Drill") -> "Report":
        from otel_on_spot.drills.node_join.rehearsal import Rehearsal

        return Rehearsal(drill, wanted[0], timeout).run()

    run(
        context,
        name="node-join",
        stack=stack,
        kube_context=kube_context,
        kubeconfig=kubeconfig,
        json_file=json_file,
        why=why,
        seconds=timeout + 60,
        act=act,
        check=check,
    )
