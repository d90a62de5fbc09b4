"""A picture of ``up``: what ran when, grouped by component, coloured by service, with the longest necessary chain."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_on_spot.svg import FAINT, INK, MARGIN, document, line, path, rectangle, text

LEFT, WIDTH, RIGHT, TOP = 400, 1020, 70, 112
ROW, BAR, GAP = 19, 12, 8
CHAIN: Final = "#c81e3a"
COLOURS: Final = {
    "EC2 and VPC": "#e08a2b",
    "EKS": "#8457c9",
    "IAM and KMS": "#7f8c99",
    "SQS and EventBridge": "#c4498f",
    "CloudWatch Logs": "#8c6d46",
    "Kubernetes": "#3d7fd6",
    "Helm": "#2f9a76",
}
SERVICES: Final = {
    "aws:ec2": "EC2 and VPC",
    "aws:eks": "EKS",
    "aws:iam": "IAM and KMS",
    "aws:kms": "IAM and KMS",
    "aws:sqs": "SQS and EventBridge",
    "aws:cloudwatch/log": "CloudWatch Logs",
    "aws:cloudwatch": "SQS and EventBridge",
    "kubernetes:helm": "Helm",
    "kubernetes": "Kubernetes",
}
"""Beginning of a type token -> service; the first that fits."""
OWN_ROW: Final = ("Release", "Addon", "NodePool")
"""Kinds whose steps stand in a row each, under their own names; others share the row of their kind."""
WAIT_FOR_NODES: Final = ("Release", "Addon")
WAITED_SECONDS: Final = 15
"""From this on, the time that such a step waited for a node is drawn apart from its own."""
TOLD_SECONDS: Final = 15
"""A bar this long says its seconds."""


@dataclass(frozen=True)
class Line:
    """A row of the picture: its label, and its steps."""

    label: str
    steps: tuple[Mapping[str, Any], ...]


def service(token: str) -> str:
    """The service of a type token.

    Raises:
        ValueError: no beginning in SERVICES fits.
    """
    for beginning, name in SERVICES.items():
        if token.startswith(beginning):
            return name
    raise ValueError(f"{token}: no colour for its service. Name its beginning in SERVICES")


def lines(steps: Sequence[Mapping[str, Any]]) -> dict[str, list[Line]]:
    """Rows by component, components and rows in the order in which their first steps start."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for step in sorted(steps, key=lambda step: step["start"]):
        kind, own = step["kind"], step["name"].removeprefix(step["component"] + "-")
        label = f"{kind} {own}" if kind in OWN_ROW and own != kind.lower() else kind
        groups.setdefault(step["component"], {}).setdefault(label, []).append(step)
    return {
        component: [
            Line(label if len(found) == 1 else f"{label} x {len(found)}", tuple(found)) for label, found in rows.items()
        ]
        for component, rows in groups.items()
    }


def svg(row: Mapping[str, Any]) -> str:
    """The picture of one measured ``up``; seconds are AWS's."""
    chain = set(row["necessary"]["steps"])
    groups = lines(row["steps"])
    span = max(step["end"] for step in row["steps"])
    per_second = WIDTH / span
    height = TOP + sum(len(rows) * ROW + GAP for rows in groups.values()) + MARGIN
    width = LEFT + WIDTH + RIGHT
    parts = [
        text(MARGIN, MARGIN + 10, _title(row), size=17, bold=True),
        _legend(MARGIN, MARGIN + 38),
        _axis(span, per_second, height),
    ]
    bars, top = [], TOP
    for index, (component, rows) in enumerate(groups.items()):
        deep = len(rows) * ROW + GAP
        if index % 2 == 0:
            parts.append(rectangle(0, top, width, deep, fill=INK, fill_opacity="0.035"))
        parts.append(text(MARGIN, top + GAP / 2 + ROW * 0.7, component, size=13, bold=True))
        for entry in rows:
            middle = top + GAP / 2 + ROW / 2
            marked = any(step["urn"] in chain for step in entry.steps)
            parts.append(
                text(LEFT - 10, middle + 4, entry.label, anchor="end", bold=marked, colour=CHAIN if marked else INK)
            )
            bars += [_bar(step, middle, per_second, marked=step["urn"] in chain) for step in entry.steps]
            top += ROW
        top += GAP
    links = _links(row, groups, per_second)
    return document(width, height, [*parts, links, *bars])


def _title(row: Mapping[str, Any]) -> str:
    return (
        f"pulumi up of {row['stack']} on AWS's times: {row['makespan']:.0f} s, "
        f"the longest necessary chain {row['necessary']['seconds']:.0f} s"
    )


def _legend(x: float, y: float) -> str:
    drawn = []
    for name, colour in COLOURS.items():
        drawn.append(rectangle(x, y - 11, 18, BAR, rx=2, fill=colour))
        drawn.append(text(x + 24, y, name))
        x += 44 + 7.2 * len(name)
    drawn.append(rectangle(x, y - 11, 18, BAR, rx=2, fill="none", stroke=CHAIN, stroke_width=2))
    drawn.append(text(x + 24, y, "longest necessary chain", bold=True, colour=CHAIN))
    x += 210
    drawn.append(rectangle(x, y - 11, 18, BAR, rx=2, fill=FAINT, fill_opacity="0.3"))
    drawn.append(text(x + 24, y, "made, waiting for a node"))
    return "".join(drawn)


def _axis(span: float, per_second: float, height: float) -> str:
    drawn = []
    for second in range(0, int(span) + 1, 60):
        x = LEFT + second * per_second
        drawn.append(line(x, TOP - 6, x, height - MARGIN, stroke=FAINT, stroke_opacity="0.25"))
        drawn.append(text(x, TOP - 12, f"{second // 60} min", size=11, anchor="middle", colour=FAINT))
    return "".join(drawn)


def _bar(step: Mapping[str, Any], middle: float, per_second: float, *, marked: bool) -> str:
    """Its own time in colour; before it, faintly, the time that it waited for the cloud to have a node."""
    start, end, own = step["start"], step["end"], min(step["seconds"], step["end"] - step["start"])
    waits = step["kind"] in WAIT_FOR_NODES and end - start - own >= WAITED_SECONDS
    begin = end - own if waits else start
    x, width, top = LEFT + begin * per_second, max((end - begin) * per_second, 2.0), middle - BAR / 2
    colour = COLOURS[service(step["type"])]
    outline = {"stroke": CHAIN, "stroke_width": 2} if marked else {}
    title = f"{step['name']}: {start:.0f} to {end:.0f} s"
    drawn = []
    if waits:
        waited = (begin - start) * per_second
        drawn.append(rectangle(LEFT + start * per_second, top, waited, BAR, rx=2, fill=colour, fill_opacity="0.25"))
    drawn.append(rectangle(x, top, width, BAR, title=title, rx=2, fill=colour, **outline))
    if own >= TOLD_SECONDS:
        drawn.append(text(x + width + 5, middle + 4, f"{own:.0f} s", size=11, bold=marked))
    return "".join(drawn)


def _links(row: Mapping[str, Any], groups: Mapping[str, Sequence[Line]], per_second: float) -> str:
    """Thin lines from the end of a step of the chain to the next one."""
    at: dict[str, tuple[float, Mapping[str, Any]]] = {}
    top = TOP
    for rows in groups.values():
        for entry in rows:
            at |= {step["urn"]: (top + GAP / 2 + ROW / 2, step) for step in entry.steps}
            top += ROW
        top += GAP
    drawn = []
    steps = row["necessary"]["steps"]
    for before, after in itertools.pairwise(steps):
        (from_y, earlier), (to_y, later) = at[before], at[after]
        x = LEFT + earlier["end"] * per_second
        to_x = max(x, LEFT + later["start"] * per_second)
        points = f"M{x:.1f},{from_y:.1f} L{x:.1f},{to_y:.1f} L{to_x:.1f},{to_y:.1f}"
        drawn.append(path(points, stroke=CHAIN, stroke_width="1.4"))
    return "".join(drawn)
