"""Placement of the demo's databases, as Git has it: which pool they select, and which taints they tolerate."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from infra import demo_chart
from infra.settings.models import Database, GitOps, Taint

DEMO: Final = demo_chart.CHILD
"""Name of the child Application whose chart has the databases."""
POOL: Final = "karpenter.sh/nodepool"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
PLACEMENT: Final[Mapping[str, Any]] = {
    "nodeSelector": {CAPACITY_TYPE: "on-demand", POOL: "data"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "data", "effect": "NoSchedule"}],
}
"""``placement`` of gitops/charts/otel-demo/values.yaml; a test compares the two."""
RENAMED: Final[Mapping[str, Mapping[Database, str]]] = {"chart-0.41": {"postgresql": "astronomy-db"}}
"""Variant of the demo chart's values -> database -> its workload, where the two differ."""


def demo_is_off(gitops: GitOps) -> bool:
    """Whether the stack file turns the demo off: without a word of it, it is deployed."""
    child = gitops.applications.get(DEMO)
    return child is not None and not child.enabled


def databases(gitops: GitOps) -> tuple[Mapping[str, str], list[Mapping[str, str]]] | None:
    """Node selector and tolerations of the databases, with the stack's own values; None where the demo is left out."""
    if demo_is_off(gitops):
        return None
    child = gitops.applications.get(DEMO)
    own: Any = (child.values.get("placement") if child is not None else None) or {}
    given = own if isinstance(own, Mapping) else {}
    selector = PLACEMENT["nodeSelector"] | dict(given.get("nodeSelector") or {})
    return selector, list(given.get("tolerations") or PLACEMENT["tolerations"])


def values(gitops: GitOps) -> dict[str, Any]:
    """Values of the demo's wrapper chart that give its databases the stack's own placement; nothing where it has none.

    Git declares the placement on each database besides, so it has to change there as well.
    """
    placed = databases(gitops)
    if placed is None:
        return {}
    selector, tolerations = placed
    if {"nodeSelector": selector, "tolerations": tolerations} == PLACEMENT:
        return {}
    rules = {"nodeSelector": dict(selector), "tolerations": [dict(toleration) for toleration in tolerations]}
    renamed = RENAMED.get(demo_chart.variant(), {})
    components: tuple[Database, ...] = ("kafka", "postgresql", "valkey-cart")
    return {
        "placement": rules,
        "opentelemetry-demo": {
            "components": {renamed.get(name, name): {"schedulingRules": rules} for name in components},
            "opensearch": rules,
            "prometheus": {"server": rules},
        },
    }


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Mapping[str, str]]) -> list[str]:
    """The taints that keep these pods off, as Kubernetes writes them.

    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """
    hard = [taint for taint in taints if taint.effect != "PreferNoSchedule"]
    return [
        f"{taint.key}={taint.value}:{taint.effect}"
        for taint in hard
        if not any(_tolerates(toleration, taint) for toleration in tolerations)
    ]


def _tolerates(toleration: Mapping[str, str], taint: Taint) -> bool:
    exists = toleration.get("operator") == "Exists"
    return (
        toleration.get("effect") in (None, "", taint.effect)
        and (toleration.get("key") == taint.key or (exists and not toleration.get("key")))
        and (exists or toleration.get("value", "") == taint.value)
    )
