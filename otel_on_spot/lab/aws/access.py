"""What the lab's AWS doors may do in the cluster: the rights that EKS gives to itself."""

from typing import Any

Manifest = dict[str, Any]


def manifests(user: str = "authenticator") -> list[Manifest]:
    """Roles and bindings for the user of aws-iam-authenticator and of the doors that review tokens."""
    rbac = "rbac.authorization.k8s.io"
    subjects = [{"apiGroup": rbac, "kind": "User", "name": user}]

    def bound(kind: str, name: str, rules: list[Manifest], **metadata: str) -> list[Manifest]:
        about = {"name": name, **metadata}
        reference = {"apiGroup": rbac, "kind": kind, "name": name}
        return [
            {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": about, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": f"{kind}Binding",
                "metadata": about,
                "roleRef": reference,
                "subjects": subjects,
            },
        ]

    reviews = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    maps = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
    return [
        *bound("ClusterRole", "lab:token-reviewer", [reviews]),
        *bound("Role", "lab:aws-auth-reader", [{**maps, "resourceNames": ["aws-auth"]}], namespace="kube-system"),
    ]
