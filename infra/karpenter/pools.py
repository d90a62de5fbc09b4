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
    for key, taints in (("taints", pool.taints), ("startupTaints", pool.startup_taints)):
        if taints:
            template["spec"][key] = [
                {"key": t.key, "effect": t.effect} | ({"value": t.value} if t.value else {}) for t in taints
            ]
    if pool.labels:
        template["metadata"] = {"labels": dict(pool.labels)}
    spec: dict[str, Any] = {
        "template": template,
        "limits": {"cpu": pool.limits.cpu, "memory": pool.limits.memory}
        | ({"nodes": str(pool.limits.nodes)} if pool.limits.nodes is not None else {}),
        "disruption": {
            "consolidationPolicy": pool.consolidation_policy,
            "consolidateAfter": pool.consolidate_after,
            "budgets": [_budget(budget) for budget in pool.budgets],
        },
    }
    return spec | ({"weight": pool.weight} if pool.weight is not None else {})


def requirements(pool: Pool) -> list[dict[str, Any]]:
    """Requirements on the instances of the pool.

    Bounds are written with Gt and Lt, which every Karpenter 1.x takes. Bare metal has no hypervisor, so naming the
    hypervisors keeps it out.
    """

    def among(key: str, values: tuple[str, ...], operator: str = "In") -> dict[str, Any]:
        return {"key": key, "operator": operator, "values": list(values)}

    terms = [
        among("kubernetes.io/os", ("linux",)),
        among("kubernetes.io/arch", pool.architectures),
        among("karpenter.sh/capacity-type", pool.capacity_types),
        among("karpenter.k8s.aws/instance-category", pool.instance_categories),
        among("karpenter.k8s.aws/instance-generation", (str(pool.instance_generation_above),), "Gt"),
    ]
    for key, least in (
        ("karpenter.k8s.aws/instance-family", pool.instance_families_at_least),
        ("node.kubernetes.io/instance-type", pool.instance_types_at_least),
    ):
        if least is not None:
            terms.append({"key": key, "operator": "Exists", "minValues": least})
    if pool.min_vcpus is not None:
        terms.append(among("karpenter.k8s.aws/instance-cpu", (str(pool.min_vcpus - 1),), "Gt"))
    if pool.max_vcpus is not None:
        terms.append(among("karpenter.k8s.aws/instance-cpu", (str(pool.max_vcpus + 1),), "Lt"))
    if pool.max_memory_gib is not None:
        terms.append(among("karpenter.k8s.aws/instance-memory", (str(pool.max_memory_gib * 1024 + 1),), "Lt"))
    if not pool.bare_metal:
        terms.append(among("karpenter.k8s.aws/instance-hypervisor", ("nitro", "xen")))
    if pool.local_storage != "any":
        operator = "DoesNotExist" if pool.local_storage == "none" else "Exists"
        terms.append({"key": "karpenter.k8s.aws/instance-local-nvme", "operator": operator})
    if pool.excluded_instance_families:
        terms.append(among("karpenter.k8s.aws/instance-family", pool.excluded_instance_families, "NotIn"))
    if pool.zones:
        terms.append(among("topology.kubernetes.io/zone", pool.zones))
    return terms


def _budget(budget: Budget) -> dict[str, Any]:
    optional = {"reasons": list(budget.reasons) or None, "schedule": budget.schedule, "duration": budget.duration}
    return {"nodes": budget.nodes} | {key: value for key, value in optional.items() if value is not None}
