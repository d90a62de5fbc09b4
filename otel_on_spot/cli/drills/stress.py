"""``drill stress``: many replicas for a while, automatic sync suspended by a lease."""

import contextlib
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.drills.running import run, tell
from otel_on_spot.cli.mistake import BAD_INPUT
from otel_on_spot.cli.operating import JsonFile, Kubeconfig, KubeContext, Stack, Why

if TYPE_CHECKING:
    from rich.table import Table

    from otel_on_spot.drills.drill import Drill
    from otel_on_spot.drills.stress.run import Keep
    from otel_on_spot.drills.stress.watching import Sample, Shown
    from otel_on_spot.drills.timeline import Moment
    from otel_on_spot.report import Report

LINE_SECONDS = 10.0
"""How often a log gets a line."""
EXAMPLES = (
    "Example: otel-on-spot drill stress --stack dev --replicas 50 --hold 300 --why 'before the sale' "
    "--csv stress.csv --plot stress.svg"
)


def stress(
    context: typer.Context,
    stack: Stack = "dev",
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="What the Deployment is scaled to.")] = 50,
    deployment: Annotated[str, typer.Option("--deployment", help="The Deployment to scale.")] = "frontend",
    namespace: Annotated[str, typer.Option("--namespace", help="Its namespace.")] = "otel-demo",
    hold: Annotated[
        float, typer.Option("--hold", min=0, metavar="SECONDS", help="How long to hold, once all pods run.")
    ] = 600.0,
    max_wait: Annotated[
        float, typer.Option("--max-wait", min=1, metavar="SECONDS", help="How long to wait for all pods to run.")
    ] = 600.0,
    why: Why = "",
    json_file: JsonFile = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the timeline, a row a sample.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Write the picture of it, as SVG.")
    ] = None,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Scale a Deployment up for a while, and show what it does to pods, nodes and cost.

    Automatic sync of the platform's Applications is suspended meanwhile, by a deny window on the AppProject that ends by itself.
    Afterwards, on Ctrl-C too, everything is put back and looked at again. What kill -9 leaves, `resume` or the next drill puts back.

    Exit code 0: all promises kept. 1: something found, or not put back. 2: it could not begin. 130: stopped, and put back.
    """
    _suited(plot_file)

    def act(begun: "Drill") -> "Report":
        from otel_on_spot.drills.stress.run import Wanted
        from otel_on_spot.drills.stress.run import stress as under_stress

        wanted = Wanted(namespace=namespace, deployment=deployment, replicas=replicas, hold=hold, max_wait=max_wait)
        title = f"{deployment} scaled to {replicas} on {begun.declared.cluster}"
        with _showing(title) as shown:
            return under_stress(begun, wanted, tell=tell, shown=shown, keep=_keeping(csv_file, plot_file, title))

    run(
        context,
        name="stress",
        stack=stack,
        kube_context=kube_context,
        kubeconfig=kubeconfig,
        json_file=json_file,
        why=why,
        seconds=_longest(hold, max_wait),
        act=act,
    )


def _longest(hold: float, max_wait: float) -> float:
    try:
        from otel_on_spot.drills.stress.run import longest
    except ModuleNotFoundError:  # `run` says which package is missing
        return 0.0
    return longest(hold, max_wait)


def _suited(plot_file: Path | None) -> None:
    """Before anything is changed.

    Raises:
        typer.Exit: the picture's name asks for something else than SVG.
    """
    if plot_file is not None and plot_file.suffix != ".svg":
        typer.echo(
            f"error: --plot {plot_file}: the picture is SVG (PNG would need a library that nothing else here needs). "
            f"Give a name that ends with .svg, for example {plot_file.with_suffix('.svg')}",
            err=True,
        )
        raise typer.Exit(BAD_INPUT)


def _keeping(csv_file: Path | None, plot_file: Path | None, title: str) -> "Keep":
    def keep(samples: "Sequence[Sample]", moments: "Sequence[Moment]") -> None:
        from otel_on_spot.drills.stress.plot import svg
        from otel_on_spot.drills.stress.record import as_csv
        from otel_on_spot.report import write_text

        made = ((csv_file, lambda: as_csv(samples)), (plot_file, lambda: svg(samples, moments, title)))
        for file, text in made:
            if file is None:
                continue
            try:
                write_text(file, text())
                tell(f"written: {file}")
            except OSError as problem:
                tell(f"warning: {file} could not be written: {problem}")

    return keep


@contextlib.contextmanager
def _showing(title: str) -> "Generator[Shown]":
    """A live table where somebody watches; a line now and then in a log."""
    if not sys.stderr.isatty():
        last = [-LINE_SECONDS]

        def line(sample: "Sample") -> None:
            now = time.monotonic()
            if now - last[0] >= LINE_SECONDS:
                last[0] = now
                tell(sample.line)

        yield line
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=2) as live:
        yield lambda sample: live.update(_table(title, sample))


def _table(title: str, sample: "Sample") -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in ("seconds", "wanted", "Running", "Pending", "Spot nodes", "On-Demand nodes", "claims", "cost"):
        table.add_column(name, justify="right")
    nodes = sample.nodes
    table.add_row(
        f"{sample.seconds:.0f}",
        str(sample.wanted),
        str(sample.running),
        str(sample.pending),
        str(nodes.get("spot", 0)),
        str(nodes.get("on-demand", 0)),
        str(len(sample.claims)),
        sample.told_cost,
    )
    return table
