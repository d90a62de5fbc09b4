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
    node_access,
    orphans,
    placement,
)

CHECKS: Final[tuple[Check, ...]] = (
    *node_access.CHECKS,
    *controller.CHECKS,
    *capacity.CHECKS,
    *invisible.CHECKS,
    controller.SPOT_ROLE,
    *interruption.CHECKS,
    capacity.LIMITS,
    *placement.CHECKS,
    *gitops.CHECKS,
    *finalizers.CHECKS,
    *orphans.CHECKS,
)
"""First what stops every node; last what only costs money."""
