"""The command: its exit codes, its report, and what it says when it cannot look."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_on_spot.cli.main import app
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.facts import dump
from tests.unit.doctor import access_faults, capacity_faults
from tests.unit.doctor.changes import HEALTHY, all_of

HEALTHY_FILE = Path(__file__).with_name("healthy.json")
ROOT = Path(__file__).parents[3]
runner = CliRunner()


def doctor(*options: str) -> tuple[int, str]:
    ran = runner.invoke(app, ["doctor", *options])
    return ran.exit_code, ran.output


def words_of(told: str) -> str:
    return " ".join(told.split())


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Facts of a lab with two faults."""
    file = tmp_path / "facts.json"
    both = all_of(access_faults.FAULTS["role not mapped"][1], capacity_faults.FAULTS["no Spot role"][1])
    file.write_text(dump(both(HEALTHY)))
    return file


def test_nothing_found_ends_with_0_and_a_line_for_everything_that_was_looked_at() -> None:
    code, told = doctor("--facts", str(HEALTHY_FILE))
    assert code == 0, told
    assert all(check.id in told for check in CHECKS)
    assert f"{len(CHECKS)} in order, 0 with 0 found, 0 unknown" in told


def test_what_was_found_ends_with_1_and_says_seen_rule_remedy_and_page(faulty: Path) -> None:
    code, told = doctor("--facts", str(faulty))
    assert code == 1
    for words in (
        "aws-auth: mapRoles does not list",
        "is admitted by aws-auth",
        "do aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        "see docs/runbooks/doctor/node-role.md",
        "see docs/runbooks/doctor/spot-role.md",
    ):
        assert words in words_of(told)


def test_a_command_stays_on_one_line(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(dump(capacity_faults.FAULTS["nearly at the limit"][1](HEALTHY)))
    _, told = doctor("--facts", str(file))
    command = "pulumi config set --stack lab --type string --path 'otel-on-spot:pools.data.limits.cpu' 48"
    assert f"  do    {command}\n" in told


def test_the_worst_comes_first(faulty: Path) -> None:
    _, told = doctor("--facts", str(faulty))
    assert told.index("(node-role)") < told.index("(spot-role)")


def test_what_could_not_be_looked_at_ends_with_2_and_the_rest_is_judged(tmp_path: Path, faulty: Path) -> None:
    known = json.loads(faulty.read_text())
    known["budgets"], known["unknown"] = None, {"budgets": "403 Forbidden"}
    file = tmp_path / "partly.json"
    file.write_text(json.dumps(known))
    code, told = doctor("--facts", str(file))
    assert code == 2
    assert "could not look: Kubernetes: budgets: 403 Forbidden" in told
    assert "not judged: disruption-budgets" in told
    assert "mapRoles does not list" in told


def test_the_report_holds_what_the_table_shows(tmp_path: Path, faulty: Path) -> None:
    file = tmp_path / "report.json"
    code, _ = doctor("--facts", str(faulty), "--json", str(file))
    report = json.loads(file.read_text())
    assert report["exit_code"] == code == 1
    found = {verdict["id"]: verdict["findings"] for verdict in report["verdicts"] if verdict["findings"]}
    assert list(found) == ["node-role", "spot-role"]
    assert set(found["node-role"][0]) == {"subject", "seen", "rule", "remedy", "severity"}
    assert file.stat().st_mode & 0o077 == 0


def test_a_report_on_standard_output_is_json_alone(faulty: Path) -> None:
    code, told = doctor("--facts", str(faulty), "--json", "-")
    assert code == 1
    assert json.loads(told)["command"] == "doctor"


def test_only_and_skip_choose_lines(faulty: Path) -> None:
    assert doctor("--facts", str(faulty), "--only", "pool-limits,cluster")[0] == 0
    assert doctor("--facts", str(faulty), "--skip", "node-role", "--skip", "spot-role")[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "nodes"), "--only nodes: no such check. Checks: cluster, node-role"),
        (("--only", "cluster", "--skip", "cluster"), "no check is left"),
        (("--facts", "/nowhere.json"), "--facts /nowhere.json: No such file or directory"),
        (("--stack", "none"), "Pulumi.none.yaml"),
    ],
)
def test_a_mistake_ends_with_2_and_one_message(options: tuple[str, ...], words: str) -> None:
    code, told = doctor(*options)
    assert code == 2
    assert words in told
    assert "Traceback" not in told


def test_a_file_that_holds_no_facts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    code, told = doctor("--facts", str(file))
    assert code == 2
    assert "It must be a file that --facts-out of this version wrote" in told


@pytest.mark.parametrize("missing", ["boto3", "kubernetes"])
def test_without_its_packages_it_says_which_and_how_to_install_them(missing: str) -> None:
    hide = f"import sys; sys.modules[{missing!r}] = None"
    script = f"{hide}\nfrom otel_on_spot.cli.main import app\napp(['doctor', '--stack', 'lab'])"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert f"error: {missing} is not installed" in ran.stderr
    assert "pip install -e '.[tools]'" in ran.stderr
