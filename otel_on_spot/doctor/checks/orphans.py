"""Checks for leftovers: tagged with a cluster that is missing, or with this one, which does not know them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, age, aws_command, check, looked_at, require
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance, Interface, LoadBalancer, Volume
from otel_on_spot.doctor.facts_kubernetes import NodeClaim
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import CLAIM_LABEL, CLAIM_NAME_TAG, CLUSTER_TAG_PREFIX, POOL_LABEL, SERVICE_NAME

EKS_TAGS: Final = ("eks:eks-cluster-name", "eks:cluster-name", "aws:eks:cluster-name")
INTERFACE_TAG: Final = "cluster.k8s.amazonaws.com/name"
INTERFACE_BORN: Final = "node.k8s.amazonaws.com/createdAt"
"""Tags of the VPC CNI's interfaces. Source: https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/eni-and-ip-target.md"""
BALANCER_TAG: Final = "elbv2.k8s.aws/cluster"
SERVICE_TAGS: Final = (SERVICE_NAME, "service.k8s.aws/stack")
DESCRIPTIONS: Final = ("ELB ", "aws-K8S-")
EKS_OWN: Final = "Amazon EKS "
"""Description of a control plane's own interfaces, before the cluster's name. EKS keeps those of a living cluster."""
GRACE: Final = timedelta(minutes=5)
"""Karpenter and the CSI driver clean up after themselves within minutes."""
REGISTRATION: Final = timedelta(minutes=15)
"""Karpenter looks for vanished instances of registered NodeClaims every 2 minutes, and gives up others after 15.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/nodeclaim/garbagecollection/controller.go
and https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/nodeclaim/lifecycle/liveness.go
"""
TERMINATED: Final = ("terminated",)
ENDING: Final = ("shutting-down", *TERMINATED)
INSTANCE_TAG: Final = "node.k8s.amazonaws.com/instance_id"


def cluster_of(tags: Mapping[str, str]) -> str:
    """Name of the cluster that the tags name; empty where they name none."""
    for key in (*EKS_TAGS, INTERFACE_TAG, BALANCER_TAG):
        if tags.get(key):
            return tags[key]
    return next(
        (
            key.removeprefix(CLUSTER_TAG_PREFIX)
            for key, value in tags.items()
            if key.startswith(CLUSTER_TAG_PREFIX) and value == "owned"
        ),
        "",
    )


def missing_cluster(facts: Facts, cluster: str) -> str:
    """Words for a cluster that is not in the region; empty where it is there, or none is named.

    One that is not EKS's own is not listed, so a person has to know.
    """
    missing = cluster and cluster not in require(facts, "cluster_names")
    return f"region {facts.declared.region} has no EKS cluster {cluster}" if missing else ""


def is_own(facts: Facts, cluster: str) -> bool:
    """True where it is this stack's cluster, and it is there."""
    return cluster == facts.declared.cluster and not missing_cluster(facts, cluster)


@check("orphan-instances", "Orphaned instances", "instances", "cluster_names")
def instances(facts: Facts, instances: tuple[Instance, ...]) -> Judging:
    """Every instance that Karpenter launched has its cluster and its NodeClaim."""
    found = [instance for instance in instances if POOL_LABEL in instance.tags and instance.state not in ENDING]
    for instance in found:
        why = missing_cluster(facts, cluster_of(instance.tags))
        if not why and is_own(facts, cluster_of(instance.tags)) and age(facts, instance.launched_at) > GRACE:
            claims = require(facts, "node_claims")
            known = {claim.instance_id for claim in claims} | {claim.name for claim in claims}
            if instance.id not in known and instance.tags.get(CLAIM_LABEL) not in known:
                why = "no NodeClaim knows it: nothing will ever terminate it"
        if why:
            yield Finding(
                subject=instance.id,
                seen=f"{instance.state} for {format_duration(age(facts, instance.launched_at))}; {why}",
                rule="an instance of Karpenter has its NodeClaim, or it is billed for ever",
                remedy=(aws_command(facts, f"ec2 terminate-instances --instance-ids {instance.id}"),),
            )
    return looked_at(found, "instance")


@check("orphan-claims", "NodeClaims without instance")
def claims(facts: Facts, node_claims: tuple[NodeClaim, ...], instances: tuple[Instance, ...]) -> Judging:
    """Every launched NodeClaim has its instance, or Karpenter has not had the time to notice that it went.

    One whose deletion was asked for is not judged: Karpenter ends its instance first, then lets it go.
    """
    by_id = {instance.id: instance for instance in instances}
    for claim in node_claims:
        if not claim.instance_id or claim.deleted_at is not None:
            continue
        until = _noticed_by(claim, by_id.get(claim.instance_id))
        if until is not None and until < facts.taken_at:
            yield Finding(
                subject=claim.name,
                seen=f"{format_duration(age(facts, claim.created_at))} old; instance {claim.instance_id} is not there",
                rule="a NodeClaim stands for an instance: Karpenter counts it against the pool's limits",
                remedy=(f"kubectl delete nodeclaim {claim.name}",),
                severity="warning",
            )
    return looked_at(node_claims, "NodeClaim")


def _noticed_by(claim: NodeClaim, instance: Instance | None) -> datetime | None:
    """Time by which Karpenter has noticed that the instance is gone.

    None where it is there, or where nobody knows since when it is not.
    """
    conditions = {condition.type: condition for condition in claim.conditions}
    launched = conditions.get("Launched")
    if instance is None:  # not even among those that were terminated within the hour: or EC2 does not list it yet
        gone_at = (launched.since if launched else None) or claim.created_at
    elif instance.state in TERMINATED and instance.changed_at is not None:
        gone_at = instance.changed_at
    else:
        return None
    registered = conditions.get("Registered")
    if registered is None or registered.status == "True":
        return gone_at + GRACE
    return max(gone_at, (registered.since or claim.created_at) + REGISTRATION) + GRACE


@check("orphan-volumes", "Orphaned volumes")
def volumes(facts: Facts, volumes: tuple[Volume, ...], cluster_names: tuple[str, ...]) -> Judging:
    """Every volume of a claim that is attached to nothing has its PersistentVolume, and its cluster."""
    alone = tuple(cluster_names) == (facts.declared.cluster,)
    unnamed = 0
    for volume in volumes:
        cluster = cluster_of(volume.tags)
        if not cluster:
            # The driver tags the cluster only where it knows its name: with one cluster in the region, it is its.
            cluster = facts.declared.cluster if alone else ""
            unnamed += not alone
        if volume.state != "available":
            continue
        why = missing_cluster(facts, cluster)
        if not why and is_own(facts, cluster) and age(facts, volume.created_at) >= GRACE:
            known = {pv.volume_id for pv in require(facts, "persistent_volumes")}
            why = "" if volume.id in known else "no PersistentVolume knows it"
        if why:
            claim = volume.tags.get(CLAIM_NAME_TAG, "?")
            yield Finding(
                subject=volume.id,
                seen=f"{volume.gib} GiB of claim {claim}, attached to nothing; {why}",
                rule="a volume of a claim has its PersistentVolume, or it is billed for ever. "
                "Snapshot it first if it may matter",
                remedy=(
                    aws_command(facts, f"ec2 create-snapshot --volume-id {volume.id}"),
                    aws_command(facts, f"ec2 delete-volume --volume-id {volume.id}"),
                ),
                severity="warning",
            )
    told = f", {unnamed} that name no cluster" if unnamed else ""
    return len(volumes), f"{format_count(len(volumes), 'volume')}{told}"


@check("orphan-load-balancers", "Orphaned load balancers", "load_balancers", "cluster_names")
def load_balancers(facts: Facts, load_balancers: tuple[LoadBalancer, ...]) -> Judging:
    """Every load balancer that Kubernetes made has its Service, and its cluster."""
    found = [balancer for balancer in load_balancers if cluster_of(balancer.tags)]
    for balancer in found:
        why = missing_cluster(facts, cluster_of(balancer.tags))
        service = next((balancer.tags[key] for key in SERVICE_TAGS if key in balancer.tags), "")
        if not why and service and is_own(facts, cluster_of(balancer.tags)):
            known = {f"{known.namespace}/{known.name}" for known in require(facts, "services")}
            why = "" if service in known else f"Service {service} is not there"
        if why:
            yield Finding(
                subject=balancer.arn.rpartition("loadbalancer/")[2],
                seen=why,
                rule="a load balancer of a Service goes with it; left over, it is billed and keeps the VPC from going",
                remedy=(aws_command(facts, _removal(balancer)),),
                severity="warning",
            )
    return looked_at(found, "load balancer")


def _removal(balancer: LoadBalancer) -> str:
    kind = balancer.arn.rpartition("loadbalancer/")[2]
    if kind.partition("/")[0] in ("app", "net", "gwy"):
        return f"elbv2 delete-load-balancer --load-balancer-arn {balancer.arn}"
    return f"elb delete-load-balancer --load-balancer-name {kind}"


@check("orphan-interfaces", "Orphaned interfaces", "interfaces", "cluster_names")
def interfaces(facts: Facts, interfaces: tuple[Interface, ...]) -> Judging:
    """No network interface of a cluster is attached to nothing."""
    home = {cluster.vpc_id for cluster in facts.clusters or ()}
    found = [(interface, cluster) for interface in interfaces if (cluster := _wanted_by(facts, interface, home))]
    for interface, cluster in found:
        former = missing_cluster(facts, cluster)
        if former or _left_over(facts, interface, cluster):
            told = f"; {former}" if former else ""
            yield Finding(
                subject=interface.id,
                seen=f"{interface.description or 'no description'}: attached to nothing{told}",
                rule="an interface goes with what it was made for; left over, it keeps subnet and security group "
                "from going",
                remedy=(aws_command(facts, f"ec2 delete-network-interface --network-interface-id {interface.id}"),),
                severity="warning",
            )
    return looked_at(found, "unattached interface")


def _wanted_by(facts: Facts, interface: Interface, home: set[str]) -> str:
    """Name of the cluster for which the interface was made; empty where it was made for none."""
    if interface.description.startswith(EKS_OWN):
        return interface.description.removeprefix(EKS_OWN)
    here = interface.vpc_id in home and interface.description.startswith(DESCRIPTIONS)
    return cluster_of(interface.tags) or (facts.declared.cluster if here else "")


def _left_over(facts: Facts, interface: Interface, cluster: str) -> bool:
    """True where nobody will attach or delete it any more, as far as the facts tell.

    The CNI frees an interface of a living node in two steps, and a load balancer's come and go with its load. What a
    terminated node left is deleted by the CNI of the next node that starts.
    Source: https://github.com/aws/amazon-vpc-cni-k8s/blob/master/pkg/awsutils/awsutils.go (cleanUpLeakedENIs)
    """
    if cluster != facts.declared.cluster or interface.description.startswith(EKS_OWN):
        return False
    of = interface.tags.get(INSTANCE_TAG) or interface.description.removeprefix("aws-K8S-")
    instance = next((known for known in facts.instances or () if known.id == of), None)
    if instance is not None and (
        instance.state not in TERMINATED or instance.changed_at is None or age(facts, instance.changed_at) < GRACE
    ):
        return False
    balancer = f"loadbalancer/{interface.description.removeprefix('ELB ')}"
    if any(known.arn.endswith(balancer) for known in facts.load_balancers or ()):
        return False
    try:
        return age(facts, datetime.fromisoformat(interface.tags[INTERFACE_BORN])) > GRACE
    except (KeyError, ValueError):
        return True


CHECKS: Final = (instances, claims, volumes, load_balancers, interfaces)
