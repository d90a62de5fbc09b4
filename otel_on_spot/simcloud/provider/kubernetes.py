"""The Kubernetes provider's place in the engine."""

from typing_extensions import override

from otel_on_spot.kubernetes.kubeconfig import cluster_of
from otel_on_spot.program.resource_types import kubernetes_provider_replaced
from otel_on_spot.simcloud.handler import Difference, Handler, Site
from otel_on_spot.simcloud.kubernetes.helm import Release
from otel_on_spot.simcloud.kubernetes.objects import KubernetesObject
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.provider.servicer import Servicer

RELEASE = Release()


class Kubernetes(Servicer):
    """``kubernetes``: objects and Helm releases of the cluster in the provider's kubeconfig."""

    @override
    def handler(self, token: str, configuration: Properties) -> Handler:
        if token == Release.token:
            return RELEASE
        return KubernetesObject(token, configuration)

    @override
    def site(self, configuration: Properties) -> Site:
        return Site(self.cloud, cluster=cluster_of(configuration.get("kubeconfig")))

    @override
    def configuration_difference(self, old: Properties, new: Properties) -> Difference:
        """A new cluster replaces everything in it."""
        found = super().configuration_difference(old, new)
        replacing = kubernetes_provider_replaced(old, new)
        return Difference(
            {
                path: (change, replacing and path in ("kubeconfig", "clusterIdentifier"))
                for path, (change, _) in found.paths.items()
            }
        )

    @override
    def secret_outputs(self, token: str) -> frozenset[str]:
        return frozenset({"data", "stringData"}) if token == "kubernetes:core/v1:Secret" else frozenset()
