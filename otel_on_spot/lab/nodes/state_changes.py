"""EC2 tells the event bus when an instance's state changes; moto does not, so the nodes process does.

An instance is running when it is first seen, so there is no event of ``pending``.
"""

from typing import Any

from otel_on_spot.lab.aws.events import Clients, State, put_event, state_change

STEPS: dict[str, tuple[State, ...]] = {
    "running": ("running",),
    "stopping": ("stopping",),
    "stopped": ("stopping", "stopped"),
    "shutting-down": ("shutting-down",),
    "terminated": ("shutting-down", "terminated"),
}
"""States that an instance goes through to the one that it is seen in.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
"""


class StateChanges:
    """Remembers states between looks. The first look is the start: it changes nothing."""

    def __init__(self) -> None:
        self._states: dict[str, str] | None = None

    def changes(self, rows: list[dict[str, Any]]) -> list[tuple[str, State]]:
        """(instance, state) of every change since the last look, in order."""
        now = {row["id"]: row["state"] for row in rows}
        before, self._states = self._states, now
        if before is None:
            return []
        found: list[tuple[str, State]] = []
        for identity, state in now.items():
            had = before.get(identity)
            if state != had:
                found += [(identity, step) for step in STEPS.get(state, ()) if step != had]
        return found


def publish(clients: Clients, region: str, changes: list[tuple[str, State]]) -> None:
    """Put the changes on the bus; one that cannot be put is logged, as a thread's error would be lost."""
    for identity, state in changes:
        try:
            deliveries = put_event(clients, state_change(region, identity, state))
        except Exception as problem:  # noqa: BLE001 (told, and tried again at the next change)
            print(f"{identity} is {state}: the event was not put: {type(problem).__name__}: {problem}", flush=True)
            continue
        for delivery in deliveries:
            print(f"{identity} is {state}: rule {delivery.rule}: {delivery.refused or 'delivered'}", flush=True)
