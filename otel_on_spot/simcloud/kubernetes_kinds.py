"""Kinds that an API server knows by itself, and kinds that a chart brings."""

from otel_on_spot.kubernetes.names import APPLICATION, APPLICATION_SET, NODE_CLAIM, NODE_CLASS, NODE_POOL, PROJECT

CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "PriorityClass",
    "StorageClass",
    "CustomResourceDefinition",
    "NodePool",
    "NodeClaim",
    "EC2NodeClass",
    "Node",
    "PersistentVolume",
}
BUILT_IN_GROUPS = (
    "v1",
    "apps/v1",
    "batch/v1",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "networking.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1",
    "apiextensions.k8s.io/v1",
)
CHART_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    # Source: https://github.com/aws/karpenter-provider-aws/tree/v1.14.3/charts/karpenter-crd/templates
    "karpenter-crd": (
        NODE_POOL.identity,
        NODE_CLAIM.identity,
        NODE_CLASS.identity,
        ("autoscaling.x-k8s.io/v1beta1", "CapacityBuffer"),
    ),
    # Source: https://github.com/argoproj/argo-helm/tree/argo-cd-10.1.1/charts/argo-cd/templates/crds
    "argo-cd": (
        APPLICATION.identity,
        PROJECT.identity,
        APPLICATION_SET.identity,
    ),
}
"""(apiVersion, kind) of the CRDs that a chart brings."""
