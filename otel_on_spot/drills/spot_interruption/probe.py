"""A probe of the front path, all along: success ratio and longest gap."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.resilience import CONNECTION_ERRORS
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import ENDPOINT_SLICE, SERVICE_NAME

EVERY_SECONDS: Final = 0.5
SERVICE, PORT = "frontend-proxy", 8080
PROXY: Final = "/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/"
"""Source: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One probe. ``seconds``: since the first one."""

    seconds: float
    served: bool


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Availability over all probes. ``longest_gap``: seconds from the last success before a failure to the next one."""

    looks: int
    served: int
    longest_gap: float

    @property
    def ratio(self) -> float:
        """From 0 to 1; 1 where nobody looked."""
        return self.served / self.looks if self.looks else 1.0


def availability(samples: Sequence[Sample]) -> Availability:
    """Success ratio and longest gap. A gap is as long as it may have been: failures lie between two successes."""
    longest, good = 0.0, samples[0].seconds if samples else 0.0
    failing = False
    for sample in samples:
        if failing or not sample.served:
            longest = max(longest, sample.seconds - good)
        failing = not sample.served
        if sample.served:
            good = sample.seconds
    return Availability(looks=len(samples), served=sum(sample.served for sample in samples), longest_gap=longest)


def through_the_proxy(api: Api, namespace: str) -> bool:
    """True where the Service answers an HTTP request that the API server passes on."""
    return 200 <= api.status(PROXY.format(namespace=namespace, service=SERVICE, port=PORT)) <= 399


def ready_endpoints(api: Api, namespace: str) -> bool:
    """True where the Service has a ready endpoint: what there is to look at where no container runs."""
    slices = api.list(ENDPOINT_SLICE.path(namespace), labelSelector=f"{SERVICE_NAME}={SERVICE}")
    endpoints = [endpoint for part in slices for endpoint in part.get("endpoints") or []]
    return any((endpoint.get("conditions") or {}).get("ready") in (True, None) for endpoint in endpoints)


class Probe:
    """Looks every half second, in a thread of its own. A context: it ends with it."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._over = threading.Event()
        self._began = time.monotonic()
        self._samples: list[Sample] = []
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> "Probe":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    @property
    def seen(self) -> Availability:
        """So far."""
        return availability(tuple(self._samples))

    def _run(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            try:
                served = self._look()
            except (ApiException, *CONNECTION_ERRORS):
                served = False
            self._samples.append(Sample(seconds=started - self._began, served=served))
            self._over.wait(max(0.0, started + EVERY_SECONDS - time.monotonic()))
