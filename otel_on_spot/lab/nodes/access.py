"""What the user that plays EC2 and the cloud controller may do in the cluster. Nodes do the rest as themselves."""

from typing import Any

Manifest = dict[str, Any]
ROLE = "lab:kubelet-standin"


def manifests(user: str = "kubelet-standin") -> list[Manifest]:
    """ClusterRole and binding: let go of nodes whose instance is gone, and see which pods Jobs have."""
    rbac = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    ]
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": ROLE}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ROLE},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": ROLE},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        },
    ]
