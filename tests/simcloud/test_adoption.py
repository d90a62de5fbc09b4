"""What an interrupted update leaves: a resource known by id and inputs alone, and one whose creation ended wrong.

``recover`` takes in what carries this stack's tags, or is a part of such a thing: each type, ours and another's.
"""

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.recovery import finding
from otel_on_spot.recovery.deployment import pending
from otel_on_spot.recovery.finding import Answer, Searcher
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import Providers, is_made, plain, subject
from otel_on_spot.simcloud.handler import Attempt, Handler, Site
from otel_on_spot.simcloud.properties import DEFAULTS, Properties
from tests.unit.settings.test_settings import committed

Stack = tuple[Cloud, Recording]
Up = tuple[Recording, dict[str, Any]]
WITHOUT_TAGS = (
    "eventTarget",
    "route:",
    "routeTableAssociation",
    "tag:",
    "accessPolicyAssociation",
    "rolePolicy",
    "alias",
    "queuePolicy",
)
"""Parts of something that has tags."""
NAMED = ("aws:eks/", "aws:iam/", "aws:sqs/", "aws:cloudwatch/", "aws:kms/alias", "aws:ec2/tag", "aws:ec2/route:")
"""What has one name for everybody: another's is refused by name. The others are simply not found."""
EXPERIMENT = "aws:fis/experimentTemplate:ExperimentTemplate"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Cloud(tmp_path_factory.mktemp("taken-in"), patience=20, forgetful=True) as cloud:
        karpenter = committed("prod")["karpenter"] | {"spotServiceLinkedRole": True}
        recording = graph.apply("prod", cloud, config_overrides={"karpenter": karpenter})
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
        found = handler.do_read(Attempt(site, subject(made)), made.id, known)
        assert found is not None, f"{made.type} {made.name} is not found by {made.id}"
        repairs[made.urn] = handler.difference(found, inputs, inputs, site).paths
    assert len(repairs) > 100
    assert {urn: paths for urn, paths in repairs.items() if paths} == {}


@pytest.fixture(scope="module")
def up(stack: tuple[Cloud, Recording]) -> Iterator[Up]:
    """The program's graph in the cloud, and the stack's state."""
    cloud, recording = stack
    environment = {"AWS_ENDPOINT_URL": cloud.moto.url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    finding._clients.cache_clear()
    made_at = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.MonkeyPatch.context() as variables:
        for name, value in environment.items():
            variables.setenv(name, value)
        yield recording, {"deployment": {"resources": [exported(made, made_at) for made in recording if made.id]}}
    finding._clients.cache_clear()


def exported(made: Registration, created: datetime) -> dict[str, Any]:
    """A resource as ``pulumi stack export`` writes it."""
    return {
        "urn": made.urn,
        "type": made.type,
        "id": made.id,
        "custom": made.custom,
        "created": created.isoformat(),
        "inputs": plain(made.inputs),
        "outputs": plain(made.outputs),
        "provider": made.provider,
    }


def cut_off(up: Up, made: Registration) -> dict[str, Any]:
    """The state of a stack whose update was cut off while this was made."""
    _, state = up
    known = {key: value for key, value in plain(made.outputs).items() if key in made.inputs or key in NAMES}
    resource = {**exported(made, datetime.now(UTC)), "inputs": {**plain(made.inputs), **known}}
    del resource["id"]
    held = [deepcopy(entry) for entry in state["deployment"]["resources"] if entry["urn"] != made.urn]
    return {"deployment": {"resources": held, "pending_operations": [{"type": "creating", "resource": resource}]}}


NAMES = ("name", "nodeGroupName", "targetId")
"""Names that the provider makes up where the program gives none: they are inputs in the state."""


def recovered(state: dict[str, Any]) -> Answer:
    return Searcher(state, lambda _: None).find(pending(state)[0])


def another(state: dict[str, Any], *, alone: bool, **tags: str) -> dict[str, Any]:
    """The state of another stack of that name: its provider gives other tags; alone, it holds nothing yet."""
    entries: list[dict[str, Any]] = []
    for entry in state["deployment"]["resources"]:
        if entry["type"] == "pulumi:providers:aws":
            given = json.loads(entry["inputs"]["defaultTags"])["tags"]
            inputs = {**entry["inputs"], "defaultTags": json.dumps({"tags": {**given, **tags}})}
            entries.append({**entry, "inputs": inputs})
        elif not alone or entry["type"].startswith("pulumi:providers:"):
            entries.append(entry)
    return {"deployment": {**state["deployment"], "resources": entries}}


def by_type(up: Up) -> dict[str, Registration]:
    """One of each type of AWS that the program makes."""
    return {made.type: made for made in up[0] if is_made(made) and made.type.startswith("aws:")}


def test_each_type_of_this_stack_is_taken_in(up: Up) -> None:
    answers = {token: (recovered(cut_off(up, made)), made.id) for token, made in by_type(up).items()}
    assert len(answers) >= 32
    wrong = {token: (answer, id) for token, (answer, id) in answers.items() if not answer.identity}
    assert wrong == {}
    assert {token for token, (answer, id) in answers.items() if answer.identity and answer.identity.id != id} == set()


def test_each_type_of_another_stack_is_left_alone_and_one_of_a_name_is_refused_with_its_owner(up: Up) -> None:
    answers = {
        token: recovered(another(cut_off(up, made), alone=True, cluster="otel-other", environment="other"))
        for token, made in by_type(up).items()
    }
    assert {token: answer.identity for token, answer in answers.items() if answer.identity} == {}
    named = {token: answer.problem for token, answer in answers.items() if token.startswith(NAMED)}
    assert {token for token, problem in named.items() if "is another's" not in problem} == set()
    told = {token: problem for token, problem in named.items() if not token.partition("/")[2].startswith(WITHOUT_TAGS)}
    assert {token for token, problem in told.items() if "cluster=otel-prod" not in problem} == set()
    assert "this stack's has environment=other, cluster=otel-other" in named["aws:iam/role:Role"]


def test_an_experiment_of_another_stack_is_not_found(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    (made,) = up[0].of_type("aws:sqs/queue:Queue")
    made = replace(made, type=EXPERIMENT, id="EXT1", inputs={"description": "Interrupts one Spot node"})
    state = cut_off(up, made)
    provider = next(entry for entry in state["deployment"]["resources"] if entry["type"] == "pulumi:providers:aws")
    tags = json.loads(provider["inputs"]["defaultTags"])["tags"] | (plain(made.inputs).get("tags") or {})
    row = {"id": made.id, "description": made.inputs["description"], "tags": tags}

    class Clients:
        def __call__(self, service: str) -> Any:
            return self

        def get_caller_identity(self) -> dict[str, str]:
            return {"Account": "123456789012"}

        def get_paginator(self, call: str) -> Any:
            return self

        def paginate(self) -> list[Any]:
            return [{"experimentTemplates": [row]}]

    monkeypatch.setattr(finding, "_clients", lambda *_: Clients())
    found = recovered(state)
    assert found.identity
    assert found.identity.id == made.id
    assert recovered(another(state, alone=True, cluster="otel-other")) == Answer()


@pytest.mark.parametrize("token", ["aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"])
def test_a_role_of_the_same_tags_that_is_older_than_the_stack_is_another_regions(up: Up, token: str) -> None:
    state = another(cut_off(up, by_type(up)[token]), alone=True)
    for entry in state["deployment"]["resources"]:
        entry["created"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    found = recovered(state)
    assert found.identity is None
    assert "before this stack's first resource" in found.problem
    assert "in another region or destroyed" in found.problem


def test_without_tags_nothing_is_taken_in(up: Up) -> None:
    state = cut_off(up, by_type(up)["aws:sqs/queue:Queue"])
    for entry in state["deployment"]["resources"]:
        if entry["type"] == "pulumi:providers:aws":
            entry["inputs"] = {**entry["inputs"], "defaultTags": "{}"}
    assert "may be anybody's" in recovered(state).problem


def test_an_object_of_a_cluster_that_the_state_does_not_hold_is_left_alone(up: Up) -> None:
    made = next(made for made in up[0] if made.type == "kubernetes:core/v1:Namespace")
    state = cut_off(up, made)
    found = recovered(state)
    assert found.identity
    assert found.identity.id == made.id
    assert "which this stack's state does not hold" in recovered(another(state, alone=True)).problem


def test_the_engine_goes_on_with_a_creation_whose_end_went_wrong(stack: Stack) -> None:
    _, recording = stack
    for made in filter(is_made, recording):
        handler, site, inputs = asked(stack, made)
        state = plain(made.outputs)
        now = handler.do_update(Attempt(site, subject(made)), made.id, state, inputs, inputs)
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
        state = handler.do_update(Attempt(site, subject(made)), made.id, state, old, new)
        versions.append(state["latestVersion"])
        old = new
    assert versions == [1, 1, 2]


def test_a_change_that_a_type_cannot_make_is_no_success(stack: Stack) -> None:
    _, recording = stack
    made = next(made for made in recording if made.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    handler, site, inputs = asked(stack, made)
    state, other = plain(made.outputs), {**inputs, "policyArn": "arn:aws:iam::aws:policy/Other"}
    with pytest.raises(NotImplementedError, match="no update of policyArn"):
        handler.do_update(Attempt(site, subject(made)), made.id, state, inputs, other)
