"""A kubelet joins as its instance's role when it has booted, tries again when refused, and goes with its instance."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from otel_on_spot.lab.nodes.identity import Identities, NodeCredentialsError
from otel_on_spot.lab.nodes.journal import Journal, read
from otel_on_spot.lab.nodes.kubelets import Cluster, Kubelets, boot_seconds
from otel_on_spot.lab.nodes.registration import GROUP_TAG, KWOK_LABEL
from otel_on_spot.lab.nodes.state_changes import StateChanges
from otel_on_spot.simcloud.tables import Tables
from tests.unit.lab.conftest import ApiServer
from tests.unit.lab.nodes.conftest import instance
from tests.unit.lab.nodes.test_registration import GROUP, ROLE, USER_DATA

NODES = "/api/v1/nodes"


class Roles:
    """Stands for the instances' metadata: every instance uses the role, unless told otherwise."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.problem = ""

    def profile_role(self, profile_arn: str) -> str:
        if self.problem:
            raise NodeCredentialsError(self.problem)
        return ROLE

    def token(self, identity: str, role_arn: str) -> str:
        return f"{identity} as {role_arn}"

    def forget(self, identity: str) -> None:
        self.forgotten.append(identity)


class AtOnce:
    """A pool that runs its work before it returns."""

    def submit(self, work: Callable[[], None]) -> Future[None]:
        work()
        return Future()


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
def kubelets(api: ApiServer, roles: Roles, tables: Tables, tmp_path: Path) -> Kubelets:
    cluster = Cluster(
        name="otel-lab",
        server=api.server,
        authority=api.authority,
        cloud_controller=api.client.as_user("cloud_controller"),
        kubernetes_version="v1.36.3",
        tables=tables,
        boot_seconds=0,
    )
    journal, pool = Journal(tmp_path), cast("ThreadPoolExecutor", AtOnce())
    return Kubelets(cluster, cast("Identities", roles), journal, pool)


def launched(api: ApiServer, **more: Any) -> dict[str, Any]:
    user_data = USER_DATA.replace("https://127.0.0.1:6443", api.server).replace("certificateAuthority: Y2E=", "x: y")
    return instance(userData=user_data, **more)


def of_group(**more: Any) -> dict[str, Any]:
    return instance(tags={GROUP_TAG: "system"}, profile="", **more)


def posted(api: ApiServer) -> list[tuple[str, str]]:
    return [
        (body["metadata"]["name"], token)
        for method, path, body, token in api.asked
        if (method, path) == ("POST", NODES)
    ]


def test_an_instance_joins_as_its_role(kubelets: Kubelets, api: ApiServer, tmp_path: Path) -> None:
    kubelets.look([launched(api)], time.monotonic())
    assert posted(api) == [(instance()["privateDnsName"], f"i-1 as {ROLE}")]
    line = next(read(tmp_path, "joined"))
    assert (line["instance"], line["role"], line["attempt"]) == ("i-1", ROLE, 1)
    kubelets.look([launched(api)], time.monotonic())
    assert len(posted(api)) == 1


def test_an_instance_boots_first(kubelets: Kubelets, api: ApiServer) -> None:
    kubelets.cluster.boot_seconds = 30
    now = time.monotonic()
    for passed in (0, 29):
        kubelets.look([launched(api)], now + passed)
    assert posted(api) == []
    kubelets.look([launched(api)], now + 30 * 1.2)
    assert len(posted(api)) == 1


def test_boots_differ_by_instance_and_are_the_same_twice() -> None:
    taken = {boot_seconds(f"i-{n}", 10) for n in range(50)}
    assert len(taken) == 50
    assert 10 <= min(taken) <= max(taken) <= 12
    assert boot_seconds("i-1", 10) == boot_seconds("i-1", 10)


def test_whoever_is_not_admitted_is_refused_tries_again_and_joins_when_it_is(
    kubelets: Kubelets, api: ApiServer, roles: Roles, tmp_path: Path
) -> None:
    api.answer = lambda method, path, body: (401, {"message": "Unauthorized"})
    now = time.monotonic()
    kubelets.look([launched(api)], now)
    kubelets.look([launched(api)], now)
    refusals = list(read(tmp_path, "refused"))
    assert [(r["instance"], r["role"], r["status"], r["attempt"]) for r in refusals] == [("i-1", ROLE, 401, 1)]
    assert roles.forgotten == ["i-1"]
    kubelets.look([launched(api)], now + 60)
    assert len(list(read(tmp_path, "refused"))) == 2
    api.answer = lambda method, path, body: (201, {})
    kubelets.look([launched(api)], now + 120)
    assert next(read(tmp_path, "joined"))["attempt"] == 3


def test_the_pause_between_tries_grows_to_seven_seconds_and_no_further(kubelets: Kubelets, api: ApiServer) -> None:
    api.answer = lambda method, path, body: (401, {"message": "Unauthorized"})
    pauses = []
    for turn in range(8):
        kubelets.look([launched(api)], time.monotonic() + 100 * turn)
        pauses.append(round(kubelets.known["i-1"].due - time.monotonic()))
    assert pauses[0] == 1
    assert pauses[-1] == 7
    assert pauses == sorted(pauses)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"userData": "#!/bin/sh"}, "no NodeConfig"),
        ({"userData": USER_DATA.replace("name: otel-lab", "name: another")}, "cluster another"),
    ],
)
def test_an_instance_that_was_told_nothing_of_this_cluster_never_tries(
    kubelets: Kubelets, api: ApiServer, tmp_path: Path, more: dict[str, str], message: str
) -> None:
    kubelets.look([instance(**more)], time.monotonic())
    assert posted(api) == []
    line = next(read(tmp_path, "refused"))
    assert line["status"] == 0
    assert message in line["message"]


def test_an_instance_without_a_role_has_no_credentials(
    kubelets: Kubelets, api: ApiServer, roles: Roles, tmp_path: Path
) -> None:
    roles.problem = "instance profile p has no role"
    kubelets.look([launched(api)], time.monotonic())
    assert posted(api) == []
    assert next(read(tmp_path, "refused"))["message"] == "instance profile p has no role"


def test_an_endpoint_that_is_not_there_is_a_refusal_without_status(
    kubelets: Kubelets, api: ApiServer, tmp_path: Path
) -> None:
    gone = launched(api)["userData"].replace(api.server, "https://127.0.0.1:1")
    kubelets.look([instance(userData=gone)], time.monotonic())
    line = next(read(tmp_path, "refused"))
    assert (line["status"], "https://127.0.0.1:1 does not answer" in line["message"]) == (0, True)


@pytest.mark.parametrize(("holder", "joins"), [("eu-west-1a/i-old", False), ("eu-west-1b/i-1", True)])
def test_a_node_that_is_there_already_is_taken_over_by_its_own_instance_alone(
    kubelets: Kubelets, api: ApiServer, tmp_path: Path, holder: str, joins: bool
) -> None:
    there = {"spec": {"providerID": f"aws:///{holder}"}}
    api.answer = lambda method, path, body: (409, {"message": "exists"}) if method == "POST" else (200, there)
    kubelets.look([launched(api)], time.monotonic())
    assert [holder.rpartition("/")[2] in line["message"] for line in read(tmp_path, "refused")] == [True] * (not joins)
    assert bool(list(read(tmp_path, "joined"))) == joins


def test_a_managed_group_joins_when_its_row_is_there(
    kubelets: Kubelets, api: ApiServer, tables: Tables, tmp_path: Path
) -> None:
    kubelets.look([of_group()], time.monotonic())
    assert api.asked == []
    assert list(read(tmp_path)) == []
    tables.put("node-groups", "otel-lab/system", GROUP)
    kubelets.look([of_group()], time.monotonic())
    assert posted(api) == [(instance()["privateDnsName"], f"i-1 as {ROLE}")]


def written(api: ApiServer) -> list[tuple[str, str]]:
    return [(method, token) for method, _, _, token in api.asked if method in ("PATCH", "DELETE")]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("stopped", [("PATCH", "cloud_controller")]),
        ("terminated", [("PATCH", "cloud_controller"), ("DELETE", "cloud_controller")]),
    ],
)
def test_kwok_lets_a_node_go_when_its_instance_stops_and_the_node_of_an_ended_one_is_deleted(
    kubelets: Kubelets, api: ApiServer, state: str, told: list[tuple[str, str]]
) -> None:
    now = time.monotonic()
    kubelets.look([launched(api)], now)
    kubelets.look([launched(api, state=state)], now)
    let_go = next(body for method, _, body, _ in api.asked if method == "PATCH")
    assert let_go == {"metadata": {"labels": {KWOK_LABEL[0]: None}}}
    assert written(api) == told
    kubelets.look([launched(api, state=state)], now)
    assert written(api) == told


def test_the_node_of_a_managed_group_goes_with_its_instance(kubelets: Kubelets, api: ApiServer, tables: Tables) -> None:
    tables.put("node-groups", "otel-lab/system", GROUP)
    now = time.monotonic()
    kubelets.look([of_group()], now)
    kubelets.look([of_group(state="terminated")], now)
    assert written(api) == [("PATCH", "cloud_controller"), ("DELETE", "cloud_controller")]


def test_an_instance_that_ec2_has_forgotten_is_gone(kubelets: Kubelets, api: ApiServer) -> None:
    now = time.monotonic()
    kubelets.look([launched(api)], now)
    kubelets.look([], now)
    assert written(api) == [("PATCH", "cloud_controller"), ("DELETE", "cloud_controller")]
    kubelets.look([], now)
    assert kubelets.known == {}


def test_only_a_joined_node_of_a_running_instance_is_played(kubelets: Kubelets, api: ApiServer) -> None:
    now, name = time.monotonic(), instance()["privateDnsName"]
    assert kubelets.api_of(name) is None
    kubelets.look([launched(api)], now)
    played = kubelets.api_of(name)
    assert played is not None
    played.get(NODES)
    assert api.asked[-1][3] == f"i-1 as {ROLE}"
    kubelets.look([launched(api, state="stopped")], now)
    assert kubelets.api_of(name) is None


def test_state_changes_are_told_once_in_order_and_not_at_the_start() -> None:
    states = StateChanges()
    assert states.changes([instance()]) == []
    assert states.changes([instance(), instance("i-2")]) == [("i-2", "running")]
    assert states.changes([instance(state="terminated"), instance("i-2")]) == [
        ("i-1", "shutting-down"),
        ("i-1", "terminated"),
    ]
    assert states.changes([instance(state="terminated"), instance("i-2", "stopped")]) == [
        ("i-2", "stopping"),
        ("i-2", "stopped"),
    ]
    assert states.changes([instance(state="terminated"), instance("i-2", "stopped")]) == []
