"""The same cloud through both doors: the real engine over the provider protocol, and the graph without a CLI."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.inventory import inventory, shape
from otel_on_spot.simcloud.live import claim_volume, cluster_site, expose, launch_nodes
from otel_on_spot.simcloud.session import EKS_PLUGIN, Session

REGION = "eu-west-1"
SENTINEL = "sentinel-that-nobody-may-see"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="no pulumi CLI on PATH"),
    pytest.mark.skipif(shutil.which("pulumi-language-python") is None, reason="no pulumi-language-python on PATH"),
]


def pulumi(session: Session, program: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=program,
        env=session.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def state(session: Session, program: Path) -> dict[str, Any]:
    return json.loads(pulumi(session, program, "stack", "export", "--stack", "dev"))


def test_both_doors_make_the_same_cloud_and_destroy_leaves_nothing(tmp_path: Path, program: Path) -> None:
    with Cloud(tmp_path / "graph", patience=30, forgetful=True) as cloud:
        recording = graph.apply("dev", cloud, config_overrides={"gitToken": SENTINEL})
        by_graph = shape(cloud, REGION)
    with Session(tmp_path / "engine", stand_in=True, patience=30) as session:
        pulumi(session, program, "stack", "init", "dev")
        pulumi(session, program, "config", "set", "--secret", "gitToken", SENTINEL, "--stack", "dev")
        told = pulumi(session, program, "up", "--yes", "--skip-preview", "--stack", "dev", "--diff")
        by_engine = shape(session.cloud, REGION)
        assert by_engine == by_graph
        saved = json.dumps(state(session, program))
        urns = {r["urn"] for r in json.loads(saved)["deployment"]["resources"]}
        assert {r.urn for r in recording} == {urn for urn in urns if "::default" not in urn}
        assert SENTINEL not in told + saved + (tmp_path / "engine" / "operations.jsonl").read_text()
        again = pulumi(session, program, "preview", "--stack", "dev", "--expect-no-changes")
        assert "unchanged" in again
        site = cluster_site(session.cloud, "otel-dev")
        launch_nodes(site, "spot", 2)
        expose(site, "platform", "frontend")
        claim_volume(site, "platform", "opensearch")
        pulumi(session, program, "destroy", "--yes", "--skip-preview", "--stack", "dev")
        assert inventory(session.cloud, REGION) == []


@pytest.mark.skipif(shutil.which(EKS_PLUGIN) is None, reason=f"no {EKS_PLUGIN} on PATH")
def test_the_stand_in_for_pulumi_eks_makes_what_its_own_provider_makes(tmp_path: Path, program: Path) -> None:
    seen = {}
    for stand_in in (True, False):
        with Session(tmp_path / f"cloud-{stand_in}", stand_in=stand_in, patience=30) as session:
            pulumi(session, program, "stack", "init", "dev")
            pulumi(session, program, "up", "--yes", "--skip-preview", "--stack", "dev")
            resources = state(session, program)["deployment"]["resources"]
            seen[stand_in] = (
                {r["urn"]: set(r.get("dependencies", [])) for r in resources},
                shape(session.cloud, REGION),
            )
    assert seen[True][0].keys() == seen[False][0].keys()
    assert seen[True][1] == seen[False][1]
