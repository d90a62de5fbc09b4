"""The Kubernetes Lease of a drill: its name, and where it is. Drills hold it, the doctor judges it."""

from typing import Final

from otel_on_spot.kubernetes.names import LEASE

NAME: Final = "otel-on-spot-drill"
PREFIX: Final = "otel-on-spot/"
"""Prefix of the annotations that say which drill, why, and what has to be taken back."""
DURATION_SECONDS: Final = 15
"""Time that a holder may be silent before it counts as dead."""


def lease_path(namespace: str) -> str:
    """Path of the Lease in the API, in Argo CD's namespace."""
    return LEASE.path(namespace, NAME)
