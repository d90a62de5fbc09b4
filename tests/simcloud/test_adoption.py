"""What an interrupted update leaves: a resource known by id and inputs alone, and one whose creation ended wrong."""

import hashlib
import threading
from collections.abc import Iterator

import pytest

from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import Providers, is_made, plain, subject
from otel_on_spot.simcloud.handler import Handler, Site
from otel_on_spot.simcloud.properties import DEFAULTS, Properties

Stack = tuple[Cloud, Recording]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Cloud(tmp_path_factory.mktemp("taken-in"), patience=20, forgetful=True) as cloud:
        recording = graph.apply("prod", cloud)
        yield cloud, recording


def asked(stack: Stack, made: Registration) -> tuple[Handler, Site, Properties]:
    """Handler, site and checked inputs of something that was made."""
    cloud, recording = stack
    handler, site = Providers(cloud).of(made, recording.by_urn)
    seed = hashlib.sha256(made.urn.encode()).digest()
    return handler, site, handler.check(made.name, {}, plain(made.inputs), seed)[0]


def test_what_is_known_by_its_id_and_inputs_alone_is_read_whole(stack: Stack) -> None:
    _, recording = stack
    repairs = {}
    for made in filter(is_made, recording):
        handler, site, inputs = asked(stack, made)
        known = {key: value for key, value in inputs.items() if key != DEFAULTS}
        found = handler.do_read(site, subject(made), made.id, known, threading.Event())
        assert found is not None, f"{made.type} {made.name} is not found by {made.id}"
        repairs[made.urn] = handler.difference(found, inputs, inputs, site).paths
    assert len(repairs) > 100
    assert {urn: paths for urn, paths in repairs.items() if paths} == {}


def test_the_engine_goes_on_with_a_creation_whose_end_went_wrong(stack: Stack) -> None:
    _, recording = stack
    for made in filter(is_made, recording):
        handler, site, inputs = asked(stack, made)
        state = plain(made.outputs)
        now = handler.do_update(site, subject(made), made.id, state, inputs, inputs, 0, threading.Event())
        assert handler.difference(now, inputs, inputs, site).paths == {}, made.urn
        told = set(handler.facts.computed) - {"status"}  # Helm counts the upgrade
        assert {key: now.get(key) for key in told} == {key: state.get(key) for key in told}


def test_a_launch_template_gets_a_version_when_what_it_launches_changes(stack: Stack) -> None:
    _, recording = stack
    (made,) = recording.of_type("aws:ec2/launchTemplate:LaunchTemplate")
    handler, site, inputs = asked(stack, made)
    versions, state, old = [], plain(made.outputs), inputs
    for change in ({}, {"tags": {"team": "platform"}}, {"imageId": "ami-1"}):
        new = {**old, **change}
        state = handler.do_update(site, subject(made), made.id, state, old, new, 0, threading.Event())
        versions.append(state["latestVersion"])
        old = new
    assert versions == [1, 1, 2]


def test_a_change_that_a_type_cannot_make_is_no_success(stack: Stack) -> None:
    _, recording = stack
    made = next(made for made in recording if made.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    handler, site, inputs = asked(stack, made)
    state, other = plain(made.outputs), {**inputs, "policyArn": "arn:aws:iam::aws:policy/Other"}
    with pytest.raises(NotImplementedError, match="no update of policyArn"):
        handler.do_update(site, subject(made), made.id, state, inputs, other, 0, threading.Event())
