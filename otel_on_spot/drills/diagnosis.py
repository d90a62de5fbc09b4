"""Reasons why a drill stopped: checks of the doctor, on facts that are collected there and then."""

from collections.abc import Sequence

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
