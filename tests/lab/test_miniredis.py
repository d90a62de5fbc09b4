"""miniredis as it is built for the lab, spoken to as Argo CD's client speaks to it."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.lab import toolchain


@pytest.fixture(scope="module")
def binary() -> Path:
    return toolchain.ensure().path("miniredis")


class Client:
    """Redis's protocol over a socket: arrays of strings out, lines in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def ask(self, *words: str) -> str:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        self.socket.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return self.answer()

    def answer(self) -> str:
        kind, rest = (line := self.file.readline())[:1], line[1:-2].decode()
        if kind == b"$":
            return "nothing" if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind in b"*%>":
            return " ".join(self.answer() for _ in range(int(rest) * (2 if kind == b"%" else 1)))
        return rest

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def server(binary: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen([binary, "-address", "127.0.0.1:0"], text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        yield process, int(process.stdout.readline().rsplit(":", 1)[1])
        process.kill()
        process.wait()


@pytest.fixture
def clients(server: tuple[subprocess.Popen[str], int]) -> Iterator[tuple[Client, Client]]:
    both = Client(server[1]), Client(server[1])
    yield both
    for client in both:
        client.close()


def test_it_answers_a_ping_in_both_protocol_versions(clients: tuple[Client, Client]) -> None:
    client, _ = clients
    assert client.ask("PING") == "PONG"
    assert "proto 3" in client.ask("HELLO", "3")
    assert client.ask("PING") == "PONG"


def test_it_keeps_what_argo_cd_caches(clients: tuple[Client, Client]) -> None:
    first, other = clients
    assert first.ask("SET", "app|resources-tree|demo", "a tree", "EX", "3600") == "OK"
    assert other.ask("GET", "app|resources-tree|demo") == "a tree"
    assert first.ask("SET", "app|resources-tree|demo", "another", "EX", "60", "NX") == "nothing"
    assert first.ask("RENAME", "app|resources-tree|demo", "app|resources-tree|new") == "OK"
    assert first.ask("TTL", "app|resources-tree|new") in ("3600", "3599")
    assert first.ask("DEL", "app|resources-tree|new") == "1"
    assert other.ask("GET", "app|resources-tree|new") == "nothing"


def test_keys_age_by_the_clock(clients: tuple[Client, Client]) -> None:
    client, _ = clients
    assert client.ask("SET", "short", "x", "PX", "400") == "OK"
    assert client.ask("SET", "later", "x") == "OK"
    assert client.ask("EXPIRE", "later", "1") == "1"
    assert client.ask("GET", "short") == "x"
    time.sleep(0.9)
    assert client.ask("GET", "short") == "nothing"
    assert client.ask("GET", "later") == "x"
    time.sleep(0.8)
    assert client.ask("GET", "later") == "nothing"


def test_what_one_publishes_the_other_hears(clients: tuple[Client, Client]) -> None:
    controller, repo_server = clients
    assert repo_server.ask("SUBSCRIBE", "app-changed") == "subscribe app-changed 1"
    assert controller.ask("PUBLISH", "app-changed", "demo") == "1"
    assert repo_server.answer() == "message app-changed demo"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(server: tuple[subprocess.Popen[str], int], number: signal.Signals) -> None:
    process, port = server
    process.send_signal(number)

    assert process.wait(5) == 0
    with pytest.raises(ConnectionRefusedError):
        Client(port)


def test_an_address_that_is_taken_is_refused_with_what_to_do(
    binary: Path, server: tuple[subprocess.Popen[str], int]
) -> None:
    _, port = server
    second = subprocess.run(
        [binary, "-address", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=10, check=False
    )

    assert second.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in second.stderr
    assert "use another -address" in second.stderr


def test_an_argument_that_is_no_flag_is_refused(binary: Path) -> None:
    refused = subprocess.run([binary, "6379"], capture_output=True, text=True, timeout=10, check=False)

    assert refused.returncode == 2
    assert 'given ["6379"]' in refused.stderr
