"""One change for each setting: what it replaces is told, and nothing that must stay is replaced unasked.

All of them: ``python -m tests.engine.settings_changes``. Here a spread of them, and the page against the list.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.changes import BASE, BY_NATURE, CHANGES, Change, leaves
from tests.engine.settings_changes import HEAD, PAGE, Effects, built, effects, problems, row
from tests.engine.workbench import Workbench

BY_KEY = {change.key: change for change in CHANGES}
ALWAYS = (
    "cluster.kubernetesVersion",
    "cluster.nodeAccess",
    "tags",
    "karpenter.identity",
    "network.cidr",
    "network.publicPrefix",
)
SPREAD = [change for index, change in enumerate(CHANGES) if index % 5 == 0 or change.key in ALWAYS]


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with built(folder) as bench:
        yield bench


def test_every_setting_has_one_change() -> None:
    assert len(list(leaves())) > 60
    assert sorted(change.key for change in CHANGES) == sorted(leaves())


def test_every_change_is_about_its_own_setting() -> None:
    for change in CHANGES:
        inner, _, _ = change.key.partition("[]")
        assert re.fullmatch(re.escape(inner).replace("<name>", "[a-z]+"), change.path), change.key


def test_the_page_has_a_row_for_every_change_and_a_reason_for_every_new_environment() -> None:
    page = PAGE.read_text()
    assert page.startswith(HEAD)
    table, _, nature = page.partition("## What means")
    assert re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE) == [change.key for change in CHANGES]
    assert re.findall(r"^\| `(.+?)` \| (.+?) \|", nature, re.MULTILINE) == [
        (key, one.reason) for key, one in BY_NATURE.items()
    ]


@pytest.mark.parametrize("change", SPREAD, ids=[change.key for change in SPREAD])
def test_a_change_does_what_the_page_says_and_replaces_nothing_that_must_stay(bench: Workbench, change: Change) -> None:
    found = effects(bench, change.to)
    assert problems(change, found) == []
    assert row(change, found) in PAGE.read_text().splitlines()


def test_where_deletion_is_protected_what_means_a_new_environment_is_refused_at_the_preview(bench: Workbench) -> None:
    protected = {"cluster.deletionProtection": True}
    with bench.settings({**BASE, **protected}) as file:
        bench.up("--config-file", str(file))
    assert effects(bench, protected) == Effects()
    for key in BY_NATURE:
        refused = effects(bench, {**protected, **BY_KEY[key].to}).refused
        assert "protect" in refused, f"{key}: {refused}"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("tags", Effects(updated=("Vpc:network-vpc",), replaced=("Cluster:cluster-eks-eksCluster",))),
        ("gitops.revision", Effects(updated=("Application:platform-root",), replaced=("Queue:interruption-queue",))),
        ("cluster.nodeAccess", Effects(deleted=("ConfigMap:cluster-eks-nodeAccess",))),
        ("network.zones", Effects(replaced=("Vpc:network-vpc", "Subnet:network-private-b"))),
        ("network.cidr", Effects(updated=("Vpc:network-vpc",))),
        ("argocd.domain", Effects(replaced=("Release:argocd-release",))),
        ("argocd.domain", Effects()),
        ("argocd.domain", Effects(refused="no")),
        ("cluster.endpoint.private", Effects(updated=("Cluster:cluster-eks-eksCluster",))),
        ("pools.<name>.stateful", Effects(updated=("NodePool:capacity-data",))),
    ],
)
def test_a_change_that_does_more_or_less_than_it_may_is_seen(key: str, found: Effects) -> None:
    assert problems(BY_KEY[key], found) != []
