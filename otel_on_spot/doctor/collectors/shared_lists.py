"""Lists that more than one group of facts needs, each asked for once."""

import threading
from collections import defaultdict
from typing import Final

from otel_on_spot.doctor.collectors.cluster_facts import terminating
from otel_on_spot.doctor.facts_kubernetes import Terminating
from otel_on_spot.drills.kubernetes_api import Api, Object
from otel_on_spot.kubernetes.names import (
    APPLICATION,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_CLASS,
    NODE_POOL,
    PERSISTENT_VOLUME,
    PROJECT,
)

PATHS: Final = {
    "NodePool": NODE_POOL.path(),
    "NodeClaim": NODE_CLAIM.path(),
    "EC2NodeClass": NODE_CLASS.path(),
    "Application": APPLICATION.path(),
    "AppProject": PROJECT.path(),
    "Node": NODE.path(),
    "PersistentVolume": PERSISTENT_VOLUME.path(),
    "Namespace": NAMESPACE.path(),
}


class SharedLists:
    """The objects of a kind; whoever asks second waits for the first one's answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._known: dict[str, list[Object]] = {}

    def of(self, kind: str) -> list[Object]:
        """Objects of a kind of ``PATHS``; none where the API server does not serve it."""
        with self._locks[kind]:
            if kind not in self._known:
                self._known[kind] = list(self._api.list(PATHS[kind]))
            return self._known[kind]

    def again(self, kind: str) -> list[Object]:
        """The objects of a kind as they are now; ``of`` gives the same ones from then on."""
        with self._locks[kind]:
            self._known[kind] = list(self._api.list(PATHS[kind]))
            return self._known[kind]

    def all_terminating(self) -> tuple[Terminating, ...]:
        """Objects of every kind here whose deletion was asked for."""
        things = [(kind, one) for kind in PATHS for one in self.of(kind)]
        return tuple(found for kind, one in things if (found := terminating(one, kind)) is not None)
