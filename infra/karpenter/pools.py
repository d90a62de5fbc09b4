"""The NodePool's spec, from plain typed values. No Pulumi here.

Source: https://karpenter.sh/docs/concepts/nodepools/ (API karpenter.sh/v1)
"""

from typing import Any

from infra.settings.models import Budget, Pool


def node_pool_spec(pool: Pool, node_class: str) -> dict[str, Any]:
    """Spec of a NodePool whose nodes are made as ``node_class`` says."""
    template: dict[str, Any] = {
        "spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": node_class},
            "requirements": requirements(pool),
            "expireAfter": pool.expire_after,
            "terminationGracePeriod": pool.termination_grace_period,
        },
    }
    if pool.taints:
        template["spec"]["taints"] = [
            {"key": t.key, "effect": t.effect} | ({"value": t.value} if t.value else {}) for t in pool.taints
        ]
    if pool.labels:
        template["metadata"] = {"labels": dict(pool.labels)}
    spec: dict[str, Any] = {
        "template": template,
        "limits": {"cpu": pool.limits.cpu, "memory": pool.limits.memory},
        "disruption": {
            "consolidationPolicy": pool.consolidation_policy,
            "consolidateAfter": pool.consolidate_after,
            "budgets": [_budget(budget) for budget in pool.budgets],
        },
    }
    return spec | ({"weight": pool.weight} if pool.weight is not None else {})


def requirements(pool: Pool) -> list[dict[str, Any]]:
    """Requirements on the instances of the pool."""

    def among(key: str, values: tuple[str, ...]) -> dict[str, Any]:
        return {"key": key, "operator": "In", "values": list(values)}

    terms = [
        among("kubernetes.io/os", ("linux",)),
        among("kubernetes.io/arch", pool.architectures),
        among("karpenter.sh/capacity-type", pool.capacity_types),
        among("karpenter.k8s.aws/instance-category", pool.instance_categories),
        {
            "key": "karpenter.k8s.aws/instance-generation",
            "operator": "Gt",
            "values": [str(pool.instance_generation_above)],
        },
    ]
    if pool.instance_families_at_least is not None:
        terms.append(
            {
                "key": "karpenter.k8s.aws/instance-family",
                "operator": "Exists",
                "minValues": pool.instance_families_at_least,
            }
        )
    return terms


def _budget(budget: Budget) -> dict[str, Any]:
    optional = {"reasons": list(budget.reasons) or None, "schedule": budget.schedule, "duration": budget.duration}
    return {"nodes": budget.nodes} | {key: value for key, value in optional.items() if value is not None}
