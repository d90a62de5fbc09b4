"""``rightsize``: what the demo asks for, against what it uses."""

import json
from typing import Annotated

import typer

from otel_on_spot import project
from otel_on_spot.cli.application import Stack
from otel_on_spot.cli.output import spinner

EXAMPLES = """
\b
Example:
  kubectl -n monitoring port-forward service/prometheus 9090 &
  otel-on-spot rightsize --stack prod --prometheus http://localhost:9090 --window 7d
"""


def rightsize(
    *,
    stack: Stack = "dev",
    prometheus: Annotated[
        str,
        typer.Option("--prometheus", metavar="URL", help="A Prometheus that scrapes the kubelets' /metrics/cadvisor."),
    ],
    window: Annotated[str, typer.Option("--window", help="How far to look back: 7d, 24h.")] = "7d",
    namespace: Annotated[str, typer.Option("--namespace", help="Namespace of the demo.")] = "otel-demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold the demo's requests against the 95th percentile of what its pods use. A report: nothing is changed."""
    from otel_on_spot.plan import cost, rightsizing, tree
    from otel_on_spot.plan.manifests import as_document
    from otel_on_spot.plan.record import record

    ask = rightsizing.prometheus(prometheus)
    with spinner(f"planning {stack}"):
        wanted = cost.workloads_of(as_document(record(stack)), project.root())
    found = rightsizing.uses(ask, wanted, namespace, window)
    if as_json:
        typer.echo(json.dumps(rightsizing.as_document(found, window), indent=2))
        return
    from rich.table import Table

    told = rightsizing.totals(found)
    title = (
        f"{stack}: {told['usedVcpus']:.1f} of {told['requestedVcpus']:.1f} vCPUs and {told['usedGib']:.1f} of "
        f"{told['requestedGib']:.1f} GiB asked for are used (p95 of {window}, the busiest pod of each workload)"
    )
    table = Table("workload", "replicas", "mCPU asked / p95", "MiB asked / p95", "", title=title, title_justify="left")
    for row in rightsizing.rows(found):
        table.add_row(*row)
    tree.terminal().print(table)
