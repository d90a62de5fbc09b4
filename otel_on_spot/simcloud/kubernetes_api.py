"""An API server's objects, kept in the cloud's tables."""

import os
import uuid
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol

from otel_on_spot.kubernetes.names import NAMESPACE, TERMINATION
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError, refuse
from otel_on_spot.simcloud.kubernetes_kinds import BUILT_IN_GROUPS, CLUSTER_SCOPED
from otel_on_spot.simcloud.tables import Tables

Object = dict[str, Any]
DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"
"""``true``: what is in a cluster that does not answer counts as gone, for reads and for deletions of objects. Source:
``Read`` and ``Delete`` of https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go"""


class AwsSide(Protocol):
    """The cloud, as far as an API server needs it."""

    @property
    def tables(self) -> Tables:
        """The cloud's tables."""
        ...

    def client(self, service: str, region: str) -> Any:
        """A boto3 client."""
        ...


class Kubernetes:
    """The Kubernetes API of one cluster.

    ``serves_itself``: a subclass speaks to an API server whose controllers are real; ours must leave its objects alone.
    """

    serves_itself: ClassVar[bool] = False

    def __init__(self, cloud: AwsSide, cluster: str) -> None:
        self.cloud = cloud
        self.cluster = cluster

    def require_reachable(self) -> None:
        """Refuse where nobody answers: the cluster is gone or not ready, or its private endpoint admits nobody.

        Raises:
            ApiError: nobody answers.
        """
        row = self.cloud.tables.get("clusters", self.cluster)
        opening = "configured Kubernetes cluster is unreachable"
        if row is None or row["status"] != "ACTIVE":
            raise ApiError("Unreachable", f"{opening}: there is no active cluster named {self.cluster!r}")
        shut = row["inputs"]["vpcConfig"].get("endpointPublicAccess") is False and not self._admits(row)
        told = f"{opening}: the private endpoint of {self.cluster!r} admits nobody on port 443"
        refuse((shut, told), code="Unreachable")

    def counts_as_gone(self) -> bool:
        """True where nobody answers and the provider was told that what is in the cluster is gone with it.

        Raises:
            ApiError: nobody answers, and it was not told so.
        """
        try:
            self.require_reachable()
        except ApiError:
            if os.environ.get(DELETE_UNREACHABLE) != "true":
                raise
            return True
        return False

    def _admits(self, row: Mapping[str, Any]) -> bool:
        groups = row["inputs"]["vpcConfig"].get("securityGroupIds") or []
        if not groups:
            return False
        found = self.cloud.client("ec2", row["region"]).describe_security_groups(GroupIds=groups)["SecurityGroups"]
        return any(
            rule.get("FromPort", 0) <= 443 <= rule.get("ToPort", 65535) and rule.get("IpRanges")
            for group in found
            for rule in group["IpPermissions"]
        )

    def _key(self, version: str, kind: str, name: str, namespace: str) -> str:
        return f"{self.cluster}|{version}|{kind}|{'' if kind in CLUSTER_SCOPED else namespace}|{name}"

    def get(self, version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object; None where it is not there.

        Args:
            version: the API version, such as ``apps/v1``.
            kind: such as ``Deployment``.
            name: the object's.
            namespace: ignored of a cluster-scoped kind.
        """
        row = self.cloud.tables.get("objects", self._key(version, kind, name, namespace))
        return row["object"] if row else None

    def objects(self, version: str = "", kind: str = "", namespace: str = "") -> list[Object]:
        """Objects of a kind, of a namespace, or all."""
        found = [row["object"] for row in self.cloud.tables.all("objects", f"{self.cluster}|").values()]
        return [
            thing
            for thing in found
            if (not version or thing["apiVersion"] == version)
            and (not kind or thing["kind"] == kind)
            and (not namespace or thing["metadata"].get("namespace") == namespace)
        ]

    def knows(self, version: str, kind: str) -> bool:
        """Decide if the API server serves the kind: by itself, or by a CRD."""
        if version in BUILT_IN_GROUPS:
            return True
        return self.cloud.tables.get("crds", f"{self.cluster}|{version}|{kind}") is not None

    def define(self, version: str, kind: str, owner: str) -> None:
        """Add a CRD."""
        self.cloud.tables.put("crds", f"{self.cluster}|{version}|{kind}", {"owner": owner})

    def undefine(self, version: str, kind: str) -> None:
        """Remove a CRD: its objects go with it, each when its finalizers are served."""
        for thing in self.objects(version, kind):
            self.delete(thing)
        self.cloud.tables.remove("crds", f"{self.cluster}|{version}|{kind}")

    def apply(self, wanted: Object, manager: str, *, force: bool = False) -> Object:
        """Server-side apply: make or change an object.

        Raises:
            ApiError: the kind or the namespace is missing, or another manager owns a field and ``force`` is not given.
        """
        version, kind, metadata = wanted["apiVersion"], wanted["kind"], wanted["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        if not self.knows(version, kind):
            raise ApiError("NoMatch", f'no matches for kind "{kind}" in version "{version}": its CRD is not installed')
        with self.cloud.tables.changing():
            if kind not in CLUSTER_SCOPED:
                self._open(namespace, name)
            key = self._key(version, kind, name, namespace)
            row = self.cloud.tables.get("objects", key) or {"object": None, "managers": {}}
            actual = row["object"]
            others = {who: fields for who, fields in row["managers"].items() if who != manager}
            conflicts = sorted(
                f"{path} (owned by {who})" for who, fields in others.items() for path in _conflicts(fields, wanted)
            )
            told = f"Apply failed with {len(conflicts)} conflict(s) on {kind} {name}: {', '.join(conflicts)}"
            refuse((conflicts and not force, told), code="Conflict")
            merged = _merged(deepcopy(actual) if actual else {}, row["managers"].get(manager, {}), wanted)
            made = merged["metadata"]
            made.setdefault("uid", str(uuid.uuid4()))
            made.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            made["resourceVersion"] = str(int(made.get("resourceVersion", 0)) + 1)
            if TERMINATION.get(kind) and TERMINATION[kind] not in made.get("finalizers", []):
                made["finalizers"] = [*made.get("finalizers", []), TERMINATION[kind]]
            managers = {**others, manager: _fields(wanted)}
            self.cloud.tables.put("objects", key, {"object": merged, "managers": managers})
        return merged

    def _open(self, namespace: str, name: str) -> None:
        there = self.get(*NAMESPACE.identity, namespace)
        if there is None:
            raise ApiError("NotFound", f'namespaces "{namespace}" not found')
        told = f"unable to create new content in namespace {namespace} because it is being terminated: {name}"
        refuse((there["metadata"].get("deletionTimestamp"), told), code="Forbidden")

    def replace(self, thing: Object) -> None:
        """Write an object as it is, past every check: for controllers, and for drift made behind Pulumi's back."""
        metadata = thing["metadata"]
        key = self._key(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
        row = self.cloud.tables.get("objects", key) or {"managers": {}}
        self.cloud.tables.put("objects", key, {**row, "object": thing})

    def delete(self, thing: Object) -> None:
        """Ask for the deletion of an object, and of what it owns (foreground).

        Raises:
            NotFoundError: there is no such object.
        """
        metadata = thing["metadata"]
        there = self.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
        if there is None:
            raise NotFoundError("NotFound", f"{thing['kind']} {metadata['name']} not found")
        there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.replace(there)
        for owned in self.dependents(there):
            if not owned["metadata"].get("deletionTimestamp"):
                self.delete(owned)
        self.collect(there)

    def dependents(self, thing: Object) -> list[Object]:
        """Objects that must go before this one does: those that it owns; of a namespace, all in it."""
        if thing["kind"] == "Namespace":
            return self.objects(namespace=thing["metadata"]["name"])
        uid = thing["metadata"].get("uid")
        return [
            owned
            for owned in self.objects()
            if any(owner.get("uid") == uid for owner in owned["metadata"].get("ownerReferences", []))
        ]

    def collect(self, thing: Object) -> bool:
        """Remove an object that is to be deleted, has no finalizer left and owns nothing: whether it is gone."""
        metadata = thing["metadata"]
        key = self._key(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
        with self.cloud.tables.changing():
            row = self.cloud.tables.get("objects", key)
            if row is None:
                return True
            now = row["object"]
            if (
                not now["metadata"].get("deletionTimestamp")
                or now["metadata"].get("finalizers")
                or self.dependents(now)
            ):
                return False
            self.cloud.tables.remove("objects", key)
        return True

    def settle(self) -> None:
        """Pause between two looks at something that others change. Here nothing changes by itself."""

    def why_stuck(self, thing: Object) -> str:
        """The reason for which an object to be deleted is still there; empty where only its finalizers are known."""
        waits_for = [f"{owned['kind']} {owned['metadata']['name']}" for owned in self.dependents(thing)]
        return f"it waits for {', '.join(waits_for)}" if waits_for else ""

    def forget(self) -> None:
        """The cluster is deleted: everything in it is gone."""
        for table in ("objects", "crds", "releases"):
            for key in self.cloud.tables.all(table, f"{self.cluster}|"):
                self.cloud.tables.remove(table, key)


def _fields(wanted: Object) -> Object:
    """The fields that a manager owns: everything that it applied but the object's identity."""
    return {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind")}


def _conflicts(owned: Mapping[str, Any], wanted: Mapping[str, Any], at: str = "") -> list[str]:
    found = []
    for key, value in owned.items():
        if at == "metadata." and key in ("name", "namespace"):
            continue
        if key not in wanted or wanted[key] == value:
            continue
        if isinstance(value, Mapping) and isinstance(wanted[key], Mapping):
            found += _conflicts(value, wanted[key], f"{at}{key}.")
        else:
            found.append(f"{at}{key}")
    return found


def _merged(actual: Object, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    """The object with the manager's fields as wanted; fields it gave up are gone, others' stay."""
    for key in before:
        if key not in wanted and key in actual:
            del actual[key]
    for key, value in wanted.items():
        if value is None:
            continue
        if isinstance(value, Mapping) and isinstance(actual.get(key), dict):
            earlier = before.get(key)
            actual[key] = _merged(actual[key], earlier if isinstance(earlier, Mapping) else {}, value)
        else:
            actual[key] = deepcopy(value)
    return actual
