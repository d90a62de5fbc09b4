"""Rights in the cluster of the lab's own users: what EKS gives to itself, and what the cloud controller needs."""

from typing import Any

from otel_on_spot.lab.aws.access_entries import group_of_policy
from otel_on_spot.simcloud.kubernetes.access import ACCESS_POLICIES

Manifest = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
AUTHENTICATOR, KUBELETS, VOLUMES = "authenticator", "kubelet-standin", "ebs-csi-driver"
"""Users: aws-iam-authenticator and the servers that review tokens; who plays EC2 and the cloud controller; who plays
the EBS CSI driver and the snapshot controller."""


def manifests() -> list[Manifest]:
    """Roles and bindings of these users: nodes do the rest as themselves."""
    return [*authenticator(), *cloud_controller(), *volumes(), *access_policies()]


def authenticator() -> list[Manifest]:
    """Rights to review tokens and to read the ConfigMap aws-auth."""
    reviews = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    maps = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
    auth_map = {**maps, "resourceNames": ["aws-auth"]}
    return [
        *_bound(AUTHENTICATOR, "ClusterRole", "lab:token-reviewer", [reviews]),
        *_bound(AUTHENTICATOR, "Role", "lab:aws-auth-reader", [auth_map], namespace="kube-system"),
    ]


def cloud_controller() -> list[Manifest]:
    """Rights to let go of nodes whose instance has ended, and to see the pods of Jobs."""
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "patch", "delete"]}
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    return _bound(KUBELETS, "ClusterRole", "lab:kubelet-standin", [nodes, pods])


def volumes() -> list[Manifest]:
    """Rights of the driver and its sidecars, and of the snapshot controller.

    Sources: charts/aws-ebs-csi-driver/templates/clusterrole-*.yaml of
    https://github.com/kubernetes-sigs/aws-ebs-csi-driver, deploy/kubernetes/snapshot-controller of
    https://github.com/kubernetes-csi/external-snapshotter
    """
    every = ["get", "list", "watch", "create", "patch", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "persistentvolumeclaims"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": every},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["csidrivers", "csinodes"], "verbs": every},
        {
            "apiGroups": ["storage.k8s.io"],
            "resources": ["volumeattachments", "volumeattachments/status"],
            "verbs": ["get", "list", "patch"],
        },
        {"apiGroups": ["snapshot.storage.k8s.io"], "resources": ["*"], "verbs": every},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": every},
    ]
    return _bound(VOLUMES, "ClusterRole", "lab:ebs-csi-driver", rules)


def access_policies() -> list[Manifest]:
    """Rules of EKS's own access policies, for the users whose entries have them."""
    made = []
    for policy, rules in ACCESS_POLICIES.items():
        told = [{key: [*values] for key, values in rule.items()} for rule in rules]
        role, binding = _bound("", "ClusterRole", f"lab:{policy}", told)
        subject = {"apiGroup": GROUP, "kind": "Group", "name": group_of_policy(policy)}
        made += [role, {**binding, "subjects": [subject]}]
    return made


def _bound(user: str, kind: str, name: str, rules: list[Manifest], **metadata: str) -> list[Manifest]:
    about = {"name": name, **metadata}
    return [
        {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": about, "rules": rules},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": f"{kind}Binding",
            "metadata": about,
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user}],
        },
    ]
