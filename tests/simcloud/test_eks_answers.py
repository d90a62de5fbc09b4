"""What moto does not know of EKS is answered from the cloud's tables, as boto3 reads it."""

import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.collectors import aws as collectors
from otel_on_spot.doctor.examine import run_check
from otel_on_spot.doctor.facts_aws import Addon, HealthIssue
from otel_on_spot.simcloud.eks_answers import EksAnswers, issuer
from otel_on_spot.simcloud.tables import Tables
from tests.unit.doctor.changes import HEALTHY

CLUSTER = {"name": "one", "arn": "arn:one", "status": "ACTIVE", "resourcesVpcConfig": {"vpcId": "vpc-wrong"}}
ROLE = "arn:aws:iam::123456789012:role/node"


def moto(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [
        json.dumps({"cluster": CLUSTER, "nodegroup": {"nodegroupName": "system"}, "nodegroups": ["system"]}).encode()
    ]


class Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.read()


@pytest.fixture
def eks(tmp_path: Path) -> Any:
    tables = Tables(tmp_path / "tables.sqlite")
    tables.put(
        "clusters",
        "one",
        {"vpc": "vpc-1", "region": "eu-west-1", "inputs": {"accessConfig": {"authenticationMode": "API"}}, "tags": {}},
    )
    tables.put("addons", "one/coredns", {"status": "ACTIVE", "tags": {}})
    tables.put("access-entries", f"one/{ROLE}", {"type": "EC2_LINUX", "roleId": "AROA", "createdAt": time.time()})
    tables.put("pod-identities", "one/kube-system/karpenter", {"id": "a-1", "roleArn": ROLE})
    tables.put("pod-identities", "one/shop/web", {"id": "a-2", "roleArn": ROLE})
    app = EksAnswers(moto, tmp_path / "tables.sqlite")

    def send(request: Any, **_: Any) -> AWSResponse:
        path, _, query = request.url.partition("amazonaws.com")[2].partition("?")
        told: list[Any] = []
        sent = request.body or b""
        environ = {"REQUEST_METHOD": request.method, "PATH_INFO": unquote(path), "QUERY_STRING": query}
        environ |= {
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(sent)),
            "wsgi.input": io.BytesIO(sent),
        }
        body = b"".join(app(environ, lambda *status: told.extend(status)))
        return AWSResponse(request.url, int(told[0].split()[0]), dict(told[1]), Raw(body))

    client = boto3.client("eks", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    client.meta.events.register("before-send.eks", send)
    return client


def test_a_cluster_has_its_vpc_its_authentication_mode_and_its_issuer(eks: Any) -> None:
    found = eks.describe_cluster(name="one")["cluster"]
    assert found["resourcesVpcConfig"]["vpcId"] == "vpc-1"
    assert found["accessConfig"] == {"authenticationMode": "API"}
    assert found["identity"]["oidc"]["issuer"] == issuer("eu-west-1", "one")


def test_addons_access_entries_and_associations_are_listed_and_described(eks: Any) -> None:
    assert eks.list_addons(clusterName="one")["addons"] == ["coredns"]
    assert eks.describe_addon(clusterName="one", addonName="coredns")["addon"]["status"] == "ACTIVE"
    assert eks.list_access_entries(clusterName="one")["accessEntries"] == [ROLE]
    entry = eks.describe_access_entry(clusterName="one", principalArn=ROLE)["accessEntry"]
    assert entry["type"] == "EC2_LINUX"
    assert abs(entry["createdAt"].timestamp() - time.time()) < 60
    listed = eks.list_pod_identity_associations(clusterName="one", namespace="kube-system", serviceAccount="karpenter")
    assert [association["associationId"] for association in listed["associations"]] == ["a-1"]
    whole = eks.describe_pod_identity_association(clusterName="one", associationId="a-1")["association"]
    assert (whole["serviceAccount"], whole["roleArn"]) == ("karpenter", ROLE)


def test_what_is_not_there_is_refused_as_eks_does(eks: Any) -> None:
    for ask in (
        lambda: eks.describe_addon(clusterName="one", addonName="none"),
        lambda: eks.describe_access_entry(clusterName="one", principalArn="arn:none"),
        lambda: eks.describe_pod_identity_association(clusterName="one", associationId="a-9"),
    ):
        with pytest.raises(ClientError) as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_the_doctor_reads_the_insights_that_do_not_pass(eks: Any, tmp_path: Path) -> None:
    declared = replace(HEALTHY.declared, cluster="one")
    assert collectors.insights(eks, declared) == ()
    tables = Tables(tmp_path / "tables.sqlite")
    for number, status in enumerate(("PASSING", "ERROR", "WARNING")):
        told = {"status": status, "reason": f"is {status}"}
        tables.put("insights", f"one/{number}", {"name": "n", "category": "MISCONFIGURATION", "insightStatus": told})
    tables.put("insights", "other/9", {"name": "n", "insightStatus": {"status": "ERROR"}})
    found = collectors.insights(eks, declared)
    assert [(insight.id, insight.status, insight.reason) for insight in found] == [
        ("1", "ERROR", "is ERROR"),
        ("2", "WARNING", "is WARNING"),
    ]


def test_the_doctor_reads_health_versions_and_the_ends_of_support(eks: Any, tmp_path: Path) -> None:
    declared, tables = replace(HEALTHY.declared, cluster="one"), Tables(tmp_path / "tables.sqlite")
    issue = {"code": "InsufficientFreeAddresses", "message": "no room", "resourceIds": ["subnet-1"]}
    tables.put("clusters", "one", {**(tables.get("clusters", "one") or {}), "issues": [issue]})
    row = {"status": "DEGRADED", "tags": {}, "inputs": {"addonVersion": "v1.13.2-eksbuild.4"}, "issues": [issue]}
    tables.put("addons", "one/coredns", row)
    (cluster,) = collectors.clusters(eks, declared)
    known = (HealthIssue(code="InsufficientFreeAddresses", message="no room", resources=("subnet-1",)),)
    assert (cluster.issues, cluster.support_type) == (known, "EXTENDED")

    gathered: Any = SimpleNamespace(wait={"clusters": (replace(cluster, version="1.35"),)}.get)
    expected = Addon(name="coredns", version="v1.13.2-eksbuild.4", status="DEGRADED", issues=known)
    assert collectors.addons(eks, declared) == (expected,)
    (minor,) = collectors.kubernetes_versions(eks, gathered)
    assert (minor.version, f"{minor.standard_until:%Y-%m-%d}") == ("1.35", "2027-03-27")

    facts = replace(HEALTHY, clusters=(cluster,), addons=(expected,))
    found = {check.id: run_check(facts, check).findings for check in CHECKS if check.id in ("cluster", "add-ons")}
    assert ["InsufficientFreeAddresses: no room (subnet-1)" in told[0].seen for told in found.values()] == [True, True]


def test_the_doctor_tells_a_known_bad_add_on_an_ill_node_group_and_the_end_of_support(eks: Any, tmp_path: Path) -> None:
    declared, tables = replace(HEALTHY.declared, cluster="one"), Tables(tmp_path / "tables.sqlite")
    bad = {"status": "ACTIVE", "tags": {}, "inputs": {"addonVersion": "v1.21.1-eksbuild.8"}}
    tables.put("addons", "one/vpc-cni", bad)
    issue = {"code": "AsgInstanceLaunchFailures", "message": "no capacity", "resourceIds": ["asg-1"]}
    inputs = {
        "clusterName": "one",
        "nodeGroupName": "system",
        "scalingConfig": {},
        "subnetIds": [],
        "nodeRoleArn": ROLE,
    }
    row = {"inputs": inputs, "tags": {}, "release": "1.35.8-20260930", "status": "DEGRADED", "issues": [issue]}
    tables.put("node-groups", "one/system", row)
    (cluster,) = (replace(one, version="1.34") for one in collectors.clusters(eks, declared))
    gathered: Any = SimpleNamespace(wait={"clusters": (cluster,)}.get)
    facts = replace(
        HEALTHY,
        taken_at=datetime(2026, 11, 26, tzinfo=UTC),
        clusters=(cluster,),
        addons=collectors.addons(eks, declared),
        node_groups=collectors.node_groups(eks, declared),
        kubernetes_versions=collectors.kubernetes_versions(eks, gathered),
    )
    told = {
        check.id: [finding.seen for finding in run_check(facts, check).findings]
        for check in CHECKS
        if check.id in ("add-ons", "node-groups", "kubernetes-support")
    }
    assert [text.partition(" (")[0] for text in told["add-ons"]] == [
        "v1.21.1-eksbuild.8 is older than 1.21.2: pods that no policy selects lose all traffic on a node whose agent "
        "started before kube-proxy was ready"
    ]
    assert told["node-groups"] == ["status DEGRADED: AsgInstanceLaunchFailures: no capacity (asg-1)"]
    (support,) = told["kubernetes-support"]
    assert support.startswith("standard support ends on 2026-12-02, in 6 d")
    assert "$0.60 an hour in place of $0.10" in support
