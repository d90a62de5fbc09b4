"""Checks of what keeps instances from being launched or from living: addresses, failures at launch, quotas of vCPUs."""

from collections import defaultdict
from decimal import Decimal
from typing import Final

from otel_on_spot.doctor.check import Judging, aws_command, check, looked_at
from otel_on_spot.doctor.checks.capacity import resolves
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import ON_DEMAND_VCPUS, SPOT_VCPUS, Instance, Located, Quota
from otel_on_spot.doctor.facts_kubernetes import NodeClass, NodePool
from otel_on_spot.findings import Finding, format_count

ONE_NODE: Final = 30
"""Addresses that the VPC CNI takes for a node of 2 vCPUs with its warm pool: three interfaces of ten.

Source: https://github.com/aws/amazon-vpc-cni-k8s/blob/master/misc/eni-max-pods.txt,
https://docs.aws.amazon.com/eks/latest/best-practices/vpc-cni.html (WARM_ENI_TARGET 1)
"""
FEW_NODES: Final = 4 * ONE_NODE
QUOTAS: Final = {
    SPOT_VCPUS: ("spot", "Spot", "MaxSpotInstanceCountExceeded"),
    ON_DEMAND_VCPUS: ("on-demand", "On-Demand", "VcpuLimitExceeded"),
}
"""Quota -> capacity type of Karpenter's, its noun, and EC2's error at the quota.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""
AT_LAUNCH: Final = {
    "Client.InternalError": "in most cases the root volume's KMS key: the account's default key for EBS is not "
    "Enabled, or its policy does not let EC2 use it for this role",
    "Client.InvalidSnapshot.NotFound": "the AMI's snapshot is gone: the alias names an old build",
    "Client.VolumeLimitExceeded": "the account's quota of EBS storage is used up",
    "Server.InternalError": "EC2's own error: it passes, or comes with one instance type",
}
"""Reasons with which EC2 ends an instance at its launch, and what is behind each.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html#troubleshooting-launch-internal
"""


@check("subnet-addresses", "Free addresses")
def addresses(facts: Facts, subnets: tuple[Located, ...], node_classes: tuple[NodeClass, ...]) -> Judging:
    """Every subnet in which nodes are launched has room for more of them."""
    free_in = {
        subnet.id: (subnet.name or subnet.id, subnet.free_addresses)
        for node_class in node_classes
        for subnet in resolves(node_class.subnet_terms, subnets)
        if subnet.free_addresses is not None
    }
    for identity, (name, free) in free_in.items():
        if free < FEW_NODES:
            yield Finding(
                subject=name,
                seen=f"{format_count(free, 'address', 'addresses')} free in {identity}",
                rule=f"a subnet has addresses for {FEW_NODES // ONE_NODE} more nodes: at {ONE_NODE} each, pods and "
                "all; without them nodes launch, and their pods stay in ContainerCreating",
                remedy=(
                    aws_command(facts, f"ec2 describe-subnets --subnet-ids {identity}"),
                    aws_command(facts, f"ec2 describe-network-interfaces --filters Name=subnet-id,Values={identity}"),
                ),
                severity="critical" if free < ONE_NODE else "warning",
            )
    told = f", at least {min(free for _, free in free_in.values())} free" if free_in else ""
    return len(free_in), f"{format_count(len(free_in), 'subnet')}{told}"


@check("launch-failures", "Failures at launch")
def launches(facts: Facts, instances: tuple[Instance, ...]) -> Judging:
    """No instance of this cluster was ended by EC2 at its launch, within the hour for which EC2 lists it."""
    ours = [instance for instance in instances if facts.declared.owned_tag in instance.tags]
    failed: dict[str, list[Instance]] = defaultdict(list)
    for instance in ours:
        if instance.state in ("shutting-down", "terminated") and instance.reason_code in AT_LAUNCH:
            failed[instance.reason_code].append(instance)
    for code, dead in failed.items():
        names = ", ".join(sorted(instance.id for instance in dead)[:3])
        yield Finding(
            subject=code,
            seen=f"{format_count(len(dead), 'instance')} died at launch ({names}): {dead[0].reason or code}; "
            f"{AT_LAUNCH[code]}",
            rule="an instance that EC2 launches lives: where each dies at once, Karpenter launches for ever",
            remedy=_after(facts, code, dead[0]),
        )
    return looked_at(ours, "instance")


def _after(facts: Facts, code: str, instance: Instance) -> tuple[str, ...]:
    look = aws_command(
        facts, f"ec2 describe-instances --instance-ids {instance.id} --query Reservations[].Instances[].StateReason"
    )
    keys = (
        aws_command(facts, "ec2 get-ebs-encryption-by-default"),
        aws_command(facts, "ec2 get-ebs-default-kms-key-id"),
    )
    return (look, *keys) if code == "Client.InternalError" else (look,)


@check("vcpu-quotas", "Quotas of vCPUs")
def vcpus(facts: Facts, quotas: tuple[Quota, ...], node_pools: tuple[NodePool, ...]) -> Judging:
    """The account's quotas of vCPUs let the pools grow to their limits."""
    from kubernetes.utils.quantity import parse_quantity  # the package takes half a second to load

    told = {quota.code: quota for quota in quotas}
    for code, (capacity_type, noun, error) in QUOTAS.items():
        pools = [pool for pool in node_pools if capacity_type in pool.capacity_types and "cpu" in pool.limits]
        wanted = {pool.name: parse_quantity(pool.limits["cpu"]) for pool in pools}
        most, quota = sum(wanted.values(), Decimal(0)), told.get(code)
        if quota is None or most <= Decimal(str(quota.value)):
            continue
        request = f"service-quotas request-service-quota-increase --service-code ec2 --quota-code {code}"
        yield Finding(
            subject=quota.name or code,
            seen=f"{quota.value:.0f} vCPUs of {noun}; {', '.join(wanted)} may use {most:f}",
            rule=f"the quota of {noun} vCPUs lets the pools grow to their limits: at the quota, launches fail with "
            f"{error}, pods stay Pending",
            remedy=(aws_command(facts, f"{request} --desired-value {most:f}"),),
            severity="warning",
        )
    shown = ", ".join(f"{told[code].value:.0f} of {noun}" for code, (_, noun, _) in QUOTAS.items() if code in told)
    return len(told), f"vCPUs: {shown or 'no quota is told'}"
