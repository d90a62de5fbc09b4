"""What is wrong with the facts: pure functions, in order of blast radius."""

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
"""What stops every node first; what only costs money last."""
