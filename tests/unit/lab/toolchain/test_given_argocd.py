"""``ARGOCD=path``: a given binary runs in place of the built one, and the difference is told."""

import json
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain import ToolchainError, check, ensure
from tests.unit.lab.toolchain.conftest import FakeGo
from tests.unit.lab.toolchain.test_ensure import quiet

BINARY = """#!/bin/sh
[ "$(basename "$0")" = argocd-repo-server ] && echo "I am the repo server" && exit 0
[ "$ARGOCD_BINARY_NAME $*" = "argocd version --client --short" ] && echo "argocd: v3.4.4+443415b" && exit 0
echo "unexpected: $*" >&2; exit 1
"""
STACK = """config:
  otel-on-spot:cluster: {kubernetesVersion: "1.35"}
  otel-on-spot:karpenter: {version: 1.14.1}
  otel-on-spot:argocd: {chartVersion: 10.1.1}
"""


@pytest.fixture
def binary(tmp_path: Path, fake_go: FakeGo) -> Path:
    path = tmp_path / "argocd-linux-amd64"
    path.write_text(BINARY)
    path.chmod(0o755)
    fake_go.environment["ARGOCD"] = str(path)
    downloaded = json.dumps({"Dir": str(fake_go.folder / "module"), "Version": "v3.4.4"})
    command = fake_go.folder / "bin" / "go"
    command.write_text(
        command.read_text().replace('  "list -m")', f"""  "mod download") echo '{downloaded}' ;;\n  "list -m")""")
    )
    return path


def stack(tmp_path: Path) -> Path:
    path = tmp_path / "Pulumi.lab.yaml"
    path.write_text(STACK)
    return path


def test_the_built_argo_cd_runs_where_none_is_given_and_one_line_says_what_the_program_pins(
    tmp_path: Path, fake_go: FakeGo
) -> None:
    tools = ensure(quiet, environment=fake_go.environment, stack_file=stack(tmp_path))

    assert tools.version("argocd-repo-server") == "v3.2.11"
    assert tools.notes == (
        "the program pins Argo CD v3.4.4 (chart 10.1.1 in Pulumi.lab.yaml), the lab runs v3.2.11; "
        "ARGOCD=path runs a binary of yours",
    )


def test_a_given_binary_is_run_by_the_names_of_its_programs_and_nothing_of_argo_cd_is_built(
    tmp_path: Path, fake_go: FakeGo, binary: Path
) -> None:
    tools = ensure(quiet, environment=fake_go.environment, stack_file=stack(tmp_path))

    assert tools.version("argocd-application-controller") == "v3.4.4"
    assert tools.path("argocd-repo-server").name == "argocd-repo-server"
    assert tools.path("argocd-repo-server").resolve() == binary
    assert tools.notes == ()
    assert not [call for call in fake_go.calls() if call.split()[0].endswith("go/argocd")]


def test_the_manifests_are_those_of_the_given_version_and_go_is_asked_once(
    tmp_path: Path, fake_go: FakeGo, binary: Path
) -> None:
    for _ in range(2):
        tools = ensure(quiet, environment=fake_go.environment, stack_file=stack(tmp_path))

    assert tools.argocd_crds.is_dir()
    asked = [call for call in fake_go.calls() if " mod download " in call]
    assert [call.split()[-1] for call in asked] == ["github.com/argoproj/argo-cd/v3@v3.4.4"]


def test_manifests_that_cannot_be_had_are_refused_with_what_go_said(fake_go: FakeGo, binary: Path) -> None:
    command = fake_go.folder / "bin" / "go"
    command.write_text(
        command.read_text().replace('"mod download") echo', '"mod download") echo no route to host >&2; exit 1; echo')
    )

    with pytest.raises(ToolchainError, match=r"manifests of Argo CD v3\.4\.4 .*no route to host\n.*or unset ARGOCD"):
        ensure(quiet, environment=fake_go.environment)
    assert not list(fake_go.tools.glob("argocd-given/manifests/*"))


@pytest.mark.parametrize(
    ("harm", "found", "do"),
    [
        ("missing", "no such file", "give the path of the binary, or unset ARGOCD: v3.2.11 is built then"),
        ("a text", "the file is not executable", "chmod +x"),
        ("not for here", "it does not run", "for this system and processor"),
        ("another program", "ended with 0 and printed: hello", "give the binary named argocd-"),
        ("a failing one", "ended with 4 and printed: bad", "give the binary named argocd-"),
    ],
)
def test_what_is_no_argo_cd_is_a_problem_that_says_what_to_do(
    tmp_path: Path, fake_go: FakeGo, binary: Path, harm: str, found: str, do: str
) -> None:
    match harm:
        case "missing":
            binary.unlink()
        case "a text":
            binary.chmod(0o644)
        case "not for here":
            binary.write_bytes(b"\x7fELF not for this machine")
        case "another program":
            binary.write_text("#!/bin/sh\necho hello\n")
        case "a failing one":
            binary.write_text("#!/bin/sh\necho bad >&2; exit 4\n")

    problems = [problem for problem in check(tmp_path, fake_go.environment) if problem.subject == "ARGOCD"]

    assert len(problems) == 1
    assert str(binary) in problems[0].found
    assert found in problems[0].found
    assert do in problems[0].do
    with pytest.raises(ToolchainError, match="ARGOCD: "):
        ensure(quiet, environment=fake_go.environment)
