"""Who may do what inside a cluster: EKS's access entries and their access policies, ``aws-auth``, and RBAC.

A role is known by its access entry, and only without one by its row in ``aws-auth``, each where the cluster's
authentication mode counts it. Whatever an access policy of its entry or a binding of RBAC allows, it may do.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html (who is known, by what name),
https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html (what a policy of EKS's own allows),
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ (rules and bindings).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from otel_on_spot.iam.conditions import like
from otel_on_spot.iam.decisions import Caller
from otel_on_spot.iam.policies import Decision
from otel_on_spot.kubernetes.names import CONFIG_MAP, SECRET
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.eks_access import without_path
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.kubernetes_kinds import CLUSTER_SCOPED
from otel_on_spot.simcloud.properties import Properties

Rule = Mapping[str, Sequence[str]]
"""A rule of RBAC: ``apiGroups``, ``resources``, ``verbs`` and, of some, ``resourceNames``."""
RBAC: Final = "rbac.authorization.k8s.io"
MASTERS: Final = "system:masters"
"""The group that may do everything, whatever RBAC says."""
EVERYTHING: Final[Rule] = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def _views(group: str, *resources: str) -> Rule:
    return {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}


WORKLOADS: Final = ("daemonsets", "deployments", "replicasets", "statefulsets")
ACCESS_POLICIES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "AmazonEKSClusterAdminPolicy": (EVERYTHING,),
    "AmazonEKSAdminViewPolicy": (_views("*", "*"),),
    "AmazonEKSSecretReaderPolicy": (_views("", "secrets"),),
    "AmazonEKSViewPolicy": (
        _views(
            "apps",
            "controllerrevisions",
            *WORKLOADS,
            *(f"{workload}/status" for workload in WORKLOADS),
            *(f"{workload}/scale" for workload in WORKLOADS[1:]),
        ),
        _views("autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
        _views("batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
        _views("discovery.k8s.io", "endpointslices"),
        _views("networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
        _views("policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
        _views("", "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods"),
        _views("", "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts"),
        _views("", "services", "services/status", "bindings", "events", "limitranges", "namespaces", "pods/log"),
        _views("", "namespaces/status", "pods/status", "replicationcontrollers/status", "resourcequotas"),
        _views("", "resourcequotas/status"),
    ),
}
"""Access policy of EKS's own -> its rules. One that is not here is refused by name.

Left out is the group ``extensions``, which no API server serves any more.
"""


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """One request to an API server, as an authorizer sees it.

    Attributes:
        verb: such as ``get``, ``patch`` or ``create``.
        group: API group; empty for the core group.
        resource: plural of the kind, such as ``nodepools``.
        namespace: empty of what is cluster-scoped, and of a request across all namespaces.
        name: the object's; empty of a request about all of them.
    """

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    @property
    def qualified(self) -> str:
        """Resource and group, as an API server writes them: ``nodepools.karpenter.sh``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


@dataclass(frozen=True, kw_only=True)
class User:
    """Who a cluster takes a caller for.

    Attributes:
        name: user name.
        groups: its groups.
        policies: name of each access policy of its entry -> the namespaces that it counts in; None counts in all.
    """

    name: str
    groups: tuple[str, ...]
    policies: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


def user_of(site: Site, caller: Caller, unique_id: str) -> User | None:
    """Who the cluster takes a caller for; None where it knows nobody by that principal.

    Args:
        site: the cluster.
        caller: who calls.
        unique_id: of its role or user: an entry that was made for an earlier one of the same name admits nobody.
    """
    row = site.cloud.tables.get("clusters", site.cluster) or {"inputs": {}}
    mode = (row["inputs"].get("accessConfig") or {}).get("authenticationMode") or "CONFIG_MAP"
    principal = caller.role or caller.arn
    if mode == "CONFIG_MAP" and row.get("creator") == principal:
        return _user("kubernetes-admin", [MASTERS], caller, {})
    entry = site.cloud.tables.get("access-entries", f"{site.cluster}/{principal}")
    if mode != "CONFIG_MAP" and entry and entry["roleId"] == unique_id:
        return _user(entry.get("userName") or caller.arn, entry.get("groups") or [], caller, _policies(site, principal))
    mapped = _mapping(site, caller) if mode != "API" else None
    return _user(mapped.get("username") or caller.arn, mapped.get("groups") or [], caller, {}) if mapped else None


def _user(name: str, groups: Sequence[str], caller: Caller, policies: Mapping[str, tuple[str, ...] | None]) -> User:
    """The user, with the templates of its name and groups filled in as aws-iam-authenticator does.

    Source: https://github.com/kubernetes-sigs/aws-iam-authenticator#full-configuration-format
    """
    session = caller.arn.rpartition("/")[2] if caller.role else ""
    templates = {"SessionName": session.replace("@", "-"), "SessionNameRaw": session, "AccountID": caller.account}

    def filled(text: str) -> str:
        for template, value in templates.items():
            text = text.replace(f"{{{{{template}}}}}", value)
        return text

    return User(name=filled(name), groups=(*map(filled, groups), "system:authenticated"), policies=policies)


def _policies(site: Site, principal: str) -> dict[str, tuple[str, ...] | None]:
    prefix = f"{site.cluster}/{principal}/"
    scopes = {
        key.rpartition("/")[2]: row["scope"] for key, row in site.cloud.tables.all("access-policies", prefix).items()
    }
    return {
        name: tuple(scope.get("namespaces") or ()) if scope.get("type") == "namespace" else None
        for name, scope in scopes.items()
    }


def _mapping(site: Site, caller: Caller) -> dict[str, Any] | None:
    """The row of ``aws-auth`` for a caller, whose role it knows without its path."""
    found = site.cloud.kubernetes(site.cluster).get(*CONFIG_MAP.identity, "aws-auth", "kube-system") or {}
    part, key, arn = (
        ("mapRoles", "rolearn", without_path(caller.role)) if caller.role else ("mapUsers", "userarn", caller.arn)
    )
    rows = yaml.safe_load((found.get("data") or {}).get(part) or "[]") or []
    return next((row for row in rows if row[key] == arn), None)


def decide(site: Site, user: User | None, asked: Attributes) -> Decision:
    """Decide if a cluster lets a user do something; ``policy`` of the decision says by what.

    Raises:
        ApiError: an access policy of the user's entry is not known here.
    """
    if user is None:
        return Decision("implicitly denied")
    if MASTERS in user.groups:
        return Decision("allowed", EVERYTHING, policy=MASTERS)
    for name, namespaces in user.policies.items():
        if name not in ACCESS_POLICIES:
            raise ApiError(
                "NotJudged",
                f"{name}: nobody has said what this access policy allows, so it allows nothing. Add it to "
                "ACCESS_POLICIES of simcloud/kubernetes/access.py",
            )
        counts = namespaces is None or any(like(pattern, asked.namespace) for pattern in namespaces if asked.namespace)
        for rule in ACCESS_POLICIES[name] if counts else ():
            if _covers(rule, asked):
                return Decision("allowed", rule, policy=name)
    for role, rule in _bound(site, user, asked.namespace):
        if _covers(rule, asked):
            return Decision("allowed", rule, policy=role)
    return Decision("implicitly denied")


def _covers(rule: Rule, asked: Attributes) -> bool:
    fields = (("verbs", asked.verb), ("apiGroups", asked.group), ("resources", asked.resource))
    names = rule.get("resourceNames")
    return all({value, "*"} & set(rule.get(key) or ()) for key, value in fields) and (not names or asked.name in names)


def _bound(site: Site, user: User, namespace: str) -> Iterator[tuple[str, Rule]]:
    """(role, rule) of every binding of the user, or of a group of its, that counts in a namespace."""
    api, version = site.cloud.kubernetes(site.cluster), f"{RBAC}/v1"
    bindings = api.objects(version, "ClusterRoleBinding")
    bindings += api.objects(version, "RoleBinding", namespace) if namespace else []
    for binding in bindings:
        told = {(subject["kind"], subject["name"]) for subject in binding.get("subjects") or ()}
        if not told & {("User", user.name), *(("Group", group) for group in user.groups)}:
            continue
        kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        role = api.get(version, kind, name, binding["metadata"].get("namespace", "")) or {}
        own = [EVERYTHING] if (kind, name) == ("ClusterRole", "cluster-admin") else []
        yield from ((f"{kind} {name}", rule) for rule in (role.get("rules") or own))


def refusal(user: User | None, asked: Attributes) -> tuple[str, str]:
    """(code, sentence) of a request that is not allowed, as the Kubernetes provider tells it.

    Sources: https://github.com/kubernetes/apiserver/blob/master/pkg/endpoints/handlers/responsewriters/errors.go and
    NewForbidden of https://github.com/kubernetes/apimachinery/blob/master/pkg/api/errors/errors.go; ``Configure`` of
    https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go
    """
    if user is None:
        return (
            "Unauthorized",
            "configured Kubernetes cluster is unreachable: unable to load schema information from the API server: the "
            "server has asked for the client to provide credentials",
        )
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    what = f'{asked.qualified} "{asked.name}"' if asked.name else asked.qualified
    return (
        "Forbidden",
        f'{what} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.resource}" in API group '
        f'"{asked.group}" {where}',
    )


# Which requests the provider makes


def requests(site: Site, operation: str, token: str, identity: str, inputs: Properties) -> Iterator[Attributes]:
    """The requests of one operation of the Kubernetes provider.

    A preview's dry runs are not among them: where one is forbidden, the provider goes on with what the program says.
    Source: ``Create`` and ``Update`` of
    https://github.com/pulumi/pulumi-kubernetes/blob/v4.32.0/provider/pkg/provider/provider.go

    Args:
        site: the cluster.
        operation: create, read, update or delete.
        token: the resource's type.
        identity: its id; empty before it has one.
        inputs: those that are wanted; empty of a read and a deletion.
    """
    _, path, kind = token.split(":")
    if path.startswith("helm.sh/"):
        yield from _of_release(operation, identity.partition("/")[0] or inputs["namespace"])
        return
    metadata = inputs.get("metadata") or {}
    is_patch, kind = kind.endswith("Patch"), kind.removesuffix("Patch")
    namespace, _, name = identity.rpartition("/")
    namespace, name = namespace or metadata.get("namespace", ""), name or metadata["name"]
    group, _, version = path.removeprefix("core/").rpartition("/")
    namespace = "" if kind in CLUSTER_SCOPED else namespace
    verbs = VERBS["update" if is_patch and operation == "delete" else operation]
    if operation == "create" and not site.cloud.kubernetes(site.cluster).get(
        f"{group}/{version}".lstrip("/"), kind, name, namespace
    ):
        verbs = (*verbs, "create")
    for verb in verbs:
        yield Attributes(verb=verb, group=group, resource=plural(kind), namespace=namespace, name=name)


VERBS: Final = {"create": ("patch",), "read": ("get",), "update": ("get", "patch"), "delete": ("get", "delete")}
"""Operation -> verbs of its requests. A server-side apply is a patch, and of what is not there a creation too.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#api-implementation
"""


def _of_release(operation: str, namespace: str) -> Iterator[Attributes]:
    """Requests of Helm: it keeps a release in Secrets of the release's namespace.

    What a chart brings is not known here. Those of this program bring Roles, which nobody may give more rights than
    his own has: whoever installs one must be allowed everything.

    Sources: https://helm.sh/docs/topics/advanced/#storage-backends,
    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
    """
    yield Attributes(verb="list", group=SECRET.group, resource=SECRET.plural, namespace=namespace)
    if operation != "read":
        verb = "delete" if operation == "delete" else "create"
        yield Attributes(verb=verb, group=SECRET.group, resource=SECRET.plural, namespace=namespace)
        yield Attributes(verb=verb, group="*", resource="*")


def plural(kind: str) -> str:
    """The resource of a kind. Source: UnsafeGuessKindToResource of k8s.io/apimachinery/pkg/api/meta."""
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
