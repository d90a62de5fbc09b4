"""What a PromQL expression asks for, by a parser: one reading for the alerts' rules and the dashboards' queries."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql


def parts(node: Any) -> Iterator[Any]:
    """A parsed expression and everything in it."""
    yield node
    if isinstance(node, promql.MatrixSelector):
        yield from parts(node.vector_selector)
    for name in ("lhs", "rhs", "expr", "param"):
        if isinstance(inner := getattr(node, name, None), promql.Expr):
            yield from parts(inner)
    for inner in getattr(node, "args", None) or ():
        yield from parts(inner)


def within(expr: str) -> list[Any]:
    """Everything in an expression."""
    return list(parts(promql.parse(expr)))


def asked(expr: str) -> dict[str, set[str]]:
    """Metric -> labels that its selectors name."""
    found: dict[str, set[str]] = {}
    for part in within(expr):
        if isinstance(part, promql.VectorSelector):
            found.setdefault(part.name, set()).update(matcher.name for matcher in part.matchers.matchers)
    return found


def grouped(expr: str) -> set[str]:
    """Labels that an expression groups or matches by."""
    found: set[str] = set()
    for part in within(expr):
        modifier = getattr(part, "modifier", None)
        if isinstance(part, promql.AggregateExpr) and modifier is not None:
            found.update(modifier.labels)
        if isinstance(part, promql.BinaryExpr) and modifier is not None:
            found.update(modifier.matching.labels if modifier.matching else (), modifier.group_labels or ())
    return found


def groupings(expr: str) -> Iterator[tuple[set[str], set[str]]]:
    """Labels of each aggregation, and the metrics within it."""
    for part in within(expr):
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            below = {inner.name for inner in parts(part) if isinstance(inner, promql.VectorSelector)}
            yield set(part.modifier.labels), below


def made(expr: str) -> set[str]:
    """Labels that an expression makes itself, by label_replace."""
    calls = [part for part in within(expr) if isinstance(part, promql.Call) and part.func.name == "label_replace"]
    return {call.args[1].val for call in calls}
