"""``doctor``: what is wrong with a living platform, in order of blast radius."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.operating import JsonFile, Kubeconfig, KubeContext, Stack, bar, could_not_look, tell_report

if TYPE_CHECKING:
    from otel_on_spot.doctor.facts import Facts

EXAMPLES = """
[bold]Examples[/bold]

  otel-on-spot doctor --stack prod                      look at everything

  otel-on-spot doctor --only node-role,invisible-nodes  look at two lines

  otel-on-spot doctor --facts-out facts.json            keep what was seen, to judge it again elsewhere

  otel-on-spot doctor --facts facts.json                judge it, with no cluster and no account
"""


def doctor(
    context: typer.Context,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="LINES", help="Judge these lines alone.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="LINES", help="Leave these lines out.")] = None,
    json_file: JsonFile = None,
    facts_file: Annotated[
        Path | None, typer.Option("--facts", metavar="FILE", help="Judge facts that --facts-out wrote.")
    ] = None,
    facts_out: Annotated[
        Path | None, typer.Option("--facts-out", metavar="FILE", help="Write what was seen as JSON.")
    ] = None,
) -> None:
    """Find what is wrong: reads AWS and the cluster, changes nothing.

    Exit code 0: nothing found. 1: something was found. 2: not everything could be looked at; the rest is judged all the same.
    """
    with could_not_look(context):
        from otel_on_spot.doctor import examine, facts
        from otel_on_spot.report import write_text

        checks = examine.chosen(_listed(only), _listed(skip))
        started = time.monotonic()
        notes: tuple[str, ...] = ()
        if facts_file is not None:
            seen = facts.load(facts_file)
            notes = (f"facts of {seen.taken_at:%Y-%m-%d %H:%M:%S %Z} out of {facts_file}",)
        else:
            seen, notes = _look(stack, kube_context, kubeconfig)
        if facts_out is not None:
            write_text(facts_out, facts.dump(seen))
        report = examine.examine(seen, checks, seconds=time.monotonic() - started, notes=notes)
        tell_report(report, json_file)
    raise typer.Exit(report.exit_code)


def _listed(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for one in given or () for name in one.split(",") if name.strip())


def _look(stack: str, context: str | None, kubeconfig: Path | None) -> "tuple[Facts, tuple[str, ...]]":
    """Facts of the stack's platform, with a bar where somebody watches."""
    from otel_on_spot import target
    from otel_on_spot.doctor.collectors import everything

    with bar(f"planning {stack}") as progress:
        found = target.find(stack, context=context, kubeconfig=kubeconfig)
        seen, requests = everything.collect(found, progress)
    where = f"context {found.context}, {requests} requests to its API" if found.context else "no cluster"
    return seen, (f"names from {found.declared.source}; {where}", *found.notes)
