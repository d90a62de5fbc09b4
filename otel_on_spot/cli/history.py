"""``history``: what became of each node, what Spot saved, and a page for each incident."""

from pathlib import Path
from typing import Annotated

import typer

from otel_on_spot.cli.application import JsonFile, Kubeconfig, KubeContext, Stack
from otel_on_spot.cli.output import spinner
from otel_on_spot.findings import format_count

EXAMPLES = """
\b
Examples:
  otel-on-spot history --stack prod                          each NodeClaim of about an hour, and Spot's saving
  otel-on-spot history --stack prod --record history.json    keep what sources forget: run it every half hour
  otel-on-spot history --stack prod --incident incidents/    write a page for each incident
"""


def history(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record", metavar="FILE", help="Add to the lives in FILE, and write it: sources forget in an hour."
        ),
    ] = None,
    incident: Annotated[
        Path | None,
        typer.Option("--incident", metavar="DIR", help="Write a page of Markdown for each incident to DIR."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Tell each NodeClaim's life: why it began, its price, why it ended, how much of a warning was used, pods moved.

    Reads NodeClaims and events of the cluster, instances and Spot prices of EC2; changes nothing.
    """
    from rich.console import Console

    from otel_on_spot import target
    from otel_on_spot.errors import ToolError
    from otel_on_spot.files import write_text
    from otel_on_spot.history import lives, pages, records, sources
    from otel_on_spot.kubernetes.client import Api

    kept = records.load(record) if record is not None and record.exists() else ()
    with spinner(f"planning {stack}, then asking for events and instances"):
        found = target.find(stack, context=kube_context, kubeconfig=kubeconfig)
        if found.cluster_api is None:
            raise ToolError(f"history needs the cluster: {found.why_no_cluster}")
        seen = sources.look(found, Api(found.cluster_api))
        known = sources.with_prices(found, lives.merged(kept, seen.lives))
    saved = lives.savings(known, sources.of_pools(found))
    shared = lives.shares(sum(saving.saved for saving in saved), found.declared.spot_requests)
    incidents = lives.incidents(known)
    if record is not None:
        records.write(record, known)
    if incident is not None:
        where = f"Stack {stack}: {found.declared.cluster}, {found.declared.region}"
        for happened in incidents:
            write_text(incident / pages.name_of(happened), pages.page(happened, seen.events, where, stack))
    if str(json_file) == "-":
        typer.echo(records.report(known, saved, incidents, shared))
    else:
        if json_file is not None:
            write_text(json_file, records.report(known, saved, incidents, shared))
        pages.show(known, saved, Console(), shared)
        if incident is not None:
            typer.echo(f"{format_count(len(incidents), 'page')} of incidents in {incident}")
