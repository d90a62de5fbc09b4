"""``ARGOCD=path``: a given binary runs in place of the built one, and the difference is told."""

from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain import ToolchainError, check, ensure
from tests.unit.lab.toolchain.conftest import FakeGo

BINARY = """#!/bin/sh
[ "$(basename "$0")" = argocd-repo-server ] && echo "I am the repo server" && exit 0
[ "$ARGOCD_BINARY_NAME $*" = "argocd version --client --short" ] && echo "argocd: v3.5.7+443415b" && exit 0
echo "unexpected: $*" >&2; exit 1
"""


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    path = tmp_path / "Pulumi.lab.yaml"
    path.write_text("""config:
  otel-on-spot:cluster: {kubernetesVersion: "1.36"}
  otel-on-spot:karpenter: {version: 1.14.3}
  otel-on-spot:argocd: {chartVersion: 10.9.5}
""")
    return path


@pytest.fixture
def binary(tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "argocd-linux-amd64"
    path.write_text(BINARY)
    path.chmod(0o755)
    monkeypatch.setenv("ARGOCD", str(path))
    return path


def test_the_built_argo_cd_runs_where_none_is_given_and_is_what_the_program_pins(
    fake_go: FakeGo, stack_file: Path
) -> None:
    tools = ensure(stack_file=stack_file)

    assert tools.version("argocd-repo-server") == "v3.5.3"
    assert tools.notes == ()


def test_a_given_binary_is_run_by_the_names_of_its_programs_and_nothing_of_argo_cd_is_built(
    fake_go: FakeGo, binary: Path, stack_file: Path
) -> None:
    tools = ensure(stack_file=stack_file)

    assert tools.version("argocd-application-controller") == "v3.5.7"
    assert tools.path("argocd-repo-server").name == "argocd-repo-server"
    assert tools.path("argocd-repo-server").resolve() == binary
    assert tools.notes == (
        "the program pins Argo CD v3.5.3 (chart 10.9.5 in Pulumi.lab.yaml), the lab runs v3.5.7; "
        "ARGOCD=path runs a binary of yours",
    )
    assert "argocd" not in fake_go.calls("build")


def test_the_manifests_are_those_of_the_given_version_and_go_is_asked_once(fake_go: FakeGo, binary: Path) -> None:
    for _ in range(2):
        tools = ensure()

    assert (tools.files["argocd-manifests"] / "crds").is_dir()
    asked = [call for call in fake_go.calls() if " mod download " in call and "argo-cd" in call]
    assert [call.split()[-1] for call in asked] == ["github.com/argoproj/argo-cd/v3@v3.5.7"]


def test_manifests_that_cannot_be_had_are_refused_with_what_go_said(fake_go: FakeGo, binary: Path) -> None:
    with pytest.MonkeyPatch.context() as without:
        without.delenv("ARGOCD")
        ensure()
    (fake_go.folder / "offline").touch()

    with pytest.raises(ToolchainError, match=r"manifests of Argo CD v3\.5\.7 .*no route to host\n.*or unset ARGOCD"):
        ensure()
    assert not list(fake_go.tools.glob("argocd-given/manifests/*"))


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        (None, 0, "it does not run: [Errno 2] No such file"),
        (BINARY, 0o644, "it does not run: [Errno 13] Permission denied"),
        ("\x7fELF not for this machine", 0o755, "it does not run: [Errno 8] Exec format error"),
        ("#!/bin/sh\necho hello\n", 0o755, "ended with 0 and printed: hello"),
        ("#!/bin/sh\necho bad >&2; exit 4\n", 0o755, "ended with 4 and printed: bad"),
    ],
    ids=["missing", "a text", "not for here", "another program", "a failing one"],
)
def test_what_is_no_argo_cd_is_a_problem_that_says_what_to_do(
    tmp_path: Path, binary: Path, text: str | None, mode: int, found: str
) -> None:
    binary.unlink()
    if text is not None:
        binary.write_text(text)
        binary.chmod(mode)

    (problem,) = [problem for problem in check(tmp_path) if problem.key == "ARGOCD"]

    assert problem.given.startswith(f"{binary}: ")
    assert found in problem.given
    assert problem.do == "give the path of such a file, or unset ARGOCD: v3.5.3 is built then"
    with pytest.raises(ToolchainError, match="1 problem, nothing was started\n  ARGOCD\n"):
        ensure()
