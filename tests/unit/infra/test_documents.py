"""IAM documents: what AWS's own grammar and actions allow, under AWS's size limit, and no wider than they must be."""

import json
import re
from typing import Any

import parliament
import pytest

from infra import documents
from infra.documents import Scope, compact
from infra.karpenter.controller_role import GROUPS, controller_policies
from otel_on_spot.iam import allows
from otel_on_spot.program.values import revealed
from tests.unit.conftest import STACKS, recorded

LONGEST = Scope(cluster="c" * 40, region="ap-southeast-7", partition="aws-us-gov", account_id="111122223333")
NODE_ROLE = f"arn:{LONGEST.partition}:iam::{LONGEST.account_id}:role/{LONGEST.cluster}-karpenter-node"
QUEUE = f"arn:{LONGEST.partition}:sqs:{LONGEST.region}:{LONGEST.account_id}:{LONGEST.cluster}-interruption"
CONTROLLER = controller_policies(LONGEST, NODE_ROLE, QUEUE)

READ_ONLY_ON_EVERYTHING = {
    "AllowRegionalReadActions",
    "AllowPricingReadActions",
    "AllowUnscopedInstanceProfileListAction",
}
"""Statements whose actions AWS cannot scope to a resource."""


SPLIT_OVER_STATEMENTS = {
    "AllowScopedEC2InstanceAccessActions",
    "AllowScopedEC2LaunchTemplateAccessActions",
    "AllowScopedEC2InstanceActionsWithTags",
    "AllowSSMReadActions",
}
"""Statements that give an action only some of the resource types that it needs (another gives the rest), or a public
parameter, whose ARN has no account: what parliament calls a mismatch, and what Karpenter's template does on purpose."""


def findings(document: documents.Document) -> list[str]:
    """What parliament says of the document, but for stars on actions that AWS cannot scope and for split statements."""
    found = []
    for statement in document["Statement"]:
        accepted = {"RESOURCE_STAR"} | (
            {"RESOURCE_MISMATCH"} if statement.get("Sid") in SPLIT_OVER_STATEMENTS else set()
        )
        policy = parliament.analyze_policy_string(json.dumps(documents.document(statement)))
        found += [f"{finding.issue}: {finding.detail}" for finding in policy.findings if finding.issue not in accepted]
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_parliament_finds_nothing_wrong_with_a_controller_policy(group: str) -> None:
    assert findings(CONTROLLER[group]) == []


def test_parliament_finds_nothing_wrong_with_the_flow_log_policy() -> None:
    assert (
        findings(documents.flow_log_policy("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vpc/x/flow-logs")) == []
    )


@pytest.mark.parametrize(
    ("group", "right", "wrong"),
    [
        ("interruption", "ReceiveMessage", "RecieveMessage"),
        ("eks-integration", ":cluster/", ":clusters/"),
        ("node-lifecycle", "ec2:CreateAction", "ec2:CreationAction"),
    ],
)
def test_parliament_would_find_a_slip(group: str, right: str, wrong: str) -> None:
    text = json.dumps(CONTROLLER[group])

    assert right in text
    assert findings(json.loads(text.replace(right, wrong))) != []


@pytest.mark.parametrize("stack", STACKS)
def test_parliament_finds_nothing_wrong_with_any_document_of_a_whole_stack(stack: str) -> None:
    held = [
        (r.name, json.loads(revealed(r.inputs["policy"])))
        for r in recorded(stack)
        if r.type in ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy")
    ]

    assert len(held) >= 5
    assert [(name, findings(document)) for name, document in held if findings(document)] == []


@pytest.mark.parametrize("group", GROUPS)
def test_a_controller_policy_fits_with_the_longest_names(group: str) -> None:
    assert len(compact(CONTROLLER[group])) <= documents.POLICY_SIZE_LIMIT


def test_the_controller_has_the_statements_of_karpenters_own_template_that_the_program_uses() -> None:
    """Source: https://karpenter.sh/v1.14/reference/cloudformation/"""
    assert {group: [statement["Sid"] for statement in policy["Statement"]] for group, policy in CONTROLLER.items()} == {
        "node-lifecycle": [
            "AllowScopedEC2InstanceAccessActions",
            "AllowScopedEC2LaunchTemplateAccessActions",
            "AllowScopedEC2InstanceActionsWithTags",
            "AllowScopedResourceCreationTagging",
            "AllowScopedResourceTagging",
            "AllowScopedDeletion",
        ],
        "iam-integration": ["AllowPassingInstanceRole"],
        "eks-integration": ["AllowAPIServerEndpointDiscovery"],
        "interruption": ["AllowInterruptionQueueActions"],
        "resource-discovery": [
            "AllowRegionalReadActions",
            "AllowSSMReadActions",
            "AllowPricingReadActions",
            "AllowUnscopedInstanceProfileListAction",
            "AllowInstanceProfileReadActions",
        ],
    }


@pytest.mark.parametrize("stack", STACKS)
def test_the_controller_may_neither_write_instance_profiles_nor_read_zonal_shifts_as_it_uses_neither(
    stack: str,
) -> None:
    plan = recorded(stack)
    (node_class,) = plan.of_type("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
    (chart,) = [r for r in plan.of_type("kubernetes:helm.sh/v3:Release") if r.inputs["name"] == "karpenter"]
    held = [json.loads(r.inputs["policy"]) for r in plan.of_type("aws:iam/policy:Policy")]

    assert node_class.inputs["spec"]["instanceProfile"]
    assert "role" not in node_class.inputs["spec"]
    assert "enableZonalShift" not in chart.inputs["values"]["settings"]
    assert allows(held, "iam:GetInstanceProfile")
    unused = ("Create", "Tag", "Delete", "AddRoleTo", "RemoveRoleFrom")
    given = [f"iam:{verb}InstanceProfile" for verb in unused if allows(held, f"iam:{verb}InstanceProfile")]
    assert [*given, *(["zonal shift"] if allows(held, "arc-zonal-shift:GetManagedResource") else [])] == []


def statements() -> list[dict[str, Any]]:
    return [statement for policy in CONTROLLER.values() for statement in policy["Statement"]]


def test_only_what_aws_cannot_scope_applies_to_everything() -> None:
    assert {
        s["Sid"] for s in statements() if "*" in s["Resource"] and s["Resource"] in ("*", ["*"])
    } == READ_ONLY_ON_EVERYTHING


def test_no_action_has_a_star() -> None:
    actions = [
        action for s in statements() for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    ]

    assert [action for action in actions if "*" in action] == []


def test_only_the_node_role_can_be_passed() -> None:
    passing = [s for s in statements() if "iam:PassRole" in s["Action"]]

    assert [s["Resource"] for s in passing] == [NODE_ROLE]


def test_every_launch_and_every_deletion_is_bound_to_the_clusters_tags() -> None:
    free = {"AllowScopedEC2InstanceAccessActions"}  # images, subnets and groups carry no tag of the cluster
    writing = [s for s in CONTROLLER["node-lifecycle"]["Statement"] if s["Sid"] not in free]

    assert all(f"kubernetes.io/cluster/{LONGEST.cluster}" in json.dumps(s["Condition"]) for s in writing)


def test_the_queue_takes_messages_from_this_stacks_rules_only_and_over_tls_only() -> None:
    rules = ["arn:aws:events:eu-west-1:111122223333:rule/b", "arn:aws:events:eu-west-1:111122223333:rule/a"]
    allow, deny = documents.queue_policy("arn:aws:sqs:eu-west-1:111122223333:q", rules)["Statement"]

    assert (allow["Effect"], allow["Action"]) == ("Allow", "sqs:SendMessage")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": sorted(rules)}}
    assert (deny["Effect"], deny["Principal"], deny["Condition"]) == (
        "Deny",
        "*",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_irsa_trusts_one_service_account_whether_or_not_the_issuer_has_its_scheme() -> None:
    arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X"
    plain, with_scheme = (
        documents.irsa_trust(arn, issuer, "kube-system", "karpenter")
        for issuer in ("oidc.eks.eu-west-1.amazonaws.com/id/X", "https://oidc.eks.eu-west-1.amazonaws.com/id/X")
    )

    assert plain == with_scheme
    assert (
        plain["Statement"][0]["Condition"]["StringEquals"]["oidc.eks.eu-west-1.amazonaws.com/id/X:sub"]
        == "system:serviceaccount:kube-system:karpenter"
    )


def test_account_ids_stand_nowhere_but_where_they_are_given() -> None:
    assert set(re.findall(r"\d{12}", json.dumps(CONTROLLER))) == {LONGEST.account_id}
