"""The front path in a drill: what a stack promises, how gaps are counted, and what breaks the promise."""

from pathlib import Path

import pytest

from otel_on_spot.drills.front_path import Availability, Front, Promise, Sample, availability, promise, ready_endpoints
from otel_on_spot.findings import Finding
from otel_on_spot.kubernetes.names import ENDPOINT_SLICE
from otel_on_spot.plan.workloads import workloads
from otel_on_spot.report import Verdict
from tests.unit.drills.cluster import Cluster

ROOT = Path(__file__).parents[3]


def samples(text: str) -> list[Sample]:
    """A character every half second: how many answer."""
    return [Sample(seconds=number / 2, answering=int(mark)) for number, mark in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "served", "gap", "least"),
    [
        ("", 0, 0.0, 0),
        ("2222", 4, 0.0, 2),
        ("2121", 4, 0.0, 1),
        ("11011", 4, 1.0, 0),
        ("10010001", 3, 2.0, 0),
        ("11000", 2, 1.5, 0),
        ("0011", 2, 1.0, 0),
        ("0000", 0, 1.5, 0),
    ],
    ids=["nothing", "all", "one of two", "one", "two gaps", "open end", "open beginning", "none"],
)
def test_a_gap_lasts_from_the_last_success_to_the_next(text: str, served: int, gap: float, least: int) -> None:
    assert availability(samples(text)) == Availability(looks=len(text), served=served, longest_gap=gap, least=least)


@pytest.mark.parametrize(
    ("environment", "waived"),
    [
        ("prod", ""),
        ("staging", ""),
        ("dev", "100% is waived: dev declares 1 of frontend-proxy and 1 of frontend"),
        ("lab", "100% is waived: lab declares 1 of frontend-proxy and 1 of frontend"),
    ],
)
def test_what_a_stack_promises_is_what_git_declares_for_its_environment(environment: str, waived: str) -> None:
    replicas = {workload.name: workload.replicas for workload in workloads(ROOT, environment)}
    assert promise(replicas, environment).waived == waived


def test_a_stack_file_that_takes_a_replica_from_the_front_path_takes_the_promise_with_it() -> None:
    more = {"opentelemetry-demo": {"components": {"frontend": {"replicas": 1}}}}
    replicas = {workload.name: workload.replicas for workload in workloads(ROOT, "prod", more)}
    assert promise(replicas, "prod").waived == "100% is waived: prod declares 1 of frontend"
    assert promise({}, "prod").waived == "100% is waived: prod declares 0 of frontend-proxy and 0 of frontend"


def judged(seen: Availability, promised: Promise) -> Verdict:
    return Front(seen=seen, promised=promised).verdict("a page")


def only(verdict: Verdict) -> Finding:
    assert verdict.status == "found"
    return verdict.findings[0]


def test_a_front_path_that_is_promised_whole_may_not_miss_one_look() -> None:
    whole = availability(samples("3" + "2" * 199))
    assert judged(whole, Promise()).status == "ok"
    found = only(judged(availability(samples("2" * 199 + "0")), Promise()))
    assert found.severity == "critical"
    assert "nothing served in 1 look of 200" in found.seen
    assert "every look is served" in found.rule


def test_what_is_waived_is_said_and_judged_by_the_gap_that_is_left() -> None:
    seen = availability(samples("1" + "0" * 22 + "1"))  # 11.5 s away, 8.3% served
    waived = promise({"frontend": 1, "frontend-proxy": 1}, "dev")
    kept = judged(seen, waived)
    assert kept.status == "ok"
    assert "100% is waived: dev declares 1 of frontend-proxy" in kept.what
    assert only(judged(seen, promise({}, "dev", gap=11.0))).rule.endswith("(waived by --gap 11)")
    assert judged(seen, promise({"frontend": 3, "frontend-proxy": 3}, "prod", gap=12.0)).status == "ok"
    long = availability(samples("1" + "0" * 125 + "1"))
    assert "nothing served in 125 looks of 127, for 63.0 s" in only(judged(long, waived)).seen


@pytest.mark.parametrize("promised", [Promise(), Promise(gap=60, waived="waived")])
def test_where_nobody_looked_nothing_was_kept(promised: Promise) -> None:
    assert only(judged(availability(()), promised)).seen == "nobody looked"


def endpoints(there: Cluster, service: str, *ready: bool | None) -> None:
    conditions = [{"conditions": {} if one is None else {"ready": one}} for one in ready]
    name, labels = f"{service}-{len(there.front.objects)}", {"kubernetes.io/service-name": service}
    there.front.add(ENDPOINT_SLICE, name, metadata={"labels": labels}, endpoints=conditions)


def test_the_service_with_the_fewest_ready_endpoints_answers_for_the_whole_path(there: Cluster) -> None:
    endpoints(there, "frontend-proxy", True, True, False)
    assert ready_endpoints(there.api, "otel-demo") == 0, "a proxy without a frontend answers nobody"
    endpoints(there, "frontend", False)
    endpoints(there, "cart", True)
    assert ready_endpoints(there.api, "otel-demo") == 0
    endpoints(there, "frontend", None)
    assert ready_endpoints(there.api, "otel-demo") == 1
    endpoints(there, "frontend", True, True)
    assert ready_endpoints(there.api, "otel-demo") == 2
