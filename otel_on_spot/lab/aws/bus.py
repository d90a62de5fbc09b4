"""The simulated event bus for processes of the lab and for its tests."""

from typing import Any, Protocol, cast

from otel_on_spot.simcloud.delivery import Delivery, deliver
from otel_on_spot.simcloud.handler import Site


class Clients(Protocol):
    """Whatever has boto3 clients by service: a ``simcloud`` Site, or an ``Endpoint``."""

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""


def put_event(clients: Clients, event: dict[str, Any]) -> list[Delivery]:
    """Put an event on the default bus: it goes where the declared rules and the queues' policies let it go.

    Returns: what became of it at each target of each rule that matches; nothing where no rule does.
    """
    return deliver(cast(Site, clients), event)
