"""Objects that the argo-cd chart writes for a release's values.

They are the ConfigMaps and the Secret that Argo CD is configured by.
"""

import base64
import mmap
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from otel_on_spot.kubernetes.names import APP_NAME, APP_VERSION, PART_OF
from otel_on_spot.simcloud.kubernetes_api import Object

OWN: Final = {PART_OF: "argocd"}
CHART_CM: Final = {
    "admin.enabled": "true",
    "application.instanceLabelKey": "argocd.argoproj.io/instance",
    "application.sync.impersonation.enabled": "false",
    "exec.enabled": "false",
    "statusbadge.enabled": "false",
    "timeout.hard.reconciliation": "0s",
    "timeout.reconciliation": "180s",
}
"""Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.1.1/charts/argo-cd/values.yaml (configs.cm)"""
CHART_PARAMS: Final = {
    "application.namespaces": "",
    "controller.ignore.normalizer.jq.timeout": "1s",
    "controller.log.format": "text",
    "controller.log.level": "info",
    "controller.operation.processors": "10",
    "controller.repo.server.timeout.seconds": "60",
    "controller.self.heal.timeout.seconds": "5",
    "controller.status.processors": "20",
    "controller.sync.timeout.seconds": "0",
    "otlp.address": "",
    "reposerver.log.format": "text",
    "reposerver.log.level": "info",
    "reposerver.parallelism.limit": "0",
}
"""Source: the same file (configs.params, global.logging) and templates/_helpers.tpl (argo-cd.config.params.presets)"""
CHART_RBAC: Final = {"policy.csv": "", "policy.default": "", "policy.matchMode": "glob", "scopes": "[groups]"}
"""Source: the same file (configs.rbac)"""
OPTIONS: Final = frozenset({"create", "annotations"})
"""Keys of ``configs.*`` that speak to the chart, not to Argo CD."""
PREFIXES: Final = ("resource.customizations", "accounts", "extension.config", "kustomize.version", "kustomize.path")
"""Parts before which the rest of a key is a name that the user chooses."""


def written(defaults: Mapping[str, str], given: Mapping[str, Any] | None) -> dict[str, str]:
    """Data of a ConfigMap: the chart's defaults under the values, everything as text; null removes."""
    merged: dict[str, Any] = {**defaults, **{key: value for key, value in (given or {}).items() if key not in OPTIONS}}
    return {key: _text(value) for key, value in sorted(merged.items()) if value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def config_maps(values: Mapping[str, Any], upstream_cm: Mapping[str, str], *, name: str, version: str) -> list[Object]:
    """argocd-cm, argocd-cmd-params-cm and argocd-rbac-cm.

    Args:
        values: the release's values.
        upstream_cm: data of argocd-cm in Argo CD's own manifests, which the chart repeats as its defaults.
        name: what the names of the chart's objects begin with.
        version: of Argo CD, which the chart labels its objects with.
    """
    configs = values.get("configs") or {}
    domain = (values.get("global") or {}).get("domain") or "argocd.example.com"
    cm = written({**upstream_cm, **CHART_CM, "url": f"https://{domain}"}, configs.get("cm"))
    presets = {"repo.server": f"{name}-repo-server:8081", "redis.server": f"{name}-redis:6379"}
    params = written({**CHART_PARAMS, **presets}, configs.get("params"))
    return [
        _config_map("argocd-cm", version, cm),
        _config_map("argocd-cmd-params-cm", version, params),
        _config_map("argocd-rbac-cm", version, written(CHART_RBAC, configs.get("rbac"))),
    ]


def _config_map(name: str, version: str, data: Mapping[str, str]) -> Object:
    """Source of its labels: templates/_common.tpl of the chart (argo-cd.labels)."""
    labels = {**OWN, APP_NAME: name, APP_VERSION: version}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": dict(data)}


def secret(values: Mapping[str, Any], there: Object | None) -> Object:
    """argocd-secret. The key that signs sessions, which Argo CD's API server makes up on its first start, is kept."""
    given = (values.get("configs") or {}).get("secret") or {}
    data = {key: _encoded(str(value)) for key, value in (given.get("extra") or {}).items()}
    if given.get("argocdServerAdminPassword"):
        data["admin.password"] = _encoded(str(given["argocdServerAdminPassword"]))
    kept = ((there or {}).get("data") or {}).get("server.secretkey")
    data.setdefault("server.secretkey", kept or _encoded(secrets.token_urlsafe(32)))
    labels = {**OWN, APP_NAME: "argocd-secret"}
    metadata = {"name": "argocd-secret", "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def unknown_keys(values: Mapping[str, Any], program: Path, params: frozenset[str]) -> list[str]:
    """Keys of ``configs.cm`` and ``configs.params`` that this Argo CD does not know.

    Args:
        values: of the release.
        program: its binary: a Go program holds every key that it looks up as text.
        params: the keys that its own manifests read from argocd-cmd-params-cm.
    """
    configs = values.get("configs") or {}
    found = [f"configs.params.{key}" for key in configs.get("params") or {} if key not in params | OPTIONS]
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for key in configs.get("cm") or {}:
            looked_up = next((prefix for prefix in PREFIXES if key.startswith(f"{prefix}.")), key)
            if key not in OPTIONS and content.find(looked_up.encode()) < 0:
                found.append(f"configs.cm.{key}")
    return found
