"""``report``: one page for somebody who has five minutes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot import project
from otel_on_spot.cli.application import Kubeconfig, KubeContext, Stack
from otel_on_spot.cli.output import progress_bar, spinner

if TYPE_CHECKING:
    from otel_on_spot.report import Report

EXAMPLES = """
\b
Examples:
  otel-on-spot report --stack prod --html prod.html
  otel-on-spot report --html dev.html --drill join.json --drill stress.json   with drills that wrote --json
  otel-on-spot report --html dev.html --facts facts.json                      the doctor's part of saved facts
"""


def report(
    *,
    stack: Stack = "dev",
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="Write the page to FILE.")],
    drills: Annotated[
        list[Path] | None,
        typer.Option("--drill", metavar="FILE", help="A drill's report, as its --json wrote it. May be given again."),
    ] = None,
    facts_file: Annotated[
        Path | None,
        typer.Option("--facts", metavar="FILE", help="Judge the facts in FILE, written by `doctor --facts-out`."),
    ] = None,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Write plan, posture, cost, the doctor's verdicts and the last drills on one page, which loads nothing.

    The doctor looks where AWS or a cluster answers; else the page says why it did not. Changes nothing.
    """
    from otel_on_spot.cli import report_page
    from otel_on_spot.files import write_text
    from otel_on_spot.plan.record import record

    ran = [report_page.drill_of(file) for file in drills or ()]
    with spinner(f"planning {stack}"):
        recording = record(stack)
    judged = _doctor(stack, facts_file, kube_context, kubeconfig)
    write_text(html, report_page.page(recording, project.root(), judged, ran, datetime.now(UTC)))
    typer.echo(f"wrote {html}")


def _doctor(stack: str, facts_file: Path | None, context: str | None, kubeconfig: Path | None) -> "Report | str":
    """The doctor's report; where nothing answers, why there is none."""
    from otel_on_spot.doctor import examine, facts

    checks = examine.select_checks((), ())
    if facts_file is not None:
        return examine.examine(facts.load(facts_file), checks)
    from otel_on_spot import target
    from otel_on_spot.doctor.collectors import everything

    found = target.find(stack, context=context, kubeconfig=kubeconfig)
    with progress_bar("looking") as progress:
        seen, _ = everything.collect(found, progress)
    judged = examine.examine(seen, checks, notes=found.notes)
    if any(verdict.status != "unknown" for verdict in judged.verdicts):
        return judged
    return "Nothing answered. " + " ".join(dict.fromkeys(f"{verdict.why_unknown}." for verdict in judged.verdicts))
