"""The remote EKS component is recorded with the children that its own provider would make."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pytest
import yaml

from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import PlanError, record_program
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.values import UNKNOWN, masked, revealed

COMPONENT = "eks:index:Cluster"
CLUSTER = "aws:eks/cluster:Cluster"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
NODES = "arn:aws:iam::111122223333:role/nodes"
SENTINEL = "sentinel-of-an-argument"

PLAIN: dict[str, Any] = {
    "name": "shop",
    "vpc_id": "vpc-1",
    "private_subnet_ids": ["subnet-1", "subnet-2"],
    "skip_default_node_group": True,
    "skip_default_security_groups": True,
    "use_default_vpc_cni": True,
    "kube_proxy_addon_options": {"enabled": False},
    "coredns_addon_options": {"enabled": False},
}


def planned(
    *,
    preview: bool = False,
    then: Callable[[eks.Cluster], object] | None = None,
    secret: tuple[str, ...] = (),
    **arguments: Any,
) -> Recording:
    """A program with one cluster; arguments named in ``secret`` are given as secrets."""

    def program() -> None:
        hidden = {key: pulumi.Output.secret(arguments[key]) for key in secret}
        given: Any = PLAIN | arguments | hidden
        made = eks.Cluster("c", **given)
        if then:
            then(made)

    return record_program(program, preview=preview)


def only(plan: Recording, token: str) -> Registration:
    (found,) = plan.of_type(token)
    return found


def test_with_both_modes_the_cluster_has_a_config_map_and_entries() -> None:
    plan = planned(
        authentication_mode=eks.AuthenticationMode.API_AND_CONFIG_MAP,
        role_mappings=[eks.RoleMappingArgs(role_arn=NODES, username="u", groups=["system:nodes"])],
        access_entries={"nodes": eks.AccessEntryArgs(principal_arn=NODES, type=eks.AccessEntryType.EC2_LINUX)},
    )
    config_map = only(plan, CONFIG_MAP)
    metadata = config_map.inputs["metadata"]

    assert (metadata["name"], metadata["namespace"]) == ("aws-auth", "kube-system")
    assert yaml.safe_load(config_map.inputs["data"]["mapRoles"]) == [
        {"rolearn": NODES, "username": "u", "groups": ["system:nodes"]}
    ]
    assert (only(plan, ENTRY).inputs["principalArn"], only(plan, ENTRY).inputs["clusterName"]) == (NODES, "shop")
    assert only(plan, CLUSTER).inputs["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"


def test_with_the_api_alone_there_is_no_config_map() -> None:
    entries = {"nodes": eks.AccessEntryArgs(principal_arn=NODES)}
    plan = planned(authentication_mode=eks.AuthenticationMode.API, access_entries=entries)

    assert plan.of_type(CONFIG_MAP) == ()
    assert [r.name for r in plan.of_type(ENTRY)] == ["c-nodes"]


def test_without_a_mode_there_is_a_config_map_and_no_entry() -> None:
    plan = planned()

    assert [r.name for r in plan.of_type(CONFIG_MAP)] == ["c-nodeAccess"]
    assert plan.of_type(ENTRY) == ()
    assert "accessConfig" not in only(plan, CLUSTER).inputs


def test_an_admin_is_an_entry_with_its_policy_below_it_and_after_it() -> None:
    scope = aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster")
    policy = eks.AccessPolicyAssociationArgs(policy_arn=ADMIN, access_scope=scope)
    entries = {"admin": eks.AccessEntryArgs(principal_arn=NODES, access_policies={"all": policy})}
    plan = planned(authentication_mode=eks.AuthenticationMode.API, access_entries=entries)
    entry, association = only(plan, ENTRY), only(plan, ASSOCIATION)

    assert (association.inputs["policyArn"], association.inputs["principalArn"]) == (ADMIN, NODES)
    assert association.inputs["accessScope"] == {"type": "cluster"}
    assert association.parent == entry.urn
    assert plan.reaches(association, entry)
    assert plan.reaches(entry, only(plan, CLUSTER))


def test_an_oidc_provider_is_there_when_it_is_asked_for_and_only_then() -> None:
    plan = planned(create_oidc_provider=True)
    issuer = only(plan, CLUSTER).outputs["identities"][0]["oidcs"][0]["issuer"]

    assert only(plan, OIDC).inputs["url"] == issuer
    assert planned(create_oidc_provider=False).of_type(OIDC) == ()


def test_every_child_hangs_below_the_component_and_comes_after_what_the_component_waits_for() -> None:
    def program() -> None:
        key = aws.kms.Key("first")
        eks.Cluster("c", **PLAIN, opts=pulumi.ResourceOptions(depends_on=[key]))

    plan = record_program(program)
    component, key = only(plan, COMPONENT), only(plan, "aws:kms/key:Key")
    children = list(plan.descendants(component.urn))

    assert len(children) >= 6
    assert [r.name for r in children if not r.inside_component] == []
    assert [r.name for r in children if r.custom and not plan.reaches(r, key)] == []


def test_the_service_role_is_complete_before_the_cluster_and_a_given_one_stands_for_it() -> None:
    def program() -> None:
        eks.Cluster("c", **PLAIN, service_role=aws.iam.Role("own", name="own", assume_role_policy="{}"))

    plan, given = planned(), record_program(program)

    assert plan.reaches(only(plan, CLUSTER), only(plan, "aws:iam/rolePolicyAttachment:RolePolicyAttachment"))
    assert [r.name for r in given.of_type("aws:iam/role:Role")] == ["own"]
    assert only(given, CLUSTER).inputs["roleArn"] == "arn:aws:iam::111122223333:role/own"


def test_the_programs_own_resources_may_use_the_children() -> None:
    plan = planned(then=lambda made: aws.eks.Addon("dns", cluster_name=made.eks_cluster.name, addon_name="coredns"))
    addon = only(plan, "aws:eks/addon:Addon")

    assert addon.inputs["clusterName"] == "shop"
    assert plan.reaches(addon, only(plan, CLUSTER))


def test_at_preview_what_only_aws_can_tell_is_unknown_and_the_children_are_the_same() -> None:
    preview, up = planned(preview=True, create_oidc_provider=True), planned(create_oidc_provider=True)

    assert [r.urn for r in preview] == [r.urn for r in up]
    assert only(preview, CLUSTER).outputs["endpoint"] == UNKNOWN
    assert only(preview, OIDC).inputs["url"] == UNKNOWN
    assert only(preview, CLUSTER).inputs["name"] == "shop"


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        {"name": SENTINEL},
        {"cluster_tags": {"a": SENTINEL}},
        {"public_access_cidrs": [SENTINEL]},
    ],
)
def test_a_secret_argument_is_in_no_child_and_no_output(arguments: dict[str, Any], preview: bool) -> None:
    plan = planned(
        preview=preview,
        create_oidc_provider=True,
        secret=tuple(arguments),
        then=lambda made: pulumi.export("kubeconfig", made.kubeconfig),
        **arguments,
    )

    assert SENTINEL in str([revealed(r.inputs) for r in plan if r.inside_component])
    assert SENTINEL not in json.dumps(as_document(plan))


def test_a_secret_of_one_letter_hides_too_much_rather_than_fail() -> None:
    plan = planned(name="s", secret=("name",))

    assert masked(only(plan, CLUSTER).inputs)["name"] == "[secret]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fargate": True}, "fargate"),
        ({"storage_classes": "gp3"}, "storageClasses"),
        ({"node_user_data": "x", "subnet_ids": ["subnet-1"]}, "nodeUserData, subnetIds"),
        ({"skip_default_node_group": False}, "skipDefaultNodeGroup (must be true)"),
        ({"skip_default_security_groups": False}, "skipDefaultSecurityGroups (must be true)"),
        ({"use_default_vpc_cni": False}, "useDefaultVpcCni (must be true)"),
        ({"kube_proxy_addon_options": {"enabled": True}}, "kubeProxyAddonOptions.enabled (must be false)"),
        ({"coredns_addon_options": {"enabled": True}}, "corednsAddonOptions"),
    ],
)
def test_an_argument_that_the_plan_does_not_know_is_refused_and_never_left_out(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlanError) as refusal:
        planned(**arguments)
    assert f"the plan does not mirror {said}" in str(refusal.value)


MAPPING = {"role_arn": NODES, "username": "u", "groups": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"authentication_mode": "API", "role_mappings": [MAPPING]}, "roleMappings"),
        ({"authentication_mode": "CONFIG_MAP", "access_entries": {"a": {"principal_arn": NODES}}}, "accessEntries"),
        ({"authentication_mode": "NONE"}, "CONFIG_MAP, API_AND_CONFIG_MAP or API"),
        ({"public_access_cidrs": ["198.51.100.0/24"], "endpoint_public_access": False}, "publicAccessCidrs"),
    ],
)
def test_what_the_component_itself_refuses_is_refused_here_too(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        planned(**arguments)
