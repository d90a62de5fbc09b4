"""The drift drill's lines, on recorded facts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import SyncWindow
from otel_on_spot.drills.drift import Drift, make_plan, verdicts, why_not
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.kubernetes.names import DEPLOYMENT, TRACKING
from tests.unit.doctor.changes import HEALTHY, added, changed, named
from tests.unit.drills.cluster import Cluster

SEEN = Drift(
    deployment="otel-demo/frontend",
    application="otel-demo",
    before=1,
    after=2,
    timeout=60.0,
    reverted=0.4,
    synced=1.2,
    sync="Synced",
)


def statuses(seen: Drift) -> dict[str, str]:
    return {verdict.id: verdict.status for verdict in verdicts(seen, "argocd")}


def test_put_back_and_synced_is_in_order() -> None:
    assert statuses(SEEN) == {"reverted": "ok", "synced": "ok"}
    assert verdicts(SEEN, "argocd")[0].what == "otel-demo/frontend from 2 back to 1 replicas in 0.4 s"


def test_what_was_put_back_and_is_not_synced_is_found() -> None:
    found = verdicts(replace(SEEN, synced=None, sync="OutOfSync"), "argocd")[1]
    assert found.status == "found"
    assert found.findings[0].seen.startswith("OutOfSync 60 s after the scale")


def test_what_was_not_put_back_is_found_with_its_reason_and_synced_is_not_judged() -> None:
    seen = replace(SEEN, reverted=None, synced=None, why="automatic sync of Application otel-demo is off")
    assert statuses(seen) == {"reverted": "found"}
    said = verdicts(seen, "argocd")[0].findings[0]
    assert said.seen == ("2 replicas for 60 s where Git declares 1: automatic sync of Application otel-demo is off")
    assert said.remedy[0] == "kubectl -n argocd describe application otel-demo"


def held(kind: str, hours_ago: int = 0) -> Facts:
    """A window of one day that began a minute ago, or so many hours earlier, on the platform's project."""
    began = HEALTHY.taken_at - timedelta(minutes=1, hours=hours_ago)
    window = SyncWindow(
        kind=kind,
        schedule=f"{began.minute} {began.hour} {began.day} {began.month} *",
        duration="2h",
        zone="UTC",
        applications=("*",),
    )
    return changed("projects", named("platform"), windows=(window,))(HEALTHY)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (HEALTHY, ""),
        (changed("applications", named("otel-demo"), automated=False)(HEALTHY), "automatic sync of Application"),
        (held("deny"), "sync windows of AppProject platform hold automatic syncs: deny window"),
        (held("allow"), ""),
        (held("allow", hours_ago=3), "sync windows of AppProject platform hold automatic syncs: allow window"),
        (
            changed("applications", named("otel-demo"), operation="Failed", operation_message="no chart")(HEALTHY),
            "the last sync of Application otel-demo ended Failed: no chart",
        ),
        (changed("applications", named("otel-demo"), problems=("ComparisonError: x",))(HEALTHY), "ComparisonError: x"),
        (changed("applications", named("otel-demo"), name="other")(HEALTHY), "there is no Application otel-demo"),
        (replace(HEALTHY, applications=None), ""),
    ],
    ids=["healthy", "off", "deny window", "open window", "closed window", "failed", "broken", "gone", "not seen"],
)
def test_why_nothing_is_put_back(facts: Facts, said: str) -> None:
    assert why_not(facts, "otel-demo").startswith(said) if said else why_not(facts, "otel-demo") == ""


def test_a_window_of_another_project_is_not_the_reason() -> None:
    window = held("deny").projects
    assert window is not None
    other = replace(next(application for application in window if application.name == "platform"), name="other")
    assert why_not(added("projects", other)(HEALTHY), "otel-demo") == ""


TRACKED = {"annotations": {TRACKING: "otel-demo:apps/Deployment:otel-demo/frontend"}}


@pytest.mark.parametrize(
    ("metadata", "name", "replicas", "said"),
    [
        (TRACKED, "cart", None, "no Deployment cart in namespace otel-demo"),
        ({}, "frontend", None, "no Application declares it and nobody would put it back"),
        (TRACKED, "frontend", 1, "has 1 already"),
    ],
    ids=["no such Deployment", "nobody's", "nothing to change"],
)
def test_what_proves_nothing_is_refused(
    there: Cluster, metadata: Any, name: str, replicas: int | None, said: str
) -> None:
    there.front.find("Deployment", "frontend")["metadata"] |= metadata
    with pytest.raises(DrillRefusedError, match=said):
        make_plan(there.target, there.api, name, replicas)


def test_one_replica_more_is_the_default_and_the_application_is_the_one_that_tracks_it(there: Cluster) -> None:
    there.front.add(DEPLOYMENT, "web", metadata={"namespace": "shop", **TRACKED}, spec={"replicas": 3})
    found = make_plan(there.target, there.api, "shop/web", None)
    assert (found.before, found.after, found.application) == (3, 4, "otel-demo")
    assert found.path == "/apis/apps/v1/namespaces/shop/deployments/web"
