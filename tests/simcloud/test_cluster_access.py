"""Who deploys is a user of the cluster too: access entries, ``aws-auth`` and RBAC decide each request to its API."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from otel_on_spot.iam.decisions import Caller
from otel_on_spot.kubernetes.names import CONFIG_MAP, NAMESPACE, NODE_POOL, SECRET
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.authorization import judged
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes import access
from tests.simcloud.conftest import REGION, Made, Maker, trust

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci/drift"
USER = f"arn:aws:sts::{ACCOUNT}:assumed-role/drift/simulated"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def unique_id(cloud: Cloud) -> Iterator[str]:
    """Id of the role that calls."""
    iam = cloud.client("iam", REGION)
    made = iam.create_role(RoleName="drift", Path="/ci/", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    yield made["Role"]["RoleId"]
    iam.delete_role(RoleName="drift")


@pytest.fixture
def admitted(cluster: Maker, unique_id: str) -> Callable[..., None]:
    """Give the role an access entry with these access policies, in the whole cluster or in some namespaces."""
    tables, name = cluster.site.cloud.tables, cluster.site.cluster
    mode(cluster, "API_AND_CONFIG_MAP")

    def admit(*policies: str, namespaces: tuple[str, ...] = (), **more: Any) -> None:
        for key in tables.all("access-policies", f"{name}/{ROLE}/"):
            tables.remove("access-policies", key)
        tables.put("access-entries", f"{name}/{ROLE}", {"type": "STANDARD", "by": "user", "roleId": unique_id, **more})
        scope = {"type": "namespace", "namespaces": [*namespaces]} if namespaces else {"type": "cluster"}
        for policy in policies:
            tables.put("access-policies", f"{name}/{ROLE}/{POLICY}{policy}", {"scope": scope})

    return admit


def mode(cluster: Maker, authentication_mode: str) -> None:
    tables, name = cluster.site.cloud.tables, cluster.site.cluster
    row = tables.get("clusters", name)
    assert row is not None
    row["inputs"]["accessConfig"] = {"authenticationMode": authentication_mode}
    tables.put("clusters", name, row)


def secret(cluster: Maker, name: str = "password") -> Made:
    return cluster.object(SECRET, name, stringData={"a": "b"})


def pool(cluster: Maker) -> Made:
    cluster.chart("karpenter-crd")
    return cluster.object(NODE_POOL, "spot", spec={})


def forbidden(cloud: Cloud, act: Callable[[], Any]) -> str:
    """Sentence with which the cluster refuses the role; empty where it does not."""
    sentence = ""
    with judged(cloud, "drift") as calls:
        try:
            act()
        except ApiError as refused:
            sentence = str(refused)
    assert bool(calls.denied) == sentence.startswith("Forbidden: ")
    return sentence.removeprefix("Forbidden: ")


def test_without_an_entry_nobody_is_known_and_an_earlier_roles_entry_admits_nobody(
    cluster: Maker, admitted: Callable[..., None], unique_id: str
) -> None:
    cloud, made = cluster.site.cloud, secret(cluster)
    key = f"{cluster.site.cluster}/{ROLE}"
    for entry in (None, {"type": "STANDARD", "roleId": "AROAEARLIER"}):
        if entry:
            cloud.tables.put("access-entries", key, entry)
        with judged(cloud, "drift") as calls, pytest.raises(ApiError, match="asked for the client to provide cred"):
            made.read()
        assert [call.request.action for call in calls.denied] == ["kubernetes:get"]
    admitted("AmazonEKSClusterAdminPolicy")
    assert not forbidden(cloud, made.read)
    mode(cluster, "CONFIG_MAP")
    with judged(cloud, "drift"), pytest.raises(ApiError, match="Unauthorized"):
        made.read()


def test_admin_view_reads_everything_and_writes_nothing(cluster: Maker, admitted: Callable[..., None]) -> None:
    cloud, made, spot = cluster.site.cloud, secret(cluster), pool(cluster)
    admitted("AmazonEKSAdminViewPolicy")
    with judged(cloud, "drift") as calls:
        assert made.read()
        assert spot.read()
    assert [call.decision.policy for call in calls.calls] == ["AmazonEKSAdminViewPolicy"] * 2
    assert forbidden(cloud, spot.delete) == (
        f'nodepools.karpenter.sh "spot" is forbidden: User "{USER}" cannot delete resource "nodepools" in API group '
        '"karpenter.sh" at the cluster scope'
    )
    assert forbidden(cloud, lambda: secret(cluster, "another")) == (
        f'secrets "another" is forbidden: User "{USER}" cannot patch resource "secrets" in API group "" in the '
        'namespace "default"'
    )
    assert made.read()
    assert cloud.kubernetes(cluster.site.cluster).get("v1", "Secret", "another", "default") is None


def test_view_reads_workloads_and_neither_secrets_nor_custom_resources_nor_helms_releases(
    cluster: Maker, admitted: Callable[..., None]
) -> None:
    cloud, made, spot, plain = cluster.site.cloud, secret(cluster), pool(cluster), cluster.object(CONFIG_MAP, "plain")
    release = cluster.chart("karpenter-crd", name="again", values={})
    admitted("AmazonEKSViewPolicy")
    assert not forbidden(cloud, plain.read)
    assert 'secrets "password" is forbidden' in forbidden(cloud, made.read)
    assert 'cannot get resource "nodepools"' in forbidden(cloud, spot.read)
    assert forbidden(cloud, release.read).startswith(f'secrets is forbidden: User "{USER}" cannot list resource "secr')
    admitted("AmazonEKSViewPolicy", "AmazonEKSSecretReaderPolicy")
    assert not forbidden(cloud, made.read)
    assert not forbidden(cloud, release.read)
    assert 'cannot get resource "nodepools"' in forbidden(cloud, spot.read)


def test_a_policy_counts_in_its_namespaces_alone(cluster: Maker, admitted: Callable[..., None]) -> None:
    cloud, here, there = (
        cluster.site.cloud,
        cluster.object(CONFIG_MAP, "here"),
        cluster.object(CONFIG_MAP, "there", "kube-system"),
    )
    admitted("AmazonEKSClusterAdminPolicy", namespaces=("kube-*", "other"))
    assert not forbidden(cloud, there.read)
    assert 'in the namespace "default"' in forbidden(cloud, here.read)
    assert "at the cluster scope" in forbidden(cloud, lambda: cluster.object(NAMESPACE, "kube-own"))


def test_a_policy_that_nobody_described_is_refused_by_name(cluster: Maker, admitted: Callable[..., None]) -> None:
    made = cluster.object(CONFIG_MAP, "plain")
    admitted("AmazonEKSHybridPolicy")
    with judged(cluster.site.cloud, "drift"), pytest.raises(ApiError, match="NotJudged: AmazonEKSHybridPolicy"):
        made.read()


def bind(cluster: Maker, kind: str, subject: dict[str, str], rules: list[dict[str, Any]], **about: str) -> None:
    """A role with these rules, and its binding."""
    api, named = cluster.site.cloud.kubernetes(cluster.site.cluster), {"name": "reads", **about}
    api.apply({"apiVersion": RBAC, "kind": kind, "metadata": named, "rules": rules}, "test", force=True)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "reads"}
    told = {"metadata": named, "roleRef": reference, "subjects": [subject]}
    api.apply({"apiVersion": RBAC, "kind": f"{kind}Binding", **told}, "test", force=True)


def test_groups_of_an_entry_are_bound_by_rbac_and_a_verb_taken_away_is_missed(
    cluster: Maker, admitted: Callable[..., None]
) -> None:
    cloud, spot, made = cluster.site.cloud, pool(cluster), cluster.object(CONFIG_MAP, "plain")
    admitted(groups=["readers"])
    assert forbidden(cloud, spot.read)
    rule = {"apiGroups": ["karpenter.sh"], "resources": ["nodepools"], "verbs": ["get", "delete"]}
    bind(cluster, "ClusterRole", {"kind": "Group", "name": "readers"}, [rule])
    assert not forbidden(cloud, spot.read)
    assert forbidden(cloud, made.read)
    bind(cluster, "ClusterRole", {"kind": "Group", "name": "readers"}, [rule | {"verbs": ["delete"]}])
    assert 'cannot get resource "nodepools"' in forbidden(cloud, spot.read)
    bind(cluster, "ClusterRole", {"kind": "Group", "name": "readers"}, [rule | {"resourceNames": ["data"]}])
    assert forbidden(cloud, spot.read)
    maps = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"], "resourceNames": ["plain"]}
    bind(cluster, "Role", {"kind": "User", "name": USER}, [maps], namespace="default")
    assert not forbidden(cloud, made.read)
    assert forbidden(cloud, cluster.object(CONFIG_MAP, "plain", "kube-system").read)


def test_an_entry_goes_before_aws_auth_whose_masters_may_do_everything(
    cluster: Maker, admitted: Callable[..., None]
) -> None:
    cloud, made = cluster.site.cloud, secret(cluster)
    arn = f"arn:aws:iam::{ACCOUNT}:role/drift"
    row = f"[{{rolearn: '{arn}', username: 'ci:{{{{SessionName}}}}', groups: ['system:masters']}}]"
    about = {"name": "aws-auth", "namespace": "kube-system"}
    told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"mapRoles": row}}
    cloud.kubernetes(cluster.site.cluster).apply(told, "eks")
    assert not forbidden(cloud, made.delete)
    caller = Caller(arn=USER, role=ROLE)
    user = access.user_of(cluster.site, caller, "")
    assert user is not None
    assert (user.name, user.groups) == ("ci:simulated", ("system:masters", "system:authenticated"))
    admitted("AmazonEKSViewPolicy")
    assert forbidden(cloud, lambda: secret(cluster))
    mode(cluster, "API")
    cloud.tables.remove("access-entries", f"{cluster.site.cluster}/{ROLE}")
    with judged(cloud, "drift"), pytest.raises(ApiError, match="Unauthorized"):
        secret(cluster)


def test_templates_of_a_users_name_and_groups_are_filled_in(cluster: Maker, admitted: Callable[..., None]) -> None:
    admitted(userName="ci:{{SessionNameRaw}}:{{SessionName}}", groups=["of-{{AccountID}}"])
    row = cluster.site.cloud.tables.get("access-entries", f"{cluster.site.cluster}/{ROLE}")
    assert row is not None
    user = access.user_of(cluster.site, Caller(arn=USER.replace("simulated", "me@x"), role=ROLE), row["roleId"])
    assert user is not None
    assert (user.name, user.groups) == ("ci:me@x:me-x", (f"of-{ACCOUNT}", "system:authenticated"))


def test_who_installs_a_chart_must_be_allowed_everything(cluster: Maker, admitted: Callable[..., None]) -> None:
    cloud, install = cluster.site.cloud, partial(cluster.chart, "karpenter-crd")
    admitted("AmazonEKSSecretReaderPolicy")
    assert 'cannot create resource "secrets"' in forbidden(cloud, install)
    admitted(groups=["helm"])
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}
    bind(cluster, "ClusterRole", {"kind": "Group", "name": "helm"}, [rule])
    assert 'cannot create resource "*" in API group "*"' in forbidden(cloud, install)
    admitted("AmazonEKSClusterAdminPolicy")
    with judged(cloud, "drift") as calls:
        install().delete()
    assert not calls.denied


def test_resources_are_named_as_kubernetes_names_them() -> None:
    kinds = ("ConfigMap", "NetworkPolicy", "EC2NodeClass", "StorageClass", "NodePool", "Ingress")
    assert [access.plural(kind) for kind in kinds] == [
        "configmaps", "networkpolicies", "ec2nodeclasses", "storageclasses", "nodepools", "ingresses",
    ]  # fmt: skip
