"""Capacity that Karpenter may launch: the EC2NodeClass and the NodePools."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
from pulumi_aws import ec2
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import PodTemplate
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import names
from infra.node_access import AdmittedNodeRole
from infra.node_config import archive, node_config
from infra.settings import models as settings
from infra.settings.models import Budget, Pool
from infra.system_nodes import HOP_LIMIT


def node_pool_spec(pool: Pool, node_class: str) -> dict[str, Any]:
    """Spec of a NodePool whose nodes are made as ``node_class`` says.

    Source: https://karpenter.sh/docs/concepts/nodepools/ (API karpenter.sh/v1)
    """
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


NODE_CLASS: Final = "default"
HEADROOM: Final = "headroom"
PAUSE: Final = "registry.k8s.io/pause:3.10"
DRAIN_TIMEOUT: Final = "60m"
"""Longest deletion of a NodePool: its nodes are drained first, each within its terminationGracePeriod."""


@dataclass(frozen=True, kw_only=True)
class CapacityArgs:
    """Arguments: the node class, the pools, and the admitted node role.

    ``node_role`` is a role that the cluster admitted: nothing else type-checks. ``security_group_id``: of the group
    that EKS made, which carries the records of what has happened. ``tagged_for_volumes``: nodes carry the tag that the
    EBS CSI driver's cluster-scoped policy asks for.
    ``subnet_ids``: those of a VPC that is there; none finds the stack's own by their tag.
    ``volumes_key_arn``: of the nodes' volumes; None for the account's key for EBS.
    ``proxy_environment``, ``ca_bundle``: of the nodes; none without a proxy, or certificates of the company's.
    ``after``: what must be there first and go last, so that nodes can join, and drain when their pool goes.
    """

    stack_names: names.StackNames
    security_group_id: pulumi.Input[str]
    node_role: AdmittedNodeRole
    subnet_ids: tuple[str, ...] = ()
    proxy_environment: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    volumes_key_arn: str | None = None
    config: settings.NodeClass
    tags: dict[str, str]
    tagged_for_volumes: bool
    pools: Mapping[str, settings.Pool]
    headroom: settings.Headroom | None = None
    after: tuple[pulumi.Resource, ...]


class Capacity(pulumi.ComponentResource):
    """One node class, a pool for each kind of capacity, and the room that is kept free."""

    pool_names: pulumi.Output[list[str]]
    """Names of the NodePools."""

    def __init__(self, name: str, args: CapacityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:Capacity", name, None, opts)
        # The controller serves finalizers of both kinds: it must be there until they are gone.
        draining = pulumi.ResourceOptions(
            parent=self, depends_on=list(args.after), custom_timeouts=pulumi.CustomTimeouts(delete=DRAIN_TIMEOUT)
        )
        node_class = CustomResource(
            f"{name}-node-class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata=ObjectMetaArgs(name=NODE_CLASS),
            spec=node_class_spec(args),
            opts=draining,
        )
        # Made when the node class has the alias: what the tag says has happened, see infra/living.py.
        ec2.Tag(
            f"{name}-ami-alias",
            resource_id=args.security_group_id,
            key=names.AMI_ALIAS_TAG,
            value=args.config.ami_alias,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[node_class]),
        )
        after_class = pulumi.ResourceOptions(
            parent=self,
            depends_on=[node_class, *args.after],
            custom_timeouts=pulumi.CustomTimeouts(delete=DRAIN_TIMEOUT),
        )
        # Pools name their class in plain text, so no value carries the edge to it.
        self.node_pools = tuple(
            CustomResource(
                f"{name}-{pool}",
                api_version="karpenter.sh/v1",
                kind="NodePool",
                metadata=ObjectMetaArgs(name=pool),
                spec=node_pool_spec(spec, NODE_CLASS),
                opts=after_class,
            )
            for pool, spec in args.pools.items()
        )
        if args.headroom is not None:
            _headroom(name, args.headroom, pulumi.ResourceOptions(parent=self, depends_on=list(args.after)))
        self.pool_names = pulumi.Output.from_input(list(args.pools))
        self.register_outputs({"poolNames": self.pool_names})


def _headroom(name: str, room: settings.Headroom, opts: pulumi.ResourceOptions) -> None:
    """A CapacityBuffer: Karpenter counts its chunks as pods that are there, and never starts them.

    Source: https://github.com/kubernetes-sigs/karpenter/tree/v1.14.3/pkg/controllers/capacitybuffer
    """
    requests = {"cpu": room.cpu, "memory": room.memory}
    chunk = PodTemplate(
        f"{name}-headroom-chunk",
        metadata=ObjectMetaArgs(name=HEADROOM, namespace=names.KARPENTER_NAMESPACE),
        template={"spec": {"containers": [{"name": "room", "image": PAUSE, "resources": {"requests": requests}}]}},
        opts=opts,
    )
    # The buffer names its chunk in plain text, so no value carries the edge to it.
    CustomResource(
        f"{name}-headroom",
        api_version="autoscaling.x-k8s.io/v1beta1",
        kind="CapacityBuffer",
        metadata=ObjectMetaArgs(name=HEADROOM, namespace=names.KARPENTER_NAMESPACE),
        spec={"podTemplateRef": {"name": HEADROOM}, "replicas": room.chunks},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[chunk])),
    )


def node_class_spec(args: CapacityArgs) -> dict[str, Any]:
    """Spec of the EC2NodeClass.

    Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/apis/v1/ec2nodeclass.go
    """
    discovery = [{"tags": args.stack_names.discovery_tags}]
    config = args.config
    volume = {
        "throughput": config.volume_throughput_mibps,
        "iops": config.volume_iops,
        "kmsKeyID": args.volumes_key_arn,
    }
    told = node_config(config.parallel_image_pulls, args.proxy_environment)
    optional = {
        "kubelet": config.kubelet.model_dump(by_alias=True, exclude_defaults=True),
        "userData": archive(told, args.ca_bundle) if args.ca_bundle else told,
        "capacityReservationSelectorTerms": [
            {
                key: value
                for key, value in (("id", term.id), ("tags", dict(term.tags)), ("ownerID", term.owner_id))
                if value
            }
            for term in config.capacity_reservations
        ],
    }
    return {
        "instanceProfile": args.node_role.instance_profile_name,
        "amiSelectorTerms": [{"alias": args.config.ami_alias}],
        # One tag has one value, and clusters may share a VPC's subnets: those of somebody else are told by their ids.
        "subnetSelectorTerms": [{"id": subnet} for subnet in args.subnet_ids] or discovery,
        "securityGroupSelectorTerms": discovery,
        "associatePublicIPAddress": False,
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpPutResponseHopLimit": HOP_LIMIT,
            "httpTokens": "required",
        },
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {
                    "volumeSize": f"{args.config.volume_gib}Gi",
                    "volumeType": "gp3",
                    "encrypted": True,
                    "deleteOnTermination": True,
                }
                | {key: value for key, value in volume.items() if value is not None},
            }
        ],
        "tags": dict(args.tags)
        | {"Name": f"{args.stack_names.cluster}-karpenter"}
        | (args.stack_names.volume_tags if args.tagged_for_volumes else {}),
    } | {key: value for key, value in optional.items() if value}
