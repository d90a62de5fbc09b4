"""All checks, in order of blast radius: pure functions that find what is wrong with the facts."""

from typing import Final

from otel_on_spot.doctor.check import Check
from otel_on_spot.doctor.checks import (
    capacity,
    controller,
    finalizers,
    gitops,
    interruption,
    invisible,
    launches,
    node_access,
    nodes,
    orphans,
    placement,
    services,
    spot,
    support,
    two_minutes,
)

CHECKS: Final[tuple[Check, ...]] = (
    *node_access.CHECKS,
    *controller.CHECKS,
    support.ADD_ONS,
    support.NODE_GROUPS,
    services.WEBHOOKS,
    services.DNS,
    *capacity.CHECKS,
    launches.ADDRESSES,
    launches.LAUNCHES,
    spot.REFUSALS,
    *invisible.CHECKS,
    nodes.CONDITIONS,
    nodes.REPAIR,
    controller.SPOT_ROLE,
    *interruption.CHECKS,
    spot.ARRIVALS,
    capacity.LIMITS,
    launches.VCPUS,
    capacity.BUDGETS,
    spot.DIVERSITY,
    *placement.CHECKS,
    *two_minutes.CHECKS,
    services.PROBES,
    spot.FALLBACK,
    *gitops.CHECKS,
    *finalizers.CHECKS,
    *orphans.CHECKS,
    nodes.DRIFT,
    nodes.SKEWED,
    support.INSIGHTS,
    support.SUPPORT,
)
"""First what stops every node; last what only costs money."""
