"""The life of prod, on one stack, in the order of this file: it is refused to be destroyed until it is unprotected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.simcloud.aws.eks_cluster import set_deletion_protection
from otel_on_spot.simcloud.live import cluster_site
from tests.engine.workbench import Workbench, own_provider, workbench


@pytest.fixture(scope="module")
def prod(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "prod") as bench:
        bench.first_preview = bench.steps()
        bench.up()
        yield bench


def test_preview_update_and_plan_declare_the_same_resources(prod: Workbench) -> None:
    planned = {resource.urn for resource in record("prod")}
    assert {step["urn"] for step in prod.first_preview if not own_provider(step["urn"])} == planned
    assert prod.urns() == planned


def test_a_second_preview_finds_nothing_to_do(prod: Workbench) -> None:
    prod.expect_no_changes()


def test_destroy_with_its_preview_is_refused_as_a_whole_while_protected(prod: Workbench) -> None:
    before, since = prod.left(), prod.mark()
    code, out, err = prod.attempt("destroy", "--yes", "--non-interactive")
    assert code != 0
    assert "protected" in out + err
    assert prod.operations(since) == []
    assert prod.left() == before


def test_the_documented_teardown_leaves_nothing(prod: Workbench) -> None:
    prod.run("state", "unprotect", "--all", "--yes")
    set_deletion_protection(cluster_site(prod.cloud, "otel-prod"), "otel-prod", on=False)
    prod.destroy()
    assert prod.left() == []
