"""Reads of AWS and the Kubernetes API: in pages, each kind once; a refusal costs its own group only."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from kubernetes import client

from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.collectors import aws, everything, kubernetes
from otel_on_spot.doctor.collectors.gathering import Gathered, gather
from otel_on_spot.doctor.collectors.kubernetes import SharedLists
from otel_on_spot.doctor.examine import examine
from otel_on_spot.doctor.fact import parse
from otel_on_spot.doctor.facts import AWS_GROUPS, KUBERNETES_GROUPS
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import Pod
from otel_on_spot.failures import UnreachableError
from otel_on_spot.kubernetes.client import PAGE, Api
from otel_on_spot.kubernetes.names import PERSISTENT_VOLUME
from otel_on_spot.target import Target
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.kubernetes_front import KubernetesFront

EBS = {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}


def thing(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **more.pop("metadata", {})}, **more}


def application(name: str, sync: str) -> dict[str, Any]:
    automated = {"project": "platform", "syncPolicy": {"automated": {}}}
    resources = [{"kind": "Deployment", "name": "frontend", "status": sync}]
    status = {"sync": {"status": sync}, "health": {"status": "Healthy"}, "resources": resources}
    metadata = {"namespace": "argocd"}
    return thing("Application", name, "argoproj.io/v1alpha1", metadata=metadata, spec=automated, status=status)


def webhook(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "clientConfig": {"service": {"namespace": "policy", "name": name}}, **values}


def test_webhooks_that_refuse_are_read_with_the_ready_endpoints_of_their_services(front: KubernetesFront) -> None:
    in_policy = {"namespace": "policy"}
    changed = "2026-11-23T12:00:00Z"
    endpoints = [{"conditions": {"ready": ready}} for ready in (True, False)]
    hooks = [webhook("there"), webhook("gone", failurePolicy="Fail"), webhook("soft", failurePolicy="Ignore")]
    hooks.append({"name": "url", "clientConfig": {"url": "https://elsewhere"}})
    sliced = {
        **in_policy,
        "labels": {"kubernetes.io/service-name": "there"},
        "annotations": {kubernetes.LAST_CHANGE: changed},
    }
    front.objects = [
        thing("ValidatingWebhookConfiguration", "c", "admissionregistration.k8s.io/v1", webhooks=hooks),
        thing("Service", "there", metadata=in_policy),
        thing("EndpointSlice", "there-1", "discovery.k8s.io/v1", metadata=sliced, endpoints=endpoints),
    ]
    found = kubernetes.webhooks(Api(front.client))
    assert [(hook.name, hook.service, hook.endpoints) for hook in found] == [
        ("there", "there", 1),
        ("gone", "gone", None),
    ]
    assert found[0].changed_at == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_long_list_comes_in_pages_out_of_the_servers_cache(front: KubernetesFront) -> None:
    front.objects = [thing("Node", f"node-{number}") for number in range(PAGE + 3)]
    api = Api(front.client)
    assert len(list(api.list("/api/v1/nodes"))) == PAGE + 3
    assert api.requests == len(front.requests) == 2
    assert "resourceVersion=0" in front.requests[0]
    assert "continue=500" in front.requests[1]


def test_a_kind_that_nobody_serves_is_an_empty_list(front: KubernetesFront) -> None:
    front.unserved = {"karpenter.sh/v1"}
    assert list(Api(front.client).list("/apis/karpenter.sh/v1/nodepools")) == []


def test_a_shared_list_is_asked_for_once(front: KubernetesFront) -> None:
    front.objects = [thing("PersistentVolume", "pv", spec={"csi": EBS})]
    lists = SharedLists(Api(front.client))
    assert [entry.volume_id for entry in lists.parsed(PERSISTENT_VOLUME)] == ["vol-1"]
    assert lists.terminating() == ()
    assert sum("persistentvolumes" in path for path in front.requests) == 1


def test_a_server_that_is_not_there_says_which_and_why() -> None:
    configuration = client.Configuration()
    configuration.host = "http://127.0.0.1:9"
    configuration.retries = False
    with pytest.raises(UnreachableError, match=r"the Kubernetes API at http://127\.0\.0\.1:9: "):
        Api(client.ApiClient(configuration)).require()


def target(front: KubernetesFront) -> Target:
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
    return Target(declared=HEALTHY.declared, session=session, cluster_api=front.client, context="here")


def test_each_group_of_aws_is_asked_of_services_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "why_no_aws", lambda _: "")
    asked: list[str] = []
    platform: Any = SimpleNamespace(declared=HEALTHY.declared, aws=asked.append)
    facts, unknown = gather(everything.aws_tasks(platform), lambda *_: None)
    assert facts.keys() | unknown.keys() == AWS_GROUPS
    assert {"eks", "service-quotas"} <= set(asked) <= set(boto3.Session().get_available_services())


def test_a_refused_kind_costs_its_own_group_and_lines_only(front: KubernetesFront) -> None:
    front.refusing = {"poddisruptionbudgets"}
    tasks = everything.kubernetes_tasks(target(front), Api(front.client))
    facts, unknown = gather(tasks, lambda *_: None)
    assert unknown == {"budgets": "the Kubernetes API answered 403 Forbidden"}
    assert set(facts) == KUBERNETES_GROUPS - {"budgets"}


def test_a_cluster_that_refuses_everything_is_told_once_for_all_its_lines(
    front: KubernetesFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.status = 401
    monkeypatch.setattr(everything, "why_no_aws", lambda _: "no credentials")
    facts, requests = everything.collect(target(front), lambda *_: None)
    assert requests == len(front.requests) == 1
    report = examine(facts, CHECKS)
    assert {verdict.status for verdict in report.verdicts} == {"unknown"}
    assert report.exit_code == 2
    whys = {verdict.why_unknown for verdict in report.verdicts}
    assert whys == {
        "AWS: no credentials",
        f"Kubernetes: the Kubernetes API at {front.url}: the Kubernetes API answered 401 Unauthorized",
    }


def test_an_application_that_heals_within_seconds_is_in_sync() -> None:
    answers = [[application("demo", "OutOfSync")], [application("demo", "Synced")]]
    slept: list[float] = []
    found = kubernetes.applications(lambda: answers.pop(0), slept.append)
    assert slept == [kubernetes.SELF_HEAL_SECONDS]
    assert [(entry.sync, entry.out_of_sync) for entry in found] == [("Synced", ())]


def test_an_application_that_stays_out_of_sync_is_told_with_what_differs() -> None:
    found = kubernetes.applications(lambda: [application("demo", "OutOfSync")], lambda _: None)
    assert [(entry.sync, entry.out_of_sync) for entry in found] == [("OutOfSync", ("Deployment/frontend",))]


def test_a_mapping_that_cannot_be_read_is_a_fact(front: KubernetesFront) -> None:
    metadata = {"namespace": "kube-system"}
    front.objects = [thing("ConfigMap", "aws-auth", metadata=metadata, data={"mapRoles": "- rolearn: [\n"})]
    found = kubernetes.aws_auth(Api(front.client))
    assert found[0].mappings == ()
    assert "ParserError" in found[0].problem


def test_a_condition_without_a_status_holds() -> None:
    told = {"type": "ComparisonError", "message": "no such path", "lastTransitionTime": "2026-11-23T12:00:00Z"}
    going = thing(
        "Application", "demo", metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"}, status={"conditions": [told]}
    )
    found = kubernetes.terminating(going, "Application")
    assert found.message == "no such path"


def test_an_answer_that_is_not_understood_costs_its_own_group_only() -> None:
    def odd(_: object) -> None:
        raise KeyError("status")

    facts, unknown = gather({"nodes": lambda _: ("n",), "pods": odd}, lambda *_: None)
    assert facts == {"nodes": ("n",)}
    assert unknown == {"pods": "the answer was not understood (KeyError: 'status')"}


def test_the_pod_of_a_replica_set_belongs_to_its_deployment() -> None:
    owner = {"kind": "ReplicaSet", "name": "web-5f6b7c8d9", "controller": True}
    metadata = {"namespace": "shop", "ownerReferences": [owner], "labels": {"pod-template-hash": "5f6b7c8d9"}}
    pod = thing("Pod", "web-5f6b7c8d9-x", metadata=metadata, spec={"nodeName": "n"}, status={"phase": "Running"})
    assert parse(Pod, pod).owner == ("Deployment", "web")


class Pages:
    """A client of AWS whose paginated calls answer with these pages."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = answers

    def get_paginator(self, call: str) -> Any:
        class Paginator:
            def paginate(self, **_: Any) -> list[dict[str, Any]]:
                return [answer]

        answer = self.answers[call]
        return Paginator()


def test_a_load_balancer_that_only_the_tags_remember_is_not_there() -> None:
    prefix = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer"
    arns = [f"{prefix}/net/web/0a", f"{prefix}/net/gone/0b", f"{prefix}/classic", f"{prefix}/former"]
    clients = {
        "resourcegroupstaggingapi": Pages(get_resources={"ResourceTagMappingList": [{"ResourceARN": a} for a in arns]}),
        "elbv2": Pages(describe_load_balancers={"LoadBalancers": [{"LoadBalancerArn": arns[0]}]}),
        "elb": Pages(describe_load_balancers={"LoadBalancerDescriptions": [{"LoadBalancerName": "classic"}]}),
    }
    assert [load_balancer.arn for load_balancer in aws.load_balancers(clients.__getitem__)] == [arns[0], arns[2]]


def test_no_tagged_load_balancer_asks_nobody_else() -> None:
    clients = {"resourcegroupstaggingapi": Pages(get_resources={})}
    assert aws.load_balancers(clients.__getitem__) == ()


class Messages:
    """An SQS client: (waiting, in flight) at each look."""

    def __init__(self, *looks: tuple[int, int]) -> None:
        self.looks = list(looks)

    def get_queue_url(self, **_: Any) -> dict[str, Any]:
        return {"QueueUrl": "q"}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        waiting, in_flight = self.looks.pop(0)
        counts = {aws.WAITING: str(waiting), aws.IN_FLIGHT: str(in_flight)}
        return {"Attributes": {"QueueArn": "arn", **counts}}


class Metrics:
    """A CloudWatch client without a datapoint."""

    def get_metric_statistics(self, **_: Any) -> dict[str, Any]:
        return {"Datapoints": []}


@pytest.mark.parametrize(
    ("looks", "waiting", "in_flight"),
    [
        ([(0, 0)], (0,), 0),
        ([(3, 0)] * 4, (3, 3, 3, 3), 0),
        ([(3, 0), (3, 0), (1, 0)], (3, 3, 1), 0),
        ([(3, 0), (4, 2)], (3, 4), 2),
        ([(3, 1)], (3,), 1),
    ],
    ids=["none", "nobody takes one", "one is taken", "some are in flight", "some are in flight at once"],
)
def test_a_queue_is_looked_at_as_long_as_nobody_takes_a_message(
    looks: list[tuple[int, int]], waiting: tuple[int, ...], in_flight: int
) -> None:
    found = aws.queues(Messages(*looks), Metrics(), HEALTHY.declared, Gathered(), lambda _: None)
    assert [(entry.waiting, entry.in_flight) for entry in found] == [(waiting, in_flight)]


def test_the_time_of_a_termination_is_in_its_reason_or_unknown() -> None:
    described = {"InstanceId": "i", "State": {"Name": "terminated"}, "LaunchTime": HEALTHY.taken_at}
    reasons = ["User initiated (2026-11-23 12:00:00 GMT)", "Server.SpotInstanceTermination", ""]
    found = [parse(Instance, {**described, "StateTransitionReason": reason}).changed_at for reason in reasons]
    assert found == [datetime(2026, 11, 23, 12, tzinfo=UTC), None, None]
