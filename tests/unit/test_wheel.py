"""The wheel holds the tools as one package, and they work on a project elsewhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as an installation lays them out."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_it_holds_one_package_with_its_types_and_its_data(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"otel_on_spot"}
    package = installed / "otel_on_spot"
    assert (package / "py.typed").is_file()
    assert (package / "lab" / "go" / "karpenter" / "go.sum").is_file()
    assert (package / "lab" / "kwok_stages.yaml").is_file()
    assert list((package / "lab" / "gitops" / "stand_in").rglob("Chart.yaml"))


def test_an_installation_plans_a_project_elsewhere(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.lab.yaml", "infra"):
        (project / name).symlink_to(ROOT / name)
    (project / "__main__.py").write_text("import pulumi\npulumi.ComponentResource('a:b:C', 'c')\n")
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "otel_on_spot", "plan", "--project", str(project), "--stack", "lab"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("otel-on-spot lab")
