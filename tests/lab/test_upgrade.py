"""Karpenter's and Argo CD's next minor and back, and the nodes' other AMI and back, by the drill: nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.modules import ARGOCD, ARGOCD_NEXT, KARPENTER, KARPENTER_NEXT, Module
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, until

HERE, NEXT = (module.version.removeprefix("v") for module in (KARPENTER, KARPENTER_NEXT))
APART = "apart"


def require(lab: Lab, module: Module, option: str) -> None:
    """Skip where what the drill moves to is not built."""
    if lab.tools.moved_to(module) is None:
        pytest.skip(f'{module.name} {module.version} is not built: run make tools ARGS="{option}"')


@pytest.fixture
def two_spot_nodes(lab: Lab) -> Iterator[None]:
    """Two Spot nodes with a pod of their own: one is warned, one must stay."""
    lab.wants_node(APART, cpu="3", replicas=2, apart=True)
    until("both pods run", lambda: lab.ready(APART) == 2)
    yield
    lab.no_longer_wants_node(APART)


def version(lab: Lab) -> str:
    return lab.get("deployment", "karpenter", "kube-system")["metadata"]["labels"]["app.kubernetes.io/version"]


def test_karpenters_next_minor_and_back_lose_no_node_no_pod_and_no_warning(
    lab: Lab, tmp_path: Path, two_spot_nodes: None
) -> None:
    require(lab, KARPENTER_NEXT, "--next")
    seen = rehearse(lab, tmp_path, "upgrade", "--timeout", "120", keep="upgrade", seconds=280)

    assert set(seen.lines.values()) == {"ok"}, seen.told
    assert f"{HERE} to {NEXT} in " in seen.looked_at("moved")
    assert f"{NEXT} to {HERE} in " in seen.looked_at("moved")
    assert seen.looked_at("heard").split()[0] not in ("0", "1"), "a warning in each restart"
    assert seen.moments["crds"] < seen.moments["controller"] < seen.moments["warned"] < seen.moments["heard"]
    assert version(lab) == HERE
    assert lab.lease() is None


def test_argo_cds_next_minor_and_back_sync_nothing_and_hold_a_suspension(lab: Lab, tmp_path: Path) -> None:
    require(lab, ARGOCD_NEXT, "--argocd-next")
    declared = lab.replicas()

    options = ("--what", "argocd", "--timeout", "150")
    seen = rehearse(lab, tmp_path, "upgrade", *options, keep="upgrade-argocd", seconds=700)

    assert set(seen.lines.values()) == {"ok"}, seen.told
    here, further = ARGOCD.version, ARGOCD_NEXT.version
    assert f"{here} to {further} in " in seen.looked_at("moved")
    assert f"{further} to {here} in " in seen.looked_at("moved")
    assert f"s before ({here} to {further})" in seen.looked_at("order"), "3.5 brings other CRDs"
    assert seen.looked_at("suspended").endswith(f"OutOfSync in {further} and {here}, and left")
    assert seen.moments["scaled by hand"] < seen.moments["noticed"] < seen.moments["the suspension ends"]
    assert lab.replicas() == declared
    assert lab.get("configmap", "argocd-cm", "argocd")["metadata"]["labels"]["app.kubernetes.io/version"] == here
    assert not lab.get("appproject", "platform", "argocd")["spec"].get("syncWindows")
    assert lab.lease() is None


def alias(lab: Lab) -> object:
    return lab.get("ec2nodeclass", "default")["spec"]["amiSelectorTerms"]


def test_the_other_ami_and_back_replace_every_node_within_the_budgets_and_move_no_pod_off_a_new_one(
    lab: Lab, tmp_path: Path, two_spot_nodes: None
) -> None:
    before, there = alias(lab), lab.claims()
    images = {claim["status"]["imageID"] for claim in there.values()}

    seen = rehearse(lab, tmp_path, "upgrade", "--what", "nodes", "--timeout", "300", keep="upgrade-nodes", seconds=700)

    assert set(seen.lines.values()) == {"ok"}, seen.told
    assert f"{len(there)} nodes of {len(there)} replaced" in seen.looked_at("release")
    assert "spot 1 of 1" in seen.looked_at("budgets"), "one node at a time"
    after = lab.claims()
    assert not there.keys() & after.keys(), "each node is another one"
    assert {claim["status"]["imageID"] for claim in after.values()} == images, "of the release that it was"
    assert alias(lab) == before
    assert lab.lease() is None
