"""Each mistake ends with one clear message, exit code 2 and no traceback."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEV = (ROOT / "Pulumi.dev.yaml").read_text()
PROD = (ROOT / "Pulumi.prod.yaml").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program whose stack files may be spoilt."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("infra", "otel_on_spot"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"]:
        shutil.copy(path, folder)
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_on_spot", *arguments], cwd=folder, capture_output=True, text=True
    )


def replaced(text: str, old: str, new: str) -> Callable[[], str]:
    assert old in text
    return lambda: text.replace(old, new)


SPOILT: dict[str, tuple[str, str]] = {
    "misspelt key": (replaced(DEV, "adminEnabled", "adminEnable")(), "argocd.adminEnable"),
    "wrong type": (replaced(DEV, "weight: 50", "weight: heavy")(), "pools.spot.weight"),
    "range too small": (replaced(DEV, "10.10.0.0/16", "10.10.0.0/26")(), "network.cidr"),
    "overlapping subnets": (replaced(DEV, "cidr: 10.10.0.0/16", "cidr: 10.10.0.0/19")(), "network.cidr"),
    "one zone in prod": (replaced(PROD, "[eu-west-1a, eu-west-1b, eu-west-1c]", "[eu-west-1a]")(), "network.zones"),
    "name of 80 characters": (replaced(DEV, "name: otel-dev", f"name: {'x' * 80}")(), "cluster.name"),
    "unsupported Kubernetes": (replaced(DEV, '"1.35"', '"1.29"')(), "cluster.kubernetesVersion"),
    "ARN where a name belongs": (
        replaced(DEV, "name: otel-dev", "name: arn:aws:eks:eu-west-1:111122223333:cluster/x")(),
        "cluster.name",
    ),
    "empty file": ("", "Pulumi.spoilt.yaml: the file is empty"),
    "not YAML": ("config:\n  a: [1\n  b: 2\n", "not YAML at line 3"),
    "a list": ("- 1\n", "not a map"),
    "no config": ("other: 1\n", "config"),
}


@pytest.mark.parametrize("mistake", SPOILT)
def test_a_spoilt_stack_file_ends_with_one_message(project: Path, mistake: str) -> None:
    text, named = SPOILT[mistake]
    (project / "Pulumi.spoilt.yaml").write_text(text)
    ended = run(project, "plan", "--stack", "spoilt")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("error:") == 1
    assert ended.stderr.startswith("error: ")
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stack", "moon"), "Stacks with a file: dev, lab, prod, staging"),
        (("--stack", "dev", "--against", "nowhere"), "nowhere"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(project: Path, arguments: tuple[str, ...], said: str) -> None:
    (project / "Pulumi.spoilt.yaml").unlink(missing_ok=True)
    ended = run(project, "plan", *arguments)

    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert said in ended.stderr


def test_json_is_json_and_yaml_lands_in_its_folder(project: Path, tmp_path: Path) -> None:
    as_json = run(project, "plan", "--json")
    as_yaml = run(project, "plan", "--yaml", str(tmp_path / "out"))

    assert json.loads(as_json.stdout)["stack"] == "dev"
    assert as_yaml.returncode == 0
    assert (tmp_path / "out" / "nodepool-spot.yaml").exists()


def test_help_gives_examples_and_does_not_load_pulumi() -> None:
    code = "import sys\nfrom typer.testing import CliRunner\nfrom otel_on_spot.cli import app\nprint(CliRunner().invoke(app, ['plan', '--help']).stdout)\nprint('pulumi' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "Examples" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "False"
