"""``ensure()`` over a ``go`` that compiles nothing: what is built, what is not built again, and how builds end."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock
from rich.console import Console

from otel_on_spot.lab.toolchain import ToolchainError, ensure, ensure_module
from otel_on_spot.lab.toolchain import __main__ as command
from otel_on_spot.lab.toolchain.build import (
    LINKING,
    PEAK_MIB,
    UNUSED_DAYS,
    BuildProgress,
    compilers,
    free_mib,
    locked,
    place,
)
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import ARGOCD_NEXT, KARPENTER_NEXT, MODULES, PROMETHEUS, Module
from tests.unit.lab.toolchain.conftest import FakeGo

ROOT = Path(__file__).parents[4]
ALL = [module.name for module in MODULES if module.binaries]
FILES_ALONE = {module.name for module in MODULES} - set(ALL)
ETCD = next(module for module in MODULES if module.name == "etcd")
NAMES = {
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd", "kwok", "karpenter", "helm",
    "argocd-application-controller", "argocd-repo-server", "argocd-git-ask-pass", "aws-iam-authenticator", "miniredis",
}  # fmt: skip


def test_a_first_call_builds_every_tool_and_a_second_one_only_asks_for_the_version(
    fake_go: FakeGo,
) -> None:
    first = ensure()
    built = fake_go.calls()
    begun = time.perf_counter()
    second = ensure()
    took = time.perf_counter() - begun

    assert set(first.paths) == NAMES
    assert all(os.access(first.path(name), os.X_OK) for name in NAMES)
    of_packages = {"etcd": "server", "karpenter": "controller", "kube-scheduler": "kube-scheduler"}
    assert {name: first.path(name).read_text() for name in of_packages} == {
        name: f"built {written}\n" for name, written in of_packages.items()
    }
    assert first.path("argocd-repo-server").samefile(first.path("argocd-application-controller"))
    for look in (first.path, first.version):
        with pytest.raises(LookupError, match=r"no tool 'redis-server'; the lab has argocd-app.*miniredis"):
            look("redis-server")
    assert fake_go.calls("build") == ALL
    assert [call.split()[1] for call in fake_go.calls()[len(built) :]] == ["env"]
    assert second == first
    assert took < 1


def test_a_module_that_is_asked_for_is_built_alone_with_its_tags_and_only_once(fake_go: FakeGo) -> None:
    folder = ensure_module(PROMETHEUS)

    assert fake_go.calls("build") == ["prometheus"]
    assert (folder / "promtool").read_text() == "built promtool\n"
    assert all(
        "-tags=remove_all_sd,enable_dns_sd" in call for call in fake_go.calls() if " list " in call or " build " in call
    )
    assert ensure_module(PROMETHEUS) == folder
    assert fake_go.calls("build") == ["prometheus"]
    assert place(replace(PROMETHEUS, tags=()), Go.find()) != folder


@pytest.mark.parametrize("module", [KARPENTER_NEXT, ARGOCD_NEXT], ids=lambda module: module.name)
def test_what_the_drill_moves_to_is_built_for_who_asks_for_it_and_a_running_lab_finds_it(
    fake_go: FakeGo, module: Module
) -> None:
    tools = ensure()
    assert module.name not in fake_go.calls("build")
    assert tools.moved_to(module) is None

    folder = ensure_module(module)
    (fake_go.folder / "bin" / "go").unlink()

    found = tools.moved_to(module)
    assert found is not None
    assert {name: found.path(name) for name in NAMES if found.path(name) != tools.path(name)} == {
        name: folder / name for name in module.names
    }
    assert {found.version(name) for name in module.names} == {module.version}
    assert {name: found.files[name] for name in tools.files if found.files[name] != tools.files[name]} == {
        name: folder / name for name in module.files
    }
    shutil.rmtree(folder / list(module.files)[-1])
    assert tools.moved_to(module) is None, "a harmed build counts as missing"


def test_a_go_that_does_for_one_module_but_not_for_another_is_told_when_that_is_asked_for(
    fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    ensure_module(ETCD)

    with pytest.raises(ToolchainError) as refused:
        ensure_module(KARPENTER_NEXT)

    assert "Go 1.26.8 at " in str(refused.value)
    assert "Go 1.26.10 or newer (karpenter-next asks for it)" in str(refused.value)
    assert "unset GOTOOLCHAIN" in str(refused.value)


def test_the_upstream_charts_and_manifests_are_kept_and_can_be_removed_by_their_owner(fake_go: FakeGo) -> None:
    tools = ensure()

    assert (tools.files["karpenter-chart"] / "Chart.yaml").read_text() == "name: karpenter\n"
    assert tools.files["karpenter-chart"].stat().st_mode & 0o200
    assert (tools.files["karpenter-chart"] / "Chart.yaml").stat().st_mode & 0o200
    assert tools.files["karpenter-crd-chart"].is_dir()
    assert (tools.files["argocd-manifests"] / "crds").is_dir()
    assert tools.files["snapshot-crds"].is_dir()


def test_a_module_that_is_there_for_its_files_is_downloaded_and_not_compiled(fake_go: FakeGo) -> None:
    tools = ensure()

    assert {"external-snapshotter"} == FILES_ALONE
    assert [call for call in fake_go.calls() if call.startswith("external-snapshotter ")] == [
        "external-snapshotter mod download github.com/kubernetes-csi/external-snapshotter/client/v8",
        "external-snapshotter list -m -mod=readonly -f {{.Dir}} "
        "github.com/kubernetes-csi/external-snapshotter/client/v8",
    ]
    shutil.rmtree(tools.files["snapshot-crds"])
    assert ensure() == tools
    assert tools.files["snapshot-crds"].is_dir()


def test_all_failures_are_told_at_once_with_what_go_said_and_the_rest_is_built(fake_go: FakeGo) -> None:
    fake_go.fails("etcd", "# example\nserver.go:3: undefined: settings.ValidateExternalURL\n")
    fake_go.fails("kwok", "example.go: write /tmp/x: no space left on device\n")

    with pytest.raises(ToolchainError) as failed:
        ensure()

    said = str(failed.value)
    assert said.startswith("2 tools could not be built\n")
    assert "  etcd: `go build` failed\n    | # example\n    | server.go:3: undefined: settings.Validate" in said
    assert f"by hand it is: cd {ETCD.folder} && CGO_ENABLED=0 GOFLAGS= GOWORK=off GOTOOLCHAIN=auto go build -v " in said
    assert "  kwok: `go build` failed" in said
    assert "free disk space" in said
    assert {path.parent.name for path in fake_go.tools.glob("*/*/")} == {*ALL, *FILES_ALONE} - {"etcd", "kwok"}

    (fake_go.folder / "fail-etcd").unlink()
    (fake_go.folder / "fail-kwok").unlink()
    ensure()
    assert fake_go.calls("build") == [*ALL, "kwok", "etcd"]


def test_a_build_that_writes_no_binary_is_a_failure_and_leaves_nothing(fake_go: FakeGo) -> None:
    command = fake_go.folder / "bin" / "go"
    command.write_text(command.read_text().replace("files=server", "files=other"))

    with pytest.raises(ToolchainError, match=r"etcd: `go build` failed\n.*No such file.*server"):
        ensure()
    assert not list(fake_go.tools.glob("etcd/*"))
    assert not list(fake_go.tools.glob("partial-*"))


@pytest.mark.parametrize("harm", ["binary", "folder of upstream"])
def test_a_harmed_build_counts_as_missing_and_is_replaced(fake_go: FakeGo, harm: str) -> None:
    tools = ensure()
    if harm == "binary":
        tools.path("karpenter").unlink()
    else:
        shutil.rmtree(tools.files["karpenter-crd-chart"])

    assert ensure() == tools
    assert fake_go.calls("build") == [*ALL, "karpenter"]
    assert tools.path("karpenter").exists()


def test_what_a_killed_build_left_is_removed_by_the_next_one(fake_go: FakeGo) -> None:
    left = fake_go.tools / "partial-killed" / "etcd"
    left.mkdir(parents=True)

    ensure()

    assert not left.parent.exists()


def test_builds_that_nobody_used_for_a_month_go_and_the_others_stay(fake_go: FakeGo) -> None:
    for name, days in {"unused": UNUSED_DAYS + 1, "recent": UNUSED_DAYS - 1}.items():
        folder = fake_go.tools / "etcd" / name
        folder.mkdir(parents=True)
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))
    used = place(next(module for module in MODULES if module.name == "helm"), Go.find())

    new = ensure().path("etcd").parent.name
    os.utime(used, (0, 0))
    ensure()

    assert {folder.name for folder in (fake_go.tools / "etcd").iterdir()} == {"recent", new}
    assert time.time() - used.stat().st_mtime < 60


# What makes a build another one.


@pytest.fixture
def etcd(tmp_path: Path) -> Module:
    """A copy of a module, as in another clone."""
    shutil.copytree(ETCD.folder, tmp_path / "go" / "etcd")
    (tmp_path / "go" / "etcd" / "main.go").write_text("package main\n")
    return replace(ETCD, root=tmp_path / "go")


def test_a_change_of_a_file_that_go_reads_of_what_is_built_and_how_and_of_the_go_is_another_build(
    fake_go: FakeGo, etcd: Module
) -> None:
    builds = [place(etcd, Go.find())]
    for path in (etcd.folder / name for name in ("go.mod", "go.sum", "main.go")):
        path.write_text(path.read_text().replace("a", "b", 1))  # as long as before
        builds.append(place(replace(etcd), Go.find()))
    changes: list[dict[str, Any]] = [
        {"variables": ("a.B={number}",)}, {"package": "."}, {"binaries": {"e": "server"}}, {"files": {"d": "d"}},
    ]  # fmt: skip
    builds += [place(replace(etcd, **change), Go.find()) for change in changes]
    for name, said in {"GOVERSION": "go1.26.9", "GOHOSTARCH": "arm64", "GOAMD64": "v3", "GOEXPERIMENT": "j"}.items():
        fake_go.says(**{name: said})
        builds.append(place(etcd, Go.find()))

    assert len(set(builds)) == len(builds) == 12


def test_flags_and_caches_that_do_not_reach_the_binary_rebuild_nothing(
    fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure()
    fake_go.says(GOCACHE="/elsewhere", GOMODCACHE="/elsewhere")
    for flags in ("-buildvcs=false", "-p=1 -v -x", "-mod=mod", "-tags=x"):
        monkeypatch.setenv("GOFLAGS", flags)
        monkeypatch.setenv("GOMAXPROCS", "1")
        ensure()

    assert fake_go.calls("build") == ALL


def test_a_builds_own_flags_are_all_that_it_gets(fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that ``-tags`` of another project, which would reach the binaries, does not."""
    monkeypatch.setenv("GOFLAGS", "-tags=x")
    ensure()

    asked, *built = (fake_go.folder / "environment").read_text().splitlines()
    assert asked == "env GOFLAGS=-tags=x GOTOOLCHAIN="
    assert {said.split(maxsplit=1)[1] for said in built} == {"GOFLAGS= GOTOOLCHAIN=auto"}


def test_the_environments_own_word_on_which_go_builds_is_kept(fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "go1.27.1+path")
    ensure_module(ETCD)

    said = (fake_go.folder / "environment").read_text().splitlines()
    assert len(said) > 1
    assert all(line.endswith("GOTOOLCHAIN=go1.27.1+path") for line in said)


def test_another_clone_and_a_note_beside_the_pins_are_the_same_build(fake_go: FakeGo, etcd: Module) -> None:
    (etcd.folder / "main.go").unlink()
    (etcd.folder / "README.md").write_text("a note")

    assert place(etcd, Go.find()) == place(ETCD, Go.find())


# Progress, memory, and the end.


def test_lines_tell_what_is_built_and_the_time_left(fake_go: FakeGo) -> None:
    (fake_go.folder / "pause").write_text("0.1")
    shown = io.StringIO()

    ensure(BuildProgress(Console(file=shown, width=80), every_seconds=0))

    lines = shown.getvalue().splitlines()
    assert lines[0] == "kubernetes: downloading example.test/one v1.0.0"
    assert any(re.fullmatch(r"etcd: example\.test/two; about 0:00:\d\d left", line) for line in lines)
    built = [line for line in lines if re.search(r": built in 0:\d\d:\d\d$", line)]
    assert [line.split()[0] for line in built] == ALL
    assert any(line.startswith("etcd v3.6.16: built in ") for line in built)


@pytest.mark.parametrize(("cached", "packages"), [(False, 1 + len(ALL)), (True, 0)])
def test_what_gos_own_cache_has_and_what_tools_share_is_not_counted_twice(
    fake_go: FakeGo, monkeypatch: pytest.MonkeyPatch, cached: bool, packages: int
) -> None:
    planned: list[int] = []
    monkeypatch.setattr(BuildProgress, "plan", lambda self, packages: planned.append(packages))
    if cached:
        (fake_go.folder / "cached").touch()

    ensure()

    assert planned == [packages + LINKING * len(ALL)]


def test_lines_come_no_more_often_than_asked(fake_go: FakeGo) -> None:
    shown = io.StringIO()

    ensure(BuildProgress(Console(file=shown, width=80), every_seconds=20))

    assert shown.getvalue().count("\n") == len(ALL) + len(FILES_ALONE)


def test_a_terminal_gets_a_bar_with_share_elapsed_and_left(fake_go: FakeGo) -> None:
    shown = io.StringIO()
    screen = Console(file=shown, force_terminal=True, color_system=None, width=120, _environ={"TERM": "xterm"})

    ensure(BuildProgress(screen))

    assert re.search(r"100%.* 0:00:0\d.* 0:00:00.* left", shown.getvalue())


def test_a_build_runs_no_more_compilers_than_memory_holds() -> None:
    assert compilers(2, 64_000) == 2
    assert compilers(16, 64_000) == 16
    assert compilers(16, PEAK_MIB + 512 + 4 * 400) == 6
    assert compilers(16, 100) == 2


def test_the_limit_of_a_container_counts_where_it_is_smaller_than_the_machine(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    (tmp_path / "memory.current").write_text(f"{100 * 1024 * 1024}\n")
    limit.write_text(f"{164 * 1024 * 1024}\n")
    assert free_mib(limit) == 64

    limit.write_text("max\n")
    assert free_mib(limit) > 64
    assert free_mib(tmp_path / "none") > 64


def started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "otel_on_spot.lab.toolchain"], cwd=ROOT, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def machine_fits(fake_go: FakeGo, tmp_path: Path) -> None:
    """The commands of the preflight that this machine may lack."""
    for name in ("unshare", "nsenter", "mount", "ip", "git"):
        (fake_go.folder / "bin" / name).write_text("#!/bin/sh\n")
        (fake_go.folder / "bin" / name).chmod(0o755)


@pytest.mark.usefixtures("machine_fits")
def test_two_labs_at_once_build_each_tool_once_and_the_second_says_whom_it_waits_for(fake_go: FakeGo) -> None:
    (fake_go.folder / "pause").write_text("0.4")
    labs = [started(), started()]
    said = [lab.communicate(timeout=60)[1] for lab in labs]

    assert [lab.returncode for lab in labs] == [0, 0], said
    assert fake_go.calls("build") == ALL
    waits = [f"process {lab.pid} is building already: waiting for it" for lab in labs]
    assert (waits[0] in said[1]) != (waits[1] in said[0])


def test_who_waits_hears_the_holder_that_has_the_lock_but_has_not_written_who_it_is_yet(
    fake_go: FakeGo,
) -> None:
    fake_go.tools.mkdir(parents=True, exist_ok=True)
    lock, holder, output = FileLock(fake_go.tools / "lock"), fake_go.tools / "lock.holder", io.StringIO()
    has_the_lock = threading.Event()

    def hold() -> None:
        with lock:
            has_the_lock.set()
            time.sleep(0.3)
            holder.write_text("process 4711")
            time.sleep(0.3)

    holding = threading.Thread(target=hold)
    holding.start()
    has_the_lock.wait()
    with BuildProgress(Console(file=output)) as progress, locked(progress):
        holding.join()

    assert "process 4711 is building already: waiting for it" in output.getvalue()


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("machine_fits")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_kills_go_with_all_that_it_started_and_leaves_nothing_half(
    fake_go: FakeGo, number: signal.Signals
) -> None:
    (fake_go.folder / "hang").touch()
    lab = started()
    hanging = fake_go.folder / "hanging"
    wait_for(lambda: hanging.exists() and hanging.read_text().endswith("\n"))
    processes = [psutil.Process(int(word)) for word in hanging.read_text().split()]
    assert all(map(runs, processes))

    lab.send_signal(number)
    _, said = lab.communicate(timeout=30)

    assert lab.returncode == 130
    assert "interrupted: no build runs on" in said
    wait_for(lambda: not any(map(runs, processes)))
    assert not [path for path in fake_go.tools.rglob("*") if path.name != "lock"]


@pytest.mark.usefixtures("machine_fits")
def test_a_lock_whose_holder_was_killed_is_free(fake_go: FakeGo) -> None:
    (fake_go.folder / "hang").touch()
    lab = started()
    wait_for((fake_go.folder / "hanging").exists)
    lab.kill()
    lab.communicate(timeout=30)
    (fake_go.folder / "hang").unlink()

    ensure()

    for word in (fake_go.folder / "hanging").read_text().split():
        os.kill(int(word), signal.SIGKILL)  # nobody was left to do it


def test_each_option_builds_what_it_names_and_several_build_all_of_theirs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[Module] = []
    monkeypatch.setattr(command, "ensure_module", lambda module: built.append(module) or Path("folder"))
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["toolchain", "--alerts", "--collector", "--argocd-cli"])
    assert command._main() == 0
    assert [module.name for module in built] == ["prometheus", "otel-collector", "argocd-cli"]
    printed = capsys.readouterr().out
    assert all(f"folder/{name}" in printed for module in built for name in module.names)
