"""Display of ``drill stress`` while it runs, and the files that it writes."""

import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from otel_on_spot.cli.output import log
from otel_on_spot.drills.stress.plot import svg
from otel_on_spot.drills.stress.run import Keep
from otel_on_spot.drills.stress.watch import OnSample, Sample, as_csv
from otel_on_spot.files import write_text
from otel_on_spot.report import Moment

LINE_SECONDS = 10.0
"""Seconds between two lines in a log."""


def keep_samples(csv_file: Path | None, plot_file: Path | None, title: str) -> Keep:
    """A callback that writes the samples as CSV and as a plot, where that was asked for."""

    def keep(samples: Sequence[Sample], moments: Sequence[Moment]) -> None:
        made = ((csv_file, lambda: as_csv(samples)), (plot_file, lambda: svg(samples, moments, title)))
        for file, text in made:
            if file is None:
                continue
            try:
                write_text(file, text())
                log(f"written: {file}")
            except OSError as problem:
                log(f"warning: {file} could not be written: {problem}")

    return keep


@contextmanager
def live_display(title: str) -> Generator[OnSample]:
    """A live table on a terminal; a line now and then in a log."""
    if not sys.stderr.isatty():
        next_line = 0.0

        def line(sample: Sample) -> None:
            nonlocal next_line
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + LINE_SECONDS
                log(sample.line)

        yield line
        return
    with Live(console=Console(stderr=True), transient=True, refresh_per_second=2) as live:
        yield lambda sample: live.update(_table(title, sample))


def _table(title: str, sample: Sample) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("seconds", "wanted", "Running", "Pending", "Spot nodes", "On-Demand nodes", "claims", "cost"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{sample.seconds:.0f}",
        str(sample.wanted),
        str(sample.running),
        str(sample.pending),
        str(sample.nodes.get("spot", 0)),
        str(sample.nodes.get("on-demand", 0)),
        str(len(sample.claims)),
        sample.cost_text,
    )
    return table
