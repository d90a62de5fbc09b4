"""Facts are read from the answers of AWS and Kubernetes by path, and from recorded facts by name."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from otel_on_spot.doctor.fact import parse, parse_all
from otel_on_spot.doctor.facts import Facts, dump, load
from otel_on_spot.doctor.facts_aws import Instance, Located, Queue, Role
from otel_on_spot.doctor.facts_kubernetes import (
    Application,
    Budget,
    Condition,
    Controller,
    DrillLease,
    Node,
    NodeClaim,
    NodePool,
    PersistentVolume,
    Pod,
    PoolBudget,
    Project,
    SyncWindow,
)
from tests.unit.doctor.changes import HEALTHY

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = "2026-11-23T12:00:00Z"
READY = {"type": "Ready", "status": "True", "lastTransitionTime": TEXT}


def kubernetes(spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "namespace": "b", **metadata}, "spec": spec, "status": status}


def described(state: str = "running", **more: Any) -> dict[str, Any]:
    """An instance as EC2 tells it."""
    return {"InstanceId": "i-1", "State": {"Name": state}, "LaunchTime": "2026-11-26T03:41:55Z", **more}


ENDED = parse(Instance, described("terminated", StateTransitionReason="User initiated (2026-11-26 03:44:06 GMT)"))


@pytest.mark.parametrize("facts", [HEALTHY, replace(HEALTHY, instances=(ENDED,))], ids=["healthy", "a termination"])
def test_recorded_facts_are_read_as_they_were_written(facts: Facts, tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(dump(facts))
    assert load(file) == facts


def test_a_null_counts_as_absent() -> None:
    node = parse(Node, kubernetes(spec={"providerID": None}, status=None, labels=None))
    assert node == Node(name="a", instance_id="", labels={}, ready=False)


def test_what_the_api_always_gives_must_be_there() -> None:
    with pytest.raises(ValidationError, match=r"metadata\.name"):
        parse(Node, {"metadata": {}})


@pytest.mark.parametrize(
    ("provider", "found"), [("aws:///eu-west-1a/i-0123", "i-0123"), ("kwok://node-1", ""), ("i-0123", "i-0123")]
)
def test_an_instance_id_comes_out_of_the_provider_id_of_aws_alone(provider: str, found: str) -> None:
    node = parse(Node, kubernetes(spec={"providerID": provider}, status={"conditions": [READY]}))
    assert (node.instance_id, node.ready, node.since) == (found, True, NOON)


def test_a_pod_tells_its_owner_claims_and_what_keeps_it_from_nodes() -> None:
    terms = [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    volumes = [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"nodeName": "n", "volumes": volumes, "nodeSelector": {"x": "y"}, "affinity": {"nodeAffinity": required}}
    owner = {"kind": "StatefulSet", "name": "db", "controller": True}
    pod = parse(Pod, kubernetes(spec=spec, status={"phase": "Running"}, ownerReferences=[owner]))
    expected = Pod(
        namespace="b",
        name="a",
        node="n",
        phase="Running",
        owner=("StatefulSet", "db"),
        claims=("data",),
        selector={"x": "y"},
        required=tuple(terms),
    )
    assert pod == expected
    assert parse(Pod, kubernetes(spec={}, status={})).owner == ("Pod", "a")


def test_a_budget_is_written_in_numbers_or_shares() -> None:
    status = {"expectedPods": 2, "disruptionsAllowed": 1, "conditions": [{**READY, "type": "DisruptionAllowed"}]}
    budget = parse(Budget, kubernetes(spec={"maxUnavailable": 1}, status=status))
    assert (budget.max_unavailable, budget.min_available, budget.allowed_since) == ("1", "", NOON)
    assert parse(Budget, kubernetes(spec={"minAvailable": "50%"})).min_available == "50%"


@pytest.mark.parametrize(
    ("hooks", "seconds"),
    [
        ([{}], 0),
        ([{"preStop": {"sleep": {"seconds": 10}}}], 10),
        ([{}, {"preStop": {"exec": {"command": ["/bin/sh", "-c", "sleep 15; nginx -s quit"]}}}], 15),
        ([{"preStop": {"exec": {"command": ["sleep", "20"]}}}, {"preStop": {"sleep": {"seconds": 5}}}], 20),
        ([{"preStop": {"httpGet": {"path": "/quit", "port": 80}}}], 0),
        ([{"preStop": {"exec": {"command": ["/app/sleepless", "30"]}}}], 0),
    ],
)
def test_a_pod_tells_how_it_ends_and_whether_it_is_ready(hooks: list[dict[str, Any]], seconds: int) -> None:
    containers = [{"name": str(index), "lifecycle": hook} for index, hook in enumerate(hooks)]
    spec = {"containers": containers, "terminationGracePeriodSeconds": 45}
    pod = parse(Pod, kubernetes(spec=spec, status={"conditions": [READY]}, labels={"app": "web"}))

    assert (pod.pre_stop_seconds, pod.grace_seconds, pod.ready) == (seconds, 45, True)
    assert pod.labels == {"app": "web"}
    assert parse(Pod, kubernetes(spec={"containers": []})).grace_seconds == 30


def test_a_controller_tells_plain_values_of_its_environment_alone() -> None:
    container = {"image": "k:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}]}
    spec = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    found = parse(Controller, kubernetes(spec=spec, labels={"app.kubernetes.io/version": "1.14.3"}))
    assert (found.environment, found.service_account, found.available) == ({"A": "1"}, "default", 0)
    assert found.version_label == "1.14.3"


def test_quantities_stay_texts_and_capacity_types_come_out_of_the_requirements() -> None:
    requirements = [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]
    spec = {"limits": {"cpu": 32}, "template": {"spec": {"requirements": requirements}}}
    pool = parse(NodePool, kubernetes(spec=spec, status={"resources": {"cpu": "4"}, "conditions": [READY]}))
    assert (pool.limits, pool.used, pool.capacity_types) == ({"cpu": "32"}, {"cpu": "4"}, ("spot",))
    assert pool.conditions == (Condition(type="Ready", status="True", since=NOON),)


def test_a_pool_tells_its_budgets_with_their_windows() -> None:
    written = [{"nodes": "0", "schedule": "30 10 * * 1-7", "duration": "8h", "reasons": ["Drifted"]}, {"nodes": "10%"}]
    pool = parse(NodePool, kubernetes(spec={"disruption": {"budgets": written}}))
    assert pool.budgets == (
        PoolBudget(nodes="0", reasons=("Drifted",), schedule="30 10 * * 1-7", duration="8h"),
        PoolBudget(nodes="10%"),
    )


def test_a_project_tells_its_sync_windows_of_every_kind() -> None:
    allow = {
        "kind": "allow",
        "schedule": "0 2 * * *",
        "duration": "1h",
        "timeZone": "Europe/Berlin",
        "namespaces": ["otel-*"],
        "clusters": ["in-cluster"],
        "manualSync": True,
        "andOperator": True,
    }
    deny = {"kind": "deny", "schedule": "0 12 * * *", "duration": "2h", "applications": ["*"], "description": "sale"}
    assert parse(Project, kubernetes(spec={"syncWindows": [allow, deny]})).windows == (
        SyncWindow(
            kind="allow",
            schedule="0 2 * * *",
            duration="1h",
            zone="Europe/Berlin",
            namespaces=("otel-*",),
            clusters=("in-cluster",),
            manual_sync=True,
            all_must_match=True,
        ),
        SyncWindow(kind="deny", schedule="0 12 * * *", duration="2h", applications=("*",), description="sale"),
    )


def test_a_node_claim_tells_when_its_deletion_was_asked_for() -> None:
    labels = {"karpenter.sh/nodepool": "spot"}
    claim = parse(NodeClaim, kubernetes(labels=labels, creationTimestamp=TEXT, deletionTimestamp=TEXT))
    assert (claim.pool, claim.instance_id, claim.created_at, claim.deleted_at) == ("spot", "", NOON, NOON)


@pytest.mark.parametrize(
    ("policy", "automated"),
    [
        ({"automated": {}}, True),
        ({"automated": {"enabled": False}}, False),
        ({"automated": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_automatic_sync_is_on_where_it_is_written_and_not_switched_off(policy: Any, automated: bool) -> None:
    assert parse(Application, kubernetes(spec={"project": "p", "syncPolicy": policy})).automated is automated


def test_an_application_names_its_errors_and_the_first_objects_out_of_sync() -> None:
    resources = [{"kind": "Deployment", "name": f"d{number}", "status": "OutOfSync"} for number in range(7)]
    conditions = [{"type": "ComparisonError", "message": "no"}, {"type": "OrphanedResourceWarning"}]
    status = {"resources": resources, "conditions": conditions, "operationState": {"message": "x" * 500}}
    found = parse(Application, kubernetes(spec={"project": "p"}, status=status))
    assert found.problems == ("ComparisonError: no",)
    assert found.out_of_sync == tuple(f"Deployment/d{number}" for number in range(5))
    assert len(found.operation_message) == 300


def test_a_lease_that_was_never_renewed_was_renewed_when_it_was_made() -> None:
    found = parse(DrillLease, kubernetes(spec={"holderIdentity": "ada"}, creationTimestamp=TEXT))
    assert (found.renewed_at, found.holder, found.drill, found.seconds) == (NOON, "ada", "?", 15)


@pytest.mark.parametrize(
    ("spec", "volume"),
    [
        ({"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}, "vol-1"),
        ({"csi": {"driver": "efs.csi.aws.com", "volumeHandle": "fs-1"}}, ""),
        ({"awsElasticBlockStore": {"volumeID": "aws://eu-west-1a/vol-2"}}, "vol-2"),
    ],
)
def test_a_volume_is_the_one_of_ebs(spec: dict[str, Any], volume: str) -> None:
    assert parse(PersistentVolume, kubernetes(spec=spec)).volume_id == volume


def test_an_instance_tells_whether_it_is_spot() -> None:
    tags = [{"Key": "a", "Value": "b"}]
    found = parse_all(Instance, [described(Tags=tags), described(InstanceLifecycle="spot")])
    assert [entry.spot for entry in found] == [False, True]
    assert found[0].tags == {"a": "b"}


def test_an_instance_that_died_at_launch_tells_why() -> None:
    reason = {"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}
    found = parse(Instance, described("terminated", StateReason=reason))
    assert (found.state, found.reason_code, found.reason) == ("terminated", reason["Code"], reason["Message"])


def test_a_subnet_is_named_by_its_tag_and_a_group_by_itself() -> None:
    tags = [{"Key": "Name", "Value": "private-a"}]
    assert parse(Located, {"SubnetId": "s", "VpcId": "v", "Tags": tags}).name == "private-a"
    assert parse(Located, {"GroupId": "g", "VpcId": "v", "GroupName": "nodes", "Tags": tags}).name == "nodes"


@pytest.mark.parametrize("document", [{"Statement": []}, '{"Statement": []}', "%7B%22Statement%22%3A%20%5B%5D%7D"])
def test_a_policy_document_comes_decoded_as_text_or_url_encoded(document: Any) -> None:
    described = {"RoleName": "r", "Arn": "a", "RoleId": "i", "CreateDate": NOON, "AssumeRolePolicyDocument": document}
    found = parse(Role, {**described, "policies": {"managed": None, "own": document}})
    assert found.trust == {"Statement": []}
    assert found.policies == {"managed": None, "own": {"Statement": []}}


def test_a_queues_attributes_are_texts() -> None:
    found = parse(Queue, {"name": "q", "QueueArn": "a", "MessageRetentionPeriod": "300", "waiting": [0]})
    assert (found.retention_seconds, found.policy, found.waiting) == (300, {}, (0,))


@pytest.mark.parametrize(("annotation", "protected"), [(None, False), ("true", True), ("false", False), ("4h", True)])
def test_what_karpenter_is_told_not_to_disrupt(annotation: str | None, protected: bool) -> None:
    notes = {"karpenter.sh/do-not-disrupt": annotation} if annotation else None
    node = parse(Node, {"metadata": {"name": "n", "annotations": notes}})
    assert node.protected is protected


def test_a_sidecars_probe_counts() -> None:
    def unprobed(*containers: dict[str, Any]) -> bool:
        metadata = {"namespace": "d", "name": "p"}
        return parse(Pod, {"metadata": metadata, "spec": {"containers": list(containers)}}).unprobed

    probe = {"readinessProbe": {"httpGet": {"port": 80}}}
    assert [unprobed({}, {}), unprobed({}, probe), unprobed(probe)] == [True, False, False]


def test_a_sync_that_is_tried_again_says_what_it_tries_and_what_is_declared() -> None:
    source = {"source": {"targetRevision": "0123abc"}}
    state = {"phase": "Running", "retryCount": 2, "operation": {"sync": source}}
    spec = {"project": "p", "source": {"targetRevision": "0456def"}}
    found = parse(Application, kubernetes(spec=spec, status={"operationState": state}))

    assert (found.failed_tries, found.tried_revision, found.wanted_revision) == (2, "0123abc", "0456def")
