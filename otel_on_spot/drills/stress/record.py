"""The stress drill's timeline as CSV: a row a sample, and what happened before it."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from otel_on_spot.drills.stress.watching import ON_DEMAND, SPOT, Sample

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
    for one in samples:
        spot, on_demand = one.nodes.get(SPOT, 0), one.nodes.get(ON_DEMAND, 0)
        writer.writerow(
            (
                f"{one.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                f"{one.seconds:.1f}",
                one.wanted,
                one.running,
                one.pending,
                spot,
                on_demand,
                sum(one.nodes.values()) - spot - on_demand,
                len(one.claims),
                "" if one.cost is None else f"{one.cost:.4f}",
                one.unpriced,
                one.event,
            )
        )
    return out.getvalue()
