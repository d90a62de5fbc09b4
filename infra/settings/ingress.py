"""Rules for the ways in: what AWS, the controller or a browser would refuse after the deployment."""

from collections.abc import Iterator, Mapping
from typing import Final

from infra import regions
from infra.settings import placement
from infra.settings.models import ArgoCd, GitOps, Ingress, LoadBalancer, Network
from infra.settings.problem import Problem, rule

SMALLEST_SUBNET: Final = 27
"""Prefix of the smallest subnet that an Application Load Balancer stands in.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer
"""
ENTRY: Final = "networkPolicy.entry"
OWN_CHILD: Final = "ingress"
"""Name of the Application that ``infra.ingress`` declares; a test compares the two."""


@rule
def problems(
    environment: str, region: str, account_id: str | None, ingress: Ingress, argocd: ArgoCd
) -> Iterator[Problem]:
    """Everything wrong with the load balancers themselves.

    Args:
        environment: of the stack.
        region: of the stack.
        account_id: of the stack, where its file says it.
        ingress: the setting.
        argocd: the setting of Argo CD.
    """
    for key, balancer in ingress.load_balancers.items():
        at = f"ingress.{key}"
        yield from _certificate(at, environment, balancer)
        for name, arn in (("certificateArn", balancer.certificate_arn), ("webAclArn", balancer.web_acl_arn)):
            if arn:
                yield from _elsewhere(f"{at}.{name}", arn, region, account_id)
    if ingress.argocd is not None:
        yield from _argocd(ingress, argocd)


@rule
def network_problems(network: Network, ingress: Ingress) -> Iterator[Problem]:
    """Subnets that no load balancer fits into."""
    if network.existing is not None:
        public = network.existing.public_subnet_ids or network.existing.public_subnet_tags
        if not public and any(balancer.scheme == "internet-facing" for balancer in ingress.load_balancers.values()):
            yield Problem(
                "network.existing.publicSubnetIds",
                "nothing, with a load balancer that is internet-facing",
                "it stands in public subnets of the VPC",
                "give publicSubnetIds or publicSubnetTags, or set scheme: internal",
            )
        return
    prefixes = {
        "internet-facing": ("network.publicPrefix", network.public_prefix),
        "internal": ("network.privatePrefix", network.private_prefix),
    }
    for scheme in dict.fromkeys(balancer.scheme for balancer in ingress.load_balancers.values()):
        at, prefix = prefixes[scheme]
        if prefix > SMALLEST_SUBNET:
            yield Problem(
                at,
                f"{prefix}, with a load balancer that is {scheme}",
                f"a load balancer stands in subnets of /{SMALLEST_SUBNET} or larger, with eight free addresses in each",
                f"make the subnets larger: {SMALLEST_SUBNET} or less",
            )


@rule
def demo_problems(gitops: GitOps, ingress: Ingress) -> Iterator[Problem]:
    """A shop's load balancer that leads to nobody, or whose traffic the network policy drops."""
    if ingress.load_balancers and OWN_CHILD in gitops.applications:
        yield Problem(
            f"gitops.applications.{OWN_CHILD}",
            OWN_CHILD,
            "the Application of the load balancers, which the setting ingress makes, has this name",
            "name the child otherwise",
        )
    child = gitops.applications.get(placement.DEMO)
    if ingress.shop is None or child is None:
        return
    if placement.demo_is_off(gitops):
        yield Problem(
            "ingress.shop",
            f"{ingress.shop.host}, and gitops.applications.{placement.DEMO}.enabled: false",
            "without the demo there is no shop that a load balancer could lead to",
            "remove ingress.shop, or keep the demo",
        )
    policy = child.values.get("networkPolicy")
    if isinstance(policy, Mapping) and isinstance(policy.get("entry"), Mapping) and "frontend-proxy" in policy["entry"]:
        yield Problem(
            f"gitops.applications.{placement.DEMO}.values",
            f"{ENTRY}.frontend-proxy, with ingress.shop",
            "it stands in the place of the load balancer's own entry: what comes from there would be dropped",
            "remove it: ingress.shop says who enters the load balancer, and lets it in",
        )


def _certificate(at: str, environment: str, balancer: LoadBalancer) -> Iterator[Problem]:
    if balancer.certificate_arn is not None:
        return
    if balancer.scheme == "internet-facing":
        rule = "whoever comes over the Internet comes by TLS"
    elif environment == "prod":
        rule = "in prod everybody comes by TLS, inside as well"
    elif at == "ingress.argocd":
        rule = "people log in there: a session without TLS is anybody's"
    else:
        return
    yield Problem(f"{at}.certificateArn", "nothing", rule, "give the ARN of a certificate of ACM for the host")


def _elsewhere(key: str, arn: str, region: str, account_id: str | None) -> Iterator[Problem]:
    _, _, service, _, of_account, *_ = arn.split(":")
    if expected := regions.partition_elsewhere(arn, region):
        yield Problem(
            key,
            arn,
            f"a load balancer takes it from its own partition and region, {expected} and {region}",
            f"give an ARN that begins with arn:{expected}:{service}:{region}:",
        )
    if account_id is not None and of_account != account_id:
        yield Problem(
            key,
            arn,
            f"a load balancer takes it from its own account, {account_id}",
            f"give one of account {account_id}",
        )


def _argocd(ingress: Ingress, argocd: ArgoCd) -> Iterator[Problem]:
    assert ingress.argocd is not None
    if argocd.oidc is None:
        yield Problem(
            "ingress.argocd",
            "a load balancer, without argocd.oidc",
            "Argo CD rules the cluster: it is shown to whom the company's own sign-on lets in, and to nobody else",
            "give argocd.oidc and argocd.rbac, or remove ingress.argocd",
        )
    if argocd.admin_enabled:
        yield Problem(
            "argocd.adminEnabled",
            "true, with ingress.argocd",
            "a local admin beside the sign-on is a password that anybody who reaches it may try",
            "set adminEnabled: false",
        )
    for cidr in ingress.argocd.inbound_cidrs:
        if cidr.prefixlen < 8:
            yield Problem(
                "ingress.argocd.inboundCidrs",
                str(cidr),
                "Argo CD rules the cluster: it is not open to the world",
                "list your office, VPN or CI networks, /8 or smaller",
            )
    if ingress.shop is not None and ingress.shop.host == argocd.domain:
        yield Problem(
            "ingress.shop.host",
            ingress.shop.host,
            "a name leads to one load balancer, and argocd.domain has this one",
            "give the shop a name of its own",
        )
