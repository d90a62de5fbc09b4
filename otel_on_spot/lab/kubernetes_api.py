"""The lab's API server where the simulated cloud expects a cluster's Kubernetes API: same methods, real objects, real controllers."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError
from kubernetes.dynamic.resource import Resource, ResourceList
from typing_extensions import override

from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes.api import Kubernetes, Object
from otel_on_spot.simcloud.refusal import Gone, Refusal

Answer = TypeVar("Answer")

GRACE_SECONDS = 15.0
"""How long an API server that is being started again is waited for."""
POLL_SECONDS = 0.5
REQUEST_SECONDS = 60.0
UNLISTED = frozenset({"Event", "ComponentStatus", "Lease", "Endpoints", "EndpointSlice"})
"""Kinds that say nothing about what a user made."""
TABLES = ("objects", "crds", "releases", "release-objects")


class KubernetesApi(Kubernetes):
    """The Kubernetes API of the one cluster that the lab serves.

    Args:
        cloud: the simulated cloud that the cluster is part of.
        cluster: the cluster's name.
        kubeconfig: of a user who may do everything.
        forgotten: called when the cluster is deleted: the control plane's data goes with it.
    """

    serves_itself: ClassVar[bool] = True

    def __init__(
        self, cloud: Cloud, cluster: str, *, kubeconfig: Path, forgotten: Callable[[], None] | None = None
    ) -> None:
        super().__init__(cloud, cluster)
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)
        settings.connection_pool_maxsize = 64
        settings.proxy = None
        self.client = client.ApiClient(settings)
        self._forgotten = forgotten
        self._cache = cloud.directory / f"discovery-{cluster}.json"
        self._lock = threading.Lock()
        self._dynamic_client: DynamicClient | None = None

    @property
    def _dynamic(self) -> DynamicClient:
        """Made when first asked, which is when the API server is there: it discovers what is served at once."""
        if self._dynamic_client is None:
            self._cache.unlink(missing_ok=True)
            self._dynamic_client = DynamicClient(self.client, cache_file=str(self._cache))
        return self._dynamic_client

    @override
    def require_reachable(self) -> None:
        super().require_reachable()
        end = time.monotonic() + GRACE_SECONDS
        while True:
            try:
                client.VersionApi(self.client).get_code(_request_timeout=5)
                return
            except (ApiException, urllib3.exceptions.HTTPError) as problem:
                if time.monotonic() > end:
                    raise Refusal(
                        "Unreachable",
                        f"configured Kubernetes cluster is unreachable: {self.client.configuration.host}: {_first_line(problem)}",
                    ) from problem
                time.sleep(POLL_SECONDS)

    def _resource(self, version: str, kind: str) -> Resource:
        """Where the API server serves a kind.

        Raises:
            Refusal: it does not serve it.
        """
        with self._lock:
            try:
                return self._asked(lambda: self._dynamic.resources.get(api_version=version, kind=kind))
            except ResourceNotUniqueError:
                found = self._asked(lambda: self._dynamic.resources.search(api_version=version, kind=kind))
                return next(one for one in found if not isinstance(one, ResourceList))
            except ResourceNotFoundError as problem:
                raise _no_match(version, kind) from problem

    @staticmethod
    def _asked(request: Callable[[], Answer]) -> Answer:
        """The answer of the API server, its refusal as the cloud's."""
        try:
            return request()
        except ApiException as problem:
            raise refusal_of(problem) from problem
        except urllib3.exceptions.HTTPError as problem:
            raise Refusal("Unreachable", f"the API server does not answer: {_first_line(problem)}") from problem

    def namespaced(self, version: str, kind: str) -> bool:
        """Whether objects of a kind are in namespaces."""
        return bool(self._resource(version, kind).namespaced)

    @override
    def knows(self, version: str, kind: str) -> bool:
        try:
            self._resource(version, kind)
        except Refusal as problem:
            if problem.code != "NoMatch":
                raise
            return False
        return True

    @override
    def get(self, version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        if not self.knows(version, kind):
            return None
        resource = self._resource(version, kind)
        where = {"namespace": namespace or "default"} if resource.namespaced else {}
        try:
            found = self._asked(
                lambda: self._dynamic.get(resource, name=name, _request_timeout=REQUEST_SECONDS, **where)
            )
        except Gone:
            return None
        return _plain(found.to_dict())

    @override
    def objects(self, version: str = "", kind: str = "", namespace: str = "") -> list[Object]:
        if version and kind:
            resources = [self._resource(version, kind)] if self.knows(version, kind) else []
        else:
            with self._lock:
                every = self._asked(lambda: list(self._dynamic.resources.search(preferred=True)))
            resources = [
                one
                for one in every
                if not isinstance(one, ResourceList)
                and "list" in (one.verbs or [])
                and one.kind not in UNLISTED
                and (not version or one.group_version == version)
                and (not kind or one.kind == kind)
            ]
        return [thing for one in resources for thing in self._listed(one, namespace)]

    def _listed(self, resource: Resource, namespace: str) -> list[Object]:
        if namespace and not resource.namespaced:
            return []
        where = {"namespace": namespace} if namespace else {}
        try:
            found = self._asked(lambda: self._dynamic.get(resource, _request_timeout=REQUEST_SECONDS, **where))
        except Gone:
            return []
        identity = {"apiVersion": resource.group_version, "kind": resource.kind}
        return [_plain({**identity, **thing}) for thing in found.to_dict().get("items") or []]

    @override
    def define(self, version: str, kind: str, owner: str) -> None:
        raise RuntimeError(f"{kind} in {version}: a real API server learns a kind from a CustomResourceDefinition only")

    @override
    def undefine(self, version: str, kind: str) -> None:
        raise RuntimeError(f"{kind} in {version}: delete its CustomResourceDefinition")

    @override
    def apply(self, wanted: Object, manager: str, force: bool = False) -> Object:
        version, kind, metadata = wanted["apiVersion"], wanted["kind"], wanted["metadata"]
        resource = self._resource(version, kind)
        where = {"namespace": metadata.get("namespace") or "default"} if resource.namespaced else {}
        try:
            made = self._asked(
                lambda: self._dynamic.server_side_apply(
                    resource,
                    body=wanted,
                    name=metadata["name"],
                    field_manager=manager,
                    force_conflicts=force,
                    _request_timeout=REQUEST_SECONDS,
                    **where,
                )
            )
        except Gone as problem:
            if "could not find the requested resource" in problem.sentence:
                raise _no_match(version, kind) from problem
            raise Refusal("NotFound", problem.sentence) from problem
        except Refusal as problem:
            if problem.code == "Conflict":
                raise Refusal("Conflict", f"{kind} {metadata['name']}: {problem.sentence}") from problem
            raise
        return _plain(made.to_dict())

    @override
    def replace(self, thing: Object) -> None:
        resource = self._resource(thing["apiVersion"], thing["kind"])
        metadata = thing["metadata"]
        where = {"namespace": metadata.get("namespace") or "default"} if resource.namespaced else {}
        now = self.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
        if now is None:
            self._asked(lambda: self._dynamic.create(resource, body=thing, **where))
            return
        body = {**thing, "metadata": {**metadata, "resourceVersion": now["metadata"]["resourceVersion"]}}
        self._asked(lambda: self._dynamic.replace(resource, body=body, **where))

    def merge(self, thing: Object, change: Object) -> Object:
        """Change a few fields of an object by a merge patch, as a person's ``kubectl patch`` does.

        Raises:
            Refusal: the API server refuses; ``Gone`` where the object is not there.
        """
        resource = self._resource(thing["apiVersion"], thing["kind"])
        metadata = thing["metadata"]
        where = {"namespace": metadata.get("namespace") or "default"} if resource.namespaced else {}
        kind = "application/merge-patch+json"
        made = self._asked(
            lambda: self._dynamic.patch(resource, body=change, name=metadata["name"], content_type=kind, **where)
        )
        return _plain(made.to_dict())

    @override
    def delete(self, thing: Object) -> None:
        metadata = thing["metadata"]
        if not self.knows(thing["apiVersion"], thing["kind"]):
            raise Gone("NotFound", f"{thing['kind']} {metadata['name']} not found")
        resource = self._resource(thing["apiVersion"], thing["kind"])
        where = {"namespace": metadata.get("namespace") or "default"} if resource.namespaced else {}
        # Source: pulumi-kubernetes, provider/pkg/await/await.go (Deletion): what an object owns goes before it
        body = {"propagationPolicy": "Foreground"}
        self._asked(lambda: self._dynamic.delete(resource, name=metadata["name"], body=body, **where))

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
        if self._forgotten is not None:
            self._forgotten()


def refusal_of(problem: ApiException) -> Refusal:
    """What the API server said as the cloud's refusal: ``Gone`` for 404, ``Conflict`` with managers and fields, its reason else."""
    try:
        told: dict[str, Any] = json.loads(problem.body or "{}")
    except ValueError:
        told = {}
    sentence = str(told.get("message") or problem.reason or problem)
    details = told.get("details") or {}
    causes = [cause for cause in details.get("causes") or [] if cause.get("reason") == "FieldManagerConflict"]
    if problem.status == 409 and causes:
        fields = sorted(f"{cause.get('field', '').lstrip('.')} ({cause.get('message')})" for cause in causes)
        return Refusal("Conflict", f"Apply failed with {len(fields)} conflict(s): {', '.join(fields)}")
    if problem.status == 404:
        return Gone("NotFound", sentence)
    return Refusal(str(told.get("reason") or problem.reason or problem.status), sentence)


def _no_match(version: str, kind: str) -> Refusal:
    return Refusal("NoMatch", f'no matches for kind "{kind}" in version "{version}": its CRD is not installed')


def _plain(thing: Object) -> Object:
    """The object without the list of who manages which field."""
    thing.get("metadata", {}).pop("managedFields", None)
    return thing


def _told_by_conditions(thing: Object) -> list[str]:
    """What an object's conditions say is not as it should be. A Namespace's are true when something is in the way."""
    bad = "True" if thing["kind"] == "Namespace" else "False"
    conditions = (thing.get("status") or {}).get("conditions") or []
    return [
        f"{one.get('type')}: {one.get('message') or one.get('reason') or one.get('status')}"
        for one in conditions
        if one.get("status", bad) in (bad, "Unknown")
    ]


def _first_line(problem: Exception) -> str:
    if isinstance(problem, ApiException):
        return f"{problem.status} {problem.reason}"
    return str(problem).splitlines()[0]
