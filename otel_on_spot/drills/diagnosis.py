"""Reasons why a drill stopped: checks of the doctor, on facts that are collected there and then."""

from collections.abc import Collection, Sequence

from otel_on_spot.doctor.collectors import everything
from otel_on_spot.doctor.examine import run_check, select_checks
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.report import Verdict
from otel_on_spot.target import Target


def collect_facts(target: Target) -> Facts:
    """Facts of the platform as it is now."""
    facts, _requests = everything.collect(target, lambda _done, _total, _group: None)
    return facts


def causes(facts: Facts, checks: Sequence[str]) -> tuple[Verdict, ...]:
    """Those checks that found something, in the doctor's order of blast radius."""
    judged = (run_check(facts, check) for check in select_checks(checks, ()))
    return tuple(verdict for verdict in judged if verdict.status == "found")


def explained(
    target: Target, judged: Sequence[Verdict], checks: Sequence[str], apart_from: Collection[str] = ("front-path",)
) -> tuple[Verdict, ...]:
    """Verdicts, and behind them what the doctor finds now where one of them found something.

    Args:
        target: the platform.
        judged: the verdicts.
        checks: ids of the doctor's checks.
        apart_from: ids of lines that these checks say nothing of.
    """
    if not any(verdict.status == "found" and verdict.id not in apart_from for verdict in judged):
        return tuple(judged)
    return (*judged, *causes(collect_facts(target), checks))
