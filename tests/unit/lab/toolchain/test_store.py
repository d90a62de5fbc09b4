"""The cache: what makes a key another one, and that a build is whole or not there."""

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.store import RECORD, UNUSED_DAYS, Store, cache_home, key
from tests.unit.lab.toolchain.conftest import FakeGo

ROOT = Path(__file__).parents[4]
ETCD = next(module for module in MODULES if module.name == "etcd")


@pytest.fixture
def module(tmp_path: Path) -> Module:
    shutil.copytree(ETCD.folder, tmp_path / "tools" / "etcd")
    return at(tmp_path / "tools")


def at(root: Path, **changes: Any) -> Module:
    return replace(ETCD, root=root, **changes)


@pytest.fixture
def go(fake_go: FakeGo) -> Go:
    return Go.found(fake_go.environment)


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "tools.go"])
def test_the_key_changes_with_every_file_that_go_reads(module: Module, go: Go, name: str) -> None:
    before = key(module, go)
    path = module.folder / name
    path.write_text(path.read_text().replace("e", "f", 1))  # as long as before

    assert key(at(module.root), go) != before


def test_the_key_changes_with_a_new_source_file_and_not_with_a_note(module: Module, go: Go) -> None:
    before = key(module, go)
    (module.folder / "README.md").write_text("a note")
    assert key(module, go) == before

    (module.folder / "more.go").write_text("package tools\n")
    assert key(module, go) != before


@pytest.mark.parametrize(
    "changes",
    [
        {"version_variables": ("example.test/version.Version={number}",)},
        {"packages": ("go.etcd.io/etcd/server/v3", "example.test/other")},
        {"binaries": {"etcd-server": "server"}},
        {"files": {"docs": "docs"}},
    ],
    ids=["linker flags", "packages", "binaries", "kept files"],
)
def test_the_key_changes_with_what_is_built_and_how(module: Module, go: Go, changes: dict[str, Any]) -> None:
    assert key(at(module.root, **changes), go) != key(module, go)


@pytest.mark.parametrize(
    "answers", [{"GOVERSION": "go1.26.9"}, {"GOHOSTARCH": "arm64"}, {"GOAMD64": "v3"}, {"GOFLAGS": "-tags=x"}]
)
def test_the_key_changes_with_the_go_that_builds(fake_go: FakeGo, go: Go, answers: dict[str, str]) -> None:
    before = key(ETCD, go)
    fake_go.says(**answers)

    assert key(ETCD, Go.found(fake_go.environment)) != before


def test_the_key_is_the_same_for_another_clone_and_does_not_count_where_caches_are(
    module: Module, fake_go: FakeGo, go: Go
) -> None:
    fake_go.says(GOCACHE="/elsewhere", GOMODCACHE="/elsewhere")

    assert key(module, Go.found(fake_go.environment)) == key(ETCD, go)


def published(store: Store, module: Module, tool_key: str) -> Path:
    partial = store.partial(module, tool_key)
    (partial / "etcd").write_text("a binary")
    (partial / "link").symlink_to("etcd")
    store.publish(module, tool_key, partial, {"tool": module.name})
    return store.place(module, tool_key)


def test_a_build_is_there_once_it_is_published_and_not_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.partial(ETCD, "1")
    assert not store.has(ETCD, "1")

    place = published(store, ETCD, "1")
    assert store.has(ETCD, "1")
    assert not list(tmp_path.rglob("*.partial"))
    assert not (place / "work").exists()


@pytest.mark.parametrize("harm", ["truncated", "removed", "no record", "half a record"])
def test_a_harmed_build_counts_as_missing_and_is_replaced(tmp_path: Path, harm: str) -> None:
    store = Store(tmp_path)
    place = published(store, ETCD, "1")
    match harm:
        case "truncated":
            (place / "etcd").write_text("a bin")
        case "removed":
            (place / "etcd").unlink()
        case "no record":
            (place / RECORD).unlink()
        case "half a record":
            (place / RECORD).write_text((place / RECORD).read_text()[:20])
    assert not store.has(ETCD, "1")

    published(store, ETCD, "1")
    assert store.has(ETCD, "1")


def test_what_a_killed_build_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left = store.partial(ETCD, "1")
    (left / "etcd").write_text("half")

    store.partial(ETCD, "2")

    assert not left.exists()


def test_builds_that_nobody_used_for_a_month_go_and_the_others_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    long_ago = time.time() - (UNUSED_DAYS + 1) * 86_400
    places = {tool_key: published(store, ETCD, tool_key) for tool_key in ("unused", "used", "recent")}
    for tool_key in ("unused", "used"):
        os.utime(places[tool_key], (long_ago, long_ago))
    store.mark_used(ETCD, "used")

    published(store, ETCD, "new")

    assert {place.name for place in (tmp_path / "etcd").iterdir()} == {"used", "recent", "new"}


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    assert cache_home({"XDG_CACHE_HOME": "/caches", "HOME": "/home/a"}) == Path("/caches")
    assert cache_home({"HOME": "/home/a"}) == Path("/home/a/.cache")
    assert cache_home({"XDG_CACHE_HOME": "relative", "HOME": "/home/a"}) == Path("/home/a/.cache")


HOLDER = """
import sys, time
from pathlib import Path
from otel_on_spot.lab.toolchain.store import Store
with Store(Path(sys.argv[1])).lock(print):
    print("held", flush=True)
    time.sleep(300)
"""


def test_a_lock_whose_holder_was_killed_is_free_and_its_name_is_not_told(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        told: list[str] = []
        threading.Timer(0.7, holder.kill).start()
        with Store(tmp_path).lock(told.append):
            assert (tmp_path / "lock").read_text() == f"process {os.getpid()}"
        holder.wait()

    assert told == [f"process {holder.pid}"]
    assert (tmp_path / "lock").read_text() == ""
