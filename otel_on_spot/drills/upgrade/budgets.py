"""How many nodes of a pool its disruption budgets let go at once, as Karpenter counts them.

Source: GetAllowedDisruptionsByReason and IsActive of
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodepool.go
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from infra.schedules import ScheduleError, nanoseconds, parse_schedule
from otel_on_spot.doctor.facts_kubernetes import PoolBudget

DRIFTED: Final = "Drifted"
"""Reason of a node that is not as its pool and node class say any more."""


def allowed(budgets: Sequence[PoolBudget], nodes: int, now: datetime) -> int | None:
    """Drifted nodes of a pool that may be away at once; None where no budget says.

    A percentage of the pool's nodes is rounded up, and a budget with a schedule holds within its window alone.
    """
    concerned = [budget for budget in budgets if not budget.reasons or DRIFTED in budget.reasons]
    try:
        return min((_nodes(budget, nodes) for budget in concerned if _is_active(budget, now)), default=None)
    except ScheduleError:
        return 0  # Karpenter lets nothing go by a budget that it cannot read


def _nodes(budget: PoolBudget, nodes: int) -> int:
    share = budget.nodes.removesuffix("%")
    return ceil(int(share) * nodes / 100) if share != budget.nodes else int(share)


def _is_active(budget: PoolBudget, now: datetime) -> bool:
    if budget.schedule is None or budget.duration is None:
        return True
    came = parse_schedule(budget.schedule).latest(now)
    return came is not None and now - came < timedelta(microseconds=nanoseconds(budget.duration) / 1000)
