"""The history as text: a table of lives, Spot's savings, a page of Markdown for each incident."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from otel_on_spot.findings import format_count, format_duration
from otel_on_spot.history.lives import Event, Incident, Life, Saving

WORKLOADS_SHOWN = 8
FORGOTTEN = (
    "events and ended instances are kept for about an hour: what was before is known from --record FILE alone",
    "prices: Spot's are EC2's own history, On-Demand's the list prices of us-east-1",
)


def show(
    found: Sequence[Life], saved: Sequence[Saving], console: Console, shared: Mapping[str, float] | None = None
) -> None:
    """Print every life, and the savings below.

    Args:
        found: the lives.
        saved: by pool.
        console: where it goes.
        shared: what each workload has of what is saved.
    """
    for life in found:
        for line in life_lines(life):
            console.print(Text(line), soft_wrap=True)
    for line in ("", *saving_lines(saved), *share_lines(shared or {})):
        console.print(Text(line), soft_wrap=True)
    for line in FORGOTTEN:
        console.print(Text(f"note: {line}", style="dim"), soft_wrap=True)


def life_lines(life: Life) -> list[str]:
    """A life: what it was, how it began and how it ended; nothing of that where no source says it."""
    price = life.spot_usd if life.capacity_type == "spot" else life.on_demand_usd
    what = [life.type, life.zone, life.capacity_type, "" if price is None else f"{price:.4f} USD/h"]
    lines = [f"{life.claim}  {' '.join(filter(None, what))}".rstrip()]
    if life.launched_at:
        lines.append(f"  began  {_time(life.launched_at)} {life.began or '(nobody says why)'}")
    else:
        lines.append(f"  began  never launched{f', {life.began}' if life.began else ''}")
    if life.why_ended:
        lived = f" after {format_duration(life.lived)}" if life.launched_at else ""
        moved = f"; {format_count(life.pods_moved, 'pod')} moved" if life.pods_moved else ""
        used = f"; {_used(life)}" if _used(life) else ""
        lines.append(f"  ended  {_time(life.ended_at)}{lived}: {life.why_ended}{used}{moved}")
    else:
        lines.append(f"  lives  for {format_duration(life.lived)}")
    return lines


def _time(at: datetime | None, otherwise: str = "?") -> str:
    return f"{at.astimezone(UTC):%m-%d %H:%M:%S}" if at else otherwise


def _ended(life: Life) -> str:
    if not life.why_ended:
        return ""
    return f"{_time(life.ended_at)} {life.why_ended}" if life.ended_at else life.why_ended


def _used(life: Life) -> str:
    if life.warning_used is not None:
        return f"{life.warning_used.total_seconds():.0f} s of the warning used"
    return "warned" if life.warned_at else ""


def saving_lines(saved: Iterable[Saving]) -> list[str]:
    """A line for each pool, and what is left of Spot's saving."""
    lines, total = [], 0.0
    for saving in saved:
        total += saving.saved
        told = f"{saving.pool}: {format_count(saving.nodes, 'node')}, {saving.hours:.2f} h, {saving.usd:.4f} USD"
        if saving.fallback:
            lines.append(f"{told} on On-Demand fall-back: {-saving.saved:.4f} more than Spot's price")
        elif saving.saved:
            share = saving.saved / saving.on_demand_usd if saving.on_demand_usd else 0.0
            lines.append(f"{told} on Spot: {saving.saved:.4f} less than On-Demand ({share:.0%})")
        else:
            lines.append(f"{told} on On-Demand")
    return [*lines, f"saved by Spot, less fall-back: {total:.4f} USD"] if lines else []


def share_lines(shared: Mapping[str, float]) -> list[str]:
    """What is saved by workload, the greatest first; nothing where nothing is."""
    total = sum(shared.values())
    if not total:
        return []
    told = [f"{name} {usd:.4f} ({usd / total:.0%})" for name, usd in list(shared.items())[:WORKLOADS_SHOWN]]
    rest = len(shared) - WORKLOADS_SHOWN
    return [f"of it by the requests of workloads on Spot: {', '.join(told)}{f', {rest} more' if rest > 0 else ''}"]


def name_of(incident: Incident) -> str:
    """Name of an incident's page."""
    return f"incident-{incident.began.astimezone(UTC):%Y%m%dT%H%M%SZ}.md"


def page(incident: Incident, events: Iterable[Event], where: str, stack: str) -> str:
    """The page of an incident.

    Args:
        incident: what was hit.
        events: of the cluster, for the course of it.
        where: stack, cluster and region in words.
        stack: for the commands.
    """
    moved = sum(life.pods_moved for life in incident.hit)
    lasted = format_duration(incident.ended - incident.began)
    lines = [
        f"# {incident.title}, {incident.began.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{where}. From {_clock(incident.began)} to {_clock(incident.ended)} UTC ({lasted}); "
        f"{format_count(moved, 'pod')} evicted, as far as events are kept.",
        "",
    ]
    if incident.interrupted:
        lines += ["## Nodes that were taken", "", *_table(incident.interrupted), ""]
    refused = [life for life in incident.hit if life.why_ended.startswith("refused")]
    if refused:
        lines += ["## Launches that were refused", ""]
        lines += [f"- {_clock(life.ended_at)} `{life.claim}` of pool {life.pool}: {life.why_ended}" for life in refused]
        lines.append("")
    lines += ["## In their place", ""]
    lines += _table(incident.in_place) if incident.in_place else ["No node was launched: what was there had room."]
    course = _course(incident, events)
    if course:
        lines += ["", "## Course", "", "| at (UTC) | what | of |", "|---|---|---|", *course]
    late = [life for life in incident.interrupted if life.warning_used and life.warning_used > timedelta(seconds=120)]
    unheard = [life for life in incident.interrupted if life.warned_at is None]
    lines += ["", "## To look at", ""]
    if not unheard and not late:
        lines.append("- Every warning was heard, and no node took longer than its two minutes.")
    if unheard:
        lines.append(f"- {format_count(len(unheard), 'node')} went without a warning that Karpenter heard.")
    if late:
        lines.append(f"- {format_count(len(late), 'node')} took longer than the two minutes of a warning.")
    lines += [
        "",
        "```sh",
        f"otel-on-spot doctor --stack {stack} --only two-minutes,blast-radius,interruption-arrivals,fallback-stuck",
        "```",
    ]
    return "\n".join(lines)


def _clock(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S}" if at else "?"


def _table(found: Iterable[Life]) -> list[str]:
    rows = [
        f"| `{life.claim}` | {life.type or '?'} | {life.zone or '?'} | {life.capacity_type or '?'} | "
        f"{_time(life.launched_at)} | {_clock(life.warned_at) if life.warned_at else ''} | {_ended(life)} | "
        f"{_used(life)} | {life.pods_moved or ''} |"
        for life in found
    ]
    head = "| NodeClaim | type | zone | kind | launched (UTC) | warned | ended | warning | pods moved |"
    return [head, "|---|---|---|---|---|---|---|---|---|", *rows]


def _course(incident: Incident, events: Iterable[Event]) -> list[str]:
    """Events of the NodeClaims that were hit or launched, in the incident's time."""
    names = {life.claim for life in (*incident.hit, *incident.in_place)}
    told = sorted(
        (
            (event.first, event)
            for event in events
            if event.kind == "NodeClaim"
            and event.name in names
            and event.first
            and incident.began - timedelta(minutes=1) <= event.first <= incident.ended + timedelta(minutes=15)
        ),
        key=lambda dated: dated[0],
    )
    return [f"| {_clock(when)} | {event.reason} | `{event.name}` |" for when, event in told]
