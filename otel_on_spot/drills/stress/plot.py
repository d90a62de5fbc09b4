"""Samples of the stress drill as a picture: replicas, pending pods, nodes by capacity type, cost, moments."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from otel_on_spot.drills.stress.watch import ON_DEMAND, SPOT, Sample
from otel_on_spot.report import Moment
from otel_on_spot.svg import FAINT, INK, MARGIN, document, element, line, path, rectangle, text

LEFT, WIDTH, RIGHT, TOP = 90, 860, 170, 86
ROW: Final = 18
NUMBERS: Final = TOP - 24
"""Baseline of the moments' numbers: between the title and the lanes."""
WANTED, RUNNING, PENDING, COST = "#7b8794", "#2f9a76", "#c81e3a", "#8457c9"
SPOT_COLOUR, ON_DEMAND_COLOUR = "#e08a2b", "#3d7fd6"
TICKS: Final = 8
NICE: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
MANY: Final = ("NodeClaim", " node joined", " node left", " nodes joined", " nodes left")
"""Moments that the lanes show anyhow."""
NUMBERED_APART: Final = 34
"""Pixels from which on moments have numbers of their own; closer ones share a label such as 3-5."""
LETTERS: Final = 140
"""A line of the legend; what is longer goes on in the next."""
Value = Callable[[Sample], float]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One diagram: lines as (name, colour, value) in one scale. ``filled``: areas, each upon the one before."""

    title: str
    top: float
    height: float
    lines: tuple[tuple[str, str, Value], ...]
    filled: bool = False


def svg(samples: Sequence[Sample], moments: Sequence[Moment], title: str) -> str:
    """The picture; time runs from the first sample to the last."""
    lanes = _lanes()
    marks = [moment for moment in moments if not any(what in moment.what for what in MANY)]
    bottom = lanes[-1].top + lanes[-1].height
    legend = [row for number, moment in enumerate(marks, start=1) for row in _told(number, moment)]
    width, height = LEFT + WIDTH + RIGHT, bottom + 62 + ROW * len(legend) + MARGIN
    span = max([1.0, *(sample.seconds for sample in samples), *(moment.seconds for moment in marks)])

    def x(seconds: float) -> float:
        return LEFT + WIDTH * seconds / span

    parts = [
        text(MARGIN, MARGIN + 12, title, size=17, bold=True),
        _axis(span, x, bottom),
        *(_lane(lane, samples, x) for lane in lanes),
        *(_mark(moment, x, bottom) for moment in marks),
        *_numbers(marks, x),
        *(text(LEFT, bottom + 62 + ROW * line, row) for line, row in enumerate(legend)),
    ]
    return document(width, height, parts)


def _told(number: int, moment: Moment) -> list[str]:
    """What happened at a moment, in lines that fit."""
    label = f"{number}  {moment.seconds:.1f} s  {moment.what}" + (f": {moment.detail}" if moment.detail else "")
    return textwrap.wrap(label, LETTERS, subsequent_indent="\N{NO-BREAK SPACE}" * 4)


def _numbers(marks: Sequence[Moment], x: Callable[[float], float]) -> list[str]:
    """The numbers of the moments over the lanes; those that would lie over each other share one label."""
    groups: list[list[int]] = []
    for number, moment in enumerate(marks, start=1):
        if groups and x(moment.seconds) - x(marks[groups[-1][0] - 1].seconds) < NUMBERED_APART:
            groups[-1].append(number)
        else:
            groups.append([number])
    return [
        text(
            x(marks[group[0] - 1].seconds),
            NUMBERS,
            f"{group[0]}-{group[-1]}" if len(group) > 1 else f"{group[0]}",
            anchor="middle",
            size=11,
            bold=True,
        )
        for group in groups
    ]


def _lanes() -> tuple[Lane, ...]:
    return (
        Lane(
            title="pods",
            top=TOP,
            height=200,
            lines=(
                ("wanted", WANTED, lambda sample: sample.wanted),
                ("Running", RUNNING, lambda sample: sample.running),
                ("Pending", PENDING, lambda sample: sample.pending),
            ),
        ),
        Lane(
            title="nodes of Karpenter's",
            top=TOP + 234,
            height=110,
            filled=True,
            lines=(
                ("Spot", SPOT_COLOUR, lambda sample: sample.nodes.get(SPOT, 0)),
                ("On-Demand", ON_DEMAND_COLOUR, lambda sample: sample.nodes.get(ON_DEMAND, 0)),
            ),
        ),
        Lane(title="USD an hour", top=TOP + 378, height=70, lines=(("cost", COST, lambda sample: sample.cost or 0.0),)),
    )


def _lane(lane: Lane, samples: Sequence[Sample], x: Callable[[float], float]) -> str:
    stacks = []
    below = [0.0] * len(samples)
    for name, colour, value in lane.lines:
        values = [value(sample) + (below[n] if lane.filled else 0.0) for n, sample in enumerate(samples)]
        stacks.append((name, colour, list(below), values))
        below = values
    most = max([value for *_, values in stacks for value in values] or [0.0]) or 1.0

    def y(value: float) -> float:
        return lane.top + lane.height * (1 - value / most)

    foot = lane.top + lane.height
    parts = [
        text(MARGIN, lane.top - 8, lane.title, size=13, bold=True),
        line(LEFT, foot, LEFT + WIDTH, foot, stroke=INK, stroke_opacity="0.5"),
        text(LEFT - 8, lane.top + 5, f"{most:,.0f}" if most >= 100 else f"{most:.3g}", anchor="end", colour=FAINT),
        text(LEFT - 8, foot, "0", anchor="end", colour=FAINT),
    ]
    seconds = [sample.seconds for sample in samples]
    for number, (name, colour, base, values) in enumerate(stacks):
        upper = _steps([(x(at), y(value)) for at, value in zip(seconds, values, strict=True)])
        if lane.filled and samples:
            back = _steps([(x(at), y(value)) for at, value in zip(seconds, base, strict=True)])
            area = " L".join([upper, *reversed(back.split(" L"))])
            parts.append(path(f"M{area} Z", fill=colour, fill_opacity="0.75"))
        elif samples:
            parts.append(path(f"M{upper}", stroke=colour, stroke_width=2))
        key = lane.top + 12 + number * ROW
        parts.append(rectangle(LEFT + WIDTH + 16, key - 9, 16, 10, fill=colour))
        parts.append(text(LEFT + WIDTH + 38, key, name))
    return "\n".join(parts)


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Through points, level until the next one: what was seen holds until something else is seen."""
    drawn = []
    for n, (at, height) in enumerate(points):
        if n:
            drawn.append(f"{at:.1f},{points[n - 1][1]:.1f}")
        drawn.append(f"{at:.1f},{height:.1f}")
    return " L".join(drawn)


def _axis(span: float, x: Callable[[float], float], bottom: float) -> str:
    step = next((step for step in NICE if span / step <= TICKS), NICE[-1])
    drawn = []
    for second in range(0, int(span) + 1, step):
        drawn.append(line(x(second), TOP, x(second), bottom, stroke=FAINT, stroke_opacity="0.18"))
        drawn.append(text(x(second), bottom + 18, f"{second} s", anchor="middle", size=11, colour=FAINT))
    return "\n".join(drawn)


def _mark(moment: Moment, x: Callable[[float], float], bottom: float) -> str:
    at = x(moment.seconds)
    content = element("title", escape(f"{moment.what} {moment.detail}".strip())) + line(
        at, NUMBERS + 3, at, bottom, stroke=INK, stroke_opacity="0.45", stroke_dasharray="3 3"
    )
    return element("g", content)
