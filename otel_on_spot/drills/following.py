"""Watching things come about: looked at again and again, until they are there or time is up."""

import time
from collections.abc import Callable
from typing import Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.holding import LeaseHeld
from otel_on_spot.drills.patience import CONNECTION, passing

EVERY_SECONDS: Final = 0.5
"""Between two looks. Each look costs a few requests, which the report counts."""


def follow(drill: Drill, look: Callable[[], bool], seconds: float, every: float = EVERY_SECONDS) -> bool:
    """Look until ``look`` says that everything is there: whether it did within ``seconds``.

    A server that does not answer for a while is asked again.

    Raises:
        LeaseHeld: somebody took the drill's lease over: nothing more may be done.
        ApiException: the server refused.
    """
    end = time.monotonic() + seconds
    while True:
        if drill.hold.lost.is_set():
            raise LeaseHeld(
                "the lease was taken over while the drill ran: it stops here, and its successor puts things back"
            )
        try:
            if look():
                return True
        except ApiException as refused:
            if not passing(refused):
                raise
        except CONNECTION:
            pass
        left = end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every, left))
