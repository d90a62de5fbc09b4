"""Karpenter's releases: the CRDs, which have one owner, and the controller."""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import ec2
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import charts, names
from infra.settings import models as settings

TIMEOUT_SECONDS: Final = 1800
"""Longer than the node group takes (about 2 minutes, at most 15).

Its pods wait for the nodes, and the release for its pods.
"""

METRICS_SERVICE: Final = "karpenter-metrics"
"""Name that gitops/charts/otel-demo/alerts/scrape.yaml looks up."""
METRICS_PORT: Final = 8080
"""Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/charts/karpenter/values.yaml"""
CHART_SETTINGS: Final = {"batch_max_duration", "batch_idle_duration", "min_values_policy"}
"""Settings that the chart has under the same names, with the same defaults.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/charts/karpenter/values.yaml
"""


@dataclass(frozen=True, kw_only=True)
class KarpenterControllerArgs:
    """Plain values for the chart.

    ``service_account_role``: ARN for the service account's IRSA annotation, None with Pod Identity.
    ``security_group_id``: the cluster's own, for the tag that says how the controller gets its role. ``after``: what
    the controller's pod needs before it starts. ``metrics_by_dns``: a headless Service leads to each replica's metrics.
    ``isolated``: there is no way out, but endpoints.
    """

    config: settings.Karpenter
    stack_names: names.StackNames
    service_account_role: pulumi.Input[str] | None
    security_group_id: pulumi.Input[str]
    after: tuple[pulumi.Resource, ...]
    metrics_by_dns: bool = False
    isolated: bool = False


class KarpenterController(pulumi.ComponentResource):
    """The karpenter-crd and karpenter releases."""

    version: pulumi.Output[str]
    """Version of both charts."""

    def __init__(self, name: str, args: KarpenterControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:KarpenterController", name, None, opts)
        crds = Release(
            f"{name}-crd",
            name="karpenter-crd",
            version=args.config.version,
            **charts.source(args.config.chart_repository, "karpenter-crd"),
            namespace=names.KARPENTER_NAMESPACE,
            timeout=TIMEOUT_SECONDS,
            atomic=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # The CRDs before the controller, which panics without them, and the role before its pod: no value carries these
        # edges.
        self.release = Release(
            f"{name}-controller",
            name="karpenter",
            version=args.config.version,
            **charts.source(args.config.chart_repository, "karpenter"),
            namespace=names.KARPENTER_NAMESPACE,
            values=controller_values(args),
            skip_crds=True,
            timeout=TIMEOUT_SECONDS,
            atomic=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[crds, *args.after]),
        )
        if args.metrics_by_dns:
            # The chart's own Service has one address for both replicas: a scrape would meet one of them by chance.
            Service(
                f"{name}-metrics",
                metadata=ObjectMetaArgs(name=METRICS_SERVICE, namespace=names.KARPENTER_NAMESPACE),
                spec=ServiceSpecArgs(
                    cluster_ip="None",
                    selector={"app.kubernetes.io/name": "karpenter"},
                    ports=[ServicePortArgs(name="http-metrics", port=METRICS_PORT, target_port="http-metrics")],
                ),
                # Headless: nothing waits for its endpoints, which are the pods of the release.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.release]),
            )
        # Rolled out, then written: what the tag says has happened, see infra/living.py.
        ec2.Tag(
            f"{name}-identity",
            resource_id=args.security_group_id,
            key=names.IDENTITY_TAG,
            value=args.config.identity,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.release]),
        )
        self.version = pulumi.Output.from_input(args.config.version)
        self.register_outputs({"version": self.version})


def controller_values(args: KarpenterControllerArgs) -> dict[str, Any]:
    """The controller chart's values.

    ``interruptionQueue`` takes the queue's name: with an ARN, or under another key, interruption handling is off in
    silence. ``dnsPolicy`` and the region: the controller starts before there is a CoreDNS, and makes the nodes that one
    could need. With the node's own resolver and a region that it need not ask for, it depends on no pod.
    Source: https://karpenter.sh/docs/troubleshooting/ (``dnsPolicy: ClusterFirst``)
    Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/charts/karpenter/values.yaml
    """
    account: dict[str, Any] = {"name": names.KARPENTER_SERVICE_ACCOUNT}
    pods: dict[str, Any] = {}
    if args.service_account_role is not None:
        account["annotations"] = {"eks.amazonaws.com/role-arn": args.service_account_role}
        # EKS gives a pod its way to the role when it is new, and nothing else of the pod changes with it.
        pods = {"podAnnotations": {"otel-on-spot/identity": "irsa"}}
    size = {"cpu": "1", "memory": "1Gi"}
    gates = {"nodeRepair": args.config.node_repair}
    if args.config.spot_to_spot_consolidation:
        gates["spotToSpotConsolidation"] = True
    if args.config.headroom is not None:
        gates["capacityBuffer"] = True
    label, value = names.SYSTEM_NODE_LABEL
    return {
        "serviceAccount": account,
        **pods,
        "replicas": 2,
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux", label: value},
        "controller": {
            "env": [{"name": "AWS_REGION", "value": args.stack_names.region}],
            "resources": {"requests": size, "limits": size},
        }
        | ({"image": {"repository": args.config.image_repository}} if args.config.image_repository else {}),
        "settings": {
            "clusterName": args.stack_names.cluster,
            "interruptionQueue": args.stack_names.interruption_queue,
            "eksControlPlane": True,
            "featureGates": gates,
        }
        | args.config.model_dump(by_alias=True, include=CHART_SETTINGS, exclude_defaults=True)
        # Prices are the ones that Karpenter was built with: their service has no endpoint in most regions.
        | ({"isolatedVPC": True} if args.isolated else {}),
    }
