"""Rules across fields. A rule takes the sections that it judges, yields problems and never raises."""

import inspect
import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from typing import Final

from pydantic import SecretStr

from infra.settings.models import ArgoCd, Cluster, GitOps, Karpenter, Network, NodeClass, Pool
from infra.settings.problem import Problem
from infra.subnets import SubnetLayout

KARPENTER_FOR_KUBERNETES: Final[dict[str, tuple[tuple[int, int, int], tuple[int, int, int] | None]]] = {
    "1.30": ((1, 0, 0), (1, 15, 0)),
    "1.31": ((1, 0, 5), None),
    "1.32": ((1, 2, 0), None),
    "1.33": ((1, 5, 0), None),
    "1.34": ((1, 6, 0), None),
    "1.35": ((1, 9, 0), None),
    "1.36": ((1, 13, 0), None),
    "1.37": ((1, 15, 0), None),
}
"""Kubernetes minor -> (first Karpenter 1.x that supports it, first that no longer does).

Source: https://karpenter.sh/docs/upgrading/compatibility/ (1.14.1 and 1.15.0 tables)
"""

VPC_PREFIX_RANGE: Final = (16, 22)
PRIVATE_RANGES: Final = tuple(
    IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
SERVICE_RANGES: Final = (IPv4Network("172.20.0.0/16"), IPv4Network("10.100.0.0/16"))
"""EKS picks one of these for Services, whichever does not overlap the VPC.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
"""
LOG_TYPES: Final = frozenset({"api", "audit", "authenticator", "controllerManager", "scheduler"})
PINNED_REVISION: Final = re.compile(r"^(v\d+\.\d+\.\d+([.-][\w.]+)?|[0-9a-f]{40})$")
OPEN_TO_ALL: Final = IPv4Network("0.0.0.0/0")
ARM64_FAMILY: Final = re.compile(r"^[a-z]+\d+g[a-z-]*\.")
"""Graviton instance types have a g after the generation (m7g, c8gd). Source: EC2 instance naming conventions."""

Rule = Callable[..., Iterator[Problem]]
RULES: Final[dict[Rule, frozenset[str]]] = {}
"""Rule -> the sections that it takes, by the names of its parameters. It runs when each of them is valid by itself."""


def rule(function: Rule) -> Rule:
    """Register a rule."""
    RULES[function] = frozenset(inspect.signature(function).parameters)
    return function


def version(text: str) -> tuple[int, int, int]:
    """``1.14.1`` -> ``(1, 14, 1)``."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch


@rule
def subnets_fit(network: Network, region: str) -> Iterator[Problem]:
    """Zones belong to the region, and their subnets fit the VPC's range."""
    low, high = VPC_PREFIX_RANGE
    if not low <= network.cidr.prefixlen <= high:
        yield Problem(
            "network.cidr",
            str(network.cidr),
            f"a VPC range is /{low} to /{high}",
            "choose a range such as 10.10.0.0/16",
        )
    elif not any(network.cidr.subnet_of(private) for private in PRIVATE_RANGES):
        yield Problem(
            "network.cidr",
            str(network.cidr),
            "a VPC range is private (RFC 1918 or 100.64.0.0/10)",
            "choose a range such as 10.10.0.0/16",
        )
    elif all(network.cidr.overlaps(service) for service in SERVICE_RANGES):
        yield Problem(
            "network.cidr",
            str(network.cidr),
            "a VPC range leaves one of EKS's Service ranges free",
            "choose a range such as 10.10.0.0/16",
        )
    else:
        layout = SubnetLayout(network.cidr, len(network.zones), network.private_prefix, network.public_prefix)
        given = {"cidr": network.cidr, "privatePrefix": network.private_prefix, "publicPrefix": network.public_prefix}
        for key, text in layout.problems():
            yield Problem(
                f"network.{key}",
                str(given[key]),
                text,
                "widen network.cidr, take fewer zones, or make the subnets smaller (a longer prefix)",
            )
    for zone in network.zones:
        if not re.fullmatch(re.escape(region) + "[a-z]", zone):
            yield Problem(
                "network.zones",
                zone,
                f"a zone belongs to the stack's region {region}",
                f"use zones such as {region}a",
            )


@rule
def karpenter_supports_kubernetes(cluster: Cluster, karpenter: Karpenter) -> Iterator[Problem]:
    """Source: Karpenter's compatibility table."""
    kubernetes, chosen = cluster.kubernetes_version, karpenter.version
    supported = KARPENTER_FOR_KUBERNETES.get(kubernetes)
    if supported is None:
        yield Problem(
            "cluster.kubernetesVersion",
            kubernetes,
            "Karpenter 1.x supports Kubernetes " + ", ".join(KARPENTER_FOR_KUBERNETES),
            "use one of these; if AWS has a newer one, add its row to infra/settings/rules.py from Karpenter's "
            "compatibility table",
        )
        return
    first, last = supported
    if version(chosen) < first or (last and version(chosen) >= last):
        until = f" and below {'.'.join(map(str, last))}" if last else ""
        yield Problem(
            "karpenter.version",
            chosen,
            f"Kubernetes {kubernetes} needs Karpenter {'.'.join(map(str, first))} or newer{until}",
            "change karpenter.version or cluster.kubernetesVersion",
        )


@rule
def kube_proxy_matches_kubernetes(cluster: Cluster) -> Iterator[Problem]:
    """kube-proxy has the cluster's minor version, and nodes have an architecture."""
    if not cluster.addons.kube_proxy.startswith(f"v{cluster.kubernetes_version}."):
        yield Problem(
            "cluster.addons.kubeProxy",
            cluster.addons.kube_proxy,
            f"kube-proxy has the cluster's minor version, {cluster.kubernetes_version}",
            "aws eks describe-addon-versions --addon-name kube-proxy --kubernetes-version "
            f"{cluster.kubernetes_version}",
        )
    nodes = cluster.system_nodes
    if nodes.release_version and not nodes.release_version.startswith(f"{cluster.kubernetes_version}."):
        yield Problem(
            "cluster.systemNodes.releaseVersion",
            nodes.release_version,
            f"the node AMI has the cluster's minor version, {cluster.kubernetes_version}",
            "pick a release of that minor, or leave it out",
        )
    arm = "ARM" in nodes.ami_type
    for kind in nodes.instance_types:
        if bool(ARM64_FAMILY.match(kind)) != arm:
            yield Problem(
                "cluster.systemNodes.instanceTypes",
                kind,
                f"instance types have the architecture of amiType {nodes.ami_type}",
                "use Graviton types (m7g.large) with an ARM_64 amiType, others (m7i.large) with x86_64",
            )


@rule
def endpoint_is_reachable_and_closed(cluster: Cluster) -> Iterator[Problem]:
    """The API is not open to the world, and ``pulumi up`` can still reach it."""
    at, endpoint = "cluster.endpoint", cluster.endpoint
    if not endpoint.private:
        yield Problem(
            f"{at}.private", "false", "nodes in private subnets reach the API inside the VPC", "set it to true"
        )
    if endpoint.public and not endpoint.public_cidrs:
        yield Problem(
            f"{at}.publicCidrs",
            "nothing",
            "a public endpoint names the networks that may reach it",
            "list your office, VPN or CI networks",
        )
    for cidr in endpoint.public_cidrs:
        if cidr == OPEN_TO_ALL or cidr.prefixlen < 8:
            yield Problem(
                f"{at}.publicCidrs",
                str(cidr),
                "a public endpoint is not open to the world",
                "list your office, VPN or CI networks, /8 or smaller",
            )
    if not endpoint.public and endpoint.public_cidrs:
        yield Problem(
            f"{at}.publicCidrs",
            ", ".join(map(str, endpoint.public_cidrs)),
            "only a public endpoint has them",
            "set public: true or remove the list",
        )
    if not endpoint.public and endpoint.reached_from == "listed-cidrs":
        yield Problem(
            f"{at}.reachedFrom",
            "listed-cidrs",
            "a private endpoint is reached from inside the VPC only: `pulumi up` would be locked out",
            "run it on a runner in the VPC (reachedFrom: runner-in-vpc), or set public: true with publicCidrs",
        )
    if endpoint.reached_from == "runner-in-vpc" and not endpoint.runner_cidrs:
        yield Problem(
            f"{at}.runnerCidrs",
            "nothing",
            "the runner's network is admitted to the API's security group",
            "list the runner's subnet, for example the VPC's own CIDR",
        )
    for cidr in endpoint.runner_cidrs:
        if not any(cidr.subnet_of(private) for private in PRIVATE_RANGES):
            yield Problem(
                f"{at}.runnerCidrs",
                str(cidr),
                "a runner in the VPC has private addresses",
                "list private networks here, public ones in publicCidrs",
            )
    if endpoint.reached_from == "listed-cidrs" and endpoint.runner_cidrs:
        yield Problem(
            f"{at}.runnerCidrs",
            ", ".join(map(str, endpoint.runner_cidrs)),
            "only reachedFrom: runner-in-vpc uses them",
            "remove the list",
        )


@rule
def stateful_workloads_stay_off_spot(pools: dict[str, Pool]) -> Iterator[Problem]:
    """The databases have an On-Demand, tainted home; without it, each Spot-only pool must say why that is fine."""
    homes = [name for name, pool in pools.items() if pool.stateful]
    for name in homes:
        pool = pools[name]
        if "spot" in pool.capacity_types:
            yield Problem(
                f"pools.{name}.capacityTypes",
                ", ".join(pool.capacity_types),
                "a stateful pool is On-Demand only",
                "use [on-demand]",
            )
        if not any(taint.effect in ("NoSchedule", "NoExecute") for taint in pool.taints):
            yield Problem(
                f"pools.{name}.taints",
                "no NoSchedule taint",
                "a stateful pool is tainted, so that only the databases land on it",
                "add {key: dedicated, value: data, effect: NoSchedule}",
            )
    for name, pool in pools.items():
        exposed = pool.capacity_types == ("spot",) and not pool.taints and not homes
        if exposed and not pool.spot_only_reason:
            yield Problem(
                f"pools.{name}.spotOnlyReason",
                "nothing",
                "a stateful workload could land on this Spot-only pool, because no pool is stateful: true",
                "add a stateful On-Demand pool (see Pulumi.dev.yaml), or say here why losing the data is fine",
            )
        if pool.spot_only_reason and not exposed:
            yield Problem(
                f"pools.{name}.spotOnlyReason",
                pool.spot_only_reason,
                "it is for an untainted Spot-only pool in a stack with no stateful pool",
                "remove it",
            )


@rule
def pools_are_consistent(pools: dict[str, Pool]) -> Iterator[Problem]:
    """Pools hold nothing that Karpenter's CRDs or scheduler would refuse or ignore later."""
    for name, pool in pools.items():
        for index, budget in enumerate(pool.budgets):
            if (budget.schedule is None) != (budget.duration is None):
                yield Problem(
                    f"pools.{name}.budgets[{index}]",
                    f"schedule {budget.schedule}, duration {budget.duration}",
                    "schedule and duration go together (NodePool CRD)",
                    "give both or none",
                )
        for label in pool.labels:
            if label.startswith(
                (
                    "karpenter.sh/",
                    "karpenter.k8s.aws/",
                    "kubernetes.io/",
                    "node.kubernetes.io/",
                    "topology.kubernetes.io/",
                )
            ):
                yield Problem(
                    f"pools.{name}.labels",
                    label,
                    "this label domain belongs to Kubernetes or Karpenter",
                    "use a domain of your own",
                )
        if (
            pool.consolidation_policy == "WhenEmpty"
            and pool.consolidate_after == "Never"
            and pool.expire_after == "Never"
        ):
            yield Problem(
                f"pools.{name}.expireAfter",
                "Never",
                "nodes that neither consolidate nor expire never get a new AMI by themselves",
                "give expireAfter, for example 336h",
            )
    if not any(not [t for t in pool.taints if t.effect != "PreferNoSchedule"] for pool in pools.values()):
        yield Problem(
            "pools",
            ", ".join(pools),
            "at least one pool is untainted, or stateless pods have nowhere to go",
            "add the spot pool of Pulumi.dev.yaml",
        )


@rule
def prod_network(environment: str, network: Network) -> Iterator[Problem]:
    """Prod survives a zone and keeps flow logs."""
    if environment != "prod":
        return
    if len(network.zones) < 3:
        yield Problem("network.zones", ", ".join(network.zones), "prod spans at least 3 zones", "list three zones")
    if network.nat != "per-zone":
        yield Problem("network.nat", network.nat, "prod has a NAT gateway per zone", "set nat: per-zone")
    if not network.flow_logs:
        yield Problem("network.flowLogs", "false", "prod keeps flow logs", "set flowLogs: true")


@rule
def prod_cluster(environment: str, cluster: Cluster) -> Iterator[Problem]:
    """Prod has a private endpoint, all logs, protection and somebody who may enter."""
    if environment != "prod":
        return
    if cluster.endpoint.public:
        yield Problem(
            "cluster.endpoint.public",
            "true",
            "prod has a private endpoint only",
            "set public: false and reachedFrom: runner-in-vpc",
        )
    if set(cluster.log_types) != LOG_TYPES:
        yield Problem(
            "cluster.logTypes",
            ", ".join(cluster.log_types) or "nothing",
            "prod keeps all five control-plane logs",
            "list " + ", ".join(sorted(LOG_TYPES)),
        )
    if not cluster.deletion_protection:
        yield Problem(
            "cluster.deletionProtection", "false", "prod has deletion protection", "set deletionProtection: true"
        )
    if not cluster.admin_role_arns:
        yield Problem(
            "cluster.adminRoleArns",
            "nothing",
            "prod names who is cluster-admin, beside the role that created it",
            "list at least one role ARN",
        )


@rule
def prod_karpenter(environment: str, karpenter: Karpenter) -> Iterator[Problem]:
    """Prod has no role that interrupts its nodes."""
    if environment == "prod" and karpenter.interruption_experiments:
        yield Problem(
            "karpenter.interruptionExperiments",
            "true",
            "prod has no experiments that take its nodes away",
            "set interruptionExperiments: false; rehearse with --fis in staging",
        )


@rule
def prod_node_class(environment: str, node_class: NodeClass) -> Iterator[Problem]:
    """Prod pins its AMI."""
    if environment == "prod" and node_class.ami_alias.endswith("@latest"):
        yield Problem(
            "nodeClass.amiAlias",
            node_class.ami_alias,
            "prod pins its AMI: @latest replaces nodes when AWS publishes",
            "use a dated release, for example al2023@v20260903",
        )


@rule
def prod_argocd(environment: str, argocd: ArgoCd) -> Iterator[Problem]:
    """Prod pins the chart and has no local admin."""
    if environment != "prod":
        return
    if not re.fullmatch(r"\d+\.\d+\.\d+", argocd.chart_version):
        yield Problem(
            "argocd.chartVersion",
            argocd.chart_version,
            "prod pins its chart versions",
            "use an exact version, for example 10.1.1",
        )
    if argocd.admin_enabled:
        yield Problem(
            "argocd.adminEnabled",
            "true",
            "prod has no local Argo CD admin",
            "set adminEnabled: false and use kubectl access (argocd --core) or SSO",
        )
    if not argocd.high_availability:
        yield Problem(
            "argocd.highAvailability", "false", "prod runs Argo CD with replicas", "set highAvailability: true"
        )


@rule
def prod_gitops(environment: str, gitops: GitOps) -> Iterator[Problem]:
    """Prod deploys a revision that cannot move."""
    if environment == "prod" and not PINNED_REVISION.fullmatch(gitops.revision):
        yield Problem(
            "gitops.revision",
            gitops.revision,
            "prod pins its Git revision: a branch moves",
            "use a tag such as v1.2.3 or a full commit",
        )


@rule
def token_needs_https(gitops: GitOps, git_token: SecretStr | None) -> Iterator[Problem]:
    """A token is of use over https only."""
    if git_token is not None and not gitops.repository.startswith("https://"):
        yield Problem(
            "gitToken",
            "[secret]",
            "a token authenticates to an https:// repository",
            "use an https:// gitops.repository, or remove gitToken",
        )
