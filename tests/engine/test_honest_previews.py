"""A preview can be trusted: nothing unknown in a chart, nothing replaced by an update of the cluster, none missing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.properties import Properties
from tests.engine.workbench import Workbench, own_provider, short, workbench

UNKNOWN_ON_THE_WIRE = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go (UnknownStringValue)"""
IRSA = {"version": "1.14.3", "nodeRepair": True, "identity": "irsa"}
CLUSTER = "Cluster:cluster-eks-eksCluster"
PROVIDER = "kubernetes:cluster-kubernetes"
OLDER = {"cluster.kubernetesVersion": "1.35", "cluster.addons.kubeProxy": "v1.35.3-eksbuild.29"}
"""A minor behind the stack file: the update to what is committed is an upgrade."""
STACKS = [("dev", None), ("staging", None), ("prod", None), ("dev", IRSA)]
THE_COMPONENTS = {"kubernetes:cluster-eks-eks-k8s", "ConfigMap:cluster-eks-nodeAccess"}
"""What pulumi-eks reaches with a provider of its own, to which it gives no cluster identifier."""
IDENTIFIER = 'cluster_identifier=f"{args.stack_names.region}/{config.name}",'


@pytest.fixture(scope="module", params=STACKS, ids=["dev", "staging", "prod", "dev with irsa"])
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    """A stack with what is changed of it, and the steps of its very first preview."""
    stack, karpenter = request.param
    with (
        workbench(tmp_path_factory.mktemp("first"), stack, stand_in=True) as bench,
        bench.settings({"karpenter": karpenter} if karpenter else {}) as file,
    ):
        return (stack, karpenter), bench.steps("--config-file", str(file))


def with_unknowns(steps: list[dict[str, Any]]) -> set[str]:
    return {
        short(step["urn"])
        for step in steps
        if step["op"] != "delete"
        and not own_provider(step["urn"])
        and UNKNOWN_ON_THE_WIRE in json.dumps((step.get("newState") or {}).get("inputs", {}))
    }


def releases(steps: list[dict[str, Any]]) -> set[str]:
    return {short(step["urn"]) for step in steps if "::kubernetes:helm.sh/v3:Release" in step["urn"].replace("$", "::")}


def test_the_first_preview_declares_what_the_plan_records(first: tuple[Any, list[dict[str, Any]]]) -> None:
    (stack, karpenter), steps = first
    declared = {step["urn"] for step in steps if not own_provider(step["urn"])}
    changes = {"karpenter": karpenter} if karpenter else None
    for preview in (False, True):
        assert {resource.urn for resource in record(stack, preview=preview, config_overrides=changes)} == declared
    assert {step["op"] for step in steps} == {"create"}


def test_nothing_unknown_reaches_a_chart_at_the_first_preview(first: tuple[Any, list[dict[str, Any]]]) -> None:
    _, steps = first
    unknown = with_unknowns(steps)
    assert CLUSTER in unknown, "the preview shows no unknowns: this test would see none"
    assert len(releases(steps)) == 3
    assert releases(steps) & unknown == set()


def up_a_minor_behind(bench: Workbench) -> None:
    with bench.settings(OLDER) as file:
        bench.up("--config-file", str(file))


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        up_a_minor_behind(bench)
        yield bench


@pytest.fixture
def pessimist(monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS provider that does not promise the cluster's endpoint while it is updated: the worst that it may do."""
    handler = registry.handler("aws:eks/cluster:Cluster")
    promised = handler.preview

    def preview(state: Properties, new: Properties, site: Site) -> Properties:
        return {**promised(state, new, site), **({"endpoint": UNKNOWN} if state else {})}

    monkeypatch.setattr(handler, "preview", preview)


def steps_of_an_upgrade(bench: Workbench) -> list[dict[str, Any]]:
    return bench.steps()


def changed(steps: list[dict[str, Any]]) -> dict[str, str]:
    return {short(step["urn"]): step["op"] for step in steps if step["op"] != "same"}


def test_an_update_of_the_cluster_changes_it_in_place_and_nothing_that_lives_in_it(bench: Workbench) -> None:
    steps = steps_of_an_upgrade(bench)
    assert changed(steps) == {
        CLUSTER: "update",
        "NodeGroup:cluster-system-nodes-group": "update",
        "Addon:cluster-before-nodes-kube-proxy": "update",
    }
    assert with_unknowns(steps) == set()


def test_an_update_of_the_cluster_replaces_no_provider_whatever_aws_promises(bench: Workbench, pessimist: None) -> None:
    steps = steps_of_an_upgrade(bench)
    found = changed(steps)
    assert found[CLUSTER] == "update"
    assert found[PROVIDER] == "update", "the endpoint is known: this test would see no replacement"
    assert {what for what, operation in found.items() if "replace" in operation} <= THE_COMPONENTS
    assert releases(steps) & with_unknowns(steps) == set()


def test_without_the_clusters_name_the_provider_and_all_behind_it_would_be_replaced(
    tmp_path: Path, pessimist: None
) -> None:
    with workbench(tmp_path, "dev", stand_in=True) as bench:
        module = bench.program / "infra" / "cluster.py"
        whole = module.read_text()
        assert IDENTIFIER in whole
        module.write_text(whole.replace(IDENTIFIER, ""))
        up_a_minor_behind(bench)
        found = changed(steps_of_an_upgrade(bench))
    assert "replace" in found[PROVIDER]
    assert "replace" in found["Application:platform-root"]
