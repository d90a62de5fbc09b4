"""The effects of a change are as the page says them, and nothing that must stay is replaced unasked.

One change of each kind; a nightly job previews all of them: ``python -m tests.engine.settings_changes --check``.
The unit tier holds the list of changes against the settings.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.settings_changes import BY_KEY, PAGE, built, effects, problems, row, unprotected
from tests.engine.workbench import Workbench

ONE_OF_EACH_KIND = (
    "tags",  # updates everything
    "cluster.kubernetesVersion",  # updates the cluster in place
    "cluster.systemNodes.instanceTypes",  # replaces
    "cluster.name",  # means a new environment
    "network.zones",  # creates, and replaces nothing
    "network.cidr",  # refused while the environment lives
    "cluster.nodeAccess",
    "cluster.endpoint.private",  # refused
    "region",  # refused while what the stack has in IAM is there
)


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with built(folder) as bench:
        yield bench


@pytest.mark.parametrize("key", ONE_OF_EACH_KIND)
def test_a_change_does_what_the_page_says_and_replaces_nothing_that_must_stay(bench: Workbench, key: str) -> None:
    found = effects(bench, BY_KEY[key].to)
    assert problems(BY_KEY[key], found) == []
    assert row(BY_KEY[key], found) in PAGE.read_text().splitlines()


@pytest.mark.parametrize("place", [{}, {"region": "eu-west-2", "network.zones": ["eu-west-2a", "eu-west-2b"]}])
def test_a_second_stack_of_the_same_cluster_name_is_refused_before_anything_is_made(
    bench: Workbench, place: dict[str, object]
) -> None:
    bench.run("stack", "init", "second", "--non-interactive", stack_flag=False)
    since = bench.mark()
    try:
        with bench.settings(place) as file:
            more = ("--non-interactive", "--yes", "--skip-preview", "--stack", "second", "--config-file", str(file))
            code, out, err = bench.attempt("up", *more, stack_flag=False)
    finally:
        bench.run("stack", "rm", "second", "--yes", "--force", stack_flag=False)
    told = out + err
    assert code != 0
    assert "otel-dev-karpenter-node" in told
    assert "of the stack eu-west-1/dev" in told
    assert "nothing was created" in told
    assert bench.operations(since) == []


def test_where_deletion_is_protected_what_means_a_new_environment_is_refused_at_the_preview(bench: Workbench) -> None:
    assert unprotected(bench, ["cluster.name"]) == []
