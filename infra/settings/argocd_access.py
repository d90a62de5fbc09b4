"""Who may do what in Argo CD: single sign-on and RBAC, judged as Argo CD's own ``settings rbac validate`` does."""

import csv
from collections.abc import Iterator, Mapping
from typing import Final

from infra.settings.models import ArgoCd
from infra.settings.problem import Problem, rule

CRUD: Final = frozenset({"create", "get", "update", "delete"})
ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    "accounts": frozenset({"create", "update"}),
    "applications": CRUD | {"action", "override", "sync"},
    "applicationsets": CRUD,
    "certificates": frozenset({"create", "get", "delete"}),
    "clusters": CRUD,
    "exec": frozenset({"create"}),
    "extensions": frozenset({"invoke"}),
    "gpgkeys": frozenset({"create", "get", "delete"}),
    "logs": frozenset({"get"}),
    "projects": CRUD,
    "repositories": CRUD,
    "write-repositories": CRUD,
}
"""Resource of a policy -> its actions.

Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/cmd/argocd/commands/admin/settings_rbac.go
"""
WITH_PATH: Final = frozenset({"action", "delete", "update"})
"""Actions on applications that may name a kind behind a slash, as in ``action/apps/Deployment/restart``."""
IN_PROJECTS: Final = frozenset({"applications", "applicationsets", "exec", "logs"})
"""Resources that are named ``project/object``: another name matches nothing."""
BUILT_IN_ROLES: Final = frozenset({"role:admin", "role:readonly"})
DEFAULT_DOMAIN: Final = "argocd.internal"


@rule
def problems(environment: str, argocd: ArgoCd) -> Iterator[Problem]:
    """Everything wrong with single sign-on and RBAC."""
    yield from _sign_on(argocd)
    lines = [_fields(line) for line in argocd.rbac.policy]
    roles = BUILT_IN_ROLES | {fields[1] for fields in lines if fields[:1] == ["p"] and len(fields) > 1}
    for index, (line, fields) in enumerate(zip(argocd.rbac.policy, lines, strict=True)):
        if wrong := _wrong(fields, roles):
            yield Problem(
                f"argocd.rbac.policy[{index}]",
                line,
                wrong,
                "p, SUBJECT, RESOURCE, ACTION, PROJECT/OBJECT, allow; or g, GROUP, ROLE",
            )
    default = argocd.rbac.default_role
    if default and default not in roles:
        yield Problem(
            "argocd.rbac.defaultRole",
            default,
            f"it is a role that exists: {', '.join(sorted(roles))}",
            "name one of them, or define it by policy lines",
        )
    everything = {
        fields[1] for fields in lines if fields[:1] == ["p"] and fields[2:4] == ["*", "*"] and "allow" in fields
    }
    if environment == "prod" and default in {"role:admin", *everything}:
        yield Problem(
            "argocd.rbac.defaultRole",
            default,
            "in prod not everybody who logs in is admin",
            "leave it out, and give the role to a group: policy: ['g, platform-team, role:admin']",
        )


def _sign_on(argocd: ArgoCd) -> Iterator[Problem]:
    oidc = argocd.oidc
    if oidc is None:
        if argocd.rbac.policy or argocd.rbac.default_role:
            yield Problem(
                "argocd.rbac",
                "roles",
                "nobody logs in who could have a role: kubectl access (argocd --core) asks Kubernetes, not RBAC",
                "give argocd.oidc, or remove rbac",
            )
        return
    if argocd.domain == DEFAULT_DOMAIN:
        yield Problem(
            "argocd.domain",
            argocd.domain,
            "the provider sends people back to https://DOMAIN/auth/callback",
            "write the host name that people reach Argo CD under, and register that address with the provider",
        )
    if "/.well-known" in oidc.issuer:
        yield Problem(
            "argocd.oidc.issuer",
            oidc.issuer,
            "Argo CD adds /.well-known/openid-configuration itself",
            f"write {oidc.issuer.partition('/.well-known')[0]}",
        )
    if oidc.client_secret is None and not oidc.pkce:
        yield Problem(
            "argocd.oidc.clientSecret",
            "nothing",
            "a client proves by its secret or by PKCE who it is",
            "name a Secret: $argocd-oidc:clientSecret; or set pkce: true for a public client",
        )
    if "openid" not in oidc.requested_scopes:
        yield Problem(
            "argocd.oidc.requestedScopes",
            ", ".join(oidc.requested_scopes),
            "without the scope openid a provider gives no ID token",
            "add openid",
        )
    if not (argocd.rbac.policy or argocd.rbac.default_role):
        yield Problem(
            "argocd.rbac",
            "nothing",
            "whoever logs in may do nothing, and see nothing",
            "give roles to groups: policy: ['g, platform-team, role:admin']; or a defaultRole: role:readonly",
        )


def _fields(line: str) -> list[str]:
    """A policy line as Argo CD reads it: CSV, spaces after a comma left out."""
    return [field.strip() for row in csv.reader([line], skipinitialspace=True) for field in row]


def _wrong(fields: list[str], roles: frozenset[str] | set[str]) -> str:
    """Why Argo CD would refuse a line, or never match it; empty where it is right."""
    kind = fields[0] if fields else ""
    if kind not in ("p", "g") or not all(fields):
        return "a line begins with p or g, and has no empty field"
    if kind == "g":
        if len(fields) != 3:
            return f"g has a group or a user, and a role: {len(fields) - 1} fields are given"
        return "" if fields[2] in roles else f"{fields[2]} is no role: {', '.join(sorted(roles))}"
    if len(fields) != 6:
        return f"p has five fields: {len(fields) - 1} are given"
    _, _, resource, action, target, effect = fields
    if resource != "*" and resource not in ACTIONS:
        return f"{resource} is no resource: {', '.join(ACTIONS)}"
    known = frozenset().union(*ACTIONS.values()) if resource == "*" else ACTIONS[resource]
    verb, slash, _ = action.partition("/")
    with_path = not slash or (resource == "applications" and verb in WITH_PATH)
    if action != "*" and not (verb in known and with_path):
        return f"{action} is no action on {resource}: {', '.join(sorted(known))}"
    if resource in IN_PROJECTS and target != "*" and "/" not in target:
        return f"{resource} are named by their project: {target} matches nothing"
    return "" if effect in ("allow", "deny") else f"{effect} is neither allow nor deny"
