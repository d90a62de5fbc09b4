"""The environment as it lives, where it does, and what AWS would refuse to change on it.

Asked once, before the first resource; the rest is arithmetic. What AWS refuses only in the middle of an update is
refused here, at the preview, with the way out. So is a jump from one end of a migration to the other: the cluster's
security group has a tag for each, written when what it says has happened, so that an update that failed halfway leaves
the old value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Final

import pulumi
from pulumi_aws import ebs, ec2, eks, ssm

from infra import names
from infra.persistence import DATABASES
from infra.settings import placement
from infra.settings.models import Cluster, Encryption, Network, NodeClass, Pool, Settings
from infra.settings.problem import Problem, message
from infra.subnets import SubnetLayout

ALIVE: Final = ["pending", "running", "stopping", "stopped"]
"""States of instances that have not ended."""
PUBLIC_ROLE, PRIVATE_ROLE = "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"
AMI_ARCHITECTURE: Final = {"amd64": "x86_64", "arm64": "arm64"}
CLAIM_NAME_TAG, CLAIM_NAMESPACE_TAG = "kubernetes.io/created-for/pvc/name", "kubernetes.io/created-for/pvc/namespace"
ROLLBACK_DAYS: Final = 7
"""Days in which EKS takes a control plane back by one minor.

Source: https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html
"""


@dataclass(frozen=True, kw_only=True)
class LivingSubnet:
    """A subnet of the cluster's VPC that load balancers may use, and so one of this program's."""

    zone: str
    cidr: IPv4Network
    public: bool


@dataclass(frozen=True, kw_only=True)
class LivingCluster:
    """The control plane's minor version and zones, and the subnets of its VPC.

    ``secrets_key``: ARN of the key that its secrets were given; empty for a key of the stack's own.
    ``existing_vpc``: id of the VPC that it was given; empty for one that the stack made.
    ``tags``: of the cluster, the stack's own among them.
    """

    kubernetes_version: str
    zones: frozenset[str]
    subnets: tuple[LivingSubnet, ...]
    secrets_key: str = ""
    existing_vpc: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def living_cluster(name: str, opts: pulumi.InvokeOptions) -> LivingCluster | None:
    """The cluster of this name in the provider's account and region; None where there is none."""
    if name not in eks.get_clusters(opts=opts).names:
        return None
    cluster = eks.get_cluster(name=name, opts=opts)
    of_vpc = ec2.GetSubnetsFilterArgs(name="vpc-id", values=[cluster.vpc_config.vpc_id])
    subnets = [ec2.get_subnet(id=subnet, opts=opts) for subnet in ec2.get_subnets(filters=[of_vpc], opts=opts).ids]
    return LivingCluster(
        kubernetes_version=cluster.version,
        zones=frozenset(
            subnet.availability_zone for subnet in subnets if subnet.id in set(cluster.vpc_config.subnet_ids)
        ),
        subnets=tuple(
            LivingSubnet(
                zone=subnet.availability_zone, cidr=IPv4Network(subnet.cidr_block), public=PUBLIC_ROLE in subnet.tags
            )
            for subnet in subnets
            if subnet.cidr_block and not {PUBLIC_ROLE, PRIVATE_ROLE}.isdisjoint(subnet.tags or {})
        ),
        secrets_key=(cluster.tags or {}).get(names.SECRETS_KEY_TAG, ""),
        existing_vpc=(cluster.tags or {}).get(names.EXISTING_VPC_TAG, ""),
        tags=cluster.tags or {},
    )


def control_plane_zones(
    settings: Settings, living: LivingCluster | None, stack_names: names.StackNames, opts: pulumi.InvokeOptions
) -> tuple[str, ...]:
    """Zones of the control plane, in the order of the settings: of its creation, or all zones where none lives.

    Args:
        settings: of the stack.
        living: the cluster that is there, if any.
        stack_names: of the stack.
        opts: of the questions to AWS.

    Raises:
        pulumi.RunError: the settings ask for what AWS refuses; no resource was declared yet.
    """
    problems = [*ami_problems(settings, living, opts)]
    if living is not None:
        problems += [*vpc_problems(settings.network, living), *zone_problems(settings.network, living)]
        problems += version_problems(settings.cluster, living)
        problems += key_problems(settings.encryption, living)
        problems += alias_problems(settings, living, stack_names, opts)
        if settings.cluster.volume_access == "cluster":
            problems += volume_problems(stack_names, opts)
        if settings.persistence.enabled:
            problems += claim_problems(settings, stack_names, opts)
    if problems:
        raise pulumi.RunError(message(f"Pulumi.{pulumi.get_stack()}.yaml", problems))
    zones = settings.network.zones
    return zones if living is None else tuple(zone for zone in zones if zone in living.zones)


def karpenters_nodes(tags: Mapping[str, str], opts: pulumi.InvokeOptions) -> set[str]:
    """Ids of the instances that Karpenter launched, have these tags and have not ended."""
    launched = ec2.GetInstancesFilterArgs(name="tag-key", values=["karpenter.sh/nodepool"])
    found = ec2.get_instances(filters=[launched], instance_tags=tags, instance_state_names=ALIVE, opts=opts)
    return set(found.ids)


def tell_tag_changes(
    wanted: Mapping[str, str], living: LivingCluster | None, stack_names: names.StackNames, opts: pulumi.InvokeOptions
) -> None:
    """Warn of a change of the stack's tags: the node class carries them, so each node of Karpenter's drifts.

    The cluster has them from the last update, and perhaps tags of other people's, which no node has.
    Source: https://karpenter.sh/docs/concepts/disruption/#drift

    Args:
        wanted: the stack's tags.
        living: the cluster as it is, if any.
        stack_names: of the stack.
        opts: of the questions to AWS.
    """
    if living is None or "managed-by" not in living.tags:
        return
    changed = [key for key, value in wanted.items() if living.tags.get(key) != value]
    own = (*wanted, names.SECRETS_KEY_TAG, names.EXISTING_VPC_TAG)
    others = [key for key in living.tags if key not in own]
    if not changed and not others:
        return
    owned = stack_names.owned_tags
    gone = [key for key in others if key != "Name" and karpenters_nodes(owned | {key: living.tags[key]}, opts)]
    if changed or gone:
        pulumi.log.warn(
            f"tags: {', '.join([*changed, *(f'{key} goes' for key in gone)])}: nodes have the stack's tags from their "
            f"class, so Karpenter replaces all of its nodes ({len(karpenters_nodes(owned, opts))} now), within the "
            "pools' budgets, and EKS the system nodes"
        )


def vpc_problems(network: Network, living: LivingCluster) -> Iterator[Problem]:
    """A cluster keeps the VPC of its creation.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    """
    wanted = network.existing.vpc_id if network.existing else ""
    if wanted != living.existing_vpc:
        yield Problem(
            "network.existing",
            wanted or "nothing",
            f"the cluster lives in {living.existing_vpc or 'a VPC that this stack made'}, and keeps it",
            ("put it back" if living.existing_vpc else "leave it out")
            + "; for another VPC, make another stack beside this one and move",
        )


def zone_problems(network: Network, living: LivingCluster) -> Iterator[Problem]:
    """EKS keeps the zones of the control plane's creation, all of them; a subnet keeps its zone and its range.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    """
    if missing := sorted(living.zones - set(network.zones)):
        yield Problem(
            "network.zones",
            f"{', '.join(network.zones)}, without {', '.join(missing)}",
            f"the control plane lives in {', '.join(sorted(living.zones))}, and EKS moves it to no other set of zones",
            f"put {', '.join(missing)} back where it was (pools.<name>.zones keeps nodes out of a zone); to leave it, "
            "make another stack beside this one and move",
        )
        return
    if network.existing or living.existing_vpc:  # its ranges are its owner's
        return
    if outside := sorted({str(subnet.cidr) for subnet in living.subnets if not subnet.cidr.subnet_of(network.made)}):
        yield Problem(
            "network.cidr",
            str(network.made),
            f"a VPC keeps its range, and the cluster its VPC: subnets of {', '.join(outside)} live",
            "put the range back, or make another stack beside this one and move",
        )
        return
    layout = SubnetLayout(network.made, len(network.zones), network.private_prefix, network.public_prefix)
    for public, key, prefix in (
        (False, "privatePrefix", network.private_prefix),
        (True, "publicPrefix", network.public_prefix),
    ):
        of_kind = [subnet for subnet in living.subnets if subnet.public is public]
        if lengths := sorted({subnet.cidr.prefixlen for subnet in of_kind} - {prefix}):
            yield Problem(
                f"network.{key}",
                str(prefix),
                f"a subnet keeps its range: those that live are /{', /'.join(map(str, lengths))}",
                "put the prefix back, or make another stack beside this one and move",
            )
            continue
        wanted = layout.public if public else layout.private
        for index, zone in enumerate(network.zones):
            taken = [subnet for subnet in of_kind if subnet.cidr == wanted(index)]
            own = [subnet for subnet in of_kind if subnet.zone == zone]
            if any(subnet.zone != zone for subnet in taken) or (own and not taken):
                was = f"lives at {own[0].cidr}" if own else "is new"
                others = ", ".join(sorted({subnet.zone for subnet in taken} - {zone}))
                yield Problem(
                    "network.zones",
                    f"{zone} in place {index + 1}",
                    f"a zone's place decides its subnets' ranges, and a subnet keeps its range: {zone} {was}"
                    + (f", and {wanted(index)} is {others}'s" if others else ""),
                    "keep the zones that live in their places and put new ones at the end; a zone at the end that only "
                    "nodes use can be taken away in an update of its own",
                )


def version_problems(cluster: Cluster, living: LivingCluster) -> Iterator[Problem]:
    """EKS raises a control plane by one minor at a time, and takes it back by one in the days after.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html,
    https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html
    """
    now, wanted = _minor(living.kubernetes_version), _minor(cluster.kubernetes_version)
    given = f"{cluster.kubernetes_version}, and the cluster {cluster.name} is at {living.kubernetes_version}"
    if wanted > now + 1:
        yield Problem(
            "cluster.kubernetesVersion",
            given,
            "EKS raises a control plane by one minor at a time",
            f'set it to "1.{now + 1}", run pulumi up, and go on from there: docs/runbooks/upgrade.md',
        )
    if wanted < now - 1:
        yield Problem(
            "cluster.kubernetesVersion",
            given,
            "EKS takes a control plane back by one minor only",
            "make another stack beside this one and move",
        )
    if wanted == now - 1:
        yield Problem(
            "cluster.kubernetesVersion",
            given,
            f"the way back is open for {ROLLBACK_DAYS} days after an upgrade, and nodes go it before the control "
            "plane: an update of this program would go it the other way round",
            "go it by hand, nodes first, then write the minor here: docs/runbooks/upgrade.md, The way back",
        )


def key_problems(encryption: Encryption, living: LivingCluster) -> Iterator[Problem]:
    """EKS keeps the key of the cluster's creation: it takes neither another one nor the encryption away.

    Another key would replace the cluster. The logs and the topic could change theirs, but a stack has one.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html,
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-eks-cluster-provider.html
    """
    wanted = encryption.kms_key_arn or ""
    if wanted != living.secrets_key:
        yield Problem(
            "encryption.kmsKeyArn",
            wanted or "nothing",
            f"the cluster lives with {living.secrets_key or 'its own key'}, and EKS gives its secrets no other key",
            ("put it back" if living.secrets_key else "leave it out")
            + "; for another key, make another stack beside this one and move",
        )


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def ami_problems(settings: Settings, living: LivingCluster | None, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """An AMI exists for each minor that the nodes will have: where none does, Karpenter launches no node at all.

    On the way to a new minor the alias must have a build for the old one too: it is moved first, in an update of its
    own. Source: resolvePath in https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/amifamily/al2023.go
    """
    wanted, nodes = settings.cluster.kubernetes_version, settings.cluster.system_nodes
    minors = dict.fromkeys((wanted, living.kubernetes_version if living else wanted))
    asked = {
        ami_path(settings.node_class, minor, architecture)
        for minor in minors
        for architecture in _architectures(settings.pools)
    }
    if nodes.release_version:
        minor, architecture = nodes.kubernetes_version or wanted, "arm64" if "ARM" in nodes.ami_type else "x86_64"
        path = image_path(minor, architecture, f"v{nodes.release_version.rpartition('-')[2]}")
        if path not in asked and not ssm.get_parameters_by_path(path=path, opts=opts).names:
            yield Problem(
                "cluster.systemNodes.releaseVersion",
                f"{nodes.release_version}, for Kubernetes {minor} on {architecture}",
                "AWS has no such image: EKS would refuse the node group after the control plane is made",
                "take a release that is there: aws ssm get-parameters-by-path --recursive --path "
                + ami_folder(minor, architecture),
            )
    for minor in minors:
        if missing := sorted(
            architecture
            for architecture in _architectures(settings.pools)
            if not ssm.get_parameters_by_path(path=ami_path(settings.node_class, minor, architecture), opts=opts).names
        ):
            yield Problem(
                "nodeClass.amiAlias",
                f"{settings.node_class.ami_alias}, for Kubernetes {minor} on {', '.join(missing)}",
                "AWS has no such image: the node class would not be ready, and no node could be launched",
                "take a release that has builds for "
                + " and ".join(minors)
                + f": aws ssm get-parameters-by-path --path {ami_folder(wanted, missing[0])}",
            )


def alias_problems(
    settings: Settings, living: LivingCluster, stack_names: names.StackNames, opts: pulumi.InvokeOptions
) -> Iterator[Problem]:
    """On the way to a new minor the node class has the alias already: within one update the control plane goes first.

    In between, an alias without a build for the new minor makes the node class not ready. The tag is written after the
    node class, so an update that failed halfway counts as not having been.

    Args:
        settings: what the stack file wants.
        living: the cluster as it is, with the minor that its control plane runs.
        stack_names: the tags that an update of this cluster leaves on its security groups.
        opts: the provider that is asked.
    """
    alias = settings.node_class.ami_alias
    if settings.cluster.kubernetes_version == living.kubernetes_version or alias.endswith("@latest"):
        return
    tags = stack_names.discovery_tags | {names.AMI_ALIAS_TAG: alias}
    if not ec2.get_security_groups(tags=tags, opts=opts).ids:
        yield Problem(
            "nodeClass.amiAlias",
            f"{alias}, together with Kubernetes {settings.cluster.kubernetes_version}",
            "the alias is moved before the minor, in an update of its own: the old one may have no build for the new "
            "minor, and while it has none no node can be launched",
            f'put kubernetesVersion back to "{living.kubernetes_version}", run pulumi up with this alias, then raise '
            "the minor",
        )


def volume_problems(stack_names: names.StackNames, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """Every node and volume has the cluster's tag before the driver loses its hold of those without it.

    Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/2918
    """
    owned, (tag, value) = stack_names.owned_tags, next(iter(stack_names.volume_tags.items()))
    nodes, tagged_nodes = (karpenters_nodes(tags, opts) for tags in (owned, owned | {tag: value}))
    drivers = owned | {"ebs.csi.aws.com/cluster": "true"}
    volumes, tagged_volumes = (
        set(ebs.get_ebs_volumes(tags=tags, opts=opts).ids) for tags in (drivers, drivers | {tag: value})
    )
    for kind, without, do in (
        ("nodes", nodes - tagged_nodes, "with volumeAccess: both Karpenter replaces them, within the pools' budgets"),
        ("volumes", volumes - tagged_volumes, f"aws ec2 create-tags --tags Key={tag},Value={value} --resources ID"),
    ):
        if without:
            yield Problem(
                "cluster.volumeAccess",
                f"cluster, and {len(without)} {kind} without the tag {tag}: {', '.join(sorted(without)[:3])}",
                "the driver's policy for one cluster lets it attach and detach nothing else",
                f"set it to both until each has the tag; {do}",
            )


def claim_problems(settings: Settings, stack_names: names.StackNames, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """EBS makes no volume of a database smaller, and none leaves its zone: its pod would be Pending for ever.

    Sources: https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html, and for the tags
    https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md
    """
    placed = placement.databases(settings.gitops)
    name = placed[0][placement.POOL] if placed else ""
    pool = settings.pools.get(name)
    zones = (pool.zones if pool else ()) or settings.network.zones
    databases = {settings.persistence.claim(database): database for database in DATABASES}
    tags = stack_names.owned_tags | {CLAIM_NAMESPACE_TAG: names.DEMO_NAMESPACE}
    for identity in ebs.get_ebs_volumes(tags=tags, opts=opts).ids:
        by_id = ebs.GetVolumeFilterArgs(name="volume-id", values=[identity])
        volume = ebs.get_volume(filters=[by_id], opts=opts)
        claim = volume.tags.get(CLAIM_NAME_TAG, "")
        if database := databases.get(claim):
            gib = settings.persistence.gib(database)
            if volume.size > gib:
                yield Problem(
                    f"persistence.volumes.{database}.gib",
                    f"{gib}, and {identity} of the claim {claim} has {volume.size} GiB",
                    "EBS makes no volume smaller, and Kubernetes refuses such a claim at every sync",
                    f"give at least {volume.size}",
                )
            if volume.availability_zone not in zones:
                yield Problem(
                    f"pools.{name}.zones" if pool and pool.zones else "network.zones",
                    f"{', '.join(zones)}, and {identity} of the claim {claim} is in {volume.availability_zone}",
                    f"a volume does not leave its zone, and a pod follows its volume: {database} would be Pending for "
                    "ever",
                    f"keep {volume.availability_zone}; or move the data first, by a snapshot that "
                    f"persistence.volumes.{database}.restoreFrom begins a volume in another zone with",
                )


def _architectures(pools: dict[str, Pool]) -> list[str]:
    return sorted({AMI_ARCHITECTURE[architecture] for pool in pools.values() for architecture in pool.architectures})


def ami_folder(minor: str, architecture: str) -> str:
    """Path of the SSM parameters of AL2023's images for a minor."""
    return f"/aws/service/eks/optimized-ami/{minor}/amazon-linux-2023/{architecture}/standard"


def ami_path(node_class: NodeClass, minor: str, architecture: str) -> str:
    """Path of the SSM parameters of the alias's image for a minor."""
    _, _, release = node_class.ami_alias.partition("@")
    return image_path(minor, architecture, release)


def image_path(minor: str, architecture: str, release: str) -> str:
    """Path of the SSM parameters of an image: of a release such as ``v20260930``, or of the ``latest``."""
    image = (
        "recommended" if release == "latest" else f"amazon-eks-node-al2023-{architecture}-standard-{minor}-{release}"
    )
    return f"{ami_folder(minor, architecture)}/{image}"


@dataclass(frozen=True, kw_only=True)
class Migration:
    """A setting, its tag, its two ends (between them is both), and what would happen in a jump from one to another."""

    key: str
    tag: str
    ends: tuple[str, str]
    rule: str


IDENTITY: Final = Migration(
    key="karpenter.identity",
    tag=names.IDENTITY_TAG,
    ends=("pod-identity", "irsa"),
    rule="the role would trust the new way alone before the controller's pods have it: those that run lose their "
    "credentials, and a rollout that fails goes back to them",
)
NODE_ACCESS: Final = Migration(
    key="cluster.nodeAccess",
    tag=names.NODE_ACCESS_TAG,
    ends=("aws-auth", "access-entry"),
    rule="the ConfigMap and the access entries have no order within one update, so that running nodes could lose their "
    "access",
)


def refuse_direct_jump(
    migration: Migration, wanted: str, stack_names: names.StackNames, opts: pulumi.InvokeOptions
) -> None:
    """From one end to the other goes through the value between: the cloud says at which end it is, if there is one.

    Args:
        migration: of the setting.
        wanted: its value.
        stack_names: of the stack.
        opts: with the provider to ask.

    Raises:
        pulumi.RunError: the cluster is at the other end; no resource was declared yet.
    """
    if wanted not in migration.ends:
        return
    former = migration.ends[1 - migration.ends.index(wanted)]
    # The plural function: it answers with an empty list where the other one fails, as before the first update.
    found = ec2.get_security_groups(tags=stack_names.discovery_tags | {migration.tag: former}, opts=opts)
    if found.ids:
        problem = Problem(
            migration.key,
            f"{wanted}, and the cluster {stack_names.cluster} is at {former}",
            migration.rule,
            f"set {migration.key}: both, run pulumi up, then set {wanted} and run it again",
        )
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml: 1 problem, nothing was changed\n{problem}")
