"""The cache of built tools: a folder a tool, in it a folder a key; whole or not there at all."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import Module

RECORD = "built.json"
FLAGS = ("-trimpath", "-mod=readonly", "-buildvcs=false")
UNUSED_DAYS = 30
_POLL_SECONDS = 0.2
_TRIES_FOR_A_NAME = 10


def cache_home(environment: Mapping[str, str]) -> Path:
    """Where users keep caches.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/ (a relative path is to be ignored)
    """
    given = environment.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path(environment.get("HOME") or Path.home()) / ".cache"


def keep_copy(source: Path, target: Path) -> None:
    """Copy a folder of Go's module cache: contents without the cache's read-only permissions."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def key(module: Module, go: Go) -> str:
    """16 hex digits that change with go.mod, go.sum, sources, packages, names, flags, Go version and platform."""
    digest = hashlib.sha256()
    for path in sorted(module.folder.glob("*")):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    made_from = (FLAGS, module.linker_flags, module.packages, module.binaries, module.links, module.files)
    digest.update(json.dumps([made_from, go.identity(module.go_line)], sort_keys=True).encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Store:
    """``<cache home>/otel-on-spot/tools``."""

    folder: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> "Store":
        """The store of the user that this environment belongs to."""
        return cls(cache_home(environment) / "otel-on-spot" / "tools")

    def place(self, module: Module, tool_key: str) -> Path:
        """Where a build of this module with this key lives."""
        return self.folder / module.name / tool_key

    def log(self, module: Module) -> Path:
        """What go said when this module was last built."""
        return self.folder / module.name / "build.log"

    def has(self, module: Module, tool_key: str) -> bool:
        """Whether that build is there, with every file as long as it was when it was written."""
        place = self.place(module, tool_key)
        try:
            sizes: dict[str, int] = json.loads((place / RECORD).read_text(encoding="utf-8"))["sizes"]
            return all((place / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, KeyError):
            return False

    def mark_used(self, module: Module, tool_key: str) -> None:
        """Note that this build is in use: what nobody used for a month goes."""
        os.utime(self.place(module, tool_key))

    def partial(self, module: Module, tool_key: str) -> Path:
        """A new, empty folder to build in; what an earlier, killed build left is removed. Call it with the lock held."""
        tool = self.folder / module.name
        for left in tool.glob("*.partial"):
            shutil.rmtree(left)
        partial = tool / f"{tool_key}.partial"
        (partial / "work").mkdir(parents=True)
        return partial

    def publish(self, module: Module, tool_key: str, partial: Path, record: Mapping[str, object]) -> None:
        """Make a finished folder the build with this key, in one step; builds that nobody used for a month go."""
        shutil.rmtree(partial / "work")
        files = [path for path in partial.rglob("*") if path.is_file()]
        sizes = {str(path.relative_to(partial)): path.stat().st_size for path in files}
        for path in files:
            with path.open("rb") as written:
                os.fsync(written.fileno())
        (partial / RECORD).write_text(json.dumps({**record, "sizes": sizes}, indent=1), encoding="utf-8")
        place = self.place(module, tool_key)
        if place.exists():
            shutil.rmtree(place)
        partial.rename(place)
        for other in place.parent.iterdir():
            if other != place and other.is_dir() and other.stat().st_mtime < time.time() - UNUSED_DAYS * 86_400:
                shutil.rmtree(other)

    @contextmanager
    def lock(self, waiting: Callable[[str], None]) -> Generator[None]:
        """Held by the one process of this user that builds; ``waiting`` hears once who holds it, if somebody does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+", encoding="utf-8") as held:
            tries = 0
            while not _taken(held):
                tries += 1
                held.seek(0)
                holder = held.read().strip()  # empty for the moment before the holder has written itself down
                if tries == _TRIES_FOR_A_NAME or (holder and tries < _TRIES_FOR_A_NAME):
                    tries = _TRIES_FOR_A_NAME
                    waiting(holder or "another process")
                time.sleep(_POLL_SECONDS)
            held.write(f"process {os.getpid()}")
            held.flush()
            try:
                yield
            finally:
                held.truncate(0)


def _taken(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    held.truncate(0)  # what a killed holder left
    return True
