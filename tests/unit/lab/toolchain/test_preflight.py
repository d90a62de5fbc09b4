"""What a machine must offer: each lack is one problem, all are found at once, and each says what to do."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.settings.problem import Problem
from otel_on_spot.lab.toolchain import check, ensure, message, preflight
from tests.unit.lab.toolchain.conftest import FakeGo


class Machine:
    """A machine with memory, disk and namespaces, as far as the preflight can see."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.has(memory_mib=16_000, disk_gib=100)
        patch.setattr(preflight, "namespaces", lambda user_id: iter(()))

    def has(self, *, memory_mib: int = 16_000, disk_gib: float = 100) -> None:
        self.patch.setattr(preflight, "free_mib", lambda: memory_mib)
        usage = SimpleNamespace(free=disk_gib * preflight.GIB)
        self.patch.setattr(preflight.shutil, "disk_usage", lambda path: usage)


@pytest.fixture
def machine(fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def only(folder: Path, *names: str) -> str:
    """A PATH that holds these commands of this machine and no other."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or "/bin/true")
    return str(folder)


def of(key: str, problems: list[Problem]) -> Problem:
    (problem,) = [problem for problem in problems if problem.key.startswith(key)]
    return problem


def keys(problems: list[Problem]) -> set[str]:
    return {problem.key.split()[0] for problem in problems}


def test_a_machine_that_has_all_has_no_problem(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in = only(tmp_path / "stood-in", *{name for names in preflight.COMMANDS for name in names})
    monkeypatch.setenv("PATH", stood_in, prepend=os.pathsep)

    assert check(tmp_path / "lab") == []


def test_all_problems_are_found_at_once(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has(memory_mib=1024, disk_gib=0.5)
    monkeypatch.setenv("PATH", only(tmp_path / "bin", "true"))
    monkeypatch.setenv("ARGOCD", "/no/argocd")

    problems = check(tmp_path / "lab")

    expected = ["Go", "ARGOCD", *(f"command {' or '.join(names)}" for names in preflight.COMMANDS), "memory"]
    assert [problem.key for problem in problems[:-1]] == expected
    assert problems[-1].key.startswith("disk at ")
    said = message(problems)
    assert said.startswith("the lab can't start here: 9 problems, nothing was started\n  Go\n    given: no go command")
    assert all(problem.given and problem.rule and problem.do for problem in problems)


def test_a_missing_go_is_told_with_the_version_that_is_needed(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", only(tmp_path / "bin"))
    problem = of("Go", check(tmp_path))

    assert problem.rule == "the lab's tools are built with Go 1.26.10 or newer (karpenter asks for it)"
    assert "go.dev/dl" in problem.do


def test_a_go_that_may_not_fetch_a_newer_one_is_told_with_both_versions_and_who_forbids_it(
    tmp_path: Path, fake_go: FakeGo, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go.says(GOVERSION="go1.26.5")
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    problem = of("Go", check(tmp_path))

    go = fake_go.folder / "bin" / "go"
    assert problem.given == f"Go 1.26.5 at {go}, with GOTOOLCHAIN=local in the environment"
    assert problem.rule == "the lab's tools are built with Go 1.26.10 or newer (karpenter asks for it)"
    assert problem.do.endswith("or let it fetch that Go: unset GOTOOLCHAIN")


@pytest.mark.parametrize(
    ("version", "setting", "fine"),
    [
        ("go1.26.10", "local", True),
        ("go1.27rc1", "local", True),
        ("go1.24.1", "", True),
        ("go1.21", "", True),
        ("go1.24.1", "auto", True),
        ("go1.24.1", "path", True),
        ("go1.24.1", "go1.24.1+auto", True),
        ("go1.24.1", "go1.24.1", False),
        ("go1.26.9", "local", False),
        ("go1.20.14", "auto", False),
        ("go1.19", "", False),
    ],
)
def test_an_older_go_is_fine_where_it_can_fetch_a_newer_one_and_the_environment_lets_it(
    tmp_path: Path,
    fake_go: FakeGo,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    setting: str,
    fine: bool,
) -> None:
    fake_go.says(GOVERSION=version)
    monkeypatch.setenv("GOTOOLCHAIN", setting)

    assert ("Go" not in keys(check(tmp_path))) == fine


def test_a_go_that_does_not_answer_is_told_with_what_it_said(tmp_path: Path, fake_go: FakeGo, machine: Machine) -> None:
    (fake_go.folder / "bin" / "go").write_text("#!/bin/sh\necho 'go: cannot find GOROOT' >&2\nexit 2\n")

    assert of("Go", check(tmp_path)).given.endswith("env ended with 2: go: cannot find GOROOT")


def test_disk_and_memory_for_the_builds_count_only_until_they_are_done(tmp_path: Path, machine: Machine) -> None:
    machine.has(memory_mib=3100, disk_gib=2)
    before = check(tmp_path)
    ensure()
    after = check(tmp_path)

    assert of("disk", before).rule.startswith("13.0 GiB are needed: 3.0 for Go modules, 8.0 for compiled packages, ")
    assert of("memory", before).rule == "the largest build takes 3.3 GiB"
    assert not {"disk", "memory"} & keys(after)


def test_a_rebuild_of_one_tool_needs_its_share_of_the_disk(tmp_path: Path, machine: Machine) -> None:
    ensure().path("etcd").unlink()
    machine.has(disk_gib=0)

    assert of("disk", check(tmp_path)).rule.startswith(
        "2.5 GiB are needed: 0.4 for Go modules, 1.0 for compiled packages, "
    )


def test_memory_below_what_the_lab_itself_needs_is_a_problem() -> None:
    (problem,) = preflight.memory(available_mib=2000, build_mib=0)

    assert (problem.given, problem.rule) == ("2.0 GiB free", "the lab runs in about 3.0 GiB")
    assert list(preflight.memory(available_mib=3072, build_mib=0)) == []


def test_needs_on_different_disks_are_looked_at_apart(tmp_path: Path) -> None:
    other = Path("/proc")
    assert other.stat().st_dev != tmp_path.stat().st_dev
    (problem,) = preflight.disk([(tmp_path / "not" / "there", 0.001, "the tools"), (other, 1e9, "Go modules")])

    assert problem.key == "disk at /proc"
    assert problem.rule == "1000000000.0 GiB are needed: 1000000000.0 for Go modules"


def test_another_system_than_linux_is_refused_and_the_platform_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight.sys, "platform", "darwin")
    (problem,) = check(tmp_path)

    assert problem.given == "darwin"


@pytest.mark.parametrize(("user_id", "options"), [(0, "--mount-proc"), (1000, "--mount-proc -U -r")])
def test_namespaces_are_tried_as_the_lab_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_id: int, options: str
) -> None:
    """Root needs no user namespace, and everybody else has one."""
    record = tmp_path / "unshare"
    record.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {tmp_path}/asked\n')
    record.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert list(preflight.namespaces(user_id)) == []
    assert (tmp_path / "asked").read_text() == f"-n -m -p --fork --kill-child {options} true\n"


def test_refused_namespaces_are_told_with_what_the_kernel_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (problem,) = preflight.namespaces(1000)

    assert problem.given.endswith("-U -r true`: unshare: unshare failed: Operation not permitted")
    assert "--privileged" in problem.do
    assert "kernel.apparmor_restrict_unprivileged_userns" in problem.do
