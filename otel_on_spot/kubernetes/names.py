"""Names of labels, tags, groups and kinds of Kubernetes, EKS, Karpenter and Argo CD, and API paths of the kinds."""

from dataclasses import dataclass
from typing import Final

# Labels of nodes; the first two are tags of their instances too. Source: https://karpenter.sh/docs/concepts/nodeclasses/#spectags
POOL_LABEL: Final = "karpenter.sh/nodepool"
CLAIM_LABEL: Final = "karpenter.sh/nodeclaim"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
DISCOVERY: Final = "karpenter.sh/discovery"
"""Tag of the subnets and security groups that Karpenter uses."""
DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
DISRUPTED: Final = "karpenter.sh/disrupted"
"""Taint of a node that Karpenter drains. Source: https://karpenter.sh/docs/concepts/disruption/"""
INSTANCE_TYPE: Final = "node.kubernetes.io/instance-type"
ZONE: Final = "topology.kubernetes.io/zone"
EBS_ZONE: Final = "topology.ebs.csi.aws.com/zone"
"""The EBS CSI driver's own label of a zone, beside the well-known one; volumes of earlier drivers name it in its place.

Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/CHANGELOG.md (1.33)
"""
REGION: Final = "topology.kubernetes.io/region"
HOSTNAME: Final = "kubernetes.io/hostname"

APP_NAME: Final = "app.kubernetes.io/name"
APP_VERSION: Final = "app.kubernetes.io/version"
PART_OF: Final = "app.kubernetes.io/part-of"
SERVICE_NAME: Final = "kubernetes.io/service-name"
POD_NAME: Final = "statefulset.kubernetes.io/pod-name"

CLUSTER_TAG_PREFIX: Final = "kubernetes.io/cluster/"
EBS_DRIVER: Final = "ebs.csi.aws.com"
CLAIM_NAME_TAG: Final = "kubernetes.io/created-for/pvc/name"
"""Tag of a volume that the EBS CSI driver made for a PersistentVolumeClaim."""
PUBLIC_BALANCER_ROLE: Final = "kubernetes.io/role/elb"
INTERNAL_BALANCER_ROLE: Final = "kubernetes.io/role/internal-elb"
"""Tags of the subnets that load balancers take."""

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
"""Annotation of a service account that assumes a role by IRSA."""
POD_IDENTITY: Final = "pods.eks.amazonaws.com"
"""Service, and audience of tokens, of EKS Pod Identity."""
NODE_USERNAME: Final = "system:node:{{EC2PrivateDNSName}}"
NODE_GROUPS: Final = ("system:bootstrappers", "system:nodes")
"""User name and groups that EKS maps the role of Linux nodes to."""

FRONT_PATH: Final = "otel-on-spot/front-path"
"""Label of On-Demand replicas of the front path: their Service selects them with the others, their Deployment apart."""
TRACKING: Final = "argocd.argoproj.io/tracking-id"
REFRESH: Final = "argocd.argoproj.io/refresh"
CASCADE: Final = "resources-finalizer.argocd.argoproj.io"
"""Finalizer with which an Application takes its objects with it."""


def cluster_tag(cluster: str) -> str:
    """Tag of the AWS resources that belong to a cluster."""
    return f"{CLUSTER_TAG_PREFIX}{cluster}"


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    ``version``: the ``apiVersion`` of its objects; ``kind``: as objects name it; ``plural``: as API paths name it.
    """

    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def identity(self) -> tuple[str, str]:
        """The pair (apiVersion, kind)."""
        return self.version, self.kind

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.version.rpartition("/")[0]

    @property
    def token(self) -> str:
        """Pulumi's type token of a resource of the kind."""
        return f"kubernetes:{self.version if self.group else f'core/{self.version}'}:{self.kind}"

    @property
    def crd(self) -> str:
        """Name of the CustomResourceDefinition that defines the kind."""
        return f"{self.plural}.{self.group}"

    def path(self, namespace: str = "", name: str = "") -> str:
        """API path of an object; without a name of all objects, of one namespace where one is named."""
        root = "/apis" if self.group else "/api"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}/{self.version}{inside}/{self.plural}" + (f"/{name}" if name else "")


NODE: Final = Kind("v1", "Node", "nodes", namespaced=False)
NAMESPACE: Final = Kind("v1", "Namespace", "namespaces", namespaced=False)
PERSISTENT_VOLUME: Final = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
VOLUME_CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD: Final = Kind("v1", "Pod", "pods")
SERVICE: Final = Kind("v1", "Service", "services")
SERVICE_ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
SECRET: Final = Kind("v1", "Secret", "secrets")
EVENT: Final = Kind("v1", "Event", "events")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
AUTOSCALER: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
STORAGE_CLASS: Final = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
VOLUME_ATTACHMENT: Final = Kind("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", namespaced=False)
CSI_NODE: Final = Kind("storage.k8s.io/v1", "CSINode", "csinodes", namespaced=False)
CSI_DRIVER: Final = Kind("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False)
SNAPSHOT: Final = Kind("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "volumesnapshots")
SNAPSHOT_CLASS: Final = Kind(
    "snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", "volumesnapshotclasses", namespaced=False
)
SNAPSHOT_CONTENT: Final = Kind(
    "snapshot.storage.k8s.io/v1", "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False
)
VALIDATING_WEBHOOKS: Final = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
MUTATING_WEBHOOKS: Final = Kind(
    "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
)
TOKEN_REVIEW: Final = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)
DEFINITION: Final = Kind(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
NODE_POOL: Final = Kind("karpenter.sh/v1", "NodePool", "nodepools", namespaced=False)
NODE_CLAIM: Final = Kind("karpenter.sh/v1", "NodeClaim", "nodeclaims", namespaced=False)
NODE_CLASS: Final = Kind("karpenter.k8s.aws/v1", "EC2NodeClass", "ec2nodeclasses", namespaced=False)
KARPENTER_KINDS: Final = (NODE_POOL, NODE_CLAIM, NODE_CLASS)
APPLICATION: Final = Kind("argoproj.io/v1alpha1", "Application", "applications")
APPLICATION_SET: Final = Kind("argoproj.io/v1alpha1", "ApplicationSet", "applicationsets")
PROJECT: Final = Kind("argoproj.io/v1alpha1", "AppProject", "appprojects")
TERMINATION: Final = {
    NODE_CLASS.kind: "karpenter.k8s.aws/termination",
    NODE_CLAIM.kind: "karpenter.sh/termination",
}
"""Finalizers that Karpenter puts on its kinds.

Source: https://karpenter.sh/docs/concepts/disruption/#termination-controller
"""
