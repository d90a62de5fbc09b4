"""k9s as the pages have it, on a terminal of its own beside the lab: it shows what is there, and only reads."""

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_on_spot.lab import isolation
from otel_on_spot.lab.folder import Folder
from otel_on_spot.waiting import wait_until
from tests.lab.running import ROOT, Lab

PAGE = (ROOT / "docs" / "operations.md").read_text()
COMMANDS = re.findall(r"^k9s .+$", PAGE, re.MULTILINE)
ROWS, COLUMNS = 60, 240
SHOWN_WITHIN_SECONDS = 90
_CONTROL = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-Z]|[=>])")
"""What moves the cursor or colours; the rest is what one reads."""


class Terminal:
    """A program on a terminal: what it has written there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._written = b""
        self._ended = False

    def text(self) -> str:
        """All that it has written, without colours and places."""
        while select.select([self._descriptor], [], [], 0)[0]:
            try:
                self._written += os.read(self._descriptor, 65536)
            except OSError:
                self._ended = True
                break
        return _CONTROL.sub(b"", self._written).decode(errors="replace")

    def shows(self, *words: str) -> str:
        """What it has written, once all of these words are there, it has ended, or time is up."""
        wait_until(lambda: all(word in self.text() for word in words) or self._ended, SHOWN_WITHIN_SECONDS, 0.2)
        return self.text()

    def types(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())


@contextmanager
def on_a_terminal(folder: Folder, command: list[str], variables: dict[str, str]) -> Generator[Terminal]:
    """A program in the lab's namespaces, on a terminal of its own, for as long as this lasts."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        isolation.inside(folder, command), env=variables, stdin=its, stdout=its, stderr=its, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(its)
    try:
        yield Terminal(ours)
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(ours)


@pytest.fixture
def variables(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """The environment of a person who has k9s: a home of their own, in which it keeps its settings."""
    if shutil.which("k9s") is None:
        pytest.skip("k9s is not on the PATH: go install github.com/derailed/k9s@v0.50.16, which takes most of an hour")
    given = isolation.environment(lab.stack, lab.folder, lab.tools)
    homes = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    return {**given, "HOME": str(tmp_path), **dict.fromkeys(homes, str(tmp_path / "xdg")), "TERM": "xterm-256color"}


def names(lab: Lab, command: str) -> list[str]:
    """Names of the objects of the kind that a command shows."""
    words = shlex.split(command)
    return [thing["metadata"]["name"] for thing in lab.get(words[words.index("--command") + 1])]


@pytest.mark.parametrize("command", COMMANDS)
def test_k9s_shows_each_object_of_the_kind_that_a_page_asks_it_for(
    lab: Lab, variables: dict[str, str], command: str
) -> None:
    wanted = names(lab, command)
    assert wanted
    with on_a_terminal(lab.folder, shlex.split(command), variables) as terminal:
        told = terminal.shows(*wanted)
        assert [name for name in wanted if name not in told] == [], told[-3000:]


def test_k9s_deletes_nothing_as_the_pages_start_it(lab: Lab, variables: dict[str, str]) -> None:
    command = next(command for command in COMMANDS if "nodeclaims" in command)
    assert all("--readonly" in command for command in COMMANDS)
    before = names(lab, command)
    with on_a_terminal(lab.folder, shlex.split(command), variables) as terminal:
        terminal.shows(*before)
        terminal.types("\x04")  # Ctrl-D: delete what is chosen
        time.sleep(2)
        assert "Delete" not in terminal.text()
        terminal.types("\r")
        time.sleep(2)
    assert {*before} <= {*names(lab, command)}
