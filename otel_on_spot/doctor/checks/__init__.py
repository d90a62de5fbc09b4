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
    support.addons,
    support.node_groups,
    services.webhooks,
    services.dns,
    *capacity.CHECKS,
    launches.addresses,
    launches.launches,
    spot.refusals,
    *invisible.CHECKS,
    nodes.node_conditions,
    nodes.repair,
    controller.spot_role,
    *interruption.CHECKS,
    spot.arrivals,
    capacity.limits,
    launches.vcpus,
    capacity.budgets,
    spot.diversity,
    *placement.CHECKS,
    *two_minutes.CHECKS,
    services.probes_and_budgets,
    spot.fallback,
    *gitops.CHECKS,
    *finalizers.CHECKS,
    *orphans.CHECKS,
    nodes.drift,
    nodes.skew,
    support.insights,
    support.support,
)
"""First what stops every node; last what only costs money."""
