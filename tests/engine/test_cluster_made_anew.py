"""A cluster that somebody deleted past Pulumi: the runbook's two ways back, and the way out, on the real engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.handler import Attempt, Site
from otel_on_spot.simcloud.kubernetes_api import DELETE_UNREACHABLE
from otel_on_spot.simcloud.live import cluster_site
from otel_on_spot.simcloud.operations import Subject
from tests.engine.workbench import REGION, Workbench, workbench

CLUSTER = "aws:eks/cluster:Cluster"
PAST_PULUMI = ("aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon", CLUSTER)


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        bench.up()
        yield bench


def resources(bench: Workbench, token: str) -> list[dict[str, Any]]:
    return [resource for resource in bench.state()["resources"] if resource["type"] == token]


def delete_cluster(bench: Workbench) -> None:
    """What ``aws eks delete-nodegroup``, ``delete-addon`` and ``delete-cluster`` do."""
    site = Site(bench.cloud, region=REGION)
    for token in PAST_PULUMI:
        for resource in resources(bench, token):
            subject = Subject(token, resource["urn"].rpartition("::")[2])
            registry.handler(token).do_delete(Attempt(site, subject), resource["id"], resource["outputs"])


def running(bench: Workbench) -> bool:
    """Whether Karpenter is installed and its pools are declared."""
    api = bench.cloud.kubernetes("otel-dev")
    pool = api.get("karpenter.sh/v1", "NodePool", "spot")
    return pool is not None and bench.cloud.tables.get("releases", "otel-dev|kube-system|karpenter") is not None


def test_a_refresh_that_drops_what_is_gone_and_an_update_make_it_anew(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running(bench)
    urns = bench.urns()
    delete_cluster(bench)
    code, out, err = bench.attempt("refresh", "--yes", "--skip-preview", "--non-interactive")
    assert (code != 0, "unreachable" in out + err) == (True, True)
    with monkeypatch.context() as told:
        told.setenv(DELETE_UNREACHABLE, "true")
        bench.run("refresh", "--yes", "--skip-preview", "--non-interactive")
    assert not [urn for urn in bench.urns() if "::kubernetes:" in urn]
    bench.up()
    assert (running(bench), bench.urns()) == (True, urns)
    bench.expect_no_changes()


def test_an_update_past_it_leaves_an_empty_cluster_that_an_update_with_refresh_fills(bench: Workbench) -> None:
    (cluster,) = resources(bench, CLUSTER)
    delete_cluster(bench)
    bench.run("refresh", "--yes", "--skip-preview", "--non-interactive", "--target", cluster["urn"])
    bench.attempt("up", "--yes", "--skip-preview", "--non-interactive")
    assert cluster_site(bench.cloud, "otel-dev")
    assert not running(bench)
    wanted = set(bench.changed("--refresh").values())
    assert "create" in wanted
    bench.up("--refresh")
    assert running(bench)
    bench.expect_no_changes()


def test_what_is_left_of_the_stack_is_destroyed_without_the_cluster(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_cluster(bench)
    code, out, err = bench.attempt("destroy", "--yes", "--skip-preview", "--non-interactive")
    assert (code != 0, "unreachable" in out + err) == (True, True)
    with monkeypatch.context() as told:
        told.setenv(DELETE_UNREACHABLE, "true")
        bench.run("refresh", "--yes", "--skip-preview", "--non-interactive")
    bench.destroy()
    assert bench.left() == []
