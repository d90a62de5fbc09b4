"""The list of changes and the page of their effects: every setting is on both; a change that does too much is seen."""

import re

import pytest

from tests.engine.changes import BY_NATURE, CHANGES, leaves
from tests.engine.settings_changes import BY_KEY, HEAD, PAGE, Effects, problems


def test_every_setting_has_one_change() -> None:
    assert len(list(leaves())) > 60
    assert sorted(change.key for change in CHANGES) == sorted(leaves())


def test_every_change_is_about_its_own_setting() -> None:
    for change in CHANGES:
        inner, _, _ = change.key.partition("[]")
        assert re.fullmatch(re.escape(inner).replace("<name>", "[a-z-]+"), change.path), change.key


def test_the_page_has_a_row_for_every_change_and_a_reason_for_every_new_environment() -> None:
    page = PAGE.read_text()
    assert page.startswith(HEAD)
    table, _, nature = page.partition("## What means")
    assert re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE) == [change.key for change in CHANGES]
    assert re.findall(r"^\| `(.+?)` \| (.+?) \|", nature, re.MULTILINE) == [
        (key, one.reason) for key, one in BY_NATURE.items()
    ]


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
