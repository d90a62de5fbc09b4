"""The upgrade drill: what it says of what it saw, each promise with the fault that breaks it."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.drills.resilience import ElsewhereError, describe
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.drills.undo import moved, take_back
from otel_on_spot.drills.upgrade.verdicts import Drifted, Gone, Upgrade, verdicts
from otel_on_spot.drills.upgrade.watch import ClaimWatch, compare_pods, unready
from otel_on_spot.kubernetes.names import APP_VERSION, DEPLOYMENT, NODE_CLASS, NODE_POOL
from otel_on_spot.lab import control, isolation
from otel_on_spot.lab.folder import Folder, LabError, NoLabError
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.upgrades import WARNED, WELL, same_crds

IDS = ["moved", "order", "heard", "nodeclaims", "drift", "pods", "workloads", "back", "front-path"]


def said(seen: Upgrade, identity: str) -> str:
    verdict = next(each for each in verdicts(seen) if each.id == identity)
    return " | ".join([verdict.what, *(f"{each.subject}: {each.seen}" for each in verdict.findings)])


def test_a_platform_that_took_both_moves_well_is_in_order_and_says_what_was_seen() -> None:
    assert [verdict.id for verdict in verdicts(WELL)] == IDS
    assert said(WELL, "moved") == "1.14.3 to 1.15.0 in 9 s, 1.15.0 to 1.14.3 in 8 s"
    assert said(WELL, "order") == "3.0 s before (1.14.3 to 1.15.0), 2.5 s before (1.15.0 to 1.14.3)"
    assert said(same_crds(), "order") == "the CRDs are the same in both versions"
    assert said(WELL, "heard") == "2 warnings in a restart, the last one handled after 31.0 s"
    assert said(WELL, "nodeclaims") == "2 of 3 NodeClaims stayed; 1 consolidated, as in any version"
    assert said(WELL, "drift") == "hash versions: EC2NodeClass v5 → v6 → v5, NodePool v3"


def test_warnings_that_were_not_handled_are_not_counted_as_handled() -> None:
    lost = replace(WARNED, heard=None)

    assert said(replace(WELL, warned=(lost,)), "heard").startswith("1 warning in a restart, none handled | ")
    assert said(replace(WELL, warned=(lost, WARNED)), "heard").startswith(
        "2 warnings in a restart, the last one handled after 4.0 s, 1 not handled | "
    )


def test_outside_of_a_lab_it_is_refused_and_says_whose_the_version_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(isolation.LAB, raising=False)

    ended = CliRunner().invoke(app, ["drill", "upgrade", "--stack", "dev"])

    assert ended.exit_code == 2
    assert "does not run in a lab" in ended.output
    assert "`pulumi up` moves it" in " ".join(ended.output.split())


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("karpenter", control.RefusedError("Karpenter 9.9.9 is not built")),
        ("karpenter", NoLabError("no lab 'own' is running")),
        ("argocd", control.RefusedError('Argo CD v3.5.3 is not built. make tools ARGS="--argocd-next"')),
    ],
)
def test_a_lab_that_cannot_move_is_asked_before_anything_and_its_words_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, problem: LabError
) -> None:
    asked: list[tuple[Path, str, str]] = []

    def ask(folder: Folder, command: str, *, what: str) -> str:
        asked.append((folder.path, command, what))
        raise problem

    monkeypatch.setenv(isolation.LAB, str(tmp_path / "own"))
    monkeypatch.setattr(control, "ask", ask)

    ended = CliRunner().invoke(app, ["drill", "upgrade", "--what", what, "--stack", "lab"])

    assert ended.exit_code == 2
    assert str(problem) in " ".join(ended.output.split())
    assert asked == [(tmp_path / "own", "next", what)]


def claim(name: str, *conditions: tuple[str, str, str], hashed: str = "v5", deleted: bool = False) -> dict[str, Any]:
    listed = [{"type": kind, "status": status, "reason": reason} for kind, status, reason in conditions]
    annotations = {"karpenter.sh/nodepool-hash-version": "v3", "karpenter.k8s.aws/ec2nodeclass-hash-version": hashed}
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "annotations": annotations}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-26T08:00:00Z"
    return {"metadata": metadata, "status": {"nodeName": f"ip-{name}", "conditions": listed}}


def watched(*looks: Collection[dict[str, Any]]) -> ClaimWatch:
    """Watch claims over these looks; the first is the start."""
    later = iter(looks[1:])
    api: Any = SimpleNamespace(list=lambda _path: next(later))
    watch = ClaimWatch(api, Timeline(), looks[0])
    for _ in looks[1:]:
        watch.look()
    return watch


def test_what_went_is_told_with_karpenters_reason_even_where_it_was_seen_only_before() -> None:
    tired = claim("b", ("DisruptionReason", "True", "Underutilized"))
    watch = watched([claim("a"), claim("b"), claim("c")], [claim("a", deleted=True), tired, claim("c")], [claim("c")])

    assert watch.gone(["a"]) == (Gone(claim="b", node="ip-b", reason="Underutilized"),)
    assert watch.gone([]) == (Gone(claim="a", node="ip-a", reason=""), *watch.gone(["a"]))


def test_a_node_claim_that_became_ready_on_the_way_must_stay_too_and_one_that_never_did_need_not() -> None:
    ready = ("Ready", "True", "Ready")
    watch = watched([claim("a", ready)], [claim("a", ready), claim("b", ready), claim("c")], [claim("a", ready)])

    assert watch.gone([]) == (Gone(claim="b", node="ip-b", reason=""),)
    assert (watch.count([]), watch.count(["a"])) == (2, 1)


def test_drift_counts_where_it_came_with_the_move_and_not_where_it_was_there_before() -> None:
    old, new = claim("a", ("Drifted", "True", "AMIDrift")), claim("b", ("Drifted", "True", "NodeClassDrift"))
    watch = watched([old, claim("b"), claim("c")], [old, new, claim("c", ("Drifted", "False", ""))])

    assert watch.drifted == (Drifted(claim="b", reason="NodeClassDrift"),)


def test_a_hash_version_counts_once_every_node_claim_has_it() -> None:
    a, b = claim("a", hashed="v6"), claim("b", hashed="v6")
    watch = watched([claim("a"), claim("b")], [a, claim("b")], [a, b], [claim("a"), claim("b")])

    assert watch.hashes == {"NodePool": ("v3",), "EC2NodeClass": ("v5", "v6", "v5")}


def pod(name: str, node: str = "ip-1", *, restarts: int = 0, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "otel-demo", "name": name, "uid": f"uid-{name}", "labels": labels},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "containerStatuses": [{"restartCount": restarts}]},
    }


def test_a_pod_on_a_node_that_stays_must_stay_as_it_was() -> None:
    karpenters = pod("karpenter-1", **{"app.kubernetes.io/name": "karpenter"})
    job = pod("job-1")
    job["metadata"]["ownerReferences"] = [{"kind": "Job"}]
    ended = pod("ended-1")
    ended["status"]["phase"] = "Succeeded"
    before = [pod("cart-1"), pod("ad-1"), pod("ui-1", restarts=1), pod("gone-1", "ip-2"), karpenters, job, ended]

    count, changed = compare_pods(before, [pod("cart-1"), pod("ui-1", restarts=3)], lambda node: node != "ip-2")

    assert count == 3
    assert changed == ("otel-demo/ad-1: gone, or another pod is in its place", "otel-demo/ui-1: restarted 2 times")


def test_a_pool_that_is_not_ready_is_named(there: Cluster) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    there.front.add(NODE_POOL, "data", status=ready)
    there.front.add(NODE_POOL, "spot")
    there.front.add(NODE_CLASS, "default", status=ready)
    assert unready(there.api) == ("NodePool spot",)


def test_a_dead_drills_version_is_left_to_an_update_and_said_so(there: Cluster) -> None:
    labels = {APP_VERSION: "1.15.0"}
    there.front.add(DEPLOYMENT, "karpenter", metadata={"namespace": "kube-system", "labels": labels})
    step = moved(DEPLOYMENT.path("kube-system", "karpenter"), "1.14.3", "1.15.0")
    with pytest.raises(ElsewhereError) as refused:
        take_back(there.target, there.api, step)
    assert describe(refused.value).startswith("Karpenter is 1.15.0 and was 1.14.3: an update brings back")

    labels[APP_VERSION] = "1.14.3"
    assert take_back(there.target, there.api, step) == "is 1.14.3"
