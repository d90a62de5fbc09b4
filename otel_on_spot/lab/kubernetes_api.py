"""The lab's API server where the simulated cloud expects a cluster's Kubernetes API.

Same methods, real objects and controllers.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from kubernetes.client.exceptions import ApiException
from typing_extensions import override
from urllib3.exceptions import HTTPError

from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import Kind
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes_api import Kubernetes, Object
from otel_on_spot.waiting import Deadline, retry

Answer = TypeVar("Answer")

GRACE_SECONDS = 15.0
"""Wait for an API server that is being started again."""
POLL_SECONDS = 0.5
REQUEST_SECONDS = (5.0, 60.0)
UNLISTED = frozenset({"Event", "ComponentStatus", "Lease", "Endpoints", "EndpointSlice"})
"""Kinds that say nothing about what a user made."""
TABLES = ("objects", "crds", "releases", "release-objects")


class KubernetesApi(Kubernetes):
    """The Kubernetes API of the one cluster that the lab serves.

    ``kubeconfig``: of a user who may do everything.
    """

    serves_itself: ClassVar[bool] = True

    def __init__(self, cloud: Cloud, cluster: str, *, kubeconfig: Path) -> None:
        super().__init__(cloud, cluster)
        self.client = Api.from_kubeconfig(kubeconfig, REQUEST_SECONDS)

    @override
    def require_reachable(self) -> None:
        super().require_reachable()
        try:
            retry(
                lambda: self.client.get("/version"),
                Deadline(GRACE_SECONDS),
                passing=lambda problem: isinstance(problem, (ApiException, HTTPError)),
                every=POLL_SECONDS,
            )
        except (ApiException, HTTPError) as problem:
            raise ApiError(
                "Unreachable",
                f"configured Kubernetes cluster is unreachable: {self.client.server}: {_first_line(problem)}",
            ) from problem

    @staticmethod
    def ask(request: Callable[[], Answer]) -> Answer:
        """The answer of the API server.

        Raises:
            ApiError: the API server refused; ``NotFoundError`` where there is no such object.
        """  # noqa: DOC501 (refusal_of makes the ApiError)
        try:
            return request()
        except ApiException as problem:
            raise refusal_of(problem) from problem
        except HTTPError as problem:
            raise ApiError("Unreachable", f"the API server does not answer: {_first_line(problem)}") from problem

    def _kind(self, version: str, kind: str) -> Kind:
        """The kind as the API server serves it.

        Raises:
            ApiError: it does not serve it.
        """  # noqa: DOC501 (_no_match makes the ApiError)
        found = self.ask(lambda: self.client.kind(version, kind))
        if found is None:
            raise _no_match(version, kind)
        return found

    def _path(self, version: str, kind: str, name: str, namespace: str) -> str:
        found = self._kind(version, kind)
        return found.path((namespace or "default") if found.namespaced else "", name)

    def _path_of(self, thing: Object) -> str:
        metadata = thing["metadata"]
        return self._path(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))

    def namespaced(self, version: str, kind: str) -> bool:
        """True where objects of a kind are in namespaces."""
        return self._kind(version, kind).namespaced

    @override
    def knows(self, version: str, kind: str) -> bool:
        return self.ask(lambda: self.client.kind(version, kind)) is not None

    @override
    def get(self, version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        if not self.knows(version, kind):
            return None
        found = self.ask(lambda: self.client.get(self._path(version, kind, name, namespace)))
        return None if found is None else _plain(found)

    @override
    def objects(self, version: str = "", kind: str = "", namespace: str = "") -> list[Object]:
        if version and kind:
            kinds = [self._kind(version, kind)] if self.knows(version, kind) else []
        else:
            kinds = [
                entry
                for entry in self.ask(self.client.kinds)
                if entry.kind not in UNLISTED
                and (not version or entry.version == version)
                and (not kind or entry.kind == kind)
            ]
        return [thing for entry in kinds for thing in self._listed(entry, namespace)]

    def _listed(self, kind: Kind, namespace: str) -> list[Object]:
        if namespace and not kind.namespaced:
            return []
        found = self.ask(lambda: self.client.get(kind.path(namespace))) or {}
        return [_plain({"apiVersion": kind.version, "kind": kind.kind, **thing}) for thing in found.get("items") or []]

    @override
    def define(self, version: str, kind: str, owner: str) -> None:
        raise RuntimeError(f"{kind} in {version}: a real API server learns a kind from a CustomResourceDefinition only")

    @override
    def undefine(self, version: str, kind: str) -> None:
        raise RuntimeError(f"{kind} in {version}: delete its CustomResourceDefinition")

    @override
    def apply(self, wanted: Object, manager: str, force: bool = False) -> Object:
        version, kind, name = wanted["apiVersion"], wanted["kind"], wanted["metadata"]["name"]
        path = self._path_of(wanted)
        try:
            return _plain(self.ask(lambda: self.client.apply(path, wanted, manager, force=force)))
        except NotFoundError as problem:
            if "could not find the requested resource" in problem.sentence:
                raise _no_match(version, kind) from problem
            raise ApiError("NotFound", problem.sentence) from problem
        except ApiError as problem:
            if problem.code == "Conflict":
                raise ApiError("Conflict", f"{kind} {name}: {problem.sentence}") from problem
            raise

    @override
    def replace(self, thing: Object) -> None:
        path, metadata = self._path_of(thing), thing["metadata"]
        now = self.ask(lambda: self.client.get(path))
        if now is None:
            self.ask(lambda: self.client.create(path.rpartition("/")[0], thing))
            return
        body = {**thing, "metadata": {**metadata, "resourceVersion": now["metadata"]["resourceVersion"]}}
        self.ask(lambda: self.client.replace(path, body))

    def merge(self, thing: Object, change: Object) -> Object:
        """Change a few fields of an object by a merge patch, as a person's ``kubectl patch`` does.

        Raises:
            ApiError: the API server refuses; ``NotFoundError`` where the object is not there.
        """
        path = self._path_of(thing)
        return _plain(self.ask(lambda: self.client.merge(path, change)))

    @override
    def delete(self, thing: Object) -> None:
        # Source: pulumi-kubernetes, provider/pkg/await/await.go (Deletion): what an object owns goes before it
        options = {"propagationPolicy": "Foreground"}
        there = self.knows(thing["apiVersion"], thing["kind"]) and self.ask(
            lambda: self.client.delete(self._path_of(thing), options)
        )
        if not there:
            raise NotFoundError("NotFound", f"{thing['kind']} {thing['metadata']['name']} not found")

    @override
    def collect(self, thing: Object) -> bool:
        metadata = thing["metadata"]
        return self.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", "")) is None

    @override
    def settle(self) -> None:
        time.sleep(POLL_SECONDS)

    @override
    def why_stuck(self, thing: Object) -> str:
        metadata = thing["metadata"]
        now = self.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
        if now is None:
            return "it is gone"
        reasons = [*_told_by_conditions(now), super().why_stuck(now)]
        finalizers = [*now["metadata"].get("finalizers", []), *(now.get("spec", {}).get("finalizers") or [])]
        if finalizers:
            reasons.append(f"finalizers {', '.join(finalizers)} are not served yet")
        return "; ".join(reason for reason in reasons if reason) or "its deletion was asked for and is under way"

    @override
    def forget(self) -> None:
        for table in TABLES:
            for key in self.cloud.tables.all(table, f"{self.cluster}|"):
                self.cloud.tables.remove(table, key)


def refusal_of(problem: ApiException) -> ApiError:
    """The API server's refusal as the cloud's.

    ``NotFoundError`` for 404, ``Conflict`` with managers and fields, its reason else.
    """
    try:
        told: dict[str, Any] = json.loads(problem.body or "{}")
    except ValueError:
        told = {}
    sentence = str(told.get("message") or problem.reason or problem)
    details = told.get("details") or {}
    causes = [cause for cause in details.get("causes") or [] if cause.get("reason") == "FieldManagerConflict"]
    if problem.status == 409 and causes:
        fields = sorted(f"{cause.get('field', '').lstrip('.')} ({cause.get('message')})" for cause in causes)
        return ApiError("Conflict", f"Apply failed with {len(fields)} conflict(s): {', '.join(fields)}")
    if problem.status == 404:
        return NotFoundError("NotFound", sentence)
    return ApiError(str(told.get("reason") or problem.reason or problem.status), sentence)


def _no_match(version: str, kind: str) -> ApiError:
    return ApiError("NoMatch", f'no matches for kind "{kind}" in version "{version}": its CRD is not installed')


def _plain(thing: Object) -> Object:
    """The object without the list of who manages which field."""
    thing.get("metadata", {}).pop("managedFields", None)
    return thing


def _told_by_conditions(thing: Object) -> list[str]:
    """Conditions of an object that are not as they should be. A Namespace's are true when something is in the way."""
    bad = "True" if thing["kind"] == "Namespace" else "False"
    conditions = (thing.get("status") or {}).get("conditions") or []
    return [
        f"{condition.get('type')}: {condition.get('message') or condition.get('reason') or condition.get('status')}"
        for condition in conditions
        if condition.get("status", bad) in (bad, "Unknown")
    ]


def _first_line(problem: Exception) -> str:
    if isinstance(problem, ApiException):
        return f"{problem.status} {problem.reason}"
    return str(problem).splitlines()[0]
