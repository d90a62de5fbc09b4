"""One build: count and download its packages, compile, and put the result into the store."""

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import Module
from otel_on_spot.lab.toolchain.processes import Processes
from otel_on_spot.lab.toolchain.store import FLAGS, Store, keep_copy

_LAST_LINES = 15
# What go prints, and what a person can do about it.
_ADVICE = (
    (("no space left on device",), "free disk space: `go clean -cache` frees what go itself keeps, then run it again"),
    (
        ("signal: killed", "cannot allocate memory"),
        "the kernel ended a compiler: give the machine more memory, or end what uses it",
    ),
    (("requires go >=", "toolchain not available"), "install the Go version that the message names"),
    (
        ("checksum mismatch", "SECURITY ERROR"),
        "the download is not what go.sum pins: look at the proxy in `go env GOPROXY`",
    ),
    (
        (
            "module lookup disabled",
            "connection reset",
            "dial tcp",
            "i/o timeout",
            "no such host",
            "connection refused",
            "TLS handshake",
            "403 Forbidden",
            "407 Proxy",
        ),
        "the Go module proxy can't be reached: look at `go env GOPROXY` and at the network, then run it again",
    ),
)


@dataclass(frozen=True)
class Failure:
    """A build that failed: which, what go said last, where all of it is, what to do."""

    tool: str
    command: str
    last_lines: tuple[str, ...]
    log: Path
    do: str

    def __str__(self) -> str:
        said = "\n".join(f"    | {line}" for line in self.last_lines) or "    | (nothing)"
        return f"  {self.tool}: {self.command}\n{said}\n    log: {self.log}\n    do:  {self.do}"


class CommandError(Exception):
    """A go command ended with another code than 0."""


class Build:
    """Builds one module into the store."""

    def __init__(self, module: Module, tool_key: str, go: Go, store: Store, board: Board, processes: Processes) -> None:
        self.module, self.key, self.go, self.store = module, tool_key, go, store
        self.board, self.processes = board, processes
        self._last: list[str] = []
        self._command: Sequence[str] = ()

    def run(self, jobs: int) -> Failure | None:
        """Build with ``-p jobs``; the failure, if there is one.

        Raises:
            StoppedError: the builds are being ended.
        """
        partial = self.store.partial(self.module, self.key)
        try:
            with self.store.log(self.module).open("w", encoding="utf-8") as log:
                self._build(partial, jobs, log)
        except (CommandError, OSError) as failed:
            self._last += [str(failed)] if isinstance(failed, OSError) else []
            self.board.change(self.module.name, "failed")
            return self._failure()
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.board.change(self.module.name, "done")
        return None

    def _build(self, partial: Path, jobs: int, log: IO[str]) -> None:
        module, board, name = self.module, self.board, self.module.name
        environment = self.go.build_environment(partial / "work")
        downloads = compiled = 0

        def run(arguments: Sequence[str]) -> str:
            self._command = [str(self.go.binary), *arguments]
            self._last = []
            log.write(f"$ cd {module.folder} && {shlex.join(self._command)}\n")
            answer = partial / "work" / "answer"
            with answer.open("w", encoding="utf-8") as output:
                code = self.processes.run(
                    self._command, directory=module.folder, environment=environment, output=output, line=line
                )
            if code != 0:
                raise CommandError
            return answer.read_text(encoding="utf-8")

        def line(text: str) -> None:
            nonlocal downloads, compiled
            log.write(text + "\n")
            log.flush()
            if text.startswith("go: downloading "):
                downloads += 1
                board.change(name, detail=f"{downloads} modules, {' '.join(text.split()[2:])}")
            elif compiling and text and " " not in text and not text.startswith("#"):
                compiled += 1
                rest = board.rows[name].stale - compiled
                board.change(
                    name, compiled=compiled, detail=f"{compiled} packages, {rest} left" if rest > 0 else "linking"
                )
            else:
                self._last = [*self._last, text][-_LAST_LINES:]

        compiling = False
        board.change(name, "downloading", detail="reading its packages")
        listed = run(["list", "-deps", *FLAGS, "-f", "{{.ImportPath}} {{.Stale}}", *module.packages]).splitlines()
        board.count(name, packages=len(listed), stale=sum(package.endswith(" true") for package in listed))
        where = json.loads(run(["list", "-m", "-mod=readonly", "-json", module.upstream])) if module.files else {}
        compiling = True
        board.change(name, "building")
        output = partial / "go"
        output.mkdir()
        flags = ["-v", f"-p={jobs}", *FLAGS, f"-ldflags={module.linker_flags}"]
        run(["build", *flags, "-o", f"{output}/", *module.packages])
        for binary, written in module.binaries.items():
            (output / written).rename(partial / binary)
        output.rmdir()
        for link, binary in module.links.items():
            (partial / link).symlink_to(binary)
        for kept, folder in module.files.items():
            keep_copy(Path(where["Dir"]) / folder, partial / kept)
        self.store.publish(module, self.key, partial, {"tool": name, "version": module.version})

    def _failure(self) -> Failure:
        said = "\n".join(self._last)
        again = f"read the log; by hand it is: cd {self.module.folder} && CGO_ENABLED=0 GOWORK=off {shlex.join(self._command)}"
        do = next((advice for signs, advice in _ADVICE if any(sign in said for sign in signs)), again)
        command = " ".join(["go", *self._command[1:2]])
        return Failure(self.module.name, f"`{command}` failed", tuple(self._last), self.store.log(self.module), do)
