"""The environment that a container gets from its spec, as the kubelet computes it."""

import base64
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.kubernetes_api import Kubernetes, Object

REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def environment(
    api: Kubernetes, namespace: str, workload: Object, container: str, *, without: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Variables of a container of a Deployment or StatefulSet.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ and
    https://kubernetes.io/docs/concepts/workloads/pods/downward-api/

    Args:
        api: the API server that has the ConfigMaps and Secrets.
        namespace: the workload's.
        workload: a Deployment or StatefulSet.
        container: name of the container in its pod.
        without: variables that only make sense in the container's image.

    Raises:
        ApiError: a Secret or ConfigMap that is not optional is missing, or a variable comes from a source that only
            a pod has.
    """
    pod = workload["spec"]["template"]
    found = next(spec for spec in pod["spec"]["containers"] if spec["name"] == container)
    values: dict[str, str] = {}
    for source in found.get("envFrom") or []:
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                data = _data(api, namespace, kind, source[key]["name"], optional=bool(source[key].get("optional")))
                values |= {f"{source.get('prefix', '')}{name}": value for name, value in data.items()}
    for entry in found.get("env") or []:
        if entry["name"] in without:
            continue
        value = _value(api, namespace, workload, found, entry)
        if value is not None:
            values[entry["name"]] = _expanded(value, values)
    return values


def _value(
    api: Kubernetes, namespace: str, workload: Object, container: Mapping[str, Any], entry: Mapping[str, Any]
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return str(entry.get("value") or "")
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if key in source:
            reference = source[key]
            optional = bool(reference.get("optional"))
            data = _data(api, namespace, kind, reference["name"], optional=optional)
            if reference["key"] not in data and not optional:
                raise ApiError(
                    "CreateContainerConfigError",
                    f"{kind} {namespace}/{reference['name']} has no key {reference['key']!r}",
                )
            return data.get(reference["key"])
    readers: dict[str, Callable[[], str]] = {
        "fieldRef": lambda: _field(namespace, workload, source["fieldRef"]["fieldPath"]),
        "resourceFieldRef": lambda: _resource(container, source["resourceFieldRef"]),
    }
    for key, read in readers.items():
        if key in source:
            return read()
    raise ApiError("CreateContainerConfigError", f"variable {entry['name']}: the lab knows no source {sorted(source)}")


def _field(namespace: str, workload: Object, path: str) -> str:
    known = {
        "metadata.namespace": namespace,
        "spec.serviceAccountName": workload["spec"]["template"]["spec"].get("serviceAccountName", "default"),
        "metadata.name": f"{workload['metadata']['name']}-lab",
    }
    if path not in known:
        raise ApiError(
            "CreateContainerConfigError",
            f"fieldPath {path!r}: a process beside the cluster has only {', '.join(known)}",
        )
    return known[path]


def _resource(container: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """A request or limit divided by its divisor and rounded up; a limit that is not set is the request.

    Raises:
        ApiError: the container sets no such request or limit.
    """
    side, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(side) or {}).get(name)
    if amount is None:
        raise ApiError(
            "CreateContainerConfigError", f"resourceFieldRef {reference['resource']}: the container sets none"
        )
    divisor = parse_quantity(reference.get("divisor") or "1") or Decimal(1)
    return str(int((parse_quantity(amount) / divisor).to_integral_value(ROUND_UP)))


def _data(api: Kubernetes, namespace: str, kind: str, name: str, *, optional: bool) -> dict[str, str]:
    there = api.get("v1", kind, name, namespace)
    if there is None:
        if optional:
            return {}
        raise ApiError("CreateContainerConfigError", f"{kind} {namespace}/{name} not found")
    data = there.get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()} if kind == "Secret" else dict(data)


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced where the name is known, ``$$`` as one dollar."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return REFERENCE.sub(replaced, value)
