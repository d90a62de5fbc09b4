"""The ways in for users: the Application that brings the load balancers' controller and an Ingress for each.

The Application is Pulumi's own and not a child of the root: what it deployed is gone before its deletion ends, so the
controller and its role outlive the last load balancer, whoever takes the setting or the stack away.
docs/adr/0020-load-balancers.md says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
import yaml
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import demo_chart, names
from infra.app_of_apps import API_VERSION, CASCADE, CASCADE_TIMEOUT, CHILDREN_STAY_SUSPENDED, IN_CLUSTER, NO_PROJECTS
from infra.existing_vpc import FoundVpc
from infra.settings import models as settings
from infra.subnets import SubnetLayout

NAME: Final = "ingress"
"""Name of the Application and of its AppProject."""
PATH: Final = "gitops/charts/ingress"
FRONT, FRONT_PORT = "frontend-proxy", 8080
"""The demo's workload that the shop's load balancer leads to, and the port of its container."""
PRE_STOP_SECONDS: Final = 30
"""How long the demo's pods serve on while they are taken out.

The controller hears of the pod's end within seconds, and the load balancer lets what is under way end
(``deregistrationDelaySeconds`` of the chart). Less than terminationGracePeriodSeconds, and so than a Spot warning.
"""
CLUSTER_KINDS: Final = (
    ("", "Namespace"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("networking.k8s.io", "IngressClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
)
"""Cluster-scoped (group, kind) that the controller's chart renders; a test compares them where the chart is there."""


@dataclass(frozen=True, kw_only=True)
class WaysInArgs:
    """Arguments: the setting, the Git source, and what goes after the load balancers.

    ``hosts``: key of a load balancer -> its DNS name. ``after``: what the controller needs while it lives and while it
    goes. ``vpc_id`` and ``subnet_ids`` (scheme -> ids): of a VPC that is there; the stack's own is found by its tags.
    """

    config: settings.Ingress
    gitops: settings.GitOps
    hosts: Mapping[str, str]
    cluster_metadata: Mapping[str, str]
    after: tuple[pulumi.Resource, ...]
    vpc_id: str | None = None
    subnet_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class WaysIn(pulumi.ComponentResource):
    """The AppProject that bounds the Application, and the Application."""

    application: pulumi.Output[str]
    """Name of the Application."""

    def __init__(self, name: str, args: WaysInArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:WaysIn", name, None, opts)
        project = CustomResource(
            f"{name}-project",
            api_version=API_VERSION,
            kind="AppProject",
            metadata=ObjectMetaArgs(name=NAME, namespace=names.ARGOCD_NAMESPACE),
            spec=project_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        CustomResource(
            f"{name}-application",
            api_version=API_VERSION,
            kind="Application",
            metadata=ObjectMetaArgs(name=NAME, namespace=names.ARGOCD_NAMESPACE, finalizers=[CASCADE]),
            spec=application_spec(args),
            # The project and the role outlive what it deployed; it names them in plain text only.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[project, *args.after],
                custom_timeouts=pulumi.CustomTimeouts(delete=CASCADE_TIMEOUT),
            ),
        )
        self.application = pulumi.Output.from_input(NAME)
        self.register_outputs({"application": self.application})


def project_spec(args: WaysInArgs) -> dict[str, Any]:
    """Spec of the AppProject: apart from the platform's, so that no other child may bring webhooks and CRDs."""
    namespaces = (names.ARGOCD_NAMESPACE, names.DEMO_NAMESPACE, names.LOAD_BALANCER_CONTROLLER)
    return {
        "description": "The load balancers' controller, and the Ingresses",
        "sourceRepos": [args.gitops.repository, args.config.controller.chart_repository],
        "destinations": [{"server": IN_CLUSTER, "namespace": namespace} for namespace in namespaces],
        "clusterResourceWhitelist": [{"group": group, "kind": kind} for group, kind in CLUSTER_KINDS],
        "namespaceResourceBlacklist": [*NO_PROJECTS],
    }


def application_spec(args: WaysInArgs) -> dict[str, Any]:
    """Spec of the Application.

    It tries until a sync's timeout, an hour: the shop's namespace comes with the demo, whenever that is.
    """
    return {
        "project": NAME,
        "source": {
            "repoURL": args.gitops.repository,
            "targetRevision": args.gitops.revision,
            "path": PATH,
            "helm": {"releaseName": NAME, "values": yaml.safe_dump(values(args))},
        },
        "destination": {"server": IN_CLUSTER, "namespace": names.ARGOCD_NAMESPACE},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["FailOnSharedResource=true", "RespectIgnoreDifferences=true", "ServerSideApply=true"],
            "retry": {"limit": -1, "refresh": True, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"}},
        },
        "ignoreDifferences": [*CHILDREN_STAY_SUSPENDED],
    }


def values(args: WaysInArgs) -> dict[str, Any]:
    """Values of gitops/charts/ingress."""
    controller, own = args.config.controller, ("clusterName", "environment", "region")
    image = {"values": {"image": {"repository": controller.image_repository}}} if controller.image_repository else {}
    return {
        "clusterMetadata": {key: args.cluster_metadata[key] for key in own},
        "project": NAME,
        "destinationServer": IN_CLUSTER,
        "tlsPolicy": args.config.tls_policy,
        "controller": {
            "chartRepository": controller.chart_repository,
            "chartVersion": controller.chart_version,
            "namespace": names.LOAD_BALANCER_CONTROLLER,
            **({"vpcId": args.vpc_id} if args.vpc_id else {}),
            **image,
        },
        **{key: _load_balancer(args, key, config) for key, config in args.config.load_balancers.items()},
    }


def _load_balancer(args: WaysInArgs, key: str, config: settings.LoadBalancer) -> dict[str, Any]:
    given = {
        "certificateArn": config.certificate_arn,
        "webAclArn": config.web_acl_arn,
        "subnetIds": list(args.subnet_ids.get(config.scheme, ())),
    }
    return {
        "host": args.hosts[key],
        "scheme": config.scheme,
        "inboundCidrs": [str(cidr) for cidr in config.inbound_cidrs],
        **{name: value for name, value in given.items() if value},
    }


def hosts(config: settings.Ingress, argocd: settings.ArgoCd) -> dict[str, str]:
    """DNS name of each load balancer, by its key."""
    shop = {"shop": config.shop.host} if config.shop else {}
    return shop | ({"argocd": argocd.domain} if config.argocd else {})


def subnet_ids(found: FoundVpc | None) -> dict[str, tuple[str, ...]]:
    """Scheme -> subnets of a VPC that is there, the first of each zone: a load balancer takes no second one."""
    if found is None:
        return {}
    subnets = {"internet-facing": found.public, "internal": found.private}
    return {
        scheme: tuple({subnet.zone: subnet.id for subnet in reversed(of_scheme)}.values())[::-1]
        for scheme, of_scheme in subnets.items()
    }


def demo_values(
    config: settings.Ingress, network: settings.Network, found: FoundVpc | None = None
) -> dict[str, dict[str, Any]]:
    """Values of the demo, by child: what comes from the shop's load balancer is let in. Nothing without one.

    The load balancer's interfaces are in the subnets of its scheme, one in each zone; of a VPC that is there, its
    ranges are let in.
    """
    if config.shop is None:
        return {}
    if found is not None:
        blocks = list(found.ranges)
    else:
        layout = SubnetLayout(network.made, len(network.zones), network.private_prefix, network.public_prefix)
        subnet = layout.public if config.shop.scheme == "internet-facing" else layout.private
        blocks = [subnet(index) for index in range(len(network.zones))]
    sources = [{"ipBlock": {"cidr": str(block)}} for block in blocks]
    return {
        demo_chart.CHILD: {
            "exposed": [FRONT],
            "networkPolicy": {"entry": {FRONT: {"ports": [FRONT_PORT], "from": sources}}},
            "podLifecycle": {"preStopSleepSeconds": PRE_STOP_SECONDS},
        }
    }
