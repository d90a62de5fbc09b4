"""Checks for leftovers: tagged with a cluster that is missing, or with this one, which does not know them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from otel_on_spot.doctor.check import CheckResult, age, aws_command, check, require
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance, Interface, LoadBalancer
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


def cluster_is_missing(facts: Facts, cluster: str) -> bool:
    """True where no EKS cluster of that name is in the region."""
    return bool(cluster) and cluster not in require(facts, "cluster_names")


def missing_cluster(facts: Facts, cluster: str) -> str:
    """Words for a cluster that is missing. One that is not EKS's own is not listed, so a person has to know."""
    return f"region {facts.declared.region} has no EKS cluster {cluster}"


def is_own(facts: Facts, cluster: str) -> bool:
    """True where the tags name this stack's cluster, and it is there."""
    return cluster == facts.declared.cluster and not cluster_is_missing(facts, cluster)


@check("orphan-instances", "Orphaned instances", "instances", "cluster_names")
def instances(facts: Facts) -> CheckResult:
    """Every instance that Karpenter launched has its cluster and its NodeClaim."""
    found = [
        instance
        for instance in require(facts, "instances")
        if POOL_LABEL in instance.tags and instance.state not in ENDING
    ]
    findings = []
    for instance in found:
        cluster, why = cluster_of(instance.tags), ""
        if cluster_is_missing(facts, cluster):
            why = missing_cluster(facts, cluster)
        elif is_own(facts, cluster) and age(facts, instance.launched_at) > GRACE:
            claims = require(facts, "node_claims")
            known = {claim.instance_id for claim in claims} | {claim.name for claim in claims}
            if instance.id not in known and instance.tags.get(CLAIM_LABEL) not in known:
                why = "no NodeClaim knows it: nothing will ever terminate it"
        if why:
            findings.append(
                Finding(
                    subject=instance.id,
                    seen=f"{instance.state} for {format_duration(age(facts, instance.launched_at))}; {why}",
                    rule="an instance of Karpenter has its NodeClaim, or it is billed for ever",
                    remedy=(aws_command(facts, f"ec2 terminate-instances --instance-ids {instance.id}"),),
                )
            )
    return CheckResult(count=len(found), what=format_count(len(found), "instance"), findings=tuple(findings))


@check("orphan-claims", "NodeClaims without instance", "node_claims", "instances")
def claims(facts: Facts) -> CheckResult:
    """Every launched NodeClaim has its instance, or Karpenter has not had the time to notice that it went.

    One whose deletion was asked for is not judged: Karpenter ends its instance first, then lets it go.
    """
    found: tuple[NodeClaim, ...] = require(facts, "node_claims")
    instances: dict[str, Instance] = {instance.id: instance for instance in require(facts, "instances")}
    findings = []
    for claim in found:
        if not claim.instance_id or claim.deleted_at is not None:
            continue
        until = _noticed_by(claim, instances.get(claim.instance_id))
        if until is not None and until < facts.taken_at:
            findings.append(
                Finding(
                    subject=claim.name,
                    seen=f"{format_duration(age(facts, claim.created_at))} old; "
                    f"instance {claim.instance_id} is not there",
                    rule="a NodeClaim stands for an instance: Karpenter counts it against the pool's limits",
                    remedy=(f"kubectl delete nodeclaim {claim.name}",),
                    severity="warning",
                )
            )
    return CheckResult(count=len(found), what=format_count(len(found), "NodeClaim"), findings=tuple(findings))


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


@check("orphan-volumes", "Orphaned volumes", "volumes", "cluster_names")
def volumes(facts: Facts) -> CheckResult:
    """Every volume of a claim that is attached to nothing has its PersistentVolume, and its cluster."""
    found = require(facts, "volumes")
    alone = tuple(require(facts, "cluster_names")) == (facts.declared.cluster,)
    findings, unnamed = [], 0
    for volume in found:
        cluster = cluster_of(volume.tags)
        if not cluster:
            # The driver tags the cluster only where it knows its name: with one cluster in the region, it is its.
            cluster = facts.declared.cluster if alone else ""
            unnamed += not alone
        if volume.state != "available":
            continue
        why = ""
        if cluster_is_missing(facts, cluster):
            why = missing_cluster(facts, cluster)
        elif not is_own(facts, cluster) or age(facts, volume.created_at) < GRACE:
            continue
        elif volume.id not in {pv.volume_id for pv in require(facts, "persistent_volumes")}:
            why = "no PersistentVolume knows it"
        if why:
            findings.append(
                Finding(
                    subject=volume.id,
                    seen=f"{volume.gib} GiB of claim {volume.tags.get(CLAIM_NAME_TAG, '?')}, "
                    f"attached to nothing; {why}",
                    rule="a volume of a claim has its PersistentVolume, or it is billed for ever. "
                    "Snapshot it first if it may matter",
                    remedy=(
                        aws_command(facts, f"ec2 create-snapshot --volume-id {volume.id}"),
                        aws_command(facts, f"ec2 delete-volume --volume-id {volume.id}"),
                    ),
                    severity="warning",
                )
            )
    what = f"{format_count(len(found), 'volume')}{f', {unnamed} that name no cluster' if unnamed else ''}"
    return CheckResult(count=len(found), what=what, findings=tuple(findings))


@check("orphan-load-balancers", "Orphaned load balancers", "load_balancers", "cluster_names")
def load_balancers(facts: Facts) -> CheckResult:
    """Every load balancer that Kubernetes made has its Service, and its cluster."""
    found = [balancer for balancer in require(facts, "load_balancers") if cluster_of(balancer.tags)]
    findings = []
    for balancer in found:
        cluster, why = cluster_of(balancer.tags), ""
        service = next((balancer.tags[key] for key in SERVICE_TAGS if key in balancer.tags), "")
        if cluster_is_missing(facts, cluster):
            why = missing_cluster(facts, cluster)
        elif is_own(facts, cluster) and service:
            known = {f"{known.namespace}/{known.name}" for known in require(facts, "services")}
            why = "" if service in known else f"Service {service} is not there"
        if why:
            findings.append(
                Finding(
                    subject=balancer.arn.rpartition("loadbalancer/")[2],
                    seen=why,
                    rule="a load balancer of a Service goes with it; left over, it is billed and keeps the VPC "
                    "from going",
                    remedy=(aws_command(facts, _removal(balancer)),),
                    severity="warning",
                )
            )
    return CheckResult(count=len(found), what=format_count(len(found), "load balancer"), findings=tuple(findings))


def _removal(balancer: LoadBalancer) -> str:
    kind = balancer.arn.rpartition("loadbalancer/")[2]
    if kind.partition("/")[0] in ("app", "net", "gwy"):
        return f"elbv2 delete-load-balancer --load-balancer-arn {balancer.arn}"
    return f"elb delete-load-balancer --load-balancer-name {kind}"


@check("orphan-interfaces", "Orphaned interfaces", "interfaces", "cluster_names")
def interfaces(facts: Facts) -> CheckResult:
    """No network interface of a cluster is attached to nothing."""
    home = {cluster.vpc_id for cluster in facts.clusters or ()}
    found = [
        (interface, cluster)
        for interface in require(facts, "interfaces")
        if (cluster := _wanted_by(facts, interface, home))
    ]
    findings = []
    for interface, cluster in found:
        former = f"; {missing_cluster(facts, cluster)}" if cluster_is_missing(facts, cluster) else ""
        if not former and not _left_over(facts, interface, cluster):
            continue
        findings.append(
            Finding(
                subject=interface.id,
                seen=f"{interface.description or 'no description'}: attached to nothing{former}",
                rule="an interface goes with what it was made for; left over, it keeps subnet and security group "
                "from going",
                remedy=(aws_command(facts, f"ec2 delete-network-interface --network-interface-id {interface.id}"),),
                severity="warning",
            )
        )
    return CheckResult(
        count=len(found), what=format_count(len(found), "unattached interface"), findings=tuple(findings)
    )


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
