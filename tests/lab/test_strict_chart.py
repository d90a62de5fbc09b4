"""Lesson 2: the strict chart.

A plain nodeSelector is refused; databases stand on On-Demand, everything else on Spot; the guard moves a stray one.
"""

import json

import yaml

from tests.lab.running import Lab, stays, until

DATABASES = {"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"}
CAPACITY, POOL = "karpenter.sh/capacity-type", "karpenter.sh/nodepool"
PLACEMENT = {CAPACITY: "on-demand", POOL: "data"}
SEVERAL_RESYNCS_SECONDS = 45
"""The lab compares every 20 s (`timeout.reconciliation`), AWS's default is three minutes: ten minutes there."""


def message(lab: Lab) -> str:
    return " ".join(
        condition["message"] for condition in lab.application("otel-demo")["status"].get("conditions") or []
    )


def placed(lab: Lab) -> dict[str, tuple[str, str]]:
    """Pod -> (capacity type, pool) of the node that it runs on."""
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in lab.get("nodes")}
    found = {}
    for pod in lab.get("pods", namespace="otel-demo"):
        if any(owner["kind"] == "Job" for owner in pod["metadata"]["ownerReferences"]):
            continue
        labels = nodes.get(pod["spec"].get("nodeName", ""), {})
        found[pod["metadata"]["name"]] = (labels.get(CAPACITY, ""), labels.get(POOL, ""))
    return found


def test_every_database_runs_on_demand_and_everything_else_on_spot(lab: Lab) -> None:
    until("there are 25 pods", lambda: len(placed(lab)) == 25)
    where = placed(lab)
    databases = {name: place for name, place in where.items() if any(name.startswith(d) for d in DATABASES)}
    assert len(databases) == len(DATABASES)
    assert set(databases.values()) == {("on-demand", "data")}
    assert {place for name, place in where.items() if name not in databases} == {("spot", "spot")}


def test_a_plain_node_selector_is_refused_by_the_schema_and_the_wrapper_syncs_again_without_it(lab: Lab) -> None:
    plain = {"opentelemetry-demo": {"nodeSelector": {CAPACITY: "on-demand"}}}
    try:
        lab.apply(gitops=lab.config("gitops") | {"applications": {"otel-demo": {"values": plain}}})
        until("Argo CD reports the schema's error", lambda: "nodeSelector" in message(lab), 60)
        assert "additional" in message(lab).lower(), message(lab)
    finally:
        lab.apply()
    until("it syncs again", lambda: lab.state() == ("Synced", "Healthy") and not message(lab), 120)


def owners(lab: Lab, deployment: str) -> set[str]:
    """Field managers of a Deployment's node selector."""
    told = lab.kubectl("get", "deployment", deployment, "--namespace=otel-demo", "-o", "json", "--show-managed-fields")
    fields = json.loads(told)["metadata"]["managedFields"]
    return {field["manager"] for field in fields if "f:nodeSelector" in json.dumps(field["fieldsV1"])}


def selector(lab: Lab, kind: str, name: str) -> dict[str, str]:
    return lab.get(kind, name, "otel-demo")["spec"]["template"]["spec"].get("nodeSelector", {})


def last_sync(lab: Lab) -> str:
    return lab.application("otel-demo")["status"].get("operationState", {}).get("finishedAt", "")


def later_sync(lab: Lab, before: str) -> str:
    """When another sync than that one ended with everything Synced and Healthy; empty while none did."""
    ended = last_sync(lab)
    return ended if ended != before and lab.state() == ("Synced", "Healthy") else ""


def synced_revision(lab: Lab) -> str:
    sync = lab.application("otel-demo")["status"]["sync"]
    return sync["revision"] if sync["status"] == "Synced" else ""


def without_placement_of_kafka(values: str) -> str:
    """The values file with kafka's node selector and tolerations taken out, as somebody's edit in Git."""
    document = yaml.safe_load(values)
    kafka = document["opentelemetry-demo"]["components"]["kafka"]
    assert set(kafka.pop("schedulingRules")) == {"nodeSelector", "tolerations"}
    return json.dumps(document)


def test_a_database_without_placement_is_moved_by_the_patch_and_stays_through_other_self_heals(lab: Lab) -> None:
    try:
        revision = lab.commit("gitops/charts/otel-demo/values.yaml", without_placement_of_kafka)
        until("that commit is synced", lambda: synced_revision(lab) == revision, 60)
        until("and the patch has run", lambda: last_sync(lab) and lab.state() == ("Synced", "Healthy"), 180)
        assert "argocd-controller" not in owners(lab, "kafka"), "Git declares the placement still: nothing is tested"
        assert selector(lab, "deployment", "kafka") == PLACEMENT
        until("its pod runs there", lambda: placed_of(lab, "kafka") == ("on-demand", "data"), 120)

        replicas, before = lab.replicas(), last_sync(lab)
        lab.scale_frontend(replicas + 1)
        synced = until("the scale's self-heal has ended", lambda: later_sync(lab, before), 240)
        assert lab.replicas() == replicas
        stays(
            "placed, without another sync",
            lambda: selector(lab, "deployment", "kafka") == PLACEMENT and last_sync(lab) == synced,
            SEVERAL_RESYNCS_SECONDS,
        )
        assert placed_of(lab, "kafka") == ("on-demand", "data")
    finally:
        revision = lab.ask("publish")
        until("the tree's own commit is synced", lambda: synced_revision(lab) == revision, 60)


def placed_of(lab: Lab, workload: str) -> tuple[str, str]:
    return next((place for name, place in placed(lab).items() if name.startswith(workload)), ("", ""))


def test_a_database_moved_off_its_place_by_hand_is_put_back_and_the_sync_does_not_loop(lab: Lab) -> None:
    before = last_sync(lab)
    stray = [{"op": "replace", "path": "/spec/template/spec/nodeSelector", "value": {CAPACITY: "spot"}}]
    lab.kubectl(
        "patch", "statefulset/opensearch", "--namespace=otel-demo", "--type=json", f"--patch={json.dumps(stray)}"
    )
    synced = until("its self-heal has ended", lambda: later_sync(lab, before), 240)
    assert selector(lab, "statefulset", "opensearch") == PLACEMENT
    stays("no further sync", lambda: last_sync(lab) == synced, SEVERAL_RESYNCS_SECONDS)
    assert selector(lab, "statefulset", "opensearch") == PLACEMENT
