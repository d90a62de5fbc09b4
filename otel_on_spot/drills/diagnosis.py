"""Why a drill stopped: lines of the doctor, judged on facts that are taken there and then."""

from collections.abc import Sequence

from otel_on_spot.doctor.collectors import everything
from otel_on_spot.doctor.examine import run_check, select_checks
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.report import Verdict
from otel_on_spot.target import Target


def look(target: Target) -> Facts:
    """What the doctor sees now."""
    facts, _requests = everything.collect(target, lambda _done, _total, _group: None)
    return facts


def causes(facts: Facts, lines: Sequence[str]) -> tuple[Verdict, ...]:
    """Those lines of the doctor that found something, in its order of blast radius."""
    return tuple(one for check in select_checks(lines, ()) if (one := run_check(facts, check)).status == "found")


def told(found: Sequence[Verdict], lines: Sequence[str]) -> str:
    """Where the likely cause is, on one line."""
    if not found:
        return f"the doctor's lines {', '.join(lines)} found nothing"
    first = found[0].findings[0]
    return f"likely cause: {first.seen} (doctor: {', '.join(one.id for one in found)})"
