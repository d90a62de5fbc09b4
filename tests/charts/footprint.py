"""What the children put into the cluster beyond their namespace: what the AppProject has to allow, no more."""

from dataclasses import dataclass
from typing import Any

import yaml

from tests.charts import helm
from tests.charts.demo_chart import REPOSITORY, Wrapper

APPS = REPOSITORY / "gitops" / "apps"
ARGOCD_NAMESPACE = "argocd"
CLUSTER_METADATA = {
    "clusterName": "otel-on-spot-dev",
    "environment": "dev",
    "region": "eu-central-1",
    "interruptionQueue": "otel-on-spot-dev",
    "nodeRole": "otel-on-spot-dev-node",
}
ROOT_VALUES = {
    "clusterMetadata": CLUSTER_METADATA,
    "project": "platform",
    "repoURL": "https://example.com/otel-on-spot.git",
    "targetRevision": "main",
    "destinationServer": "https://kubernetes.default.svc",
}

# Source: the API reference of Kubernetes 1.36, and https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/
CLUSTER_SCOPED = {
    ("", "Namespace"),
    ("", "PersistentVolume"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
}
NAMESPACED = {
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("argoproj.io", "Application"),
    ("batch", "Job"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
}


@dataclass(frozen=True)
class Footprint:
    """`complete` is false when the demo chart itself was not there to render: then `cluster_kinds` may lack some."""

    cluster_kinds: frozenset[tuple[str, str]]
    namespaces: frozenset[str]
    repositories: frozenset[str]
    complete: bool


def root_objects(overrides: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The child Applications, rendered from the values that the root Application passes."""
    values = helm.layered(ROOT_VALUES, overrides or {})
    return helm.render(APPS, release="platform", namespace=ARGOCD_NAMESPACE, values=values)


def child_objects(wrapper: Wrapper, application: dict[str, Any]) -> list[dict[str, Any]]:
    """What one child Application renders, as Argo CD does: its path, its values files, its values."""
    source = application["spec"]["source"]
    chart = REPOSITORY / source["path"]
    if chart.name == wrapper.path.name:
        chart = wrapper.path
    files = [chart / name for name in source["helm"]["valueFiles"]]
    values = helm.layered(helm.load_values(files), yaml.safe_load(source["helm"].get("values") or "{}"))
    namespace = application["spec"]["destination"]["namespace"]
    return helm.render(chart, release=source["helm"]["releaseName"], namespace=namespace, values=values)


def children_footprint(wrapper: Wrapper, overrides: dict[str, Any] | None = None) -> Footprint:
    """Cluster-scoped kinds as (group, kind), namespaces and repositories of every child, the Applications included.

    Raises:
        ValueError: a chart renders a kind whose scope is not known here.
    """
    kinds: set[tuple[str, str]] = set()
    namespaces = {ARGOCD_NAMESPACE}
    repositories = set()
    for application in root_objects(overrides):
        spec = application["spec"]
        repositories.add(spec["source"]["repoURL"])
        namespaces.add(spec["destination"]["namespace"])
        if "CreateNamespace=true" in spec["syncPolicy"]["syncOptions"]:
            kinds.add(("", "Namespace"))
        for child_object in child_objects(wrapper, application):
            if scope(child_object) == "cluster":
                kinds.add(group_kind(child_object))
            elif explicit := child_object["metadata"].get("namespace"):
                namespaces.add(explicit)
    complete = wrapper.demo.source == "real"
    return Footprint(frozenset(kinds), frozenset(namespaces), frozenset(repositories), complete)


def group_kind(rendered: dict[str, Any]) -> tuple[str, str]:
    group, slash, _ = rendered["apiVersion"].partition("/")
    return (group if slash else "", rendered["kind"])


def scope(rendered: dict[str, Any]) -> str:
    key = group_kind(rendered)
    if key in CLUSTER_SCOPED:
        return "cluster"
    if key in NAMESPACED:
        return "namespace"
    raise ValueError(f"{yaml.safe_dump(list(key)).strip()}: scope not known; add it to CLUSTER_SCOPED or NAMESPACED.")
