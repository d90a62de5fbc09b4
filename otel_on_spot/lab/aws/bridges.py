"""Everything that the lab adds to moto 5.2.5, put into moto's own process.

Each bridge says which gap it closes. What none of them closes: conditions and resources of IAM policies
(``bridges_permissions``), signatures of requests, and prices (``prices``).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

IMAGES = "images.json"


def install(folder: Path, app: Application) -> Application:
    """Patch moto in this process, once; the application with the lab's own routes before moto's.

    Args:
        folder: the switches: ``images.json`` (``images.write_images``), ``capacity.json`` and ``endpoints.json``.
    """
    from otel_on_spot.lab.aws import (
        bridges_cluster,
        bridges_events,
        bridges_fleet,
        bridges_instances,
        bridges_parameters,
        bridges_permissions,
        bridges_profiles,
        bridges_spot,
        routes,
    )

    bridges_parameters.install()
    bridges_spot.install()
    bridges_events.install()
    bridges_fleet.install(folder)
    bridges_instances.install()
    bridges_cluster.install(folder)
    bridges_profiles.install()
    bridges_permissions.install()
    return routes.LabRoutes(app, folder)
