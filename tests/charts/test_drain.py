"""Two drains under 10,000 requests: real processes behind endpoints on loopback, ended as the wrapper declares.

A second is so many requests, and everything that a drain does happens between two of them: a slow machine changes
nothing. The processes are of the kind that ends at once when it is told to.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.charts.demo_chart import Wrapper

SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0), backlog=16)
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        if connection.recv(512):
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
"""
REQUESTS = 10_000
A_SECOND = 100
"""Requests in a second."""
BEHIND_SECONDS = 5
"""How long proxies go on sending to an endpoint that is no longer one: assumed, nobody promises a time."""
DRAINS = (2_000, 6_000)
"""The request at which each of the two pods is told to go, its replacement Ready."""


@contextmanager
def pods() -> Generator[dict[int, subprocess.Popen[str]]]:
    """Port -> process; more are put in by ``start``, and all of them end."""
    running: dict[int, subprocess.Popen[str]] = {}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def start(running: dict[int, subprocess.Popen[str]]) -> int:
    process = subprocess.Popen([sys.executable, "-ISc", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    port = int(process.stdout.readline())
    running[port] = process
    return port


def served(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            return connection.recv(512).endswith(b"ok")
    except OSError:
        return False


def lost(sleep_seconds: float) -> int:
    """Requests that nobody answered while both pods were drained, one after the other."""
    unanswered = 0
    with pods() as running:
        endpoints = [start(running), start(running)]
        sent_to = list(endpoints)
        told: dict[int, list[tuple[str, int]]] = {}
        for request in range(REQUESTS):
            if request in DRAINS:
                gone = endpoints.pop(0)
                endpoints.append(start(running))
                told.setdefault(request + A_SECOND * BEHIND_SECONDS, []).append(("proxy", gone))
                told.setdefault(request + int(A_SECOND * sleep_seconds), []).append(("process", gone))
            for who, gone in told.pop(request, ()):
                if who == "proxy":
                    sent_to = [port for port in sent_to if port != gone] + [endpoints[-1]]
                else:
                    running[gone].send_signal(signal.SIGTERM)
                    running[gone].wait(20)
            unanswered += not served(sent_to[request % len(sent_to)])
    return unanswered


def test_no_request_of_10_000_is_lost_through_two_drains_and_without_the_sleep_some_are(shell: Wrapper) -> None:
    lifecycle = shell.values("prod")["podLifecycle"]
    sleep = lifecycle["preStopSleepSeconds"]

    assert lost(sleep) == 0
    assert lost(0) == pytest.approx(A_SECOND * BEHIND_SECONDS, abs=2)
    assert BEHIND_SECONDS < sleep < lifecycle["terminationGracePeriodSeconds"]
