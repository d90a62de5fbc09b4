"""Single sign-on and RBAC of Argo CD: what its provider, its RBAC reader or nobody would take is refused."""

from typing import Any

import pytest
import yaml

from infra.argocd import ArgoCdArgs, argocd_values
from infra.settings import parse
from tests.unit.settings.test_settings import committed, keys_of

OIDC = {
    "issuer": "https://login.acme.io/realms/main",
    "clientId": "argocd",
    "clientSecret": "$argocd-oidc:clientSecret",
}
TEAM = {"policy": ["g, platform-team, role:admin"]}


def with_argocd(stack: str = "dev", **keys: Any) -> dict[str, Any]:
    raw = committed(stack)
    raw["argocd"] |= {"domain": "argocd.acme.io"} | keys
    return raw


def configs(**keys: Any) -> dict[str, Any]:
    settings, problems = parse(with_argocd(**keys))
    assert settings is not None, problems
    return argocd_values(ArgoCdArgs(config=settings.argocd))["configs"]


def test_without_single_sign_on_nobody_logs_in_and_the_values_are_what_they_were() -> None:
    found = configs()

    assert "oidc.config" not in found["cm"]
    assert found["rbac"] == {"policy.default": ""}


def test_single_sign_on_reaches_argo_cd_with_a_reference_instead_of_a_secret() -> None:
    found = configs(oidc=OIDC, rbac=TEAM | {"scopes": ["groups", "email"]})

    assert yaml.safe_load(found["cm"]["oidc.config"]) == {
        "name": "SSO",
        "issuer": "https://login.acme.io/realms/main",
        "clientID": "argocd",
        "clientSecret": "$argocd-oidc:clientSecret",
        "requestedScopes": ["openid", "profile", "email", "groups"],
        "requestedIDTokenClaims": {"groups": {"essential": True}, "email": {"essential": True}},
    }
    assert found["rbac"] == {
        "policy.default": "",
        "policy.csv": "g, platform-team, role:admin\n",
        "scopes": "[groups, email]",
    }


def test_a_public_client_proves_itself_by_pkce() -> None:
    public = {key: value for key, value in OIDC.items() if key != "clientSecret"}

    assert keys_of(with_argocd(oidc=public, rbac=TEAM)) == ["argocd.oidc.clientSecret"]
    found = yaml.safe_load(configs(oidc=public | {"pkce": True}, rbac=TEAM)["cm"]["oidc.config"])
    assert found["enablePKCEAuthentication"] is True
    assert "clientSecret" not in found


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"oidc": OIDC | {"clientSecret": "a-plain-secret"}}, "argocd.oidc.clientSecret"),
        ({"oidc": OIDC | {"clientSecret": "$argocd-oidc"}}, "argocd.oidc.clientSecret"),
        ({"oidc": OIDC | {"issuer": "http://login.acme.io"}}, "argocd.oidc.issuer"),
        ({"oidc": OIDC | {"issuer": "login.acme.io"}}, "argocd.oidc.issuer"),
        (
            {"oidc": OIDC | {"issuer": "https://login.acme.io/.well-known/openid-configuration"}},
            "argocd.oidc.issuer",
        ),
        ({"oidc": OIDC | {"requestedScopes": ["profile"]}}, "argocd.oidc.requestedScopes"),
        ({"oidc": OIDC, "domain": "argocd.internal"}, "argocd.domain"),
        ({"oidc": OIDC, "rbac": {}}, "argocd.rbac"),
        ({"oidc": None}, "argocd.oidc"),
    ],
)
def test_what_would_let_nobody_in_is_refused(change: dict[str, Any], wrong: str) -> None:
    given: dict[str, Any] = {"rbac": TEAM} | change

    assert keys_of(with_argocd(**given)) == [wrong]


def test_roles_without_anybody_who_logs_in_are_refused() -> None:
    assert keys_of(with_argocd(rbac=TEAM)) == ["argocd.rbac"]
    assert keys_of(with_argocd(rbac={"defaultRole": "role:readonly"})) == ["argocd.rbac"]


@pytest.mark.parametrize(
    "line",
    [
        "p, role:deployer, applications, sync, */*, allow",
        "p, role:deployer, applications, action/apps/Deployment/restart, platform/*, allow",
        "p, role:deployer, applications, delete/*/Pod/*, platform/otel-demo, allow",
        "p, someone@acme.io, logs, get, platform/otel-demo, deny",
        "p, role:deployer, clusters, get, *, allow",
        'p, role:deployer, projects, get, "platform", allow',
        "p, role:deployer, *, *, *, deny",
        "g, someone@acme.io, role:readonly",
        "g,platform-team,role:admin",
    ],
)
def test_lines_that_argo_cd_reads_pass(line: str) -> None:
    assert keys_of(with_argocd(oidc=OIDC, rbac={"policy": [line]})) == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# nothing",
        "x, role:a, applications, get, */*, allow",
        "p, role:a, applications, get, */*",
        "p, role:a, applications, get, */*, allow, more",
        "p, role:a, application, get, */*, allow",
        "p, role:a, applications, restart, */*, allow",
        "p, role:a, applications, sync/apps/Deployment, */*, allow",
        "p, role:a, clusters, delete/x, *, allow",
        "p, role:a, logs, create, */*, allow",
        "p, role:a, applications, get, otel-demo, allow",
        "p, role:a, applications, get, */*, permit",
        "p, , applications, get, */*, allow",
        "g, platform-team",
        "g, platform-team, role:admins",
        "g, platform-team, admin",
        'g, "platform-team, role:admin',
    ],
)
def test_lines_that_argo_cd_refuses_or_that_match_nothing_are_named(line: str) -> None:
    policy = ["g, other-team, role:admin", line]

    assert keys_of(with_argocd(oidc=OIDC, rbac={"policy": policy})) == ["argocd.rbac.policy[1]"]


def test_a_role_is_one_that_exists() -> None:
    mine = ["p, role:deployer, applications, sync, */*, allow", "g, platform-team, role:deployer"]

    assert keys_of(with_argocd(oidc=OIDC, rbac={"policy": mine, "defaultRole": "role:deployer"})) == []
    assert keys_of(with_argocd(oidc=OIDC, rbac={"defaultRole": "role:deployer"})) == ["argocd.rbac.defaultRole"]


def test_in_prod_not_everybody_is_admin() -> None:
    everybody = {"oidc": OIDC, "rbac": {"defaultRole": "role:admin"}}

    assert keys_of(with_argocd("dev", **everybody)) == []
    assert keys_of(with_argocd("prod", **everybody)) == ["argocd.rbac.defaultRole"]
