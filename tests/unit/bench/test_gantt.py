"""The picture of an update."""

import re
import xml.etree.ElementTree as ET

import pytest

from bench.engine.gantt import CHAIN, COLOURS, lines, service, svg
from bench.engine.measures import greatest_at_once


def step(
    name: str, kind: str, start: float, end: float, *, seconds: float | None = None, token: str = "aws:ec2/vpc:Vpc"
):
    return {
        "urn": name,
        "name": name,
        "kind": kind,
        "type": token,
        "component": name.partition("-")[0],
        "start": start,
        "end": end,
        "seconds": end - start if seconds is None else seconds,
    }


STEPS = [
    step("cluster-eks", "Cluster", 36, 576, token="aws:eks/cluster:Cluster"),
    step("network-vpc", "Vpc", 0, 24),
    step("network-private-a", "Subnet", 24, 36, token="aws:ec2/subnet:Subnet"),
    step("network-private-b", "Subnet", 24, 36, token="aws:ec2/subnet:Subnet"),
    step("argocd-release", "Release", 580, 800, seconds=90, token="kubernetes:helm.sh/v3:Release"),
]
CHAIN_STEPS = ["network-vpc", "network-private-a", "cluster-eks", "argocd-release"]
UP = {
    "stack": "dev",
    "makespan": 800.0,
    "necessary": {"seconds": 666.0, "steps": CHAIN_STEPS},
    "steps": STEPS,
}


def bars(drawing: str) -> dict[str, ET.Element]:
    """Name of a step -> its bar."""
    space = "{http://www.w3.org/2000/svg}"
    found = {}
    for rectangle in ET.fromstring(drawing).iter(f"{space}rect"):
        title = rectangle.find(f"{space}title")
        if title is not None:
            found[str(title.text).partition(":")[0]] = rectangle
    return found


def test_rows_are_grouped_by_component_in_the_order_of_their_start():
    assert {component: [line.label for line in rows] for component, rows in lines(STEPS).items()} == {
        "network": ["Vpc", "Subnet x 2"],
        "cluster": ["Cluster"],
        "argocd": ["Release"],
    }


def test_every_step_has_a_bar_as_long_as_its_time():
    found = bars(svg(UP))
    assert set(found) == {entry["name"] for entry in STEPS}
    long = {name: float(found[name].get("width", 0)) for name in ("cluster-eks", "network-vpc")}
    assert long["cluster-eks"] / long["network-vpc"] == pytest.approx(540 / 24, rel=0.01)


def test_the_wait_for_a_node_is_not_told_as_the_releases_own_time():
    found = bars(svg(UP))
    ratio = float(found["argocd-release"].get("width", 0)) / float(found["cluster-eks"].get("width", 0))
    assert ratio == pytest.approx(90 / 540, rel=0.01)


def test_the_chain_and_nothing_else_is_emphasised():
    marked = {name for name, bar in bars(svg(UP)).items() if bar.get("stroke") == CHAIN}
    assert marked == set(CHAIN_STEPS)


def test_the_title_tells_both_numbers():
    assert "800 s, the longest necessary chain 666 s" in svg(UP)


def test_nothing_is_drawn_outside_the_picture():
    root = ET.fromstring(svg(UP))
    width, height = (float(root.get(key, 0)) for key in ("width", "height"))
    for element in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y = (float(element.get(key, 0)) for key in ("x", "y"))
        assert 0 <= x <= x + float(element.get("width", 0)) <= width
        assert 0 <= y <= y + float(element.get("height", 0)) <= height


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("aws:ec2/natGateway:NatGateway", "EC2 and VPC"),
        ("aws:cloudwatch/logGroup:LogGroup", "CloudWatch Logs"),
        ("aws:cloudwatch/eventRule:EventRule", "SQS and EventBridge"),
        ("kubernetes:helm.sh/v3:Release", "Helm"),
        ("kubernetes:karpenter.sh/v1:NodePool", "Kubernetes"),
    ],
)
def test_a_service_has_a_colour_of_its_own(token, name):
    assert service(token) == name
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_a_service_without_a_colour_is_refused():
    with pytest.raises(ValueError, match=re.escape("aws:rds/cluster:Cluster: no colour")):
        service("aws:rds/cluster:Cluster")


def test_steps_at_once_are_those_that_overlap():
    assert greatest_at_once([(0, 2), (1, 3), (2, 4)]) == 2
    assert greatest_at_once([(0, 9), (1, 2), (3, 4), (3, 5)]) == 3
    assert greatest_at_once([]) == 0
