"""What a machine must offer: each lack is one problem, all are found at once, and each says what to do."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_on_spot.lab.toolchain import check, ensure, machine, message
from otel_on_spot.lab.toolchain.problem import Problem
from tests.unit.lab.toolchain.conftest import FakeGo
from tests.unit.lab.toolchain.test_ensure import quiet


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with memory, disk and namespaces."""
    monkeypatch.setattr("otel_on_spot.lab.toolchain.preflight.free_mib", lambda: 16_000)
    monkeypatch.setattr(
        "otel_on_spot.lab.toolchain.machine.shutil.disk_usage", lambda path: SimpleNamespace(free=100 * machine.GIB)
    )
    monkeypatch.setattr("otel_on_spot.lab.toolchain.machine.namespaces", lambda environment: iter(()))


def subjects(problems: list[Problem]) -> list[str]:
    return [problem.subject for problem in problems]


def only(folder: Path, *names: str) -> str:
    """A PATH that holds these commands of this machine and no other."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or "/bin/true")
    return str(folder)


@pytest.mark.usefixtures("roomy")
def test_a_machine_that_has_all_has_no_problem(tmp_path: Path, fake_go: FakeGo) -> None:
    stood_in = only(tmp_path / "stood-in", *{name for names in machine.COMMANDS for name in names})
    fake_go.environment["PATH"] += f":{stood_in}"

    assert check(tmp_path / "lab", fake_go.environment) == []


@pytest.mark.usefixtures("roomy")
def test_all_problems_are_found_at_once(tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_on_spot.lab.toolchain.preflight.free_mib", lambda: 1024)
    monkeypatch.setattr(
        "otel_on_spot.lab.toolchain.machine.shutil.disk_usage", lambda path: SimpleNamespace(free=machine.GIB // 2)
    )
    environment = {**fake_go.environment, "PATH": only(tmp_path / "bin", "true"), "ARGOCD": "/no/argocd"}

    problems = check(tmp_path / "lab", environment)

    assert subjects(problems)[:2] == ["Go", "ARGOCD"]
    assert subjects(problems)[2:7] == [f"command {' or '.join(names)}" for names in machine.COMMANDS]
    assert subjects(problems)[7] == "memory"
    assert subjects(problems)[8].startswith("disk at ")
    said = message(problems)
    assert said.startswith(
        "the lab can't start here: 9 problems, nothing was started\n  Go\n    found: no go command on PATH\n"
    )
    assert all(problem.found and problem.rule and problem.do for problem in problems)


@pytest.mark.usefixtures("roomy")
def test_a_missing_go_is_told_with_the_version_that_is_needed(tmp_path: Path, fake_go: FakeGo) -> None:
    (problem,) = [
        p for p in check(tmp_path, {**fake_go.environment, "PATH": only(tmp_path / "bin")}) if p.subject == "Go"
    ]

    assert problem.rule == "the lab's tools are built with Go 1.26.6 or newer (karpenter asks for it)"
    assert "go.dev/dl" in problem.do


@pytest.mark.usefixtures("roomy")
def test_a_go_that_is_too_old_is_told_with_both_versions(tmp_path: Path, fake_go: FakeGo) -> None:
    fake_go.says(GOVERSION="go1.26.5", GOTOOLCHAIN="local")
    (problem,) = [p for p in check(tmp_path, fake_go.environment) if p.subject == "Go"]

    assert problem.found == f"Go 1.26.5 at {fake_go.folder / 'bin' / 'go'}, GOTOOLCHAIN=local"
    assert problem.rule == "karpenter needs Go 1.26.6 or newer"


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize(
    ("version", "setting", "fine"),
    [
        ("go1.26.6", "local", True),
        ("go1.27rc1", "local", True),
        ("go1.24.1", "auto", True),
        ("go1.24.1", "go1.24.1+auto", True),
        ("go1.24.1", "go1.24.1", False),
        ("go1.20.14", "auto", False),
        ("go1.19", "", False),
    ],
)
def test_an_older_go_is_fine_only_where_it_may_fetch_a_newer_one(
    tmp_path: Path, fake_go: FakeGo, version: str, setting: str, fine: bool
) -> None:
    fake_go.says(GOVERSION=version, GOTOOLCHAIN=setting)

    assert ("Go" not in subjects(check(tmp_path, fake_go.environment))) == fine


@pytest.mark.usefixtures("roomy")
def test_a_go_that_does_not_answer_is_told_with_what_it_said(tmp_path: Path, fake_go: FakeGo) -> None:
    (fake_go.folder / "bin" / "go").write_text("#!/bin/sh\necho 'go: cannot find GOROOT' >&2\nexit 2\n")
    (problem,) = [p for p in check(tmp_path, fake_go.environment) if p.subject == "Go"]

    assert problem.found.endswith("env ended with 2: go: cannot find GOROOT")


def test_disk_and_memory_for_the_builds_count_only_until_they_are_done(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch, roomy: None
) -> None:
    monkeypatch.setattr(
        "otel_on_spot.lab.toolchain.machine.shutil.disk_usage", lambda path: SimpleNamespace(free=2 * machine.GIB)
    )
    monkeypatch.setattr("otel_on_spot.lab.toolchain.preflight.free_mib", lambda: 3100)
    before = {problem.subject.split()[0]: problem for problem in check(tmp_path, fake_go.environment)}

    ensure(quiet, environment=fake_go.environment)
    after = {problem.subject.split()[0] for problem in check(tmp_path, fake_go.environment)}

    assert before["disk"].rule.startswith("13.0 GiB are needed: 3.0 for Go modules, 8.0 for compiled packages, ")
    assert before["memory"].rule == "the largest build takes 3.3 GiB"
    assert {"disk", "memory"} & after == set()


@pytest.mark.usefixtures("roomy")
def test_a_rebuild_of_one_tool_needs_its_share_of_the_disk(
    tmp_path: Path, fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(quiet, environment=fake_go.environment)
    for record in fake_go.tools.glob("etcd/*/built.json"):
        record.unlink()
    monkeypatch.setattr("otel_on_spot.lab.toolchain.machine.shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    (problem,) = [p for p in check(tmp_path, fake_go.environment) if p.subject.startswith("disk")]

    assert problem.rule.startswith("1.6 GiB are needed: 0.2 for Go modules, 0.4 for compiled packages, ")


def test_memory_below_what_the_lab_itself_needs_is_a_problem() -> None:
    (problem,) = machine.memory(free_mib=2000, build_mib=0)

    assert (problem.found, problem.rule) == ("2.0 GiB free", "the lab runs in about 3.0 GiB")
    assert list(machine.memory(free_mib=3072, build_mib=0)) == []


def test_needs_on_different_disks_are_looked_at_apart(tmp_path: Path) -> None:
    other = Path("/proc")
    assert other.stat().st_dev != tmp_path.stat().st_dev
    (problem,) = machine.disk([(tmp_path / "not" / "there", 0.001, "the tools"), (other, 1e9, "Go modules")])

    assert problem.subject == "disk at /proc"
    assert problem.rule == "1000000000.0 GiB are needed: 1000000000.0 for Go modules"


def test_another_system_than_linux_is_refused_and_the_platform_is_named() -> None:
    (problem,) = machine.linux("darwin")

    assert problem.found == "darwin"
    assert list(machine.linux("linux")) == []


def test_root_needs_no_user_namespace_and_everybody_else_has_one() -> None:
    assert machine.unshare_command(0)[-1] == "--mount-proc"
    assert machine.unshare_command(1000)[-2:] == ("-U", "-r")


def test_namespaces_are_tried_as_the_lab_makes_them(tmp_path: Path) -> None:
    record = tmp_path / "unshare"
    record.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {tmp_path}/asked\n')
    record.chmod(0o755)

    assert list(machine.namespaces({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, user_id=1000)) == []
    assert (tmp_path / "asked").read_text() == "-n -m -p --fork --kill-child --mount-proc -U -r true\n"


def test_refused_namespaces_are_told_with_what_the_kernel_said(tmp_path: Path) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    (problem,) = machine.namespaces({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, user_id=1000)

    assert problem.found.endswith("-U -r true`: unshare: unshare failed: Operation not permitted")
    assert "--privileged" in problem.do
    assert "kernel.apparmor_restrict_unprivileged_userns" in problem.do
