"""The life of staging, on one stack, in the order of this file: admitted both ways, unprotected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.simcloud.aws.eks_access import admitted_by
from otel_on_spot.simcloud.live import cluster_site
from tests.engine.workbench import Workbench, own_provider, workbench


@pytest.fixture(scope="module")
def staging(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "staging") as bench:
        bench.first_preview = bench.steps()
        bench.up()
        yield bench


def test_preview_update_and_plan_declare_the_same_resources(staging: Workbench) -> None:
    planned = {resource.urn for resource in record("staging")}
    assert {step["urn"] for step in staging.first_preview if not own_provider(step["urn"])} == planned
    assert {step["op"] for step in staging.first_preview} == {"create"}
    assert staging.urns() == planned


def test_its_nodes_are_admitted_both_ways(staging: Workbench) -> None:
    role = f"arn:aws:iam::{staging.cloud.account}:role/otel-staging-karpenter-node"
    ways = admitted_by(cluster_site(staging.cloud, "otel-staging"), "otel-staging", role)
    assert ways == {"aws-auth", "access-entry"}


def test_a_second_preview_finds_nothing_to_do(staging: Workbench) -> None:
    staging.expect_no_changes()


def test_destroy_is_not_refused_and_leaves_nothing(staging: Workbench) -> None:
    assert len(staging.left()) > 50
    staging.destroy()
    assert staging.left() == []
