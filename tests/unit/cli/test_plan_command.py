"""``plan`` in its forms: what goes to which stream, with which exit code, and what a clean clone says."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner, Result

from otel_on_spot.cli import app
from otel_on_spot.plan import compare
from otel_on_spot.plan.image_sizes import Registries, UnknownSizeError
from otel_on_spot.plan.manifests import as_document
from tests.unit.conftest import recorded
from tests.unit.repository import SMALL_PROGRAM, committed_program, invoked_on

ROOT = Path(__file__).parents[3]


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_help_names_every_command_and_every_form() -> None:
    said = invoked("--help").stdout + invoked("plan", "--help").stdout
    options = (
        "--stack",
        "--preview",
        "--json",
        "--yaml",
        "--mermaid",
        "--svg",
        "--against",
        "--markdown",
        "--exit-code",
        "--images",
        "--sizes",
    )

    assert [word for word in ("plan", "settings", "Examples", *options) if word not in said] == []


def test_images_are_listed_a_line_each_or_as_data() -> None:
    lines = invoked("plan", "--stack", "prod", "--images").stdout.splitlines()
    document = json.loads(invoked("plan", "--stack", "prod", "--images", "--json").stdout)

    assert {line.split("  ")[0]: line.split("  ")[1].split(", ") for line in lines} == document
    assert document["docker.io/library/busybox:1.37.0"][0] == "accounting"
    assert {line.split("  ")[2].partition(" (read 20")[0] for line in lines} == {"amd64, arm64"}


def test_sizes_stand_behind_each_image_and_their_sum_below(monkeypatch: pytest.MonkeyPatch) -> None:
    def layers(_: object, image: str, architecture: str) -> dict[str, int]:
        if image.startswith("quay.io/"):
            raise UnknownSizeError("quay.io does not answer")
        return {"shared": 2**20, image: 2**20}

    monkeypatch.setattr(Registries, "layers", layers)
    *lines, total = invoked("plan", "--images", "--sizes").stdout.splitlines()
    document = json.loads(invoked("plan", "--images", "--sizes", "--json").stdout)

    unknown = [line for line in lines if line.endswith("size not known: quay.io does not answer")]
    assert {line.split("/")[0] for line in unknown} == {"quay.io"}
    assert all(line.endswith("amd64: 2.0 MiB") for line in lines if line not in unknown)
    known = len(lines) - len(unknown)
    assert total.startswith(f"amd64: {known + 1}.0 MiB of {known} of {len(lines)} images")
    assert document["totalBytes"] == {"amd64": (known + 1) * 2**20}
    assert len(document["images"]) == len(lines)
    assert "goes with --images" in invoked("plan", "--sizes").output


def test_no_help_loads_a_heavy_module() -> None:
    commands = [
        "plan",
        "settings",
        "with-simulated-cloud",
        "doctor",
        "recover",
        "drill",
        "drill stress",
        "lab",
        "lab up",
    ]
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom otel_on_spot.cli import app\n"
        "for command in ['', *sys.argv[1:]]:\n"
        "    assert CliRunner().invoke(app, [*command.split(), '--help']).exit_code == 0, command\n"
        "heavy = {'pulumi', 'grpc', 'boto3', 'botocore', 'kubernetes', 'moto', 'yaml', 'rich'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code, *commands], cwd=ROOT, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


def test_no_command_shows_the_help() -> None:
    assert "Usage" in invoked().output


def test_json_is_the_whole_recording_and_nothing_else() -> None:
    ended = invoked("plan", "--stack", "prod", "--json")
    document = json.loads(ended.stdout)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert (document["stack"], document["preview"]) == ("prod", False)
    assert {"urn", "inputs", "outputs", "dependencies", "parent"} <= document["resources"][0].keys()
    assert document["exports"]["clusterName"] == "otel-prod"


def test_preview_leaves_unknown_what_only_aws_can_tell() -> None:
    document = json.loads(invoked("plan", "--preview", "--json").stdout)

    assert (document["stack"], document["preview"]) == ("dev", True)
    assert document["exports"]["clusterEndpoint"] == "[unknown]"


def test_yaml_and_svg_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    drawn, folder = tmp_path / "deep" / "graph.svg", tmp_path / "out"

    assert invoked("plan", "--svg", str(drawn)).exit_code == 0
    assert invoked("plan", "--yaml", str(folder)).exit_code == 0
    assert ElementTree.fromstring(drawn.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    assert yaml.safe_load((folder / "nodepool-spot.yaml").read_text())["kind"] == "NodePool"


def test_mermaid_is_a_flowchart() -> None:
    assert invoked("plan", "--mermaid").stdout.startswith("flowchart LR\n")


@pytest.mark.parametrize(
    "options",
    [
        "--cost --markdown", "--cost --mermaid", "--cost --images", "--cost --svg x.svg", "--cost --yaml out",
        "--images --markdown", "--images --yaml out", "--json --markdown", "--json --mermaid", "--mermaid --svg x.svg",
        "--against HEAD --json", "--against HEAD --images", "--against HEAD --cost --svg x.svg",
        "--against HEAD --preview", "--against HEAD --mermaid",
    ],
)  # fmt: skip
def test_a_form_that_would_be_left_out_without_a_word_is_refused(options: str) -> None:
    ended = invoked("plan", *options.split())

    assert (ended.exit_code, ended.stdout) == (2, ""), ended.output
    assert "does not go with --" in ended.stderr


def test_settings_prints_the_same_table_for_people_and_for_the_readme() -> None:
    people, readme = invoked("settings").stdout, invoked("settings", "--markdown").stdout

    assert "cluster.kubernetesVersion" in readme
    assert len(readme.splitlines()) > 40
    assert "Pulumi.<stack>.yaml" in people


def compared(folder: Path, *arguments: str) -> Result:
    return invoked_on(folder, "plan", "--against", "HEAD", "--exit-code", *arguments)


def test_a_clean_clone_has_no_changes_against_its_head(tmp_path: Path) -> None:
    """By a small program; that two processes make one plan of the whole one is seen below, where one line differs."""
    ended = compared(committed_program(tmp_path, program=SMALL_PROGRAM))

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "no changes" in ended.stdout


def test_a_change_is_told_as_markdown_and_by_the_exit_code_that_was_asked_for(tmp_path: Path) -> None:
    stack = committed_program(tmp_path, "infra", "policy", "gitops") / "Pulumi.dev.yaml"
    before = stack.read_text()
    assert 'limits: {cpu: "100"' in before
    stack.write_text(before.replace('limits: {cpu: "100"', 'limits: {cpu: "120"'))
    ended = compared(tmp_path, "--markdown", "--cost")  # as check.yml asks for it

    assert ended.exit_code == 1
    assert ended.stdout.startswith("### Plan of `dev` against `HEAD`: 1 edit")
    assert "Costs of dev, USD a month by list prices:" in ended.stdout
    assert re.search(r"^\| Spot nodes of pool spot, \S+ \| (\d+) \| \1 \| \+0 \| ", ended.stdout, re.MULTILINE)
    assert "**Policy rules of dev: " in ended.stdout
    assert "| violated |" not in ended.stdout
    assert "| edit | `capacity-spot` | `kubernetes:karpenter.sh/v1:NodePool` | `spec.limits.cpu`: `100` → `120` |" in (
        ended.stdout
    )


def test_a_change_that_breaks_a_policy_rule_is_told_with_it_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    violation = {
        "rule": "ami-pinned",
        "resource": "capacity-node-class",
        "problem": "al2023@latest | x",
        "do": "pin it",
    }
    waived = {**violation, "rule": "other", "waiver": "dev alone"}
    policy = {
        "environment": "dev",
        "passed": ["a"],
        "undecided": [],
        "violations": [{**violation, "waiver": None}, waived],
    }
    document = as_document(recorded("dev"))
    monkeypatch.setattr(
        compare, "against", lambda *_, **__: compare.difference(document, {**document, "policy": policy}, "HEAD")
    )
    shown = invoked("plan", "--against", "HEAD", "--markdown", "--exit-code")
    assert shown.exit_code == 1
    assert "**Policy rules of dev: 1 of 3 passed, 1 violated, 1 waived.**" in shown.stdout
    assert "| `ami-pinned` | `capacity-node-class` | al2023@latest \\| x | pin it |" in shown.stdout
    assert "other" not in shown.stdout
    text = invoked("plan", "--against", "HEAD").stdout
    assert "  ami-pinned: capacity-node-class: al2023@latest | x. Do: pin it" in text


def test_without_being_asked_a_change_is_told_as_text_and_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    document = as_document(recorded("dev"))
    less = {
        **document,
        "resources": [resource for resource in document["resources"] if "::capacity-spot" not in resource["urn"]],
    }
    monkeypatch.setattr(compare, "against", lambda *_, **__: compare.difference(less, document, "HEAD"))
    ended = invoked("plan", "--against", "HEAD")

    assert ended.exit_code == 0
    assert "capacity-spot" in ended.stdout
    assert not ended.stdout.startswith("#")
