"""Controllers that serve finalizers while they live: Karpenter drains nodes, Argo CD removes what it deployed."""

from typing import Any

from otel_on_spot.iam import allows
from otel_on_spot.kubernetes.names import (
    CASCADE,
    NODE,
    NODE_CLAIM,
    POD_IDENTITY,
    PROJECT,
    ROLE_ANNOTATION,
    TERMINATION,
)
from otel_on_spot.simcloud.aws.eks_addons import POD_IDENTITY_ACTIONS, nodes_ready
from otel_on_spot.simcloud.aws.eks_nodes import terminate
from otel_on_spot.simcloud.aws.roles import trusts
from otel_on_spot.simcloud.eks_answers import issuer
from otel_on_spot.simcloud.handler import Site

KARPENTER = ("kube-system", "karpenter")
ARGOCD = ("argocd", "argocd")
TERMINATE = "ec2:TerminateInstances"
BALANCERS = "aws-load-balancer-controller"
"""Namespace and service account of the controller that removes an Ingress's load balancer."""
REMOVE_BALANCER = "elasticloadbalancing:DeleteLoadBalancer"


def release(site: Site, namespace: str, name: str) -> dict[str, Any] | None:
    """A Helm release's row."""
    return site.cloud.tables.get("releases", f"{site.cluster}|{namespace}|{name}")


def why_karpenter_is_dead(site: Site, *, installing: bool = False) -> str:
    """The reason for which Karpenter's controller does nothing; empty where it works.

    ``installing``: its release is not there yet; what its pod needs to start is asked for too.
    """
    row = release(site, *KARPENTER)
    if row is None or (row["status"] != "deployed" and not installing):
        return "the karpenter release is not installed"
    if not nodes_ready(site, site.cluster):
        return "no node of a managed node group runs its pod"
    why = _why_no_credentials(site, row)
    if why or not installing:
        return why
    settings = (row["inputs"].get("values") or {}).get("settings") or {}
    queue = settings.get("interruptionQueue")
    if queue and not _queue_exists(site, queue):
        return f"settings.interruptionQueue {queue!r}: no such queue (a name is asked for, not an ARN)"
    if settings.get("clusterName") != site.cluster:
        return f"settings.clusterName {settings.get('clusterName')!r} is not the cluster's name {site.cluster!r}"
    return ""


def identity_given(site: Site, row: dict[str, Any]) -> str:
    """Way by which EKS gives a new pod of a release its role: an association, and only without one the annotation.

    The pod keeps it for its life. Empty: by nothing.
    Source: https://github.com/aws/amazon-eks-pod-identity-webhook (container credentials take precedence)
    """
    account = _service_account(row)
    if site.cloud.tables.get("pod-identities", f"{site.cluster}/kube-system/{account.get('name', 'karpenter')}"):
        return "association"
    return "annotation" if ROLE_ANNOTATION in (account.get("annotations") or {}) else ""


def _service_account(row: dict[str, Any]) -> dict[str, Any]:
    return (row["inputs"].get("values") or {}).get("serviceAccount") or {}


def _why_no_credentials(site: Site, row: dict[str, Any]) -> str:
    """What keeps its pods from the role, by the way that EKS gave them when they were new."""
    account = _service_account(row)
    given = row.get("identity", identity_given(site, row))
    if given == "annotation":
        arn = (account.get("annotations") or {})[ROLE_ANNOTATION]
        if not _trusts(site, arn, ("sts:AssumeRoleWithWebIdentity",), {"Federated": _oidc_provider(site)}):
            return f"its role {arn} does not trust the cluster's OIDC issuer"
    else:
        key = f"{site.cluster}/kube-system/{account.get('name', 'karpenter')}"
        association = site.cloud.tables.get("pod-identities", key)
        if association is None:
            return "its service account has no role: no pod identity association, no IRSA annotation at its start"
        if site.cloud.tables.get("addons", f"{site.cluster}/eks-pod-identity-agent") is None:
            return "the eks-pod-identity-agent add-on is missing"
        arn = association["roleArn"]
        if not _trusts(site, arn, POD_IDENTITY_ACTIONS, {"Service": POD_IDENTITY}):
            return f"its role {arn} does not trust {POD_IDENTITY}, whose association its pods have"
    return "" if _may(site, arn, TERMINATE) else f"its role {arn} may not call {TERMINATE}"


def role_of_karpenter(site: Site) -> str:
    """ARN of the role that Karpenter's pods have; empty where they have none."""
    row = release(site, *KARPENTER) or {"inputs": {}}
    account = _service_account(row)
    if row.get("identity", identity_given(site, row)) == "annotation":
        return str((account.get("annotations") or {})[ROLE_ANNOTATION])
    key = f"{site.cluster}/kube-system/{account.get('name', 'karpenter')}"
    return str((site.cloud.tables.get("pod-identities", key) or {}).get("roleArn", ""))


def _oidc_provider(site: Site) -> str:
    """ARN of the IAM OIDC provider of the cluster; empty where there is none."""
    row = site.cloud.tables.get("clusters", site.cluster) or {}
    own = issuer(row.get("region", ""), site.cluster).removeprefix("https://")
    providers = site.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return next((provider["Arn"] for provider in providers if provider["Arn"].endswith(own)), "")


def _trusts(site: Site, role_arn: str, wanted: tuple[str, ...], principal: dict[str, str]) -> bool:
    try:
        return trusts(site, role_arn, principal, *wanted)
    except site.client("iam").exceptions.NoSuchEntityException:
        return False


def _may(site: Site, role_arn: str, action: str) -> bool:
    iam = site.client("iam")
    try:
        attached = iam.list_attached_role_policies(RoleName=role_arn.rpartition("/")[2])["AttachedPolicies"]
    except iam.exceptions.NoSuchEntityException:
        return False
    documents = []
    for policy in attached:
        default = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        version = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=default)["PolicyVersion"]
        documents.append(version["Document"])
    return bool(allows(documents, action))


def _queue_exists(site: Site, name: str) -> bool:
    sqs = site.client("sqs")
    try:
        sqs.get_queue_url(QueueName=name)
    except Exception:  # noqa: BLE001 (whatever boto3 raises, the queue cannot be read)
        return False
    return True


def why_argocd_is_dead(site: Site) -> str:
    """The reason for which Argo CD does nothing; empty where it works."""
    row = release(site, *ARGOCD)
    if row is None or row["status"] != "deployed":
        return "the argocd release is not installed"
    return "" if nodes_ready(site, site.cluster) else "no node of a managed node group runs its pods"


def reconcile(site: Site) -> None:
    """Let every living controller do its work once, and the garbage collector after it. Real ones need no help."""
    api = site.cloud.kubernetes(site.cluster)
    if api.serves_itself:
        api.settle()
        return
    going = [thing for thing in api.objects() if thing["metadata"].get("deletionTimestamp")]
    if any(thing["kind"] in TERMINATION for thing in going) and not why_karpenter_is_dead(site):
        for thing in going:
            _terminate(site, thing)
    applications = [thing for thing in going if thing["kind"] == "Application"]
    if applications and not why_argocd_is_dead(site):
        for thing in applications:
            _cascade(site, thing)
    for thing in [other for other in api.objects() if other["metadata"].get("deletionTimestamp")]:
        api.collect(thing)


def _terminate(site: Site, thing: dict[str, Any]) -> None:
    """Karpenter: a NodeClaim's instance is terminated; an EC2NodeClass goes when no NodeClaim refers to it."""
    api = site.cloud.kubernetes(site.cluster)
    if thing["kind"] == "NodeClaim":
        terminate(site, [thing["status"]["instanceID"]])
        node = api.get(*NODE.identity, thing["metadata"]["name"])
        if node:
            api.delete(node)
    elif thing["kind"] != "EC2NodeClass" or api.objects(*NODE_CLAIM.identity):
        return
    _unblock(site, thing, TERMINATION[thing["kind"]])


def _cascade(site: Site, application: dict[str, Any]) -> None:
    """Argo CD: what the Application deployed goes first; without its AppProject nothing does.

    Source: https://github.com/argoproj/argo-cd/issues/7860
    """
    api = site.cloud.kubernetes(site.cluster)
    metadata = application["metadata"]
    if CASCADE not in metadata.get("finalizers", []):
        return
    if api.get(*PROJECT.identity, application["spec"]["project"], metadata["namespace"]) is None:
        return
    if _remove_workloads(site, metadata["name"]):
        _unblock(site, application, CASCADE)


def why_load_balancers_stay(site: Site) -> str:
    """The reason for which nobody removes the load balancer of an Ingress; empty where its controller does."""
    association = site.cloud.tables.get("pod-identities", f"{site.cluster}/{BALANCERS}/{BALANCERS}")
    if association is None:
        return f"{BALANCERS} has no role: no pod identity association"
    arn = association["roleArn"]
    return "" if _may(site, arn, REMOVE_BALANCER) else f"its role {arn} may not call {REMOVE_BALANCER}"


def _remove_workloads(site: Site, application: str) -> bool:
    """Remove an Application's load balancers and volumes, and its children's: whether all of it is gone.

    The control plane removes a Service's load balancers, its own controller an Ingress's; only a living EBS CSI driver
    removes volumes.
    """
    tables, ec2 = site.cloud.tables, site.client("ec2")
    for key, row in tables.all("load-balancers", f"{site.cluster}/").items():
        if row["application"] == application:
            if row["ingress"] and why_load_balancers_stay(site):
                return False
            for interface in row["interfaces"]:
                ec2.delete_network_interface(NetworkInterfaceId=interface)
            tables.remove("load-balancers", key)
    claims = {
        key: row for key, row in tables.all("volumes", f"{site.cluster}/").items() if row["application"] == application
    }
    if claims and tables.get("addons", f"{site.cluster}/aws-ebs-csi-driver") is None:
        return False
    for key, row in claims.items():
        ec2.delete_volume(VolumeId=row["volume"])
        tables.remove("volumes", key)
    return True


def _unblock(site: Site, thing: dict[str, Any], finalizer: str) -> None:
    api, metadata = site.cloud.kubernetes(site.cluster), thing["metadata"]
    now = api.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))
    if now:
        now["metadata"]["finalizers"] = [held for held in now["metadata"].get("finalizers", []) if held != finalizer]
        api.replace(now)


def why_stuck(site: Site, thing: dict[str, Any]) -> str:
    """The reason for which an object is still Terminating."""
    api = site.cloud.kubernetes(site.cluster)
    if api.serves_itself:
        return api.why_stuck(thing)
    reasons = []
    if thing["kind"] in ("NodePool", "NodeClaim", "EC2NodeClass"):
        reasons.append(why_karpenter_is_dead(site))
    if thing["kind"] in ("Application", "Namespace"):
        reasons.append(why_argocd_is_dead(site))
    rows = site.cloud.tables.all("load-balancers", f"{site.cluster}/").values()
    if thing["kind"] == "Application" and any(row["ingress"] for row in rows):
        reasons.append(why_load_balancers_stay(site))
    reasons.append(api.why_stuck(thing))
    known = "; ".join(reason for reason in reasons if reason)
    return known or f"finalizers {thing['metadata'].get('finalizers')} are not served"
