"""``ensure()`` over a ``go`` that compiles nothing: what is built, what is not built again, and how failures end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain import ToolchainError, ensure
from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.modules import MODULES
from tests.unit.lab.toolchain.conftest import FakeGo

ROOT = Path(__file__).parents[4]
NAMES = {
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd", "kwok", "karpenter", "helm",
    "argocd-application-controller", "argocd-repo-server", "argocd-git-ask-pass", "aws-iam-authenticator", "miniredis",
}  # fmt: skip


@contextmanager
def quiet(board: Board) -> Generator[None]:
    yield


def test_a_first_call_builds_every_tool_and_a_second_one_only_asks_for_the_version(fake_go: FakeGo) -> None:
    first = ensure(quiet, environment=fake_go.environment)
    built = fake_go.calls()
    begun = time.perf_counter()
    second = ensure(quiet, environment=fake_go.environment)
    took = time.perf_counter() - begun

    assert set(first.paths) == NAMES
    assert all(os.access(first.path(name), os.X_OK) for name in NAMES)
    assert sum(" build " in call for call in built) == len(MODULES)
    assert [call.split()[1] for call in fake_go.calls()[len(built) :]] == ["env"]
    assert second == first
    assert took < 1


def test_each_binary_is_the_one_that_go_wrote_for_its_package(fake_go: FakeGo) -> None:
    tools = ensure(quiet, environment=fake_go.environment)

    assert tools.path("etcd").read_text() == "built server\n"
    assert tools.path("karpenter").read_text() == "built controller\n"
    assert tools.path("kube-scheduler").read_text() == "built kube-scheduler\n"
    assert tools.path("argocd-repo-server").samefile(tools.path("argocd-application-controller"))


def test_the_upstream_charts_and_manifests_are_kept_and_can_be_removed_by_their_owner(fake_go: FakeGo) -> None:
    tools = ensure(quiet, environment=fake_go.environment)

    assert (tools.karpenter_chart / "Chart.yaml").read_text() == "name: karpenter\n"
    assert tools.karpenter_chart.stat().st_mode & 0o200
    assert (tools.karpenter_chart / "Chart.yaml").stat().st_mode & 0o200
    assert tools.karpenter_crd_chart.is_dir()
    assert tools.argocd_crds == tools.argocd_manifests / "crds"
    assert tools.argocd_crds.is_dir()


def test_a_tool_that_the_lab_does_not_have_is_refused_with_the_ones_it_has(fake_go: FakeGo) -> None:
    tools = ensure(quiet, environment=fake_go.environment)

    with pytest.raises(
        LookupError, match=r"no tool 'redis-server'; the lab has argocd-application-controller, .*miniredis"
    ):
        tools.path("redis-server")
    with pytest.raises(LookupError, match="no tool 'redis-server'"):
        tools.version("redis-server")


def test_all_failures_are_told_at_once_with_what_go_said_and_the_rest_is_built(fake_go: FakeGo) -> None:
    fake_go.fails("etcd", "# example\nserver.go:3: undefined: settings.ValidateExternalURL\n")
    fake_go.fails("kwok", "example.go: write /tmp/x: no space left on device\n")

    with pytest.raises(ToolchainError) as failed:
        ensure(quiet, environment=fake_go.environment)

    said = str(failed.value)
    assert said.startswith("2 tools could not be built\n")
    assert "  etcd: `go build` failed" in said
    assert "    | # example\n    | server.go:3: undefined: settings.ValidateExternalURL\n" in said
    assert f"log: {fake_go.tools / 'etcd' / 'build.log'}" in said
    assert f"by hand it is: cd {ROOT / 'otel_on_spot' / 'lab' / 'go' / 'etcd'} && " in said
    assert "  kwok: `go build` failed" in said
    assert "free disk space" in said
    assert "undefined: settings" in (fake_go.tools / "etcd" / "build.log").read_text()
    built = {path.parent.parent.name for path in fake_go.tools.glob("*/*/built.json")}
    assert built == {module.name for module in MODULES} - {"etcd", "kwok"}
    assert not list(fake_go.tools.glob("*/*.partial"))


def test_what_was_built_beside_a_failure_is_not_built_again(fake_go: FakeGo) -> None:
    fake_go.fails("etcd", "broken\n")
    with pytest.raises(ToolchainError):
        ensure(quiet, environment=fake_go.environment)
    before = len(fake_go.calls())
    (fake_go.folder / "fail-etcd").unlink()

    ensure(quiet, environment=fake_go.environment)

    assert [call.split()[0] for call in fake_go.calls()[before:] if " build " in call] == [
        str(ROOT / "otel_on_spot" / "lab" / "go" / "etcd")
    ]


def test_a_build_that_writes_no_binary_is_a_failure_and_leaves_nothing(fake_go: FakeGo) -> None:
    command = fake_go.folder / "bin" / "go"
    command.write_text(command.read_text().replace("*/v3) file=server", "*/v3) file=other"))

    with pytest.raises(ToolchainError, match=r"etcd: `go build` failed\n.*No such file.*server"):
        ensure(quiet, environment=fake_go.environment)
    assert not list(fake_go.tools.glob("etcd/*/"))


PROGRAM = "import sys; from otel_on_spot.lab.toolchain import ensure; from otel_on_spot.lab.toolchain.display import lines; ensure(lines(print))"


def started(fake_go: FakeGo) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=fake_go.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_two_labs_at_once_build_each_tool_once_and_the_second_says_whom_it_waits_for(fake_go: FakeGo) -> None:
    (fake_go.folder / "pause").write_text("0.4")
    labs = [started(fake_go), started(fake_go)]
    said = [lab.communicate(timeout=60)[0] for lab in labs]

    assert [lab.returncode for lab in labs] == [0, 0], said
    assert sum(" build " in call for call in fake_go.calls()) == len(MODULES)
    waits = [f"process {lab.pid} is building already: waiting for it" for lab in labs]
    assert (waits[0] in said[1]) != (waits[1] in said[0])


def alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_ends_every_go_with_all_that_it_started_and_leaves_no_partial_build(fake_go: FakeGo) -> None:
    (fake_go.folder / "hang").touch()
    lab = started(fake_go)
    hanging = fake_go.folder / "hanging"
    deadline = time.monotonic() + 30
    while not (hanging.exists() and hanging.read_text().count("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = [int(word) for word in hanging.read_text().split()]
    assert all(alive(process) for process in processes)

    lab.send_signal(signal.SIGINT)
    said, _ = lab.communicate(timeout=30)

    assert "KeyboardInterrupt" in said
    assert not [process for process in map(int, hanging.read_text().split()) if alive(process)]
    assert not list(fake_go.tools.glob("*/*.partial"))
    assert not list(fake_go.tools.glob("*/*/built.json"))
