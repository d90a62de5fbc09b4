"""Lesson 2: a plain nodeSelector is refused; databases stand on On-Demand, everything else on Spot; the guard moves a stray one."""

import json
from typing import Any

import yaml

from tests.lab.running import ROOT, STACK, Lab, stays, until

DATABASES = {"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"}
CAPACITY, POOL = "karpenter.sh/capacity-type", "karpenter.sh/nodepool"


def gitops(values: dict[str, Any]) -> dict[str, Any]:
    own = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())["config"]["otel-on-spot:gitops"]
    return {**own, "applications": {"otel-demo": {"values": values}}}


def state(lab: Lab) -> tuple[str, str]:
    status = lab.application("otel-demo").get("status") or {}
    return status["sync"]["status"], status["health"]["status"]


def message(lab: Lab) -> str:
    return " ".join(one["message"] for one in lab.application("otel-demo")["status"].get("conditions") or [])


def workload_of(pod: dict[str, Any]) -> str:
    return (
        pod["metadata"]["labels"].get("app.kubernetes.io/component")
        or pod["metadata"]["labels"]["app.kubernetes.io/name"]
    )


def placed(lab: Lab) -> dict[str, tuple[str, str]]:
    """Pod -> (capacity type, pool) of the node that it runs on."""
    nodes = {one["metadata"]["name"]: one["metadata"]["labels"] for one in lab.get("nodes")}
    found = {}
    for pod in lab.get("pods", namespace="otel-demo"):
        if any(owner["kind"] == "Job" for owner in pod["metadata"]["ownerReferences"]):
            continue
        labels = nodes.get(pod["spec"].get("nodeName", ""), {})
        found[pod["metadata"]["name"]] = (labels.get(CAPACITY, ""), labels.get(POOL, ""))
    return found


def test_every_database_runs_on_demand_and_everything_else_on_spot(lab: Lab) -> None:
    where = placed(lab)
    assert len(where) == 25
    databases = {name: place for name, place in where.items() if any(name.startswith(d) for d in DATABASES)}
    assert len(databases) == len(DATABASES)
    assert set(databases.values()) == {("on-demand", "data")}
    assert {place for name, place in where.items() if name not in databases} == {("spot", "spot")}


def test_a_plain_node_selector_is_refused_by_the_schema_and_the_wrapper_syncs_again_without_it(lab: Lab) -> None:
    plain = {"opentelemetry-demo": {"nodeSelector": {CAPACITY: "on-demand"}}}
    try:
        lab.apply(gitops=gitops(plain))
        until("Argo CD reports the schema's error", lambda: "nodeSelector" in message(lab), 60)
        assert "additional" in message(lab).lower(), message(lab)
    finally:
        lab.apply()
    until("it syncs again", lambda: state(lab) == ("Synced", "Healthy") and not message(lab), 120)


def test_a_database_moved_off_its_place_by_hand_is_put_back_and_the_sync_does_not_loop(lab: Lab) -> None:
    stray = [{"op": "replace", "path": "/spec/template/spec/nodeSelector", "value": {CAPACITY: "spot"}}]
    lab.kubectl(
        "patch", "statefulset/opensearch", "--namespace=otel-demo", "--type=json", f"--patch={json.dumps(stray)}"
    )

    def at_home() -> bool:
        template = lab.get("statefulset", "opensearch", "otel-demo")["spec"]["template"]["spec"]
        return template["nodeSelector"] == {CAPACITY: "on-demand", POOL: "data"}

    until("the placement is back", at_home, 60)
    until("Synced and Healthy", lambda: state(lab) == ("Synced", "Healthy"), 120)
    finished = lab.application("otel-demo")["status"]["operationState"]["finishedAt"]
    stays(
        "no further sync",
        lambda: lab.application("otel-demo")["status"]["operationState"]["finishedAt"] == finished,
        30,
    )
    assert at_home()
