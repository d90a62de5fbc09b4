"""All Spot is refused: pods run On-Demand after one round of refusals, because the Spot pool's shape is one round."""

import json
from collections.abc import Iterator

import pytest

from tests.lab.running import Lab, until

NAME, REPLICAS = "drought", 50
PATIENCE_SECONDS = 100.0
"""Less than the 122 s that the pool without a shape took, and enough for a busy machine; one round is about 20 s."""


@pytest.fixture
def no_spot(lab: Lab) -> Iterator[None]:
    lab.ask("capacity", shortages=[{"capacity_type": "spot"}])
    yield
    lab.ask("capacity", shortages=[])
    claims = [name for name, claim in lab.claims().items() if pool_of(claim) == "on-demand"]
    lab.kubectl("delete", "deployment", NAME, "--namespace=default", "--ignore-not-found")
    if claims:
        lab.kubectl("delete", "nodeclaims", "--ignore-not-found", "--timeout=120s", *claims)


def pool_of(thing: dict[str, dict[str, dict[str, str]]]) -> str:
    return thing["metadata"]["labels"]["karpenter.sh/nodepool"]


def frontends() -> dict[str, object]:
    """Pods that ask for what prod's frontend does, and name no pool."""
    resources = {"requests": {"cpu": "200m", "memory": "250Mi"}}
    template = {
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "c", "image": "pause", "resources": resources}]},
    }
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": {"app": NAME}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}


def test_without_spot_fifty_frontends_run_on_demand_after_one_round_of_refusals(lab: Lab, no_spot: None) -> None:
    lab.kubectl("apply", "--namespace=default", "--filename=-", text=json.dumps(frontends()))

    def ready() -> bool:
        return lab.get("deployment", NAME, "default")["status"].get("readyReplicas", 0) == REPLICAS

    until(f"{REPLICAS} frontends run", ready, PATIENCE_SECONDS)
    refused = [event for event in lab.get("events") if event["reason"] == "InsufficientCapacityError"]
    nodes = {node["metadata"]["name"]: pool_of(node) for node in lab.get("nodes") if karpenters(node)}
    pods = json.loads(lab.kubectl("get", "pods", "--namespace=default", f"--selector=app={NAME}", "-o", "json"))
    homes = [nodes.get(pod["spec"]["nodeName"], "") for pod in pods["items"]]

    assert refused
    assert homes.count("on-demand") > REPLICAS / 2  # the nodes that were there take some
    assert set(homes) <= {"spot", "on-demand"}


def karpenters(node: dict[str, dict[str, dict[str, str]]]) -> bool:
    return "karpenter.sh/nodepool" in node["metadata"]["labels"]
