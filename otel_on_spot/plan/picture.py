"""The graph by component, as Mermaid text and as a drawing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_on_spot import svg as drawing
from otel_on_spot.plan.tree import short_type
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.svg import FAINT, MARGIN

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 236, 76, 56, 34
PALETTE: Final = {"aws": ("#fff4e5", "#c2610c"), "kubernetes": ("#e8f1fd", "#1d5fbf"), "mixed": ("#eef7ee", "#2f7d4f")}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A top-level component: its resources, and the kinds that matter most."""

    name: str
    kind: str
    resources: int
    side: str
    most: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Top-level components and the edges between them: ``(later, earlier)``, without those that others imply."""

    title: str
    nodes: Mapping[str, Node]
    edges: frozenset[tuple[str, str]]


def by_component(recording: Recording) -> Picture:
    """The recording folded to its top-level components."""
    (stack,) = recording.of_type(STACK_TYPE)
    tops = [r for r in recording.children(stack.urn) if not r.custom]
    owner = {below.urn: top.name for top in tops for below in (top, *recording.descendants(top.urn))}
    edges = {
        (owner[r.urn], owner[urn])
        for r in recording
        if r.urn in owner
        for urn in recording.direct_dependencies(r)
        if urn in owner and owner[urn] != owner[r.urn]
    }
    nodes = {top.name: _node(recording, top) for top in tops}
    return Picture(title=f"{recording.project} {recording.stack}", nodes=nodes, edges=_without_implied(nodes, edges))


def _node(recording: Recording, top: Registration) -> Node:
    made = [r for r in recording.descendants(top.urn) if r.custom]
    sides = {"aws" if r.type.startswith("aws:") else "kubernetes" for r in made if not r.type.startswith("pulumi:")}
    kinds: dict[str, int] = {}
    for r in made:
        kinds[short_type(r.type).rpartition(":")[2]] = kinds.get(short_type(r.type).rpartition(":")[2], 0) + 1
    most = sorted(
        kinds, key=lambda kind: (kind not in HEADLINE, HEADLINE.index(kind) if kind in HEADLINE else 0, -kinds[kind])
    )
    return Node(
        name=top.name,
        kind=top.type.rpartition(":")[2],
        resources=len(made),
        side=sides.pop() if len(sides) == 1 else "mixed",
        most=tuple(f"{kinds[kind]} {kind}" if kinds[kind] > 1 else kind for kind in most[:3]),
    )


HEADLINE: Final = (
    "Vpc", "NatGateway", "Subnet", "Queue", "EventRule", "QueuePolicy", "Cluster", "NodeGroup", "Addon",
    "Role", "Policy", "InstanceProfile", "PodIdentityAssociation", "Release", "EC2NodeClass", "NodePool", "Application",
    "AppProject",
)  # fmt: skip
"""Kinds that say what a component is for, the most telling first."""


def _without_implied(nodes: Mapping[str, Node], edges: set[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    after: dict[str, set[str]] = {name: {earlier for later, earlier in edges if later == name} for name in nodes}

    def reach(name: str) -> set[str]:
        return set().union(*({below} | reach(below) for below in after[name]))

    return frozenset(
        (later, earlier)
        for later, earlier in edges
        if not any(earlier in reach(other) for other in after[later] - {earlier})
    )


def mermaid(recording: Recording) -> str:
    """The graph as Mermaid: an arrow from what is made first to what needs it."""
    picture = by_component(recording)
    lines = ["flowchart LR"]
    lines += [
        f'  {_identifier(name)}["{node.kind}<br/>{node.resources} resources"]' for name, node in picture.nodes.items()
    ]
    lines += [f"  {_identifier(earlier)} --> {_identifier(later)}" for later, earlier in sorted(picture.edges)]
    return "\n".join(lines)


def _identifier(name: str) -> str:
    return name.replace("-", "_")


def layers(picture: Picture) -> list[list[str]]:
    """Component names by column: each right of everything that it needs."""
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((depth_of(earlier) for later, earlier in picture.edges if later == name), default=-1)
        return depth[name]

    columns: list[list[str]] = [[] for _ in range(1 + max(map(depth_of, picture.nodes), default=0))]
    for name in picture.nodes:
        # Stand next to what needs it, not at the far left.
        needed_by = [depth_of(later) for later, earlier in picture.edges if earlier == name]
        columns[max(depth[name], min(needed_by) - 1) if needed_by else depth[name]].append(name)
    for _ in range(4):
        for index, column in enumerate(columns):
            place = {
                name: row
                for other in (columns[index - 1 : index] + columns[index + 1 : index + 2])
                for row, name in enumerate(other)
            }

            def middle(name: str, place: Mapping[str, int] = place) -> float:
                rows = [
                    place[a if b == name else b]
                    for a, b in picture.edges
                    if name in (a, b) and (a if b == name else b) in place
                ]
                return sum(rows) / len(rows) if rows else 0.0

            column.sort(key=middle)
    return columns


def svg(recording: Recording) -> str:
    """The graph as a drawing, left to right in the order of creation; teardown runs the other way."""
    picture = by_component(recording)
    columns = layers(picture)
    rows = max(map(len, columns), default=0)
    height = MARGIN * 2 + 58 + rows * (BOX_HEIGHT + GAP_Y)
    width = MARGIN * 2 + len(columns) * BOX_WIDTH + (len(columns) - 1) * GAP_X
    at: dict[str, tuple[float, float]] = {}
    for index, column in enumerate(columns):
        top = MARGIN + 50 + (rows - len(column)) * (BOX_HEIGHT + GAP_Y) / 2
        for row, name in enumerate(column):
            at[name] = (MARGIN + index * (BOX_WIDTH + GAP_X), top + row * (BOX_HEIGHT + GAP_Y))
    parts = [
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0.5 L7,4 L0,7.5 z" fill="{FAINT}"/></marker></defs>',
        drawing.text(MARGIN, MARGIN + 10, picture.title, size=17, bold=True),
        _legend(width),
    ]
    parts += [_edge(at[earlier], at[later]) for later, earlier in sorted(picture.edges)]
    parts += [_box(node, *at[name]) for name, node in picture.nodes.items()]
    return drawing.document(width, height, parts)


def _legend(width: int) -> str:
    entries = (("aws", "AWS"), ("kubernetes", "Kubernetes"), ("mixed", "both"))
    drawn = []
    for index, (side, label) in enumerate(entries):
        fill, stroke = PALETTE[side]
        x = width - MARGIN - 300 + index * 105
        drawn.append(drawing.rectangle(x, MARGIN - 3, 15, 15, rx=3, fill=fill, stroke=stroke))
        drawn.append(drawing.text(x + 21, MARGIN + 9, label))
    return "".join(drawn)


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT / 2
    x2, y2 = end[0] - 2, end[1] + BOX_HEIGHT / 2
    bend = max(28.0, (x2 - x1) / 2)
    curve = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return drawing.path(curve, stroke=FAINT, stroke_width="1.4", marker_end="url(#head)")


def _box(node: Node, x: float, y: float) -> str:
    fill, stroke = PALETTE[node.side]
    count = f"{node.resources} resource" + ("s" if node.resources != 1 else "")
    left, right = x + 13, x + BOX_WIDTH - 13
    return (
        drawing.rectangle(x, y, BOX_WIDTH, BOX_HEIGHT, rx=9, fill=fill, stroke=stroke, stroke_width="1.4")
        + drawing.text(left, y + 25, node.kind, size=15, bold=True)
        + drawing.text(right, y + 63, count, size=11.5, anchor="end", colour=stroke)
        + drawing.text(left, y + 46, ", ".join(node.most[:2]), size=11.5)
        + drawing.text(left, y + 63, ", ".join(node.most[2:]), size=11.5, colour=FAINT)
    )
