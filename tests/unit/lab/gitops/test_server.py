"""The Git server: a real git clones and fetches over TLS, and cannot push."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from otel_on_spot.lab import certificates
from otel_on_spot.lab.gitops.demo_chart import DemoChart
from otel_on_spot.lab.gitops.server import server
from otel_on_spot.lab.gitops.snapshot import Snapshot
from tests.unit.lab.conftest import serving
from tests.unit.repository import git


@pytest.fixture
def snapshot(source: Path, chart: DemoChart, tmp_path: Path) -> Snapshot:
    made = Snapshot(tmp_path / "served" / "otel-on-spot.git", source, chart)
    made.refresh()
    return made


@pytest.fixture
def url(snapshot: Snapshot, tmp_path: Path) -> Generator[str]:
    certificate = certificates.Authority(tmp_path).issue("git", "git", ("127.0.0.1",))
    with serving(server(snapshot.repository.parent, ("127.0.0.1", 0), certificate)) as port:
        yield f"https://127.0.0.1:{port}/otel-on-spot.git"


def client(tmp_path: Path, *arguments: str, ca: bool = True) -> subprocess.CompletedProcess[str]:
    hidden = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    trust = {"GIT_SSL_CAINFO": str(tmp_path / "ca.crt")} if ca else {}
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    environment = {**hidden, **trust, "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30)


def test_git_clones_and_sees_the_next_commit(url: str, snapshot: Snapshot, source: Path, tmp_path: Path) -> None:
    cloned = client(tmp_path, "clone", "-q", url, "copy")
    assert cloned.returncode == 0, cloned.stderr

    (source / "README.md").write_text("second\n")
    git(source, "commit", "-qam", "Second words")
    snapshot.refresh()
    fetched = client(tmp_path, "-C", "copy", "pull", "-q")

    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "copy/README.md").read_text() == "second\n"
    assert (tmp_path / "copy/gitops/charts/otel-demo/charts/opentelemetry-demo/Chart.yaml").exists()


def test_a_push_is_refused(url: str, snapshot: Snapshot, tmp_path: Path) -> None:
    client(tmp_path, "clone", "-q", url, "copy")
    (tmp_path / "copy/README.md").write_text("pushed\n")
    client(tmp_path, "-C", "copy", "commit", "-qam", "Pushed")

    pushed = client(tmp_path, "-C", "copy", "push", "-q")

    assert pushed.returncode != 0
    assert "403" in pushed.stderr
    assert git(snapshot.repository, "show", "main:README.md") == "first"


def test_nobody_reads_it_without_trusting_the_authority(url: str, tmp_path: Path) -> None:
    refused = client(tmp_path, "ls-remote", url, ca=False)

    assert refused.returncode != 0
    assert "certificate" in refused.stderr.lower()


@pytest.mark.parametrize(
    "path", ["/otel-on-spot.git/config", "/../secret.git/info/refs", "/otel-on-spot.git/objects/info/packs"]
)
def test_only_what_a_fetch_takes_is_served(url: str, tmp_path: Path, path: str) -> None:
    command = ["curl", "-s", "--path-as-is", "--noproxy", "*", "--cacert", str(tmp_path / "ca.crt"), "-o", "/dev/null"]
    command += ["-w", "%{http_code}", url.removesuffix("/otel-on-spot.git") + path]

    assert subprocess.run(command, capture_output=True, text=True, timeout=20).stdout == "404"
