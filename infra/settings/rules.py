"""Rules across fields."""

import re
import ssl
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from infra import demo_chart, image_architectures, images, names, regions, schedules
from infra.addon_faults import faults_of
from infra.settings import instance_types, placement
from infra.settings.models import (
    DEFAULT_GIB,
    Alarms,
    ArgoCd,
    Cluster,
    Costs,
    Encryption,
    FrontPath,
    GitOps,
    Iam,
    Karpenter,
    Monitoring,
    Network,
    NodeClass,
    Persistence,
    Pool,
)
from infra.settings.problem import Problem, did_you_mean, rule
from infra.subnets import SubnetLayout

KARPENTER_FOR_KUBERNETES: Final[dict[str, tuple[tuple[int, int, int], tuple[int, int, int] | None]]] = {
    "1.32": ((1, 2, 0), None),
    "1.33": ((1, 5, 0), None),
    "1.34": ((1, 6, 0), None),
    "1.35": ((1, 9, 0), None),
    "1.36": ((1, 13, 0), None),
    "1.37": ((1, 15, 0), None),
}
"""Kubernetes minor -> (first Karpenter 1.x that supports it, first that no longer does).

1.30 and 1.31 are none of EKS's any more: their extended support ended on 2026-07-23 and 2026-11-26.
Sources: https://karpenter.sh/docs/upgrading/compatibility/ (1.14 and 1.15 tables),
https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html#kubernetes-release-calendar
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
MAX_PORT: Final = 65535
OPEN_TO_ALL: Final = IPv4Network("0.0.0.0/0")


def _open(pool: Pool) -> bool:
    """Whether any pod may land on a pool's nodes."""
    return all(taint.effect == "PreferNoSchedule" for taint in pool.taints)


def version(text: str) -> tuple[int, int, int]:
    """``1.14.3`` -> ``(1, 14, 3)``."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch


@rule
def region_is_supported(region: str) -> Iterator[Problem]:
    """The region exists, and is in a partition that the program works in."""
    partition = regions.PARTITION_OF.get(region)
    if partition is None:
        yield Problem(
            "region",
            region,
            "no such AWS region is known",
            did_you_mean(region, regions.PARTITION_OF) + "if AWS has opened it since, add its row to infra/regions.py",
        )
    elif partition in regions.NOT_SUPPORTED:
        yield Problem(
            "region",
            f"{region} (partition {partition})",
            f"the partition {partition} is not supported: {regions.NOT_SUPPORTED[partition]}",
            "use a region of " + " or ".join(name for name in regions.REGIONS if name not in regions.NOT_SUPPORTED),
        )


OF_A_VPC_THAT_IS_MADE: Final = (
    *("cidr", "private_prefix", "public_prefix", "nat", "flow_logs", "flow_log_retention_days"),
    *("gateway_endpoints", "interface_endpoints"),
)
"""Settings of the VPC that the stack makes: one that is there has all of it already, or its owner does without."""


@rule
def subnets_fit(network: Network) -> Iterator[Problem]:
    """The subnets of the VPC that the stack makes fit its range."""
    if network.existing is not None:
        return
    if network.cidr is None:
        yield Problem(
            "network.cidr",
            "nothing",
            "the stack makes a VPC of this range, or is given one that is there",
            "choose a range such as 10.10.0.0/16, or give network.existing",
        )
        return
    low, high = VPC_PREFIX_RANGE
    why = ""
    if not low <= network.cidr.prefixlen <= high:
        why = f"a VPC range is /{low} to /{high}"
    elif not any(network.cidr.subnet_of(private) for private in PRIVATE_RANGES):
        why = "a VPC range is private (RFC 1918 or 100.64.0.0/10)"
    elif all(network.cidr.overlaps(service) for service in SERVICE_RANGES):
        why = "a VPC range leaves one of EKS's Service ranges free"
    if why:
        yield Problem("network.cidr", str(network.cidr), why, "choose a range such as 10.10.0.0/16")
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


@rule
def existing_vpc_is_told_whole(network: Network) -> Iterator[Problem]:
    """A VPC that is there comes with its subnets, by ids or by tags, and without what only a new one can be given."""
    existing = network.existing
    if existing is None:
        return
    for name in OF_A_VPC_THAT_IS_MADE:
        if name in network.model_fields_set:
            key = Network.model_fields[name].alias or name
            yield Problem(
                f"network.{key}",
                _said(getattr(network, name)),
                "it is of a VPC that the stack makes; the one of network.existing is its owner's",
                "remove it, or remove network.existing",
            )
    for kind, ids, tags in (
        ("private", existing.private_subnet_ids, existing.private_subnet_tags),
        ("public", existing.public_subnet_ids, existing.public_subnet_tags),
    ):
        key = f"network.existing.{kind}SubnetIds"
        if ids and tags:
            yield Problem(
                key,
                f"{', '.join(ids)}, and {kind}SubnetTags: {_said(tags)}",
                "subnets are told by their ids or by their tags",
                "keep one of them",
            )
        elif not ids and not tags and kind == "private":
            yield Problem(
                key,
                "nothing",
                "nodes, pods and the control plane live in private subnets of the VPC",
                "list their ids, or give privateSubnetTags that they have",
            )
    if 0 < len(existing.private_subnet_ids) < len(network.zones):
        yield Problem(
            "network.existing.privateSubnetIds",
            f"{', '.join(existing.private_subnet_ids)}, for {len(network.zones)} zones",
            "each of network.zones has a private subnet: one lies in one zone",
            "list at least one for each zone, or take fewer zones",
        )
    both = sorted(set(existing.private_subnet_ids) & set(existing.public_subnet_ids))
    if both or (existing.private_subnet_tags and existing.private_subnet_tags == existing.public_subnet_tags):
        yield Problem(
            "network.existing.publicSubnetIds" if both else "network.existing.publicSubnetTags",
            ", ".join(both) or _said(existing.public_subnet_tags),
            "a subnet is private or public: nodes live in private ones, load balancers that the Internet reaches in "
            "public ones",
            "tell them apart",
        )


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={told}" for key, told in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----")
LARGEST_BUNDLE: Final = 12 * 1024
"""Bytes of certificates: EC2 takes 16 KiB of user data, and Karpenter and EKS add the cluster's own to it.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
"""


@rule
def proxy_can_be_followed(network: Network) -> Iterator[Problem]:
    """The proxy's port is one, and so are networks beside it: what reads them drops others in silence.

    Source: https://pkg.go.dev/golang.org/x/net/http/httpproxy
    """
    if network.proxy is None:
        return
    if not 1 <= int(network.proxy.url.rpartition(":")[2]) <= MAX_PORT:
        yield Problem("network.proxy.url", network.proxy.url, f"a port is 1 to {MAX_PORT}", "write the proxy's")
    for direct in network.proxy.no_proxy:
        if "/" not in direct:
            continue
        try:
            ip_network(direct, strict=False)
        except ValueError as error:
            yield Problem(
                "network.proxy.noProxy",
                direct,
                f"with a slash it is a network in CIDR notation ({error})",
                "write the network, such as 10.0.0.0/8, or a host or .domain without a slash",
            )


FIRST_WITH_ENVIRONMENT: Final = "20251007"
"""First build of the node image whose nodeadm takes ``instance.environment``.

Source: https://github.com/awslabs/amazon-eks-ami/pull/2384
"""


@rule
def nodes_know_of_a_proxy(network: Network, node_class: NodeClass, cluster: Cluster) -> Iterator[Problem]:
    """A node image that is older than the way to tell it a proxy would pull through none, in silence."""
    if network.proxy is None:
        return
    for key, release in (
        ("nodeClass.amiAlias", node_class.ami_alias),
        ("cluster.systemNodes.releaseVersion", cluster.system_nodes.release_version or ""),
    ):
        build = release[-8:]
        if build.isdigit() and build < FIRST_WITH_ENVIRONMENT:
            yield Problem(
                key,
                f"{release}, with network.proxy",
                f"node images take a proxy since {FIRST_WITH_ENVIRONMENT}; an older one pulls through none, in silence",
                "take a newer build",
            )


@rule
def certificates_can_be_trusted(network: Network) -> Iterator[Problem]:
    """What nodes are to trust are certificates of authorities, not one of them expired, and fit into user data."""
    if network.ca_bundle is None:
        return
    key, text = "network.caBundle", network.ca_bundle
    if len(text.encode()) > LARGEST_BUNDLE:
        yield Problem(
            key,
            f"{len(text.encode())} bytes",
            f"at most {LARGEST_BUNDLE}: it goes into every node's user data, of which EC2 takes 16 KiB",
            "give the certificates that are needed, without comments and without the public ones",
        )
    yield from _no_authorities(key, text)


def _no_authorities(key: str, text: str) -> Iterator[Problem]:
    """What is wrong with certificates that are to be trusted."""
    pem = "certificates in PEM, one after the other: -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    if "PRIVATE KEY" in text:
        yield Problem(key, "a private key", "what is trusted is public: a stack file is in Git", f"give {pem}")
        return
    blocks = CERTIFICATE.findall(text)
    if not blocks or len(blocks) != text.count("-----BEGIN"):
        yield Problem(key, f"{len(blocks)} certificates", "it is made of certificates alone", f"give {pem}")
    for number, block in enumerate(blocks, start=1):
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            trusted.load_verify_locations(cadata=block)
        except ssl.SSLError:
            yield Problem(key, f"certificate {number}, which cannot be read", "each is a certificate", f"give {pem}")
            continue
        authorities = trusted.get_ca_certs()
        if not authorities:
            yield Problem(
                key,
                f"certificate {number}, of no authority",
                "TLS trusts authorities: this one may sign nothing",
                "give the certificate of the authority that signed it",
            )
        for authority in authorities:
            if ssl.cert_time_to_seconds(str(authority["notAfter"])) < time.time():
                yield Problem(
                    key,
                    f"certificate {number}, which ended on {authority['notAfter']}",
                    "nobody trusts it any more",
                    "give the one that came after it",
                )


@rule
def trusted_hosts_are_asked(network: Network, gitops: GitOps, argocd: ArgoCd) -> Iterator[Problem]:
    """Hosts that Argo CD trusts by the company's authorities are those that it asks, and there are authorities."""
    issuer = [argocd.oidc.issuer] if argocd.oidc else []
    asked = {urlsplit(url).hostname for url in (gitops.repository, *gitops.source_repositories, *issuer)}
    for host in network.ca_bundle_hosts:
        if network.ca_bundle is None or host not in asked:
            yield Problem(
                "network.caBundleHosts",
                host,
                "it is the host of a repository, or of the OIDC provider, and trusted by network.caBundle",
                "give caBundle too"
                if network.ca_bundle is None
                else f"Argo CD asks {', '.join(sorted(filter(None, asked)))}: name some of these",
            )


@rule
def zones_are_of_the_region(network: Network, region: str) -> Iterator[Problem]:
    """Zones belong to the region."""
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
            "EKS runs, and Karpenter 1.x supports, Kubernetes " + ", ".join(KARPENTER_FOR_KUBERNETES),
            "use one of these; if AWS has a newer one, add its row to infra/settings/rules.py from Karpenter's "
            "compatibility table",
        )
        return
    first, last = supported
    if version(chosen)[0] != 1:
        last = (2, 0, 0)
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
    """kube-proxy has the cluster's minor version, and nodes that or the one before."""
    if not cluster.addons.kube_proxy.startswith(f"v{cluster.kubernetes_version}."):
        yield Problem(
            "cluster.addons.kubeProxy",
            cluster.addons.kube_proxy,
            f"kube-proxy has the cluster's minor version, {cluster.kubernetes_version}",
            "aws eks describe-addon-versions --addon-name kube-proxy --kubernetes-version "
            f"{cluster.kubernetes_version}",
        )
    nodes = cluster.system_nodes
    minor = nodes.kubernetes_version or cluster.kubernetes_version
    before = f"1.{int(cluster.kubernetes_version.split('.')[1]) - 1}"
    if minor not in (cluster.kubernetes_version, before):
        yield Problem(
            "cluster.systemNodes.kubernetesVersion",
            minor,
            f"nodes have the cluster's minor version, {cluster.kubernetes_version}, or the one before",
            "leave it out; it holds the nodes for the days in which EKS takes an upgrade back",
        )
    if nodes.release_version and not nodes.release_version.startswith(f"{minor}."):
        yield Problem(
            "cluster.systemNodes.releaseVersion",
            nodes.release_version,
            f"the node AMI has the nodes' minor version, {minor}",
            "pick a release of that minor, or leave it out",
        )


@rule
def addons_are_not_known_to_fail(cluster: Cluster) -> Iterator[Problem]:
    """No pin is a version of a public fault that this program meets."""
    for addon, chosen in cluster.addons.by_name().items():
        for fault in faults_of(addon, chosen):
            field = re.sub(r"-(.)", lambda letter: letter[1].upper(), addon)
            yield Problem(
                f"cluster.addons.{field}",
                chosen,
                f"{fault.what} ({fault.source}, seen {fault.seen})",
                f"use {fault.mended} or newer, or leave it out: the default has the mend",
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


NOT_PUBLIC: Final = (
    *PRIVATE_RANGES,
    *(IPv4Network(n) for n in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24")),
    *(IPv4Network(n) for n in ("224.0.0.0/4", "240.0.0.0/4")),
)
"""Source: https://www.iana.org/assignments/iana-ipv4-special-registry; networks of documentation are placeholders."""


@rule
def public_networks_are_public(cluster: Cluster) -> Iterator[Problem]:
    """A request that comes over the Internet has no reserved address: EKS refuses such networks.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html
    """
    for cidr in cluster.endpoint.public_cidrs:
        if reserved := next((network for network in NOT_PUBLIC if cidr.overlaps(network)), None):
            yield Problem(
                "cluster.endpoint.publicCidrs",
                str(cidr),
                "a public endpoint is reached from public addresses"
                + ("" if cidr.subnet_of(reserved) else f", and this network has {reserved} in it"),
                "list the address that your office, VPN or CI has on the Internet; a runner in the VPC goes into "
                "runnerCidrs",
            )


@rule
def issuer_is_resolved(cluster: Cluster, karpenter: Karpenter, network: Network) -> Iterator[Problem]:
    """The eks endpoint's private names hide the cluster's OIDC issuer, which IRSA needs while it is set up.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/enable-iam-roles-for-service-accounts.html
    """
    inside = cluster.endpoint.reached_from == "runner-in-vpc"
    # Endpoints stand for the way out of such a VPC, eks among them: infra/existing_vpc.py looks.
    enclosed = network.existing is not None and network.existing.way_out == "endpoints"
    if inside and karpenter.identity != "pod-identity" and (enclosed or "eks" in network.interface_endpoints):
        yield Problem(
            "karpenter.identity",
            f"{karpenter.identity}, with the interface endpoint eks and a runner in the VPC",
            "inside the VPC the endpoint's private names hide oidc.eks.<region>: the runner cannot read the issuer's "
            "certificate",
            "set identity: pod-identity" + ("" if enclosed else ", or take eks out of network.interfaceEndpoints"),
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
def databases_have_the_pool_that_they_select(pools: dict[str, Pool], gitops: GitOps) -> Iterator[Problem]:
    """The pool that the demo's databases select is there, and lets them in: they select it by its name, in Git."""
    placed = placement.databases(gitops)
    if placed is None:
        return
    selector, tolerations = placed
    name, capacity_type = selector[placement.POOL], selector[placement.CAPACITY_TYPE]
    own = f"gitops.applications.{placement.DEMO}.values.placement"
    taint = placement.PLACEMENT["tolerations"][0]
    if any({**toleration, "value": ""} != {**taint, "value": ""} for toleration in tolerations):
        yield Problem(
            f"{own}.tolerations",
            "; ".join(f"{toleration.get('key')}:{toleration.get('effect')}" for toleration in tolerations),
            "the wrapper chart keeps stateless pods off the data nodes by the key of their taint: a database tolerates "
            f"{taint['key']}, Equal, {taint['effect']}, of any value",
            f"taint the pool with {taint['key']}=VALUE:{taint['effect']}, and tolerate that",
        )
    if capacity_type != "on-demand":
        yield Problem(
            f"{own}.nodeSelector", f"{placement.CAPACITY_TYPE}: {capacity_type}", "a database is On-Demand", "remove it"
        )
    pending = (
        f"the demo's databases select the pool {name} by its name, {capacity_type}, and tolerate its taint "
        "(placement in gitops/charts/otel-demo/values.yaml): without it they are Pending for ever"
    )
    change = f"tell the databases: {own}.nodeSelector and tolerations; or leave the demo out by enabled: false"
    pool = pools.get(name)
    if pool is None:
        yield Problem("pools", f"{', '.join(pools)}, and none is named {name}", pending, f"keep the name; or {change}")
        return
    if capacity_type not in pool.capacity_types:
        yield Problem(
            f"pools.{name}.capacityTypes", ", ".join(pool.capacity_types), pending, f"add {capacity_type}; or {change}"
        )
    if left := placement.untolerated(pool.taints, tolerations):
        yield Problem(
            f"pools.{name}.taints", ", ".join(left), pending, f"keep the taint that they tolerate; or {change}"
        )


@rule
def expiry_has_a_reason(environment: str, pools: dict[str, Pool]) -> Iterator[Problem]:
    """Expiry obeys no budget and waits for no replacement: in prod, and where databases live, somebody says why.

    Source: https://karpenter.sh/docs/concepts/disruption/#automated-forceful-methods
    """
    for name, pool in pools.items():
        expires = pool.expire_after != "Never"
        if expires and not pool.expire_after_reason and (pool.stateful or environment == "prod"):
            yield Problem(
                f"pools.{name}.expireAfterReason",
                f"nothing, with expireAfter: {pool.expire_after}",
                "expiry obeys no budget and waits for no replacement: nodes of one age are drained together, in office "
                "hours too",
                "set expireAfter: Never (a new nodeClass.amiAlias replaces the nodes, within the budgets), or say here "
                "why their pods may go at any hour",
            )
        if pool.expire_after_reason and not expires:
            yield Problem(
                f"pools.{name}.expireAfterReason",
                pool.expire_after_reason,
                "it is for a pool whose nodes expire, and expireAfter is Never",
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
        for label, value in pool.labels.items():
            if restricted_label(label):
                yield Problem(
                    f"pools.{name}.labels",
                    label,
                    "Karpenter sets this label itself, or refuses it",
                    "use a domain of your own, or one of Karpenter's well-known labels",
                )
            elif (label, value) == names.SYSTEM_NODE_LABEL:
                yield Problem(
                    f"pools.{name}.labels",
                    f"{label}: {value}",
                    "this label is the system nodes' own: what belongs there would land on the pool",
                    "use another value",
                )
        if len(pool.labels) > MOST_LABELS:
            yield Problem(
                f"pools.{name}.labels",
                f"{len(pool.labels)} labels",
                f"a pool has at most {MOST_LABELS} labels (NodePool CRD)",
                "remove some",
            )
        for key, listed in (("taints", pool.taints), ("startupTaints", pool.startup_taints)):
            for taint in listed:
                if restricted_label(taint.key):
                    yield Problem(
                        f"pools.{name}.{key}",
                        taint.key,
                        "Karpenter puts taints of its own domains onto a node, and takes them off, itself: no node "
                        "would take pods",
                        "use a domain of your own",
                    )
        taints = [(taint.key, taint.effect) for taint in (*pool.taints, *pool.startup_taints)]
        for key, effect in sorted({taint for taint in taints if taints.count(taint) > 1}):
            yield Problem(
                f"pools.{name}.{'startupTaints' if pool.startup_taints else 'taints'}",
                f"{key}:{effect} more than once",
                "a key has one taint of an effect (Karpenter's own validation)",
                "keep one",
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
    if not any(_open(pool) for pool in pools.values()):
        yield Problem(
            "pools",
            ", ".join(pools),
            "at least one pool is untainted, or stateless pods have nowhere to go",
            "add the spot pool of Pulumi.dev.yaml",
        )


RESTRICTED_DOMAINS: Final = ("karpenter.sh", "karpenter.k8s.aws")
ALLOWED_LABELS: Final = frozenset(
    {"karpenter.sh/capacity-type"}
    | {
        f"karpenter.k8s.aws/{name}"
        for name in (
            *("capacity-reservation-id", "capacity-reservation-type", "capacity-reservation-interruptible"),
            *("instance-accelerator-count", "instance-accelerator-manufacturer", "instance-accelerator-name"),
            *("instance-capability-flex", "instance-category", "instance-cpu", "instance-cpu-manufacturer"),
            *("instance-cpu-sustained-clock-speed-mhz", "instance-ebs-bandwidth"),
            *("instance-encryption-in-transit-supported", "instance-family", "instance-generation"),
            *("instance-gpu-count", "instance-gpu-manufacturer", "instance-gpu-memory", "instance-gpu-name"),
            *("instance-hypervisor", "instance-local-nvme", "instance-memory", "instance-network-bandwidth"),
            *("instance-size", "instance-tenancy", "placement-group-id", "placement-group-partition"),
        )
    }
)
"""Labels of Karpenter's own domains that a pool may have.

Sources: IsRestrictedLabel of https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/labels.go, with the
well-known labels of https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/apis/v1/labels.go, and the rules of
its pkg/apis/crds/karpenter.sh_nodepools.yaml. Karpenter itself puts those of Kubernetes' domains onto the node.
"""
MOST_LABELS: Final = 100


LONGEST_BATCH_SECONDS: Final = 30
"""A quarter of a Spot node's warning; the rest is for its successor's boot and for what runs there to become ready."""


def restricted_label(key: str) -> bool:
    """True where Karpenter refuses a pool with this label."""
    domain = key.partition("/")[0] if "/" in key else ""
    return key == "kubernetes.io/hostname" or (domain.endswith(RESTRICTED_DOMAINS) and key not in ALLOWED_LABELS)


FIRST_KARPENTER: Final[dict[tuple[str, object], tuple[int, int, int]]] = {
    ("karpenter.nodeRepair", True): (1, 1, 0),
    ("karpenter.headroom", True): (1, 14, 0),
    ("karpenter.minValuesPolicy", "BestEffort"): (1, 6, 0),
    ("capacityTypes", "reserved"): (1, 6, 0),
    ("limits.nodes", True): (1, 11, 0),
    ("consolidationPolicy", "Balanced"): (1, 14, 0),
    ("budgets[].reasons", "Unhealthy"): (1, 15, 0),
}
"""(field, value) -> the first Karpenter that takes it; an older CRD refuses the object, an older controller ignores it.

Sources: pkg/operator/options/options.go (feature gates) and pkg/apis/crds/karpenter.sh_nodepools.yaml (enums) of each
minor's first tag, 1.0 to 1.15, in https://github.com/kubernetes-sigs/karpenter. ``reserved`` is there since 1.3, and
its gate is on by default since 1.6. karpenter-crd brings CapacityBuffer since 1.14. A limit on nodes is held since
pkg/controllers/provisioning/scheduling/scheduler.go of 1.11; the versions before take it and launch all the same.
"""


FIRST_LABEL: Final[dict[str, tuple[int, int, int]]] = {
    "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz": (1, 1, 0),
    "karpenter.k8s.aws/capacity-reservation-id": (1, 3, 0),
    "karpenter.k8s.aws/capacity-reservation-type": (1, 6, 0),
    "karpenter.k8s.aws/instance-capability-flex": (1, 7, 0),
    "karpenter.k8s.aws/instance-tenancy": (1, 9, 0),
    "karpenter.k8s.aws/capacity-reservation-interruptible": (1, 10, 0),
    "karpenter.k8s.aws/placement-group-id": (1, 11, 0),
    "karpenter.k8s.aws/placement-group-partition": (1, 11, 0),
}
"""Well-known label of a pool -> the first Karpenter that knows it; an older one refuses the pool.

Source: pkg/apis/v1/labels.go of each minor's first tag in https://github.com/aws/karpenter-provider-aws
"""
KUBERNETES_LABELS: Final = ((1, 9, 0), ("kubernetes.io", "k8s.io"))
KUBERNETES_LABELS_BEFORE: Final = frozenset(instance_types.SAME_LABEL.values()) | {"topology.k8s.aws/zone-id"}
DOMAINS_BEFORE: Final = ("node.kubernetes.io", "node-restriction.kubernetes.io", "kops.k8s.io")
"""Labels of Kubernetes' own domains that a pool may have before the first Karpenter that takes them all.

Source: IsRestrictedLabel of pkg/apis/v1/labels.go, 1.8.0 and 1.9.0, in https://github.com/kubernetes-sigs/karpenter
"""


def first_with_label(key: str) -> tuple[int, int, int] | None:
    """The first Karpenter that takes a pool with this label; None where every one does."""
    first, domains = KUBERNETES_LABELS
    domain = key.partition("/")[0] if "/" in key else ""

    def within(names: tuple[str, ...]) -> bool:
        return domain in names or domain.endswith(tuple(f".{name}" for name in names))

    if within(domains) and not within(DOMAINS_BEFORE) and key not in KUBERNETES_LABELS_BEFORE:
        return first
    return FIRST_LABEL.get(key)


@rule
def karpenter_knows_every_field(karpenter: Karpenter, pools: dict[str, Pool]) -> Iterator[Problem]:
    """No field has a value that only a newer Karpenter takes."""
    used: list[tuple[str, str, object]] = [
        ("karpenter.nodeRepair", "karpenter.nodeRepair", karpenter.node_repair),
        ("karpenter.minValuesPolicy", "karpenter.minValuesPolicy", karpenter.min_values_policy),
        ("karpenter.headroom", "karpenter.headroom", karpenter.headroom is not None),
    ]
    for name, pool in pools.items():
        used += [(f"pools.{name}.capacityTypes", "capacityTypes", kind) for kind in pool.capacity_types]
        used.append((f"pools.{name}.limits.nodes", "limits.nodes", pool.limits.nodes is not None))
        used.append((f"pools.{name}.consolidationPolicy", "consolidationPolicy", pool.consolidation_policy))
        used += [
            (f"pools.{name}.budgets[{index}].reasons", "budgets[].reasons", reason)
            for index, budget in enumerate(pool.budgets)
            for reason in budget.reasons
        ]
        used += [(f"pools.{name}.labels", "labels", label) for label in pool.labels]
    for key, field, value in used:
        first = first_with_label(str(value)) if field == "labels" else FIRST_KARPENTER.get((field, value))
        if first and version(karpenter.version) < first:
            yield Problem(
                key,
                _said(value),
                f"Karpenter takes it from {'.'.join(map(str, first))} on; this stack has {karpenter.version}",
                "raise karpenter.version, or use another value",
            )


@rule
def pools_have_instance_types(pools: dict[str, Pool], network: Network) -> Iterator[Problem]:
    """Some instance type meets a pool's requirements, of as many families as it asks for, in a zone of the network."""
    for name, pool in pools.items():
        zones = len(instance_types.pool_zones(pool, network.zones))
        types, families = len(instance_types.catalogue()), ""
        for category in pool.instance_categories:
            if category not in instance_types.categories():
                yield Problem(
                    f"pools.{name}.instanceCategories",
                    category,
                    f"no instance type is of this category: 0 of {types} types x {zones} zones",
                    "use some of " + ", ".join(sorted(instance_types.categories())),
                )
        for choice in instance_types.choices(pool):
            if not choice.types:
                yield Problem(
                    f"pools.{name}.{choice.key}",
                    choice.requirement,
                    f"no instance type meets it: 0 of {types} types{families} x {zones} zones, and Karpenter would "
                    "never launch a node",
                    "loosen it; the types that Karpenter knows are in infra/settings/instance_types.txt",
                )
                break
            types, families = choice.types, f" of {choice.families} families"
            wanted = (
                ("instanceFamiliesAtLeast", pool.instance_families_at_least, choice.families, "families"),
                ("instanceTypesAtLeast", pool.instance_types_at_least, choice.types, "types"),
            )
            too_many = [row for row in wanted if row[1] is not None and row[2] < row[1]]
            for key, asked, left, things in too_many:
                yield Problem(
                    f"pools.{name}.{key}",
                    str(asked),
                    f"minValues: {types} types{families} x {zones} zones are left after {choice.requirement} "
                    f"({choice.key}), and Karpenter would never launch a node",
                    f"ask for at most {left} {things}, or loosen {choice.key}",
                )
            if too_many:
                break
        for family in pool.excluded_instance_families:
            if family not in instance_types.families():
                yield Problem(
                    f"pools.{name}.excludedInstanceFamilies",
                    family,
                    "no instance type is of this family: it would exclude nothing",
                    did_you_mean(family, instance_types.families())
                    + "if AWS has it since, add it to infra/settings/instance_types.txt",
                )
        for zone in pool.zones:
            if zone not in network.zones:
                yield Problem(
                    f"pools.{name}.zones",
                    zone,
                    f"a pool's nodes are in the network's zones, {', '.join(network.zones)}",
                    "use some of these, or add the zone to network.zones",
                )


@rule
def labels_are_met(pools: dict[str, Pool], network: Network, region: str) -> Iterator[Problem]:
    """A well-known label of a pool is a requirement: some node of its zones and capacity types can have its value."""
    for name, pool in pools.items():
        placed: dict[str, str] = {}
        for key, value in pool.labels.items():
            label = instance_types.SAME_LABEL.get(key, key)
            if placed.setdefault(label, value) != value:
                yield Problem(
                    f"pools.{name}.labels",
                    f"{key}: {value}, and {label}: {placed[label]}",
                    f"Karpenter reads {key} as another name of {label}: no node would have both values",
                    "keep one of them",
                )
        for label, values in (
            ("topology.kubernetes.io/zone", tuple(zone for zone in network.zones if zone in (pool.zones or (zone,)))),
            ("topology.kubernetes.io/region", (region,)),
            ("karpenter.sh/capacity-type", pool.capacity_types),
        ):
            if label in placed and placed[label] not in values:
                yield Problem(
                    f"pools.{name}.labels",
                    f"{label}: {placed[label]}",
                    f"a well-known label is a requirement, and the pool has {', '.join(values)}: no node would meet it",
                    "use one of these, or remove the label",
                )
        for label, form, words in (
            (
                "topology.k8s.aws/zone-id",
                rf"{regions.zone_id_prefix(region)}-az[0-9]+",
                "ids of the region's zones are",
            ),
            ("karpenter.k8s.aws/capacity-reservation-id", "cr-[0-9a-z]+", "ids of reservations are"),
            ("karpenter.k8s.aws/capacity-reservation-type", "default|capacity-block", "types of reservations are"),
            ("karpenter.k8s.aws/capacity-reservation-interruptible", "true|false", "its values are"),
        ):
            if label not in pool.labels:
                continue
            if not re.fullmatch(form, pool.labels[label]):
                yield Problem(
                    f"pools.{name}.labels",
                    f"{label}: {pool.labels[label]}",
                    f"a well-known label is a requirement, and {words} {form}: no node would meet it",
                    "use one of these, or remove the label",
                )
            elif "/capacity-reservation" in label and "reserved" not in pool.capacity_types:
                yield Problem(
                    f"pools.{name}.labels",
                    f"{label}, with capacityTypes: {', '.join(pool.capacity_types)}",
                    "only nodes of capacity type reserved have this label: no node would meet it",
                    "add reserved to capacityTypes, or remove the label",
                )


@rule
def batches_are_seconds(karpenter: Karpenter) -> Iterator[Problem]:
    """Karpenter collects Pending pods for some seconds, and no longer than a warned node's pods can wait.

    Source: pkg/controllers/provisioning/batcher.go in https://github.com/kubernetes-sigs/karpenter (v1.14.3)
    """
    idle, longest = (
        schedules.nanoseconds(text) for text in (karpenter.batch_idle_duration, karpenter.batch_max_duration)
    )
    if not idle:
        yield Problem(
            "karpenter.batchIdleDuration",
            karpenter.batch_idle_duration,
            "each pod would be a batch of its own, and get a node of its own",
            "take 1s, which is Karpenter's own",
        )
    if longest < idle:
        yield Problem(
            "karpenter.batchMaxDuration",
            karpenter.batch_max_duration,
            f"a batch ends after its batchIdleDuration ({karpenter.batch_idle_duration}) at the soonest",
            f"take {karpenter.batch_idle_duration} or more",
        )
    if longest > LONGEST_BATCH_SECONDS * 10**9:
        yield Problem(
            "karpenter.batchMaxDuration",
            karpenter.batch_max_duration,
            f"at most {LONGEST_BATCH_SECONDS}s: pods of a warned Spot node wait for it too, and have two minutes",
            "take 10s, which is Karpenter's own, or less",
        )


@rule
def headroom_fits_a_node(karpenter: Karpenter, pools: dict[str, Pool]) -> Iterator[Problem]:
    """Some type of an untainted pool has room for a chunk, and that pool's limits for all of them."""
    room = karpenter.headroom
    if room is None:
        return
    cpu, memory = instance_types.quantity(room.cpu), instance_types.quantity(room.memory)
    if not cpu or not memory:
        yield Problem(
            f"karpenter.headroom.{'memory' if cpu else 'cpu'}",
            "0",
            "a chunk of nothing keeps nothing free",
            "ask for some",
        )
        return
    open_pools = [pool for pool in pools.values() if _open(pool)]
    largest = [
        (kind.vcpus, kind.mib)
        for pool in open_pools
        for kind in instance_types.allowed(pool)
        if kind.vcpus > cpu and kind.mib * 2**20 > memory
    ]
    if not largest:
        yield Problem(
            "karpenter.headroom",
            f"{room.cpu} vCPUs and {room.memory} a chunk",
            "a chunk is on one node, and no type of an untainted pool is larger: Karpenter would never find room",
            "take smaller chunks and more of them, or raise maxVcpus of a pool",
        )
    elif not any(
        cpu * room.chunks <= instance_types.quantity(pool.limits.cpu)
        and memory * room.chunks <= instance_types.quantity(pool.limits.memory)
        for pool in open_pools
    ):
        yield Problem(
            "karpenter.headroom.chunks",
            f"{room.chunks} x {room.cpu} vCPUs and {room.memory}",
            "the headroom is within the limits of an untainted pool: at them nothing is left for pods",
            "take fewer chunks, or raise the pool's limits",
        )


@rule
def prod_spot_pools(environment: str, pools: dict[str, Pool], network: Network) -> Iterator[Problem]:
    """Prod's Spot pools can choose: enough types for Spot-to-spot consolidation, and more than one zone."""
    if environment != "prod":
        return
    for name, pool in pools.items():
        if "spot" not in pool.capacity_types:
            continue
        zones = instance_types.pool_zones(pool, network.zones)
        least = instance_types.SPOT_TO_SPOT_TYPES
        for choice in instance_types.choices(pool):
            if 0 < choice.types < least:
                yield Problem(
                    f"pools.{name}.{choice.key}",
                    choice.requirement,
                    f"prod's Spot pools have at least {least} instance types (Karpenter replaces no Spot node with "
                    f"fewer): {choice.types} types of {choice.families} families x {len(zones)} zones are left",
                    f"loosen {choice.key}, add architectures or categories, or make it an on-demand pool",
                )
                break
        if 0 < len(zones) < instance_types.SPOT_ZONES:
            yield Problem(
                f"pools.{name}.{'zones' if pool.zones else 'labels'}",
                ", ".join(zones),
                f"prod's Spot pools have at least {instance_types.SPOT_ZONES} zones: {len(zones)} of "
                f"{len(network.zones)} is left, and its shortage would take every node",
                "list more zones, or leave them out for all of them",
            )


@rule
def node_class_is_taken(node_class: NodeClass, pools: dict[str, Pool]) -> Iterator[Problem]:
    """EC2, the kubelet and Karpenter's CRD take the node class, and reserved capacity has both its sides.

    Source: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
    """
    iops = node_class.volume_iops or GP3_IOPS
    throughput = node_class.volume_throughput_mibps or 0
    if throughput > iops * GP3_MIBPS_PER_IOPS:
        yield Problem(
            "nodeClass.volumeThroughputMibps",
            str(throughput),
            f"gp3 has at most {GP3_MIBPS_PER_IOPS} MiB/s for each IOPS: {iops} IOPS give "
            f"{int(iops * GP3_MIBPS_PER_IOPS)} MiB/s",
            f"set nodeClass.volumeIops to at least {int(throughput / GP3_MIBPS_PER_IOPS)}, or ask for less throughput",
        )
    if node_class.volume_iops and node_class.volume_iops > node_class.volume_gib * GP3_IOPS_PER_GIB:
        yield Problem(
            "nodeClass.volumeIops",
            str(node_class.volume_iops),
            f"gp3 has at most {GP3_IOPS_PER_GIB} IOPS for each GiB, and the volume has {node_class.volume_gib}",
            "ask for less, or enlarge nodeClass.volumeGib",
        )
    yield from _reserved_leaves_room(node_class, pools)
    kubelet = node_class.kubelet
    high = kubelet.image_gc_high_threshold_percent or IMAGE_GC_PERCENT[1]
    low = (
        IMAGE_GC_PERCENT[0]
        if kubelet.image_gc_low_threshold_percent is None
        else (kubelet.image_gc_low_threshold_percent)
    )
    if low >= high:
        yield Problem(
            "nodeClass.kubelet.imageGCLowThresholdPercent",
            f"{low}, with {high} as the high one",
            "the kubelet does not start unless the low threshold is below the high one (80 and 85 by default)",
            "lower this one, or raise imageGCHighThresholdPercent",
        )
    for index, reservation in enumerate(node_class.capacity_reservations):
        if bool(reservation.id) == bool(reservation.tags) or (reservation.id and reservation.owner_id):
            yield Problem(
                f"nodeClass.capacityReservations[{index}]",
                f"id {reservation.id}, {len(reservation.tags)} tags, ownerId {reservation.owner_id}",
                "a reservation is selected by its id alone, or by tags (EC2NodeClass CRD)",
                "give id, or tags and perhaps ownerId",
            )
    reserved = [name for name, pool in pools.items() if "reserved" in pool.capacity_types]
    if reserved and not node_class.capacity_reservations:
        yield Problem(
            f"pools.{reserved[0]}.capacityTypes",
            "reserved",
            "reserved capacity is launched into reservations that the node class selects, and it selects none",
            "list them under nodeClass.capacityReservations, or remove reserved",
        )
    if node_class.capacity_reservations and not reserved:
        yield Problem(
            "nodeClass.capacityReservations",
            f"{len(node_class.capacity_reservations)} listed",
            "no pool has the capacity type reserved: the reservations would be paid for and never used",
            "add reserved to a pool's capacityTypes, or remove the list",
        )


def _reserved_leaves_room(node_class: NodeClass, pools: dict[str, Pool]) -> Iterator[Problem]:
    """What the kubelet keeps leaves room on some type of each pool: Karpenter takes it off before it packs pods.

    Source: NewInstanceType of
    https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/instancetype/types.go
    """
    kubelet = node_class.kubelet
    kept = dict.fromkeys(("cpu", "memory", "ephemeral-storage"), Decimal(0))
    below = {"memory.available": "memory", "nodefs.available": "ephemeral-storage"}
    for key, text in (
        *kubelet.system_reserved.items(),
        *kubelet.kube_reserved.items(),
        *((below.get(signal, ""), text) for signal, text in kubelet.eviction_hard.items()),
    ):
        if key in kept:
            kept[key] += instance_types.quantity(text)
    if kept["ephemeral-storage"] >= node_class.volume_gib * 2**30:
        yield Problem(
            "nodeClass.kubelet",
            f"{kept['ephemeral-storage'] / 2**30:.4g}Gi of ephemeral-storage kept",
            f"the root volume has {node_class.volume_gib} GiB: no pod would fit",
            "keep less, or enlarge nodeClass.volumeGib",
        )
    for name, pool in pools.items() if any(kept.values()) else ():
        left = instance_types.allowed(pool)
        if left and not any(kind.vcpus > kept["cpu"] and kind.mib * 2**20 > kept["memory"] for kind in left):
            yield Problem(
                "nodeClass.kubelet",
                f"{kept['cpu'].normalize():f} vCPUs and {kept['memory'] / 2**20:.4g}Mi kept",
                f"no type of the pool {name} has more: Karpenter would never launch a node for a pod",
                f"keep less, or raise the bounds of pools.{name}",
            )


GP3_IOPS: Final = 3000
GP3_MIBPS_PER_IOPS: Final = 0.25
GP3_IOPS_PER_GIB: Final = 500
IMAGE_GC_PERCENT: Final = (80, 85)
"""Low and high threshold of the kubelet. Source: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""


@rule
def system_nodes_have_instance_types(cluster: Cluster) -> Iterator[Problem]:
    """The system group's instance types exist, boot its image, and have room for what lives on them."""
    key, nodes = "cluster.systemNodes.instanceTypes", cluster.system_nodes
    arch = "arm64" if "ARM" in nodes.ami_type else "amd64"
    known = instance_types.by_name()
    for name in nodes.instance_types:
        kind = known.get(name)
        if kind is None:
            yield Problem(
                key,
                name,
                "no such instance type is known",
                did_you_mean(name, known) + "if AWS has it since, add it to infra/settings/instance_types.txt",
            )
        elif kind.arch != arch:
            yield Problem(
                key,
                f"{name}, of {kind.arch}",
                f"instance types have the architecture of amiType {nodes.ami_type}",
                "use Graviton types (m7g.large) with an ARM_64 amiType, others (m7i.large) with x86_64",
            )
        elif kind.family in WITHOUT_AL2023:
            yield Problem(
                key, name, f"it does not boot Amazon Linux 2023: {WITHOUT_AL2023[kind.family]}", "use a newer one"
            )
        elif 0 < kind.vcpus < SYSTEM_VCPUS or 0 < kind.mib < SYSTEM_MIB:
            yield Problem(
                key,
                f"{name}, {kind.vcpus} vCPUs and {kind.mib} MiB",
                f"a system node has at least {SYSTEM_VCPUS} vCPUs and {SYSTEM_MIB} MiB: Karpenter asks for 1 and 1024, "
                "and Argo CD, CoreDNS and the drivers live beside it",
                "use a larger one, such as t3.medium or m7i.large",
            )
        elif name in FEW_PODS:
            yield Problem(
                key,
                name,
                f"its network interfaces have addresses for {FEW_PODS[name]} pods, and a system node has room for "
                f"{SYSTEM_PODS}: six of the add-ons' own, and a share of Argo CD, Karpenter, CoreDNS and the drivers",
                "use another one, such as t3.medium or m7i.large",
            )


WITHOUT_AL2023: Final = {
    "a1": "its Graviton has no ARMv8.2",
    **dict.fromkeys(("c1", "m1", "m2", "t1"), "it starts paravirtual images alone, and this one is HVM"),
}
"""Family -> why it does not boot the nodes' image.

Sources: https://docs.aws.amazon.com/linux/al2023/ug/system-requirements.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ComponentsAMIs.html#virtualization_types
"""
SYSTEM_VCPUS: Final = 2
SYSTEM_MIB: Final = 4096
SYSTEM_PODS: Final = 17
"""What t3.medium holds, the smallest type with enough of vCPUs and memory."""
FEW_PODS: Final = {"d3.xlarge": 10, "d3en.xlarge": 10, "g4ad.2xlarge": 8, "g4ad.xlarge": 8}
"""Types that are large enough and hold fewer pods: interfaces x (addresses - 1) + 2 (a test counts them).

Source: pkg/providers/instancetype/zz_generated.vpclimits.go of
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3, the formula of
https://github.com/aws/amazon-vpc-cni-k8s/blob/master/scripts/gen_vpc_ip_limits.go
"""


@rule
def admitted_roles_are_of_their_own(cluster: Cluster, region: str, account_id: str | None) -> Iterator[Problem]:
    """Each role with an access entry is one of this partition, listed once, that EKS takes as a principal."""
    stack_names = names.StackNames(cluster=cluster.name, region=region)
    ours = {stack_names.role("karpenter-node").lower(), stack_names.role("system-node").lower()}
    listed = {
        "cluster.adminRoleArns": cluster.admin_role_arns,
        "cluster.adminViewRoleArns": cluster.admin_view_role_arns,
        "cluster.viewRoleArns": cluster.view_role_arns,
    }
    seen: dict[str, str] = {}
    for key, arn in ((key, arn) for key, arns in listed.items() for arn in arns):
        partition, account, path = arn.split(":")[1], arn.split(":")[4], arn.split(":", 5)[5].lower()
        if partition != stack_names.partition:
            yield Problem(
                key,
                arn,
                f"a role is of the region's partition, {stack_names.partition}",
                f"write arn:{stack_names.partition}:iam::...",
            )
        if former := seen.get(arn.lower()):
            yield Problem(
                key,
                f"{former}, {arn}",
                "a role has one access entry, and names of roles ignore case: this is one role",
                "keep it in one list, once",
            )
        seen[arn.lower()] = arn
        if path.startswith("role/aws-service-role/"):
            yield Problem(
                key, arn, "EKS makes no access entry for a service-linked role", "list roles that people or CI assume"
            )
        if path.rpartition("/")[2] in ours and account in (account_id or account):
            yield Problem(
                key,
                arn,
                "this role is the nodes' own: it has an access entry of another type",
                "list roles that people or CI assume",
            )


@rule
def roles_can_be_bounded(iam: Iam, karpenter: Karpenter, region: str, account_id: str | None) -> Iterator[Problem]:
    """The permissions boundary is a policy that roles of this account may have, and the path one that IAM gives out."""
    if iam.permissions_boundary:
        key, (_, partition, _, _, account, _) = "iam.permissionsBoundary", iam.permissions_boundary.split(":", 5)
        expected = regions.PARTITION_OF.get(region)
        if expected and partition != expected:
            yield Problem(
                key,
                iam.permissions_boundary,
                f"a policy is of the region's partition, {expected}",
                f"write arn:{expected}:iam::...",
            )
        if account not in ("aws", account_id or account):
            yield Problem(
                key,
                iam.permissions_boundary,
                f"a boundary is a policy of the role's own account, {account_id}, or one of AWS's",
                "make the policy in the stack's account, and give its ARN",
            )
    if iam.path.startswith(("/aws-service-role/", "/aws-reserved/")):
        yield Problem("iam.path", iam.path, "IAM keeps this path to itself", "choose another path")
    if iam.path != "/" and karpenter.identity != "pod-identity":
        yield Problem(
            "iam.path",
            iam.path,
            "with IRSA the role's ARN is written into the chart before the role is there, and a role that is there "
            "keeps its path",
            "set karpenter.identity: pod-identity, or leave iam.path out",
        )


@rule
def alarms_reach_their_topic(alarms: Alarms, region: str) -> Iterator[Problem]:
    """CloudWatch publishes to topics of its own partition and region; one stack's alarms go one way.

    AWS says "Invalid region ... specified" only when the first alarm is made.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    if not alarms.topic_arn:
        return
    if expected := regions.partition_elsewhere(alarms.topic_arn, region):
        yield Problem(
            "alarms.topicArn",
            alarms.topic_arn,
            f"an alarm goes to a topic of its own partition and region, {expected} and {region}",
            f"give a topic arn:{expected}:sns:{region}:..., of any account; a subscription may lead elsewhere",
        )
    if alarms.emails:
        yield Problem(
            "alarms.emails",
            ", ".join(alarms.emails),
            "alarms go to the topic topicArn or to the stack's own topic, which writes to these",
            "subscribe the addresses to that topic, or leave topicArn out",
        )


@rule
def key_is_of_the_stacks_region(encryption: Encryption, region: str) -> Iterator[Problem]:
    """A key encrypts in its own partition and region alone; a multi-Region key has a replica in each, with its own ARN.

    Sources: https://docs.aws.amazon.com/eks/latest/APIReference/API_Provider.html,
    https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
    """
    for key, arn in (
        ("encryption.kmsKeyArn", encryption.kms_key_arn),
        ("encryption.volumesKmsKeyArn", encryption.volumes_kms_key_arn),
    ):
        expected = regions.partition_elsewhere(arn, region) if arn else None
        if not arn or not expected:
            continue
        yield Problem(
            key,
            arn,
            f"a key encrypts in its own partition and region, and the stack's are {expected} and {region}",
            f"give a key arn:{expected}:kms:{region}:..., of any account; of a multi-Region key its replica there",
        )


@rule
def budgets_have_a_limit(costs: Costs, region: str) -> Iterator[Problem]:
    """AWS Budgets compares a bill with a limit, where there is AWS Budgets."""
    if not costs.budget_emails:
        return
    if costs.monthly_limit_usd is None:
        yield Problem(
            "costs.budgetEmails",
            ", ".join(costs.budget_emails),
            "a budget has a limit",
            "set costs.monthlyLimitUsd, or leave budgetEmails out",
        )
    if regions.PARTITION_OF.get(region) == "aws-us-gov":
        # No endpoint of Budgets there, by botocore's endpoints.json: the linked standard account is billed.
        yield Problem(
            "costs.budgetEmails",
            ", ".join(costs.budget_emails),
            "AWS Budgets is not in aws-us-gov: the standard account that it is linked with gets the bill",
            "make the budget in that account, and leave budgetEmails out",
        )


GLOBAL_SERVICES: Final = frozenset(
    {"iam", "route53", "cloudfront", "organizations", "account", "pricing", "ce", "budgets", "shield"}
)
"""Services without an endpoint in a region: they are global.

Source: https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
"""


@cache
def endpoint_services() -> frozenset[str]:
    """Services of AWS that have interface endpoints, by the last part of their names, without ``-fips``."""
    lines = (Path(__file__).parent / "endpoint_services.txt").read_text().splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


@rule
def endpoints_are_of_one_name_each(network: Network) -> Iterator[Problem]:
    """Each endpoint is listed once, is one of the region, and has a name of its own."""
    for service in network.interface_endpoints:
        why = ""
        if service.startswith(("com.amazonaws.", "aws.")):
            why = "a service is named without com.amazonaws.<region>, which the program puts before it"
        elif service.removesuffix("-fips") not in endpoint_services():
            why = (
                "this service is global: it has no interface endpoint in a region"
                if service in GLOBAL_SERVICES
                else "no service with interface endpoints is known by this name"
            )
        if why:
            yield Problem(
                "network.interfaceEndpoints",
                service,
                why,
                did_you_mean(service, endpoint_services(), most=2, likeness=0.5)
                + "use names such as sts, ec2 or ecr.api; if AWS has it since, add it to "
                "infra/settings/endpoint_services.txt",
            )
    for key, services in (
        ("network.gatewayEndpoints", network.gateway_endpoints),
        ("network.interfaceEndpoints", network.interface_endpoints),
    ):
        plain = [service.replace(".", "-") for service in services]
        for service in services:
            if plain.count(service.replace(".", "-")) > 1:
                yield Problem(
                    key, service, "each service is listed once (a dot counts as a hyphen)", "keep one of them"
                )


@rule
def volumes_have_a_database(environment: str, persistence: Persistence, gitops: GitOps) -> Iterator[Problem]:
    """Volumes belong to databases that run, and a snapshot to one volume; what prod keeps, it can bring back."""
    if persistence.backup and not persistence.enabled:
        yield Problem(
            "persistence.backup",
            f"a backup at {persistence.backup.schedule}",
            "without volumes there is nothing to back up",
            "set persistence.enabled: true, or remove it",
        )
    restored = [volume.restore_from for volume in persistence.volumes.values() if volume.restore_from]
    for name, volume in persistence.volumes.items():
        key = f"persistence.volumes.{name}.restoreFrom"
        snapshot = volume.restore_from
        if snapshot is None:
            continue
        if not persistence.enabled:
            yield Problem(key, snapshot, "without volumes nothing is restored", "set persistence.enabled: true")
        if restored.count(snapshot) > 1 or snapshot in {f"{database}-data" for database in DEFAULT_GIB}:
            yield Problem(
                key,
                snapshot,
                "the new volume's claim has the snapshot's name, and each database a volume of its own",
                "give a snapshot of its volume, by its whole name: kubectl -n otel-demo get volumesnapshots",
            )
    if not persistence.enabled:
        return
    if placement.demo_is_off(gitops):
        yield Problem(
            "persistence.enabled",
            f"true, and gitops.applications.{placement.DEMO}.enabled: false",
            "the demo takes its volumes with it when it goes: what they hold is deleted",
            "keep the demo; or take a last backup (docs/runbooks/restore-data.md), and set it to false as well",
        )
    if environment == "prod" and persistence.backup is None:
        yield Problem(
            "persistence.backup", "nothing", "prod backs up what it keeps", "give backup.schedule and backup.keep"
        )
    listed = {entry["name"] for entry in demo_chart.values().get("stateful") or ()}
    known = set(DEFAULT_GIB) | set(placement.RENAMED.get(demo_chart.variant(), {}).values())
    if listed - known:
        yield Problem(
            "persistence.enabled",
            f"true, and opentelemetry-demo {demo_chart.version()} with {', '.join(sorted(listed - known))}",
            f"volumes are made for {', '.join(DEFAULT_GIB)}: nobody tried where another database keeps its data",
            "take a version of the demo chart with these (docs/demo-chart-versions.md), or set it to false",
        )


@rule
def prod_network(environment: str, network: Network) -> Iterator[Problem]:
    """Prod survives a zone and keeps flow logs."""
    if environment != "prod":
        return
    if len(network.zones) < 3:
        yield Problem("network.zones", ", ".join(network.zones), "prod spans at least 3 zones", "list three zones")
    if network.existing is not None:  # its ways out and its flow logs are its owner's
        return
    if network.nat != "per-zone":
        yield Problem("network.nat", network.nat, "prod has a NAT gateway per zone", "set nat: per-zone")
    if not network.flow_logs:
        yield Problem("network.flowLogs", "false", "prod keeps flow logs", "set flowLogs: true")


@rule
def prod_cluster(environment: str, cluster: Cluster, account_id: str | None) -> Iterator[Problem]:
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
    if account_id is None:
        yield Problem(
            "accountId",
            "nothing",
            "prod names its account: with credentials of another one, prod would be built there",
            "write the 12 digits of the account, quoted",
        )
    if cluster.upgrade_policy is None:
        yield Problem(
            "cluster.upgradePolicy",
            "nothing",
            "prod says what comes after a minor's standard support: EKS's own default keeps the minor for a year, at "
            "six times the price of the control plane",
            "set STANDARD (EKS upgrades the control plane then), or EXTENDED and count with the price",
        )
    if not cluster.admin_role_arns:
        yield Problem(
            "cluster.adminRoleArns",
            "nothing",
            "prod names who is cluster-admin, beside the role that created it",
            "list at least one role ARN",
        )


@rule
def prod_system_nodes(environment: str, cluster: Cluster) -> Iterator[Problem]:
    """Prod pins the AMI of its system nodes: nothing moves it by itself, so a date says how old it is."""
    if environment == "prod" and cluster.system_nodes.release_version is None:
        yield Problem(
            "cluster.systemNodes.releaseVersion",
            "nothing",
            "prod pins the AMI release of its system nodes, and moves it with nodeClass.amiAlias",
            f"aws ssm get-parameter --name /aws/service/eks/optimized-ami/{cluster.kubernetes_version}/"
            "amazon-linux-2023/x86_64/standard/recommended/release_version",
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
            "use a dated release, for example al2023@v20260930",
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
            "use an exact version, for example 10.9.5",
        )
    if argocd.admin_enabled:
        yield Problem(
            "argocd.adminEnabled",
            "true",
            "prod has no local Argo CD admin",
            "set adminEnabled: false; log in by argocd.oidc, or use kubectl access (argocd --core)",
        )
    if not argocd.high_availability:
        yield Problem(
            "argocd.highAvailability", "false", "prod runs Argo CD with replicas", "set highAvailability: true"
        )


@rule
def alerts_have_a_judge(monitoring: Monitoring, gitops: GitOps) -> Iterator[Problem]:
    """What is said about the alerts reaches somebody who judges them."""
    if monitoring.operator_labels and monitoring.alerts != "operator":
        yield Problem(
            "monitoring.operatorLabels",
            f"labels, with monitoring.alerts: {monitoring.alerts}",
            "only a Prometheus Operator selects rules by labels",
            "set monitoring.alerts: operator, or remove operatorLabels",
        )
    if monitoring.runbook_base_url is not None and monitoring.alerts == "none":
        yield Problem(
            "monitoring.runbookBaseUrl",
            monitoring.runbook_base_url,
            "with monitoring.alerts: none no alert is judged that could name its page",
            "set monitoring.alerts to demo or operator, or remove runbookBaseUrl",
        )
    if monitoring.alerts != "none" and placement.demo_is_off(gitops):
        yield Problem(
            "monitoring.alerts",
            monitoring.alerts,
            "the rules come with the Application otel-demo, which gitops.applications turns off",
            "enable otel-demo, or set monitoring.alerts: none",
        )


@rule
def images_run_on_every_architecture(environment: str, pools: dict[str, Pool], gitops: GitOps) -> Iterator[Problem]:
    """Every image of the demo is built for each architecture of the pools that it may land on."""
    of_demo = {
        name: pool for name, pool in pools.items() if "arm64" in pool.architectures and (_open(pool) or pool.stateful)
    }
    if not of_demo or placement.demo_is_off(gitops):
        return
    demo = gitops.applications.get(placement.DEMO)
    values = demo_chart.over(demo_chart.values(environment=environment), demo.values if demo is not None else {})
    if not values:
        return
    found = images.named(demo_chart.without_nulls(values), demo_chart.app_version(), demo_chart.variant())
    if missing := image_architectures.lacking(found, "arm64"):
        for name, pool in of_demo.items():
            yield Problem(
                f"pools.{name}.architectures",
                ", ".join(pool.architectures),
                f"not known to be built for arm64: {', '.join(missing)}; there they end with exec format error",
                "look at their manifests and list them with the source in infra/image_architectures.py; or leave arm64 "
                "out",
            )


@rule
def on_demand_floor_has_a_home(front_path: FrontPath, pools: dict[str, Pool], gitops: GitOps) -> Iterator[Problem]:
    """On-Demand replicas of the front path have a pool that launches On-Demand nodes for them."""
    if not front_path.on_demand_floor:
        return
    key, floor = "frontPath.onDemandFloor", str(front_path.on_demand_floor)
    if not any("on-demand" in pool.capacity_types and _open(pool) for pool in pools.values()):
        yield Problem(
            key,
            floor,
            "no pool launches On-Demand nodes without a taint, so these replicas would wait for ever",
            "add a pool with capacityTypes: [on-demand] and no taint, or leave onDemandFloor at 0",
        )
    if placement.demo_is_off(gitops):
        yield Problem(
            key,
            floor,
            "the front path comes with the Application otel-demo, which gitops.applications turns off",
            "enable otel-demo, or leave onDemandFloor at 0",
        )


OF_THE_PROTOCOL: Final = {
    "connection", "content-encoding", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
"""Headers that are the protocol's own.

Source: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""


@rule
def otlp_backend_can_be_sent_to(monitoring: Monitoring, gitops: GitOps) -> Iterator[Problem]:
    """What is sent to another backend arrives, is not read on its way, and proves who sends it."""
    key, backend = "monitoring.otlp", monitoring.otlp
    if backend is None:
        return
    endpoint = f"{key}.endpoint"
    if backend.port > MAX_PORT:
        yield Problem(endpoint, backend.endpoint, f"a port is at most {MAX_PORT}", "give the backend's own")
    if backend.protocol == "grpc" and backend.path:
        yield Problem(
            endpoint,
            backend.endpoint,
            "gRPC has no path",
            "remove it, or set monitoring.otlp.protocol: http",
        )
    if backend.endpoint.startswith("http:") and not backend.namespace:
        yield Problem(
            endpoint,
            backend.endpoint,
            "what leaves the cluster is encrypted",
            "use https://, or name a Service of the cluster: http://SERVICE.NAMESPACE.svc:PORT",
        )
    if backend.host == "localhost" or backend.host.startswith(("127.", "169.254.")):
        yield Problem(
            endpoint,
            backend.endpoint,
            "for the collector this is its own pod or node",
            "give the backend's own address",
        )
    if backend.ca_certificate is not None:
        yield from _no_authorities(f"{key}.caCertificate", backend.ca_certificate)
        if backend.endpoint.startswith("http:"):
            yield Problem(f"{key}.caCertificate", "a certificate", "http:// shows none", "use https://, or remove it")
    seen: set[str] = set()
    for header in backend.headers:
        name = header.lower()
        if name in OF_THE_PROTOCOL or name.startswith("grpc-"):
            yield Problem(
                f"{key}.headers.{header}", header, "HTTP and gRPC write this one themselves", "name the vendor's own"
            )
        if name in seen:
            yield Problem(
                f"{key}.headers.{header}", header, "a header is there once, however it is written", "keep one of them"
            )
        seen.add(name)
    if bool(backend.headers) != (backend.headers_secret is not None):
        yield Problem(
            f"{key}.headersSecret",
            backend.headers_secret or "none",
            "headers name keys of a Secret, and a Secret is of use to headers only",
            "give both monitoring.otlp.headers and monitoring.otlp.headersSecret, or neither",
        )
    if placement.demo_is_off(gitops):
        yield Problem(
            key,
            backend.endpoint,
            "it is the demo's collector that sends, and gitops.applications turns otel-demo off",
            "enable otel-demo, or remove monitoring.otlp",
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


@rule
def github_app_is_whole(gitops: GitOps, github_app_private_key: SecretStr | None) -> Iterator[Problem]:
    """An app has its key, a key its app, and both an https:// URL of the GitHub that the app is of."""
    app = gitops.github_app
    if app is None:
        if github_app_private_key is not None:
            yield Problem(
                "githubAppPrivateKey",
                "[secret]",
                "a key belongs to an app",
                "write gitops.githubApp: {appId: ..., installationId: ...}, or remove githubAppPrivateKey",
            )
        return
    if github_app_private_key is None:
        yield Problem(
            "gitops.githubApp",
            str(app.app_id),
            "an app proves with its private key who it is",
            "pulumi config set --secret githubAppPrivateKey < PEM_FILE",
        )
    host = gitops.repository.removeprefix("https://").partition("/")[0].rpartition("@")[2]
    if not gitops.repository.startswith("https://"):
        yield Problem(
            "gitops.githubApp",
            gitops.repository,
            "an app reads a repository over https",
            "use an https:// gitops.repository, or remove githubApp",
        )
    elif (host == "github.com") == (app.enterprise_base_url is not None):
        yield Problem(
            "gitops.githubApp.enterpriseBaseUrl",
            app.enterprise_base_url or "nothing",
            f"the app is asked for at the GitHub that has the repository, {host}",
            "leave it out for github.com; else write https://HOST/api/v3",
        )
    elif app.enterprise_base_url is not None:
        api = urlsplit(app.enterprise_base_url)
        # A GitHub Enterprise Server has its API below its own name, GHE.com at api.NAME.ghe.com.
        expected = f"https://api.{host}" if host.endswith(".ghe.com") else f"https://{host}/api/v3"
        if f"{api.scheme}://{api.netloc}{api.path.rstrip('/')}" != expected:
            yield Problem(
                "gitops.githubApp.enterpriseBaseUrl",
                app.enterprise_base_url,
                f"the app is asked for at the API of the GitHub that has the repository, {host}",
                f"write {expected}",
            )


@rule
def one_credential_of_the_repository(
    git_token: SecretStr | None, git_ssh_key: SecretStr | None, github_app_private_key: SecretStr | None
) -> Iterator[Problem]:
    """Argo CD takes one of several credentials, and does not say which."""
    given = {"gitToken": git_token, "gitSshKey": git_ssh_key, "githubAppPrivateKey": github_app_private_key}
    several = [key for key, secret in given.items() if secret is not None]
    if len(several) > 1:
        yield Problem(
            several[-1],
            "[secret]",
            f"a repository is read by one credential, not by {' and '.join(several)}",
            "keep one",
        )


@rule
def ssh_needs_a_key(gitops: GitOps, git_ssh_key: SecretStr | None) -> Iterator[Problem]:
    """An SSH URL has its key, and a key its SSH URL: no Git host lets anybody in by SSH without one."""
    by_ssh = re.match(r"ssh://|[\w.-]+@", gitops.repository) is not None
    if by_ssh and git_ssh_key is None:
        yield Problem(
            "gitops.repository",
            gitops.repository,
            "an SSH URL is read with a key, also where the repository is public",
            "pulumi config set --secret gitSshKey < KEY_FILE, or use an https:// URL (and gitToken)",
        )
    if git_ssh_key is not None and not by_ssh:
        yield Problem(
            "gitSshKey",
            "[secret]",
            "a key authenticates to an SSH URL",
            "use an ssh:// gitops.repository, or remove gitSshKey",
        )
