"""Everything that the lab adds to moto 5.2.5, put into moto's own process.

Each patch says which gap it closes. What none of them closes: signatures of requests, and
prices (``prices``).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from otel_on_spot.lab.aws.moto_patches import ec2, eks, events, fleet, iam, reservations, routes, sqs, ssm

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def options(folder: Path) -> dict[str, Any]:
    """Arguments of a ``MotoProcess`` that has the patches.

    ``folder`` has the switches: ``images.json`` (``images.write_images``), ``capacity.json`` and ``endpoints.json``.
    """
    return {
        "plugin": f"{__name__}:install",
        "plugin_folder": folder,
        "environment": {"MOTO_AMIS_PATH": str(folder / "images.json")},
    }


def install(folder: Path, app: Application) -> Application:
    """Patch moto in this process, once; the application with the lab's own routes before moto's.

    ``folder``: see ``options``. ``app``: moto's own application.
    """
    for patch in (ssm, ec2, events, iam, reservations, sqs):
        patch.install()
    for patch in (fleet, eks):
        patch.install(folder)
    return routes.LabRoutes(app, folder)
