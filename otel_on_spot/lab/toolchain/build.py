"""The builds: ``go build`` of one module after another, each into a folder of the cache, whole or not there."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
import psutil
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from otel_on_spot.lab.toolchain.golang import Go, ToolchainError
from otel_on_spot.lab.toolchain.modules import Module
from otel_on_spot.waiting import wait_until

FLAGS = ("-trimpath", "-mod=readonly", "-buildvcs=false")
UNUSED_DAYS = 30
# Most memory that a build takes with two compilers (Karpenter's, measured), and an estimate for each further one.
PEAK_MIB, _MIB_PER_COMPILER = 3344, 400
_KEPT_FREE_MIB = 512
# Linking, in packages compiled: all tools took 70 s of 1,833 where go had every package already.
LINKING = 15
_LAST_LINES = 15
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# What go prints, and what a person can do about it.
_ADVICE = {
    r"no space left on device": "free disk space: `go clean -cache` frees what go itself keeps, then run it again",
    r"signal: killed|cannot allocate memory": "a compiler was killed: give it more memory, or end what uses it",
    r"lookup disabled|toolchain not available|connection re|dial tcp|i/o timeout|no such host|TLS handshake|40[37] ": (
        "the Go module proxy can't be reached: look at `go env GOPROXY` and at the network, then run it again"
    ),
}


class BuildError(ToolchainError):
    """Some tools could not be built; the message has every one of them."""

    def __init__(self, failures: Sequence[str]) -> None:
        count = f"{len(failures)} tool" + ("s" if len(failures) != 1 else "")
        super().__init__("\n".join([f"{count} could not be built", *failures]))


class CommandError(Exception):
    """A go command failed; ``lines`` is what it printed."""

    def __init__(self, command: Sequence[str], lines: Sequence[str]) -> None:
        self.command, self.lines = tuple(command), tuple(lines)


def cache_folder() -> Path:
    """Folder of all built tools of this user: in it a folder a module, in that a folder a key."""
    return platformdirs.user_cache_path("otel-on-spot") / "tools"


def place(module: Module, go: Go) -> Path:
    """Folder of a module's build; its name changes with what reaches the binaries, and with nothing else."""
    sources = [module.folder / "go.mod", module.folder / "go.sum", *sorted(module.folder.glob("*.go"))]
    digests = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sources]
    made_from = (FLAGS, module.linker_flags, module.package, module.binaries, module.links, module.files)
    made_from += (module.tags,) if module.tags else ()
    key = json.dumps([digests, made_from, go.identity(module.go_line)], sort_keys=True)
    return cache_folder() / module.name / hashlib.sha256(key.encode()).hexdigest()[:16]


def _flags(module: Module) -> tuple[str, ...]:
    """Flags of go's commands that decide what is compiled."""
    return (*FLAGS, *([f"-tags={','.join(module.tags)}"] if module.tags else []))


def is_whole(module: Module, folder: Path) -> bool:
    """True where every binary and folder of this module is in the folder."""
    return all((folder / name).exists() for name in (*module.names, *module.files))


def free_mib(limit: Path = _CGROUP_LIMIT) -> int:
    """Memory that can be taken now, in MiB: what the system has available, within the container's limit."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no limit: the file is missing or says "max"
        free = min(free, int(limit.read_text("ascii")) - int((limit.parent / "memory.current").read_text("ascii")))
    return max(0, free // 2**20)


def compilers(cores: int, memory_mib: int) -> int:
    """Compilers that a build runs at once: one a core, fewer where memory does not hold them, two at least."""
    return max(2, min(cores, 2 + (memory_mib - _KEPT_FREE_MIB - PEAK_MIB) // _MIB_PER_COMPILER))


class BuildProgress:
    """Progress of all builds, in packages, with the time left: a bar on a terminal, else a line now and then.

    ``console``: where it is shown; default: standard error. ``every_seconds``: least time between two lines where the
    console is no terminal.
    """

    def __init__(self, console: Console | None = None, every_seconds: float = 20.0) -> None:
        self._console, self._every_seconds = console or Console(stderr=True), every_seconds
        self._printed = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("left"), console=self._console, speed_estimate_period=600,
        )  # fmt: skip
        self._task = self._bar.add_task("the lab's tools", total=None)

    def __enter__(self) -> "BuildProgress":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def plan(self, packages: int) -> None:
        """Set how much all builds together are."""
        self._bar.update(self._task, total=packages)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._printed = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, doing: str, packages: int = 0) -> None:
        """Show what is being done, after some more packages are."""
        self._bar.update(self._task, description=doing, advance=packages)
        if not self._console.is_terminal and time.monotonic() - self._printed >= self._every_seconds:
            left = self._bar.tasks[0].time_remaining
            self.note(doing if left is None else f"{doing}; about {timedelta(seconds=left)} left")


class _Builder:
    """Builds modules, with files that last as long as it does."""

    def __init__(self, go: Go, progress: BuildProgress, temporary: Path) -> None:
        self.go, self.progress, self.temporary = go, progress, temporary
        self.stale: set[str] = set()
        """Packages that go's own cache lacks: their folders."""
        self.failures: list[str] = []

    def each(self, step: Callable[[Module], None], modules: Sequence[Module]) -> list[Module]:
        """Take a step for each; the modules for which it did not fail."""
        done: list[Module] = []
        for module in modules:
            try:
                step(module)
            except CommandError as error:
                self._failed(module, error.command, error.lines)
            except OSError as error:
                self._failed(module, ("go", "build"), [str(error)])
            else:
                done.append(module)
        return done

    def count(self, module: Module) -> None:
        """Download the sources, and add to the stale packages those of this module."""
        if not module.package:
            self._go(module, "mod", "download", module.upstream)
            return
        listed = self._go(module, "list", "-deps", *_flags(module), "-f", "{{.Dir}} {{.Stale}}", module.package)
        self.stale |= {line for line in listed if line.endswith(" true")}

    def build(self, module: Module) -> None:
        """Compile, link, and put the result into the cache in one step; builds that nobody used for a month go."""
        begun, output, result = time.monotonic(), self.temporary / "go", self.temporary / module.name
        if module.package:
            workers = f"-p={compilers(len(os.sched_getaffinity(0)), free_mib())}"
            flags = (workers, *_flags(module), f"-ldflags={module.linker_flags}")
            self._go(module, "build", "-v", *flags, "-o", f"{output}/", module.package)
        result.mkdir()
        for name, written in module.binaries.items():
            (output / written).rename(result / name)
            with (result / name).open("rb") as binary:
                os.fsync(binary.fileno())
        for name in module.links:
            (result / name).symlink_to(next(iter(module.binaries)))
        if module.files:
            source = self._go(module, "list", "-m", "-mod=readonly", "-f", "{{.Dir}}", module.upstream)[-1]
            for name, folder in module.files.items():
                copy_writable(Path(source) / folder, result / name)
        target = place(module, self.go)
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        result.rename(target)
        for other in target.parent.iterdir():
            if other.stat().st_mtime < time.time() - UNUSED_DAYS * 86_400 and other.is_dir():
                shutil.rmtree(other)
        took = timedelta(seconds=int(time.monotonic() - begun))
        done = "built" if module.package else "downloaded"
        self.progress.note(f"{module.name} {module.version}: {done} in {took}")
        self.progress.step(module.name, LINKING if module.package else 0)

    def _go(self, module: Module, *arguments: str) -> list[str]:
        """Lines that go prints, less its progress; an exception, such as Ctrl-C's, kills it and all that it started.

        Raises:
            CommandError: go ended with another code than 0.
        """
        lines: list[str] = []
        with subprocess.Popen(
            ["go", *arguments], cwd=module.folder, env=self.go.environment(str(self.temporary)), text=True,
            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                for line in map(str.rstrip, process.stdout or ()):
                    if line.startswith("go: downloading "):
                        self.progress.step(f"{module.name}: {line.removeprefix('go: ')}")
                    elif re.fullmatch(r"[^/#\s]\S*", line):
                        self.progress.step(f"{module.name}: {line}", 1)  # a package that is being compiled
                    else:
                        lines.append(line)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode != 0:
            raise CommandError(["go", *arguments], lines)
        return lines

    def _failed(self, module: Module, command: Sequence[str], lines: Sequence[str]) -> None:
        output = "\n".join(f"    | {line}" for line in lines[-_LAST_LINES:] or ["(nothing)"])
        variables = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **self.go.toolchain}
        settings = " ".join(f"{name}={value}" for name, value in variables.items())
        by_hand = f"cd {module.folder} && {settings} {shlex.join(command)}"
        do = next(
            (advice for signs, advice in _ADVICE.items() if re.search(signs, output)), f"by hand it is: {by_hand}"
        )
        self.failures.append(f"  {module.name}: `{' '.join(command[:2])}` failed\n{output}\n    do:  {do}")
        self.progress.note(f"{module.name} {module.version}: failed")


def build(modules: Sequence[Module], go: Go, progress: BuildProgress) -> None:
    """Build modules one after another: a go build uses all cores by itself, and two at once might not fit memory.

    Raises:
        BuildError: with every failure, after all others were built.
    """
    for left in cache_folder().glob("partial-*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix="partial-", dir=cache_folder()) as temporary:
        builder = _Builder(go, progress, Path(temporary))
        counted = builder.each(builder.count, modules)
        progress.plan(len(builder.stale) + LINKING * sum(bool(module.package) for module in counted))
        builder.each(builder.build, counted)
    if builder.failures:
        raise BuildError(builder.failures)


def _text(path: Path) -> str:
    """What a file holds; nothing where it is not there."""
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8")
    return ""


@contextmanager
def locked(progress: BuildProgress) -> Generator[None]:
    """The lock of the one process of this user that builds; says whom it waits for."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(cache_folder() / "lock"), cache_folder() / "lock.holder"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        # The holder writes who it is just after it has the lock: a moment in which nothing can be read yet.
        who = wait_until(lambda: _text(holder), 5, every=0.02) or "another process"
        progress.note(f"{who} is building already: waiting for it")
        lock.acquire()
    try:
        holder.write_text(f"process {os.getpid()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def copy_writable(source: Path, target: Path) -> None:
    """Copy a folder of Go's module cache without the cache's read-only permissions."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
