"""The roles that bootstrap makes: a stack's whole life as them, on the real engine and call by call."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.iam import document
from otel_on_spot.iam.decisions import Caller, Request, decide
from otel_on_spot.program.recording import Recording
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.authorization import judged, role_caller
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import Providers, is_made, plain, subject
from otel_on_spot.simcloud.handler import Attempt
from otel_on_spot.simcloud.inventory import inventory
from tests.engine.workbench import workbench
from tests.unit.settings.test_settings import committed

BOOTSTRAP = Path(__file__).parents[2] / "bootstrap"
REGION, STACK = "eu-west-1", "staging"
OWN = "otel-on-spot-bootstrap"


def boundary(stack: str) -> str:
    return f"arn:aws:iam::123456789012:policy/{OWN}/{OWN}-{stack}-boundary"


def role(stack: str, what: str) -> str:
    return f"arn:aws:iam::123456789012:role/{OWN}/{OWN}-{stack}-{what}"


UNUSED = {
    "of a change of a setting that the graph's apply cannot make": (
        "ChangeOurs: ec2:ModifyVpcEndpoint",  # network.zones
        "ChangeRoles: iam:UpdateAssumeRolePolicy",  # karpenter.identity
        "MakeBoundedRoles: iam:PutRolePermissionsBoundary",  # iam.permissionsBoundary of a stack that had none
    ),
    "of what is not always so": (
        "ChangeOurs: ec2:DisassociateAddress",  # the provider frees an address that is in use before it releases it
        "ChangeTheClustersIssuer: iam:UpdateOpenIDConnectProviderThumbprint",  # the issuer has another certificate
    ),
}
"""Reason -> what is granted ("statement: action") and that the life below does not ask for."""
OF_THE_STATE = (
    "ListTheState",
    "ReadTheState",
    "OpenTheState",
    "OpenTheStacksSecrets",
    "WriteTheState",
    "SealTheState",
    "SealTheStacksSecrets",
)
"""Statements about what the engine itself does with its state, which no provider's call is."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("account"), patience=20, forgetful=True) as cloud:
        graph.apply("account", cloud, root=BOOTSTRAP)
        yield cloud


@dataclass(frozen=True)
class Life:
    """What was asked as the role that updates, and as the one that looks for drift.

    ``unread``: role, and what it has in the cluster -> what it is not let read there.
    """

    cloud: Cloud
    written: tuple[Request, ...]
    refused: tuple[str, ...]
    read: tuple[Request, ...]
    refused_reads: tuple[str, ...]
    unread: dict[str, list[str]]
    left: list[tuple[str, str]]


def changed(section: str, **changes: Any) -> dict[str, Any]:
    return committed(STACK)[section] | changes


@pytest.fixture(scope="module")
def life(account: Cloud) -> Life:
    """Staging with everything that it may have, made, previewed, changed and destroyed, each as the role for it."""
    cloud = account
    before = inventory(cloud, REGION)
    first: dict[str, Any] = {
        "iam": {"permissionsBoundary": boundary(STACK)},
        "alarms": {"emails": ["on-call@example.org"]},
        "costs": {"monthlyLimitUsd": 600, "budgetEmails": ["on-call@example.org"]},
        "network": changed("network", interfaceEndpoints=["sts", "s3"]),
        "cluster": changed(
            "cluster",
            adminRoleArns=["arn:aws:iam::111122223333:role/platform-admin"],
            adminViewRoleArns=[role(STACK, "drift")],
            viewRoleArns=[role(STACK, "preview")],
            kubernetesVersion="1.35",
            addons={"kubeProxy": "v1.35.3-eksbuild.29"},
            systemNodes={"releaseVersion": "1.35.8-20260930"},
        ),
        "karpenter": changed("karpenter", interruptionExperiments=True, spotServiceLinkedRole=True, identity="both"),
    }
    newer = {"kubernetesVersion": "1.36", "addons": {"kubeProxy": "v1.36.0-eksbuild.1"}, "logRetentionDays": 60}
    second = first | {
        "tags": {"team": "x"},
        "network": first["network"] | {"nat": "per-zone"},
        "cluster": first["cluster"] | newer | {"logTypes": ["audit"], "systemNodes": {"size": 3}},
    }
    with judged(cloud, f"{OWN}-{STACK}-up") as writer:
        recording = graph.apply(STACK, cloud, config_overrides=first)
    with judged(cloud, f"{OWN}-{STACK}-drift") as reader:
        graph.apply(STACK, cloud, previous=recording, config_overrides=first)
    unread = {what: unread_by(cloud, recording, what) for what in ("drift", "preview", "up")}
    cluster = committed(STACK)["cluster"]["name"]
    for what in ("drift", "up"):
        row = cloud.tables.remove("access-entries", f"{cluster}/{role(STACK, what)}")
        assert row is not None
        unread[f"{what} without its entry"] = unread_by(cloud, recording, what)
        cloud.tables.put("access-entries", f"{cluster}/{role(STACK, what)}", row)
    with judged(cloud, f"{OWN}-{STACK}-up") as changer:
        recording = graph.apply(STACK, cloud, previous=recording, config_overrides=second)
        graph.destroy(recording, cloud, unprotected=True)
    written = [*writer.calls, *changer.calls]
    return Life(
        cloud,
        tuple(call.request for call in written),
        tuple(f"{call.operation}: {call.request.action}" for call in written if not call.decision),
        tuple(call.request for call in reader.calls),
        tuple(f"{call.operation}: {call.request.action}" for call in reader.calls if not call.decision),
        unread,
        sorted(set(inventory(cloud, REGION)) - set(before)),
    )


def unread_by(cloud: Cloud, recording: Recording, what: str) -> list[str]:
    """Type and code of each Kubernetes resource of a stack that one of its roles is not let read."""
    providers, found = Providers(cloud), []
    with judged(cloud, f"{OWN}-{STACK}-{what}"):
        for there in recording:
            if there.type.startswith("kubernetes:") and is_made(there):
                handler, site = providers.of(there, recording.by_urn)
                try:
                    handler.do_read(Attempt(site, subject(there)), there.id, plain(there.outputs))
                except ApiError as refused:
                    found.append(f"{there.type.rpartition(':')[2]} {refused.code}")
    return sorted(set(found))


@pytest.fixture(scope="module")
def updater(account: Cloud) -> Caller:
    return role_caller(account, f"{OWN}-{STACK}-up")


@pytest.fixture(scope="module")
def previewer(account: Cloud) -> Caller:
    return role_caller(account, f"{OWN}-{STACK}-preview")


def grants(caller: Caller) -> Iterator[tuple[int, int, str, str]]:
    """(document, statement, its name, action) of every action that is granted, those on the state left out."""
    for index, policy in enumerate(caller.identity):
        for place, statement in enumerate(document(policy)["Statement"]):
            if statement["Effect"] == "Allow" and statement["Sid"] not in OF_THE_STATE:
                for action in statement["Action"]:
                    yield index, place, statement["Sid"], action


def without(caller: Caller, index: int, place: int, action: str) -> Caller:
    """The caller with one action taken out of one statement."""
    documents = [json.loads(json.dumps(document(policy))) for policy in caller.identity]
    documents[index]["Statement"][place]["Action"].remove(action)
    return replace(caller, identity=tuple(documents))


def test_the_role_that_updates_makes_changes_and_destroys_a_stack_and_nothing_is_denied(life: Life) -> None:
    assert life.refused == ()
    assert len(life.written) > 700
    assert len({request.action for request in life.written}) > 120
    assert life.left == [], "the destroy left something"


def test_taking_any_single_action_away_refuses_a_call_of_the_life(life: Life, updater: Caller) -> None:
    by_action: dict[str, dict[str, Request]] = {}
    for request in life.written:
        by_action.setdefault(request.action, {})[repr(request)] = request
    granted = {f"{name}: {action}" for _, _, name, action in grants(updater)}
    idle = set()
    for index, place, name, action in grants(updater):
        less = without(updater, index, place, action)
        if all(decide(request, less) for request in by_action.get(action, {}).values()):
            idle.add(f"{name}: {action}")
    assert len(granted) > 130
    assert not [grant for grant in granted if "*" in grant]
    reasons = {grant for grants_of_a_reason in UNUSED.values() for grant in grants_of_a_reason}
    assert sorted(idle - reasons) == [], "granted, not used, and without a reason"
    assert sorted(reasons - idle) == [], "a reason for what is used, or not granted"


def test_the_role_that_previews_reads_everything_and_writes_nothing(life: Life, previewer: Caller) -> None:
    assert life.refused_reads == ()
    assert len(life.read) > 100
    reads = {request.action for request in life.read}
    let = {request.action for request in life.written if request.action not in reads and decide(request, previewer)}
    assert let <= {"iam:GetOpenIDConnectProvider", "iam:GetRole"}, "writes"


def test_in_the_cluster_each_role_reads_what_its_access_policy_lets_it_and_nothing_without_an_entry(life: Life) -> None:
    assert life.unread["drift"] == life.unread["up"] == []
    assert life.unread["preview"] == [
        f"{kind} Forbidden" for kind in ("AppProject", "Application", "EC2NodeClass", "NodePool", "Release", "Secret")
    ]
    for what in ("drift", "up"):
        gone = life.unread[f"{what} without its entry"]
        assert len(gone) > 8
        assert all(line.endswith(" Unauthorized") for line in gone)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_engine_makes_looks_at_and_destroys_a_stack_as_its_roles(tmp_path: Path, stack: str) -> None:
    with workbench(tmp_path, stack, stand_in=True) as bench:
        graph.apply("account", bench.cloud, root=BOOTSTRAP)
        before = bench.left()
        given = {
            "iam": {"permissionsBoundary": boundary(stack)},
            "cluster.adminViewRoleArns": [role(stack, "drift")],
            "cluster.viewRoleArns": [role(stack, "preview")],
        }
        with bench.settings(given) as file:
            there = ("--config-file", str(file))
            with judged(bench.cloud, f"{OWN}-{stack}-up") as writer:
                bench.up(*there)
            with judged(bench.cloud, f"{OWN}-{stack}-preview") as previewer:
                bench.run("preview", "--expect-no-changes", "--non-interactive", *there)
            with judged(bench.cloud, f"{OWN}-{stack}-drift") as reader:
                bench.run("preview", "--refresh", "--expect-no-changes", "--non-interactive", *there)
        with judged(bench.cloud, f"{OWN}-{stack}-up") as remover:
            if stack != "prod":
                bench.destroy()
                assert bench.left() == before
        for calls in (writer, previewer, reader, remover):
            assert not calls.denied
        assert len(writer.calls) > 250
        assert len(reader.calls) > 80
