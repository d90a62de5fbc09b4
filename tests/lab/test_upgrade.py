"""Karpenter's next minor and back, by the drill: with warnings in each restart, nothing else is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.drills.lease import NAME as LEASE
from otel_on_spot.lab.toolchain.modules import KARPENTER, KARPENTER_NEXT
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, until

HERE, NEXT = (module.version.removeprefix("v") for module in (KARPENTER, KARPENTER_NEXT))
APART = "apart"


@pytest.fixture
def next_karpenter(lab: Lab) -> None:
    if lab.tools.with_next_karpenter() is None:
        pytest.skip(f'Karpenter {NEXT} is not built: run make tools ARGS="--next"')


@pytest.fixture
def two_spot_nodes(lab: Lab) -> Iterator[None]:
    """Two Spot nodes with a pod of their own: one is warned, one must stay."""
    lab.wants_node(APART, cpu="3", replicas=2, apart=True)
    until("both pods run", lambda: lab.get("deployment", APART, "default")["status"].get("readyReplicas", 0) == 2)
    yield
    lab.no_longer_wants_node(APART)


def version(lab: Lab) -> str:
    return lab.get("deployment", "karpenter", "kube-system")["metadata"]["labels"]["app.kubernetes.io/version"]


def test_karpenters_next_minor_and_back_lose_no_node_no_pod_and_no_warning(
    lab: Lab, tmp_path: Path, next_karpenter: None, two_spot_nodes: None
) -> None:
    seen = rehearse(lab, tmp_path, "upgrade", "--timeout", "120", keep="upgrade", seconds=280)

    assert set(seen.lines.values()) == {"ok"}, seen.told
    assert f"{HERE} to {NEXT} in " in seen.looked_at("moved")
    assert f"{NEXT} to {HERE} in " in seen.looked_at("moved")
    assert seen.looked_at("heard").split()[0] not in ("0", "1"), "a warning in each restart"
    assert seen.moments["crds"] < seen.moments["controller"] < seen.moments["warned"] < seen.moments["heard"]
    assert version(lab) == HERE
    assert lab.get("lease.coordination.k8s.io", LEASE, "argocd") is None
