"""What a PromQL expression asks for, by a parser: one reading for the alerts' rules and the dashboards' queries."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import promql_parser as promql

SELECT: Final = {"topk", "bottomk", "limitk", "limit_ratio"}
"""Aggregations that keep some series as they are."""


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


def unmatched(expr: str, known: Mapping[str, Collection[str]]) -> list[str]:
    """Labels that an operation matches its operands by and one of them lacks: nothing, or everything, would match.

    Args:
        expr: the expression.
        known: metric -> its labels.
    """
    wrong = []
    for part in within(expr):
        modifier = getattr(part, "modifier", None)
        if not isinstance(part, promql.BinaryExpr) or modifier is None or modifier.matching is None:
            continue
        for operand in (part.lhs, part.rhs):
            if any(isinstance(inner, promql.VectorSelector) for inner in parts(operand)):
                missing = set(modifier.matching.labels) - _carried(operand, known)
                wrong += [f"nothing is matched by {label}" for label in sorted(missing)]
    return wrong


def made(expr: str) -> set[str]:
    """Labels that an expression makes itself, by label_replace."""
    calls = [part for part in within(expr) if isinstance(part, promql.Call) and part.func.name == "label_replace"]
    return {call.args[1].val for call in calls}


def carried(expr: str, known: Mapping[str, Collection[str]]) -> set[str]:
    """Labels of what an expression results in: what a legend or an annotation can name.

    Args:
        expr: the expression.
        known: metric -> its labels.
    """
    return _carried(promql.parse(expr), known)


def _carried(node: Any, known: Mapping[str, Collection[str]]) -> set[str]:
    if isinstance(node, promql.VectorSelector):
        return {*known[node.name], "job", "instance"}
    if isinstance(node, promql.AggregateExpr):
        inner = _carried(node.expr, known)
        if str(node.op) in SELECT:
            return inner
        if node.modifier is None:
            return set()
        named = set(node.modifier.labels)
        return inner - named if node.modifier.type == promql.AggModifierType.Without else inner & named
    if isinstance(node, promql.BinaryExpr):
        return _of_both(node, _carried(node.lhs, known), _carried(node.rhs, known))
    if isinstance(node, promql.Call):
        inner = set[str]().union(*(_carried(argument, known) for argument in node.args))
        if node.func.name == "absent":  # of a selector alone; of an expression it has none
            of = node.args[0]
            return {told.name for told in of.matchers.matchers} if isinstance(of, promql.VectorSelector) else set()
        if node.func.name == "label_replace":
            return inner | {node.args[1].val}
        return inner - {"le"} if node.func.name == "histogram_quantile" else inner
    below = getattr(node, "vector_selector", None) or getattr(node, "expr", None)
    return _carried(below, known) if below is not None else set()


def _of_both(node: Any, left: set[str], right: set[str]) -> set[str]:
    """Labels of an operation on two operands.

    Source: https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
    """
    operator, modifier = str(node.op), node.modifier
    if operator == "or":
        return left | right
    if operator in {"and", "unless"}:
        return left
    matching = modifier.matching if modifier is not None else None
    if not any(isinstance(part, promql.VectorSelector) for part in parts(node.lhs)):
        return right
    if matching is None:
        return left
    named, grouped_by = set(matching.labels), set(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | grouped_by
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right | grouped_by
    return left & named if matching.type == promql.LabelModifierType.Include else left - named
