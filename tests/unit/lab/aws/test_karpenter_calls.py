"""Karpenter's calls over a node's life: each statement of its policies, and each condition in it, is needed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.documents import Scope
from infra.karpenter.controller_role import controller_policies
from otel_on_spot.doctor.denied_calls import explain
from otel_on_spot.errors import ToolError
from otel_on_spot.iam import messages
from otel_on_spot.iam.conditions import listed
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Document
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.nodes.identity import BootstrapRefusedError, Identities
from tests.unit.lab.aws.conftest import REGION, role, session_of

ACCOUNT = "123456789012"
CLUSTER = "otel-lab"
NODE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/{CLUSTER}-karpenter-node"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{CLUSTER}-interruption"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{CLUSTER}-karpenter-controller"
RECORDED = Path(__file__).with_name("karpenter_calls.json")
"""One of each kind of call that Karpenter made in a lab, as ``/lab/calls`` told it."""


def policies() -> dict[str, Any]:
    scope = Scope(cluster=CLUSTER, region=REGION, partition="aws", account_id=ACCOUNT)
    return copy.deepcopy(controller_policies(scope, NODE_ROLE, QUEUE))


def request_of(row: dict[str, Any]) -> Request:
    resources = tuple(Resource(**each) for each in row["resources"])
    return Request(action=row["action"], resources=resources, keys=row["keys"])


def recorded() -> list[Request]:
    return [request_of(row) for row in json.loads(RECORDED.read_text())]


PROFILE = Resource(arn=f"arn:aws:iam::{ACCOUNT}:instance-profile/{CLUSTER}-karpenter-node", kind="instance-profile")
OTHERS = [
    Request(action="ec2:DescribeCapacityReservations", keys={"aws:RequestedRegion": REGION}),
    Request(action="ec2:DescribePlacementGroups", keys={"aws:RequestedRegion": REGION}),
    Request(action="iam:GetInstanceProfile", resources=(PROFILE,)),
    Request(action="iam:ListInstanceProfiles"),
    Request(action="pricing:GetProducts"),
]
"""Calls for which the recorded minutes had no occasion."""


def refused(told: dict[str, Any], requests: list[Request]) -> list[str]:
    """The actions that a controller with these policies is refused."""
    documents: tuple[Document, ...] = tuple(told.values())
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE.rpartition('/')[2]}/s"
    caller = Caller(arn=session, role=ROLE, identity=documents)
    return [request.action for request in requests if not decide(request, caller)]


def faults() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement removed; every action, resource, condition key and condition value of it misspelt, one a time."""
    for group, document in policies().items():
        for number, statement in enumerate(document["Statement"]):
            where = statement["Sid"]

            def broken(group: str = group, number: int = number) -> tuple[dict[str, Any], dict[str, Any]]:
                told = policies()
                return told, told[group]["Statement"][number]

            told, _ = broken()
            del told[group]["Statement"][number]
            yield f"{where} removed", told
            for action in listed(statement["Action"]):
                told, one = broken()
                one["Action"] = [each for each in listed(one["Action"]) if each != action] + [f"{action}s"]
                yield f"{where}: {action} misspelt", told
            for resource in listed(statement["Resource"]):
                if resource != "*":
                    told, one = broken()
                    others = [each for each in listed(one["Resource"]) if each != resource]
                    one["Resource"] = [*others, resource.replace("arn:aws:", "arn:aws:x", 1)]
                    yield f"{where}: {resource} misspelt", told
            for operator, keys in statement.get("Condition", {}).items():
                for key, value in keys.items():
                    if operator.startswith("ForAllValues") or operator.endswith("IfExists"):
                        continue
                    told, one = broken()
                    one["Condition"][operator] = {
                        (f"{name}x" if name == key else name): wanted for name, wanted in keys.items()
                    }
                    yield f"{where}: {key} misspelt", told
                    if value != "*":
                        told, one = broken()
                        one["Condition"][operator][key] = "elsewhere"
                        yield f"{where}: value of {key} misspelt", told


SPARE = ("snapshot/*", "capacity-reservation/*", "placement-group/*", "spot-instances-request/*")
"""What Karpenter's template has for launches that this program does not make, or that AWS does not ask about there."""


def test_the_programs_policies_allow_everything_that_karpenter_asks() -> None:
    assert refused(policies(), [*recorded(), *OTHERS]) == []
    assert len({request.action for request in recorded()}) >= 20


def test_every_statement_and_every_condition_in_it_is_needed() -> None:
    requests = [*recorded(), *OTHERS]
    seeded = list(faults())
    unseen = [name for name, told in seeded if not refused(told, requests)]
    assert len(seeded) >= 60
    assert [name for name in unseen if not any(spare in name for spare in SPARE)] == []
    assert len(unseen) == len(SPARE)


def test_the_statement_that_fewest_conditions_kept_from_it_is_the_one_that_a_refused_call_missed() -> None:
    tags = {"aws:RequestTag/karpenter.sh/nodeclaim": "spot-1", "aws:TagKeys": ["karpenter.sh/nodeclaim"]}
    held = {f"aws:ResourceTag/kubernetes.io/cluster/{CLUSTER}": "owned"}
    instance = Resource(arn=f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0", kind="instance", keys=held)
    request = Request(action="ec2:CreateTags", resources=(instance,), keys=tags)
    decision = decide(request, Caller(arn=ROLE, role=ROLE, identity=tuple(policies().values())))

    assert not decision
    assert decision.statement is not None
    assert decision.statement["Sid"] == "AllowScopedResourceTagging"
    assert decision.unmet.startswith("StringLike aws:ResourceTag/karpenter.sh/nodepool: *; the request has nothing")


# Said to people


def test_doctor_says_which_statement_a_refused_call_missed_and_why(aws: Endpoint) -> None:
    told = policies()
    lifecycle = told["node-lifecycle"]["Statement"]
    arn = role(aws, "missed", {"Version": "2012-10-17", "Statement": []})
    iam = aws.client("iam")
    iam.put_role_policy(
        RoleName="missed",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": lifecycle}),
    )
    ec2 = session_of(aws, arn).client("ec2", endpoint_url=aws.url)
    with pytest.raises(ClientError) as caught:
        ec2.terminate_instances(InstanceIds=["i-0123456789abcdef0"])
    with pytest.raises(ClientError) as other:
        ec2.describe_vpcs()
    lines = explain(str(caught.value), aws.client("sts"), iam)
    logged = json.dumps({"error": f"creating instance, {caught.value}", "reconcileID": "1"})
    assert explain(logged, aws.client("sts"), iam) == lines
    assert lines[0] == f"arn:aws:sts::{ACCOUNT}:assumed-role/missed/test"
    assert lines[1].startswith("asked for ec2:TerminateInstances on arn:aws:ec2:eu-west-1:123456789012:instance/i-0")
    assert lines[2] == (
        "and AllowScopedDeletion of its identity-based policy would allow it, but for StringEquals "
        "aws:ResourceTag/kubernetes.io/cluster/otel-lab: owned; the request has nothing"
    )
    assert explain(str(other.value), aws.client("sts"), iam)[2].startswith("and no statement of its identity")
    iam.put_role_policy(RoleName="missed", PolicyName="q", PolicyDocument=json.dumps(ALL))
    assert "may do now" in explain(str(caught.value), aws.client("sts"), iam)[2]
    for text, why in (
        (f"x {messages.ENCODED}abc...", "cut off"),
        ("", "empty"),
        ("an error", "no encoded message"),
    ):
        with pytest.raises(ToolError, match=why):
            explain(text, aws.client("sts"), iam)


ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def test_a_node_whose_role_may_not_describe_its_instance_does_not_bootstrap(aws: Endpoint) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = role(aws, "bootstraps", {"Version": "2012-10-17", "Statement": [trust]})
    iam, worker = aws.client("iam"), "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    with pytest.raises(BootstrapRefusedError, match="not authorized to perform: ec2:DescribeInstances"):
        Identities(aws, CLUSTER).token("i-0123456789abcdef0", arn)
    iam.attach_role_policy(RoleName="bootstraps", PolicyArn=worker)
    assert Identities(aws, CLUSTER).token("i-0123456789abcdef0", arn).startswith("k8s-aws-v1.")
