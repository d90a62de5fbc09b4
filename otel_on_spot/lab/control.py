"""The control socket of a running lab: a Unix socket in its folder, one JSON object a line.

A request is ``{"command": ..., "arguments": {...}}``. Answers are any number of ``{"progress": line}`` and one of
``{"answer": value}`` or ``{"error": text}``.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_on_spot.lab.folder import Folder, LabError, NoLabError

Log = Callable[[str], None]
"""Takes a line for the user."""
Command = Callable[..., Any]
OURS = "otel_on_spot"
"""Packages whose exceptions are written for people."""
LONGEST_PATH = 100
"""Bytes of a Unix socket's address, less a little. Source: https://man7.org/linux/man-pages/man7/unix.7.html"""


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """How the command ``up`` brings a lab up.

    Attributes:
        dirty: Argo CD sees the working tree, not a commit.
        revision: the commit that Argo CD sees.
        boot_seconds: boot time of an instance.
        timeout_seconds: how long the platform may take to be ready.
        engine: apply by the pulumi CLI, not by the recorded graph.
    """

    dirty: bool = False
    revision: str = "HEAD"
    boot_seconds: float = 5.0
    timeout_seconds: float = 900.0
    engine: bool = False


class RefusedError(LabError):
    """The lab refused a command; the text is its own."""


class Server:
    """Serves commands. Each gets its arguments and ``log``, which takes a line of progress."""

    def __init__(self, folder: Folder, commands: dict[str, Command]) -> None:
        self.commands = commands
        folder.control.unlink(missing_ok=True)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer._answer(self.rfile.readline(), self.wfile)

        with _short(folder.control) as address:
            self._server = socketserver.ThreadingUnixStreamServer(str(address), Handler)
        folder.control.chmod(0o600)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def _answer(self, line: bytes, out: Any) -> None:
        lock = threading.Lock()

        def send(message: Mapping[str, Any]) -> None:
            with lock:
                try:
                    out.write(json.dumps(message).encode() + b"\n")
                    out.flush()
                except OSError:
                    return  # the caller has gone; the command goes on

        try:
            request = json.loads(line)
            command = self.commands.get(request["command"])
            if command is None:
                raise LabError(f"command {request['command']!r}: this lab knows {', '.join(sorted(self.commands))}")
            send({"answer": command(log=lambda line: send({"progress": line}), **request.get("arguments", {}))})
        except LabError as problem:
            send({"error": str(problem)})
        except Exception as problem:  # noqa: BLE001 (the lab must outlive a failed command)
            ours = type(problem).__module__.partition(".")[0] == OURS
            send({"error": str(problem) if ours else f"{type(problem).__name__}: {problem}"})

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


def ask(folder: Folder, command: str, *, log: Log = lambda _line: None, **arguments: Any) -> Any:
    """Send a command to a running lab, and return its answer.

    Args:
        folder: the lab's, with the socket that its daemon listens on.
        command: such as ``up`` or ``status``.
        log: gets each line of progress before the answer.
        arguments: the command's own; they travel as JSON.

    Raises:
        NoLabError: none is running.
        RefusedError: it says no, or it ended before it answered.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _short(folder.control) as address:
                connection.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoLabError(f"no lab {folder.name!r} is running. Start it: make lab") from None
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
            stream.flush()
            for line in stream:
                message = json.loads(line)
                if "progress" in message:
                    log(message["progress"])
                elif "error" in message:
                    raise RefusedError(message["error"])
                else:
                    return message["answer"]
    why = folder.read_state().get("why", "")
    raise RefusedError(
        f"the lab ended before it answered {command!r}{': ' + why if why else ''}. Its logs: {folder.logs}"
    )


@contextmanager
def _short(path: Path) -> Generator[Path]:
    """A path to a socket that fits into its address: through a descriptor of its folder where it is too long."""
    if len(str(path)) <= LONGEST_PATH:
        yield path
        return
    descriptor = os.open(path.parent, os.O_PATH)
    try:
        yield Path(f"/proc/self/fd/{descriptor}") / path.name
    finally:
        os.close(descriptor)
