"""A headless Chromium of this machine, spoken to by its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import websocket

from otel_on_spot.waiting import Deadline, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
"""A browser on a busy machine answers late; one that answers not at all fails the test."""
FLAGS = (
    "--headless",
    # What is opened is this repository's own, and a sandbox needs what containers do not have.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)


def command() -> str | None:
    """The Chromium of $CHROMIUM, else the first one on PATH."""
    given = os.environ.get("CHROMIUM")
    return shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)


def why_no_browser() -> str:
    """Why no browser can be run here; empty where one can."""
    if command():
        return ""
    given = os.environ.get("CHROMIUM")
    missing = f"CHROMIUM={given} is no command" if given else f"no {', '.join(NAMES)} on PATH"
    return f"{missing}: install one, such as Debian's package chromium, or name it in CHROMIUM"


class BrowserError(Exception):
    """The browser did not start, or refused what it was told."""


class Page:
    """One tab: what it is told, and the events that it tells, in their order."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._socket = socket
        self._last = 0
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Tell the browser something: its answer.

        Raises:
            BrowserError: it refused, or did not answer.
        """
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        deadline = Deadline(ANSWER_SECONDS)
        while (message := self._next(deadline)) is not None:
            if message.get("id") == self._last:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                return message["result"]
        raise BrowserError(f"{method}: no answer within {ANSWER_SECONDS:.0f} s")

    def _next(self, deadline: Deadline) -> dict[str, Any] | None:
        """The next message; None when none came in time."""
        self._socket.settimeout(max(deadline.left, 0.001))
        try:
            message = json.loads(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            return None
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message

    def told(self, method: str) -> list[dict[str, Any]]:
        """Every event of one kind so far."""
        return [parameters for name, parameters in self.events if name == method]

    def wait_for(self, method: str, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether an event of this kind is told within some seconds, or was before."""
        deadline = Deadline(seconds)
        while not self.told(method):
            if self._next(deadline) is None:
                return False
        return True

    def goto(self, url: str) -> None:
        """Go to a page, without waiting for it. What an earlier one told is forgotten."""
        self.call("Page.navigate", url="about:blank")
        self.evaluate("document.readyState")
        self.events.clear()
        self.call("Page.navigate", url=url)

    def open(self, url: str, *, width: int = 1280, height: int = 800) -> None:
        """Go to a page that loads.

        Raises:
            BrowserError: it did not.
        """
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.goto(url)
        if not self.wait_for("Page.loadEventFired"):
            raise BrowserError(f"{url}: not loaded within {ANSWER_SECONDS:.0f} s")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript.

        Raises:
            BrowserError: it threw.
        """
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last ``goto``."""
        return [told["request"]["url"] for told in self.told("Network.requestWillBeSent")]

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and what the browser itself logged."""
        said = [
            " ".join(str(given.get("value", given.get("description"))) for given in told["args"])
            for told in self.told("Runtime.consoleAPICalled")
            if told["type"] in ("error", "warning", "assert")
        ]
        thrown = [told["exceptionDetails"]["text"] for told in self.told("Runtime.exceptionThrown")]
        logged = [
            told["entry"]["text"]
            for told in self.told("Log.entryAdded")
            if told["entry"]["level"] in ("error", "warning")
        ]
        return said + thrown + logged

    def screenshot(self, file: Path) -> None:
        """Write the whole page as PNG."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))


class Browser:
    """A browser that runs."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextmanager
    def page(self) -> Generator[Page]:
        """A tab, closed in the end."""
        target = self._ask("PUT", "new?about:blank")
        socket = websocket.create_connection(
            target["webSocketDebuggerUrl"], timeout=ANSWER_SECONDS, suppress_origin=True
        )
        try:
            yield Page(socket)
            socket.send(json.dumps({"id": 0, "method": "Page.close"}))
        finally:
            socket.close()

    def _ask(self, verb: str, what: str) -> Any:
        with urlopen(Request(f"{self._address}/json/{what}", method=verb), timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)


@contextmanager
def running(folder: Path, hosts: Sequence[str] = (), *flags: str) -> Generator[Browser]:
    """A browser that reaches this machine and the named hosts.

    Args:
        folder: an empty one, for its profile.
        hosts: rules of its resolver, such as ``MAP example.com:443 127.0.0.1:8443``.
        flags: more of its command line.

    Raises:
        BrowserError: it did not start.
    """
    rules = ", ".join([*hosts, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"])
    words = [str(command()), *FLAGS, f"--user-data-dir={folder}", f"--host-resolver-rules={rules}", *flags]
    log, port = folder / "log", folder / "DevToolsActivePort"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=output, start_new_session=True, env={**os.environ, "HOME": str(folder)}
        )
    try:
        ready = wait_until(
            lambda: process.poll() is not None or (port.exists() and "\n" in port.read_text()),
            START_SECONDS,
            every=0.05,
        )
        if not ready or process.poll() is not None:
            raise BrowserError(f"{words[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
        yield Browser(f"http://127.0.0.1:{port.read_text().splitlines()[0]}")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
