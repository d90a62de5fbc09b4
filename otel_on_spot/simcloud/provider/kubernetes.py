"""The Kubernetes provider's place in the engine."""

from typing_extensions import override

from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.handler import Difference, Handler, Site
from otel_on_spot.simcloud.kubernetes.helm import Release
from otel_on_spot.simcloud.kubernetes.objects import KubernetesObject
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.provider.kubeconfig import cluster_of
from otel_on_spot.simcloud.provider.servicer import Servicer

RELEASE = Release()


class Kubernetes(Servicer):
    """``kubernetes``: objects and Helm releases of the cluster in the provider's kubeconfig."""

    @override
    def handler(self, token: str, configuration: Properties) -> Handler:
        if token == Release.token:
            return RELEASE
        return KubernetesObject(
            token,
            config_map_mutable=str(configuration.get("enableConfigMapMutable")).lower() == "true",
            secret_mutable=str(configuration.get("enableSecretMutable")).lower() == "true",
        )

    @override
    def site(self, configuration: Properties) -> Site:
        return Site(self.cloud, cluster=cluster_of(configuration.get("kubeconfig")))

    @override
    def configuration_difference(self, old: Properties, new: Properties) -> Difference:
        """A new cluster replaces everything in it; a cluster identifier says which cluster it is, whatever the kubeconfig.

        Source: pulumi-kubernetes, provider/pkg/provider/provider.go (DiffConfig)
        """
        found = super().configuration_difference(old, new)
        identifiers = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if identifiers[0] and identifiers[0] == identifiers[1]:
            replacing = False
        elif any(identifiers):
            replacing = identifiers[0] is not None or old.get("kubeconfig") != new.get("kubeconfig")
        else:
            unknown = UNKNOWN in (old.get("kubeconfig"), new.get("kubeconfig"))
            replacing = unknown or cluster_of(old.get("kubeconfig")) != cluster_of(new.get("kubeconfig"))
        return Difference(
            {
                path: (change, replacing and path in ("kubeconfig", "clusterIdentifier"))
                for path, (change, _) in found.paths.items()
            }
        )

    @override
    def secret_outputs(self, token: str) -> frozenset[str]:
        return frozenset({"data", "stringData"}) if token == "kubernetes:core/v1:Secret" else frozenset()
