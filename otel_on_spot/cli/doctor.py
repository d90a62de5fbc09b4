"""``doctor``: what is wrong with a living platform, in order of blast radius."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.options import JsonFile, Kubeconfig, KubeContext, Stack
from otel_on_spot.cli.output import exit_with_report, progress_bar

if TYPE_CHECKING:
    from otel_on_spot.doctor.facts import Facts

EXAMPLES = """
\b
Examples:
  otel-on-spot doctor --stack prod                      run every check
  otel-on-spot doctor --only node-role,invisible-nodes  run two checks
  otel-on-spot doctor --facts-out facts.json            save what was seen
  otel-on-spot doctor --facts facts.json                judge it offline
  otel-on-spot doctor --decode "$MESSAGE"               say which statement a refused call missed, and why
"""


def doctor(
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CHECKS", help="Run only these checks.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="CHECKS", help="Skip these checks.")] = None,
    json_file: JsonFile = None,
    facts_file: Annotated[
        Path | None, typer.Option("--facts", metavar="FILE", help="Judge the facts in FILE, written by --facts-out.")
    ] = None,
    facts_out: Annotated[
        Path | None, typer.Option("--facts-out", metavar="FILE", help="Write the facts as JSON to FILE.")
    ] = None,
    decode: Annotated[
        str | None,
        typer.Option(
            "--decode",
            metavar="MESSAGE",
            help="Open EC2's encoded authorization failure message, out of an error or of Karpenter's log, and look at "
            "nothing else. - reads it from standard input.",
        ),
    ] = None,
) -> None:
    """Find what is wrong with a running platform. Reads AWS and the cluster, changes nothing.

    Exit codes: 0 nothing found, 1 something found, 2 not everything could be looked at.
    """
    from otel_on_spot.doctor import examine, facts
    from otel_on_spot.files import write_text

    if decode is not None:
        _decode(decode, stack, kube_context, kubeconfig)
        return
    checks = examine.select_checks(_names(only), _names(skip))
    started = time.monotonic()
    notes: tuple[str, ...] = ()
    if facts_file is not None:
        seen = facts.load(facts_file)
        notes = (f"facts of {seen.taken_at:%Y-%m-%d %H:%M:%S %Z} out of {facts_file}",)
    else:
        seen, notes = _collect(stack, kube_context, kubeconfig)
    if facts_out is not None:
        write_text(facts_out, facts.dump(seen))
    report = examine.examine(seen, checks, seconds=time.monotonic() - started, notes=notes)
    exit_with_report(report, json_file)


def _decode(message: str, stack: str, context: str | None, kubeconfig: Path | None) -> None:
    """Print what an encoded message says, and which statement of the caller's role it missed."""
    from otel_on_spot import target
    from otel_on_spot.doctor import denied_calls

    found = target.find(stack, context=context, kubeconfig=kubeconfig)
    text = sys.stdin.read() if message == "-" else message
    for line in denied_calls.explain(text, found.aws("sts"), found.aws("iam")):
        typer.echo(line)


def _names(lists: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for names in lists or () for name in names.split(",") if name.strip())


def _collect(stack: str, context: str | None, kubeconfig: Path | None) -> "tuple[Facts, tuple[str, ...]]":
    """Facts of the stack's platform, and notes about where they come from."""
    from otel_on_spot import target

    with progress_bar(f"planning {stack}") as progress:
        found = target.find(stack, context=context, kubeconfig=kubeconfig)
        from otel_on_spot.doctor.collectors import everything  # loads what find loads while it asks the stack

        seen, requests = everything.collect(found, progress)
    where = f"context {found.context}, {requests} requests to its API" if found.context else "no cluster"
    return seen, (f"names from {found.declared.source}; {where}", *found.notes)
