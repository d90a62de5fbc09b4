"""A small repository with the wrapper's place in it, and a demo chart of one file."""

from pathlib import Path

import pytest

from otel_on_spot.lab.gitops.demo_chart import DemoChart
from tests.unit.repository import git


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    wrapper = folder / "gitops/charts/otel-demo"
    wrapper.mkdir(parents=True)
    (wrapper / "Chart.yaml").write_text("dependencies: [{name: opentelemetry-demo, version: 0.38.6}]\n")
    (folder / ".gitignore").write_text("gitops/charts/*/charts/\n*.log\n")
    (folder / "README.md").write_text("first\n")
    git(folder, "init", "-q", "-b", "main", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "First words")
    return folder


@pytest.fixture
def chart(tmp_path: Path) -> DemoChart:
    folder = tmp_path / "opentelemetry-demo"
    folder.mkdir()
    (folder / "Chart.yaml").write_text("name: opentelemetry-demo\nversion: 0.38.6\n")
    return DemoChart(folder=folder, name="opentelemetry-demo", version="0.38.6", stand_in=False)
