"""The objects of a release in the API server: applied, waited for, pruned and removed, as Helm does."""

import threading
from collections.abc import Callable, Sequence

import yaml

from otel_on_spot.kubernetes.names import DEFINITION, DEPLOYMENT, POD
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError, OperationCancelledError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes_api import Object
from otel_on_spot.waiting import Deadline, wait_until

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MANAGER = "helm"
POLL_SECONDS = 0.5
KEEP = "helm.sh/resource-policy"
TABLE = "release-objects"
REMOVAL_SECONDS = 120.0
FIRST = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "Secret", "ConfigMap")
"""Kinds that others need; what is not listed keeps its place behind them.

Source: Helm, pkg/release/util/kind_sorter.go
"""


class ReleaseDeadline(Deadline):
    """The end of an installation, which a cancellation of the operation ends too."""

    def __init__(self, seconds: float, cancelled: threading.Event) -> None:
        super().__init__(seconds, cancelled)
        self._cancelled = cancelled

    def check(self) -> None:
        """Go on unless the operation was cancelled.

        Raises:
            OperationCancelledError: it was.
        """
        if self._cancelled.is_set():
            raise OperationCancelledError("the operation was cancelled while the release was installed")

    def until(self, ready: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait until something is so.

        Raises:
            ApiError: it is not so in time.
            OperationCancelledError: the operation was cancelled.
        """
        if not wait_until(ready, self, POLL_SECONDS):
            self.check()
            raise ApiError("Timeout", f"{what()}: not so within {self.seconds:.0f} s")


class ReleaseObjects:
    """The objects of one release. Which ones they are is remembered in the cloud's tables."""

    def __init__(self, cloud: Cloud, api: KubernetesApi, release: str, namespace: str) -> None:
        self.cloud = cloud
        self.api = api
        self.release = release
        self.namespace = namespace
        self._key = f"{api.cluster}|{namespace}|{release}"

    def _remembered(self) -> list[dict[str, str]]:
        row = self.cloud.tables.get(TABLE, self._key)
        return row["objects"] if row else []

    def _remember(self, objects: list[dict[str, str]]) -> None:
        self.cloud.tables.put(TABLE, self._key, {"objects": objects})

    def apply(self, things: Sequence[Object], deadline: ReleaseDeadline) -> list[Object]:
        """Apply all of it, wait for CRDs to be served, then remove what an earlier revision had and this one has not.

        Raises:
            ApiError: the API server refuses an object, or a CRD is not served in time.
        """
        ordered = sorted(things, key=lambda thing: FIRST.index(thing["kind"]) if thing["kind"] in FIRST else len(FIRST))
        before, made, applied = self._remembered(), [], []
        for thing in ordered:
            deadline.check()
            namespaced = self.api.namespaced(thing["apiVersion"], thing["kind"])
            wanted = owned(thing, self.release, self.namespace, namespaced=namespaced)
            made.append(_reference(wanted))
            self._remember([*made, *(reference for reference in before if reference not in made)])
            applied.append(self.api.apply(wanted, MANAGER, force=True))
            if thing["kind"] == DEFINITION.kind:
                self._established(wanted["metadata"]["name"], deadline)
        for reference in before:
            if reference not in made:
                self._remove(reference)
        self._remember(made)
        return applied

    def _established(self, name: str, deadline: ReleaseDeadline) -> None:
        def conditions() -> dict[str, str]:
            found = self.api.get(*DEFINITION.identity, name) or {}
            return {
                condition["type"]: condition["status"]
                for condition in (found.get("status") or {}).get("conditions") or []
            }

        deadline.until(
            lambda: conditions().get("Established") == "True",
            lambda: f"release {self.release}: CustomResourceDefinition {name} is not established: {conditions()}",
        )

    def available(self, deployment: str, deadline: ReleaseDeadline) -> None:
        """Wait until a Deployment has every replica available.

        Raises:
            ApiError: it has not, with what its conditions and its pods say.
        """

        def now() -> Object:
            return self.api.get(*DEPLOYMENT.identity, deployment, self.namespace) or {}

        def ready() -> bool:
            found = now()
            status, wanted = found.get("status") or {}, (found.get("spec") or {}).get("replicas", 1)
            seen = status.get("observedGeneration", 0) >= (found.get("metadata") or {}).get("generation", 1)
            return seen and status.get("updatedReplicas", 0) >= wanted and status.get("availableReplicas", 0) >= wanted

        def why() -> str:
            found = now()
            said = [condition.get("message", "") for condition in (found.get("status") or {}).get("conditions") or []]
            labels = ((found.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
            for pod in self.api.objects(*POD.identity, self.namespace):
                mine = labels.items() <= (pod["metadata"].get("labels") or {}).items()
                conditions = (pod.get("status") or {}).get("conditions") or []
                said += [condition["message"] for condition in conditions if mine and condition.get("message")]
            told = "; ".join(dict.fromkeys(filter(None, said)))
            return f"release {self.release}: Deployment {deployment} is not available: {told}"

        deadline.until(ready, why)

    def remove(self, seconds: float = REMOVAL_SECONDS) -> None:
        """Remove what the release made, last first, and wait until it is gone; what is to be kept stays.

        Raises:
            ApiError: something is still there after ``seconds``; a later call goes on with it.
        """
        deadline = ReleaseDeadline(seconds, threading.Event())
        going = [there for reference in reversed(self._remembered()) if (there := self._remove(reference))]
        for there in going:
            what = f"release {self.release}: deletion of {there['kind']} {there['metadata']['name']}"
            deadline.until(
                lambda there=there: self.api.collect(there),
                lambda there=there, what=what: f"{what}: {self.api.why_stuck(there)}",
            )
        self.cloud.tables.remove(TABLE, self._key)

    def _remove(self, reference: dict[str, str]) -> Object | None:
        """Ask for its deletion: the object, None where nothing is to be deleted."""
        there = self.api.get(reference["apiVersion"], reference["kind"], reference["name"], reference["namespace"])
        if there is None or (there["metadata"].get("annotations") or {}).get(KEEP) == "keep":
            return None
        try:
            self.api.delete(there)
        except NotFoundError:
            return None
        return there


def _reference(thing: Object) -> dict[str, str]:
    metadata = thing["metadata"]
    return {
        "apiVersion": thing["apiVersion"],
        "kind": thing["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
    }


def owned(thing: Object, release: str, namespace: str, *, namespaced: bool) -> Object:
    """The object with the marks that Helm puts on what it makes.

    Source: https://helm.sh/docs/chart_best_practices/labels/ and
    https://github.com/helm/helm/blob/v4.2.1/pkg/action/validate.go

    Args:
        thing: as the chart renders it.
        release: name of the release.
        namespace: the release's.
        namespaced: the kind is in namespaces: where the object names none, it is in the release's.
    """
    metadata = dict(thing["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }
    if namespaced:
        metadata.setdefault("namespace", namespace)
    return {**thing, "metadata": metadata}
