"""Argo CD: its namespace and its Helm release."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi
import yaml
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import charts, names
from infra.settings import models as settings

TIMEOUT_SECONDS: Final = 1800
"""Longer than the node group takes: Argo CD's pods wait for the system nodes."""

SYNC_TIMEOUT_SECONDS: Final = 3600
"""End of a sync that waits for something to become Healthy, longer than a first one takes; Argo CD's default is none.

While it waits, no other commit is looked at. Ended, the next commit is; the same one is not tried again.
Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-cmd-params-cm-yaml/
"""
COMPARE_OPTIONS: Final = "ignoreResourceStatusField: none\n"
"""Keeps the status of children out of what the root applies.

With the status ignored, ``RespectIgnoreDifferences`` copies it from the live child into what is applied: it is written
back stale, and a value taken out of Git is never taken out of the child.
Source: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/#system-level-configuration
"""

APPLICATION_HEALTH: Final = """\
hs = {}
hs.status = "Progressing"
hs.message = ""
if obj.status ~= nil then
  if obj.status.health ~= nil then
    hs.status = obj.status.health.status
    if obj.status.health.message ~= nil then
      hs.message = obj.status.health.message
    end
  end
end
return hs
"""
"""Health of a child Application, without which sync waves of an app-of-apps do not wait.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/#argocd-app
"""


@dataclass(frozen=True, kw_only=True)
class ArgoCdArgs:
    """Plain values for the chart. ``metrics_by_dns``: a Service leads to the application controller's metrics.

    ``proxy_environment``: of whatever asks servers outside: Git, Helm and OIDC. ``ca_bundle``: authorities that are
    trusted for ``ca_bundle_hosts``, instead of the public ones.
    """

    config: settings.ArgoCd
    metrics_by_dns: bool = False
    proxy_environment: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    ca_bundle_hosts: tuple[str, ...] = ()


class ArgoCd(pulumi.ComponentResource):
    """The Argo CD release, on the system nodes."""

    namespace: pulumi.Output[str]
    """Namespace that Argo CD and the Applications live in."""

    def __init__(self, name: str, args: ArgoCdArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:ArgoCd", name, None, opts)
        namespace = Namespace(
            f"{name}-namespace",
            opts=pulumi.ResourceOptions(parent=self),
            metadata=ObjectMetaArgs(
                name=names.ARGOCD_NAMESPACE,
                labels={
                    "pod-security.kubernetes.io/enforce": "baseline",
                    "pod-security.kubernetes.io/audit": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                },
            ),
        )
        self.release = Release(
            f"{name}-release",
            name="argocd",
            version=args.config.chart_version,
            **charts.source(args.config.chart_repository, "argo-cd"),
            namespace=names.ARGOCD_NAMESPACE,
            values=argocd_values(args),
            timeout=TIMEOUT_SECONDS,
            atomic=True,
            # The namespace is named in plain text, so no value carries the edge to it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace]),
        )
        self.namespace = namespace.metadata.name
        self.register_outputs({"namespace": self.namespace})


def argocd_values(args: ArgoCdArgs) -> dict[str, Any]:
    """The chart's values.

    A host with authorities of its own is trusted by these alone.
    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/private-repositories/#self-signed--untrusted-tls-certificates
    Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.1.1/charts/argo-cd/values.yaml
    """
    label, value = names.SYSTEM_NODE_LABEL
    config, metrics_by_dns = args.config, args.metrics_by_dns
    outside = [{"name": name, "value": value} for name, value in args.proxy_environment.items()]
    environment = {"env": outside} if outside else {}
    certificates = dict.fromkeys(args.ca_bundle_hosts, args.ca_bundle) if args.ca_bundle else {}
    replicas = 2 if config.high_availability else 1
    budget = {"enabled": config.high_availability, "maxUnavailable": 1, "minAvailable": ""}
    return {
        "global": {
            "domain": config.domain,
            "nodeSelector": {"kubernetes.io/os": "linux", label: value},
            "tolerations": [{"key": names.SYSTEM_TAINT_KEY, "operator": "Exists"}],
            "networkPolicy": {"create": True, "defaultDenyIngress": True},
        }
        | _image(config.image_repository),
        "crds": {"install": True, "keep": True},
        "configs": {
            "cm": {
                "admin.enabled": config.admin_enabled,
                "exec.enabled": False,
                "users.anonymous.enabled": False,
                "application.resourceTrackingMethod": "annotation",
                "resource.customizations.health.argoproj.io_Application": APPLICATION_HEALTH,
                "resource.compareoptions": COMPARE_OPTIONS,
                **oidc_config(config, _authorities(args)),
            },
            "params": {
                "server.insecure": False,
                "application.namespaces": "",
                "controller.diff.server.side": True,
                "controller.sync.timeout.seconds": SYNC_TIMEOUT_SECONDS,
            },
            "rbac": rbac_config(config),
        }
        | ({"tls": {"certificates": certificates}} if certificates else {}),
        # One replica, so that a Service with an address of its own leads to it as well as a headless one.
        "controller": {"resources": _resources("250m", "1Gi")}
        | ({"metrics": {"enabled": True}} if metrics_by_dns else {}),
        "repoServer": {"replicas": replicas, "pdb": budget, "resources": _resources("100m", "512Mi")} | environment,
        "server": {"replicas": replicas, "pdb": budget, "resources": _resources("50m", "256Mi")} | environment,
        "redis": {"resources": _resources("50m", "128Mi")} | _image(config.redis_image_repository),
        # Not used here: fewer pods to run, patch and defend.
        "dex": {"enabled": False},
        "notifications": {"enabled": False},
        "applicationSet": {"replicas": 0},
    }


def oidc_config(config: settings.ArgoCd, ca_bundle: str | None = None) -> dict[str, str]:
    """Single sign-on as argocd-cm holds it; the client's secret is a reference that Argo CD follows."""
    oidc = config.oidc
    if oidc is None:
        return {}
    found: dict[str, Any] = {
        "name": oidc.name,
        "issuer": oidc.issuer,
        "clientID": oidc.client_id,
        "clientSecret": oidc.client_secret,
        "rootCA": ca_bundle,
        "cliClientID": oidc.cli_client_id,
        "enablePKCEAuthentication": oidc.pkce or None,
        "requestedScopes": list(oidc.requested_scopes),
        # Some providers put groups into the token only where they are asked for.
        "requestedIDTokenClaims": {claim: {"essential": True} for claim in config.rbac.scopes},
    }
    return {"oidc.config": yaml.safe_dump({key: value for key, value in found.items() if value is not None})}


def _authorities(args: ArgoCdArgs) -> str | None:
    """Authorities that the OIDC provider is trusted by; None for the public ones."""
    issuer = args.config.oidc.issuer if args.config.oidc else ""
    return args.ca_bundle if urlsplit(issuer).hostname in args.ca_bundle_hosts else None


def rbac_config(config: settings.ArgoCd) -> dict[str, str]:
    """Roles as argocd-rbac-cm holds them."""
    if config.oidc is None:
        return {"policy.default": ""}
    return {
        "policy.default": config.rbac.default_role,
        "policy.csv": "".join(f"{line}\n" for line in config.rbac.policy),
        "scopes": yaml.safe_dump(list(config.rbac.scopes), default_flow_style=True).strip(),
    }


def _image(repository: str | None) -> dict[str, Any]:
    """Another repository than the chart's for an image; its tag stays the chart's."""
    return {"image": {"repository": repository}} if repository else {}


def _resources(cpu: str, memory: str) -> dict[str, dict[str, str]]:
    """Requests, and a memory limit of the same size; CPU is not throttled."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}
