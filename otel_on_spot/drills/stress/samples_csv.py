"""Samples of the stress drill as CSV: a row a sample, and what happened before it."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from otel_on_spot.drills.stress.watch import ON_DEMAND, SPOT, Sample

COLUMNS: Final = (
    "time",
    "seconds",
    "replicas_wanted",
    "pods_running",
    "pods_pending",
    "nodes_spot",
    "nodes_on_demand",
    "nodes_other",
    "claims",
    "cost_usd_per_hour",
    "unpriced",
    "event",
)


def as_csv(samples: Sequence[Sample]) -> str:
    """The text of the file. ``time`` is UTC; the cost is empty where nothing has a price."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sample in samples:
        spot, on_demand = sample.nodes.get(SPOT, 0), sample.nodes.get(ON_DEMAND, 0)
        writer.writerow(
            (
                f"{sample.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                f"{sample.seconds:.1f}",
                sample.wanted,
                sample.running,
                sample.pending,
                spot,
                on_demand,
                sum(sample.nodes.values()) - spot - on_demand,
                len(sample.claims),
                "" if sample.cost is None else f"{sample.cost:.4f}",
                sample.unpriced,
                sample.event,
            )
        )
    return out.getvalue()
