"""Which kinds an API server knows by itself, and which a chart brings."""

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
    # Source: https://github.com/aws/karpenter-provider-aws/tree/v1.14.1/charts/karpenter-crd/templates
    "karpenter-crd": (
        ("karpenter.sh/v1", "NodePool"),
        ("karpenter.sh/v1", "NodeClaim"),
        ("karpenter.k8s.aws/v1", "EC2NodeClass"),
    ),
    # Source: https://github.com/argoproj/argo-helm/tree/argo-cd-10.1.1/charts/argo-cd/templates/crds
    "argo-cd": (
        ("argoproj.io/v1alpha1", "Application"),
        ("argoproj.io/v1alpha1", "AppProject"),
        ("argoproj.io/v1alpha1", "ApplicationSet"),
    ),
}
"""(apiVersion, kind) of the CRDs that a chart brings."""

TERMINATION = {
    "EC2NodeClass": "karpenter.k8s.aws/termination",
    "NodeClaim": "karpenter.sh/termination",
}
"""Finalizers that Karpenter puts on its kinds. Source: https://karpenter.sh/docs/concepts/disruption/#termination-controller"""
CASCADE = "resources-finalizer.argocd.argoproj.io"
