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
    orphans,
    placement,
    support,
    two_minutes,
)

CHECKS: Final[tuple[Check, ...]] = (
    *node_access.CHECKS,
    *controller.CHECKS,
    support.ADD_ONS,
    *capacity.CHECKS,
    launches.ADDRESSES,
    launches.LAUNCHES,
    *invisible.CHECKS,
    controller.SPOT_ROLE,
    *interruption.CHECKS,
    capacity.LIMITS,
    launches.VCPUS,
    capacity.BUDGETS,
    *placement.CHECKS,
    *two_minutes.CHECKS,
    *gitops.CHECKS,
    *finalizers.CHECKS,
    *orphans.CHECKS,
    support.SUPPORT,
)
"""First what stops every node; last what only costs money."""
