"""``doctor``: what is wrong with a living platform, in order of blast radius."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_on_spot.cli.application import JsonFile, Kubeconfig, KubeContext, Stack
from otel_on_spot.cli.output import ReportFormat, print_report, progress_bar, write_report
from otel_on_spot.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_on_spot.doctor.facts import Facts
    from otel_on_spot.report import Report
    from otel_on_spot.target import Target

WATCH_SECONDS: Final = 30.0
EXAMPLES = """
\b
Examples:
  otel-on-spot doctor --stack prod                      run every check
  otel-on-spot doctor --only node-role,invisible-nodes  run two checks
  otel-on-spot doctor --facts-out facts.json            save what was seen
  otel-on-spot doctor --facts facts.json                judge it offline
  otel-on-spot doctor --format sarif --output doctor.sarif   write a file for code scanning, print the table
  otel-on-spot doctor --watch --every 60                say what appears and what clears, until Ctrl-C
  otel-on-spot doctor --decode "$MESSAGE"               say which statement a refused call missed, and why
"""


def doctor(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CHECKS", help="Run only these checks.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="CHECKS", help="Skip these checks.")] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="How to print the report: all but the table go to other tools.")
    ] = ReportFormat.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write the report in --format to FILE, and print the table."),
    ] = None,
    json_file: JsonFile = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Look again and again, and tell what appears and what clears. Ctrl-C ends it."),
    ] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=1, help="With --watch: time from look to look.")
    ] = WATCH_SECONDS,
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
    _check_options(form, output, json_file, watch=watch, offline=facts_file is not None)
    found: Target | None = None

    def look() -> "Report":
        nonlocal found
        started = time.monotonic()
        if facts_file is not None:
            seen = facts.load(facts_file)
            notes: tuple[str, ...] = (f"facts of {seen.taken_at:%Y-%m-%d %H:%M:%S %Z} out of {facts_file}",)
        else:
            found, seen, notes = _collect(found, stack, kube_context, kubeconfig)
        report = examine.examine(seen, checks, seconds=time.monotonic() - started, notes=notes)
        if facts_out is not None:
            write_text(facts_out, facts.dump(seen))
        if output is not None:
            write_report(report, form, output)
        if json_file is not None and str(json_file) != "-":
            write_report(report, ReportFormat.JSON, json_file)
        return report

    if watch:
        raise typer.Exit(_watch(look, every))
    shown = ReportFormat.JSON if str(json_file) == "-" else form if output is None else ReportFormat.TABLE
    report = look()
    print_report(report, shown)
    raise typer.Exit(report.exit_code)


def _check_options(
    form: ReportFormat, output: Path | None, json_file: Path | None, *, watch: bool, offline: bool
) -> None:
    """Refuse options that contradict each other.

    Raises:
        ToolError: two of them do. The message says what to do.
    """
    to_stdout = str(json_file) == "-"
    if to_stdout and form not in (ReportFormat.TABLE, ReportFormat.JSON):
        raise ToolError(f"--json - --format {form}: both print to standard output. Leave one of them out")
    if watch and offline:
        raise ToolError("--watch --facts: the facts of a file do not change. Leave one of them out")
    if watch and (to_stdout or (form is not ReportFormat.TABLE and output is None)):
        raise ToolError(
            "--watch prints changes, line by line. Write each report to a file: --output FILE or --json FILE"
        )


def _watch(look: "Callable[[], Report]", every: float) -> int:
    """Print the first report and then what changes, until Ctrl-C; the exit code of the last look."""
    from otel_on_spot.doctor import watching

    def later(changes: list[watching.Change]) -> None:
        for change in changes:
            typer.echo(change.line)

    def first(report: "Report") -> None:
        print_report(report, ReportFormat.TABLE)
        typer.echo(f"looking again every {every:g} s; Ctrl-C ends it (times are UTC)")

    return watching.watch(look, first=first, later=later, pause=lambda: time.sleep(every))


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


def _collect(
    found: "Target | None", stack: str, context: str | None, kubeconfig: Path | None
) -> "tuple[Target, Facts, tuple[str, ...]]":
    """The stack's platform, where it is not known yet; its facts, and notes about where they come from."""
    with progress_bar(f"planning {stack}" if found is None else "looking") as progress:
        if found is None:
            from otel_on_spot import target

            found = target.find(stack, context=context, kubeconfig=kubeconfig)
        from otel_on_spot.doctor.collectors import everything  # loads what find loads while it asks the stack

        seen, requests = everything.collect(found, progress)
    where = f"context {found.context}, {requests} requests to its API" if found.context else "no cluster"
    return found, seen, (f"names from {found.declared.source}; {where}", *found.notes)
