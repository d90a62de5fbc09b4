"""The picture shows what comes first, leaves out what other edges imply, and is XML whatever the names."""

from xml.etree import ElementTree

import pulumi
import pytest
from pulumi_aws import sqs

from otel_on_spot.plan import picture
from otel_on_spot.plan.record import record_program
from otel_on_spot.program.recording import Recording
from tests.unit.conftest import STACKS, recorded

QUEUE = "aws:sqs/queue:Queue"


class Box(pulumi.ComponentResource):
    def __init__(self, name: str, *after: pulumi.Resource) -> None:
        super().__init__("t:index:Box", name)
        sqs.Queue(f"{name}-queue", opts=pulumi.ResourceOptions(parent=self, depends_on=after))
        self.register_outputs({})


def test_the_network_comes_before_the_cluster_and_never_after(plan: Recording) -> None:
    edges = picture.by_component(plan).edges

    assert ("cluster", "network") in edges
    assert ("network", "cluster") not in edges


def test_an_edge_that_others_imply_is_not_drawn() -> None:
    def program() -> None:
        first = Box("first")
        second = Box("second", first)
        Box("third", first, second)

    plan = record_program(program)

    assert plan.reaches(plan.named(QUEUE, "third-queue"), plan.named(QUEUE, "first-queue"))
    assert picture.by_component(plan).edges == {("second", "first"), ("third", "second")}


def test_every_edge_of_the_picture_is_an_arrow_of_the_mermaid_text(plan: Recording) -> None:
    arrows = [line for line in picture.mermaid(plan).splitlines() if " --> " in line]

    assert len(set(arrows)) == len(arrows) == len(picture.by_component(plan).edges) > 5


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("preview", [False, True])
def test_the_drawing_is_xml_that_names_every_component(stack: str, preview: bool) -> None:
    plan = recorded(stack, preview)
    texts = {node.text for node in ElementTree.fromstring(picture.svg(plan)).iter("{http://www.w3.org/2000/svg}text")}
    kinds = {node.kind for node in picture.by_component(plan).nodes.values()}

    assert {"Network", "Cluster", "AppOfApps"} <= kinds <= texts


def test_a_name_with_signs_of_markup_stays_xml() -> None:
    ElementTree.fromstring(picture.svg(record_program(lambda: Box('a<b>"&'))))


def test_a_program_without_components_has_an_empty_picture() -> None:
    plan = record_program(lambda: sqs.Queue("q"))

    assert picture.by_component(plan).nodes == {}
    ElementTree.fromstring(picture.svg(plan))
