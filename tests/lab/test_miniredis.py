"""What the lab's miniredis adds to the library: a clock, an address, an end. Argo CD runs on it in every lab."""

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
        kind, rest = (line := self.file.readline())[:1], line[1:-2].decode()
        if kind == b"$":
            return "nothing" if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
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


def test_keys_age_by_the_clock(server: tuple[subprocess.Popen[str], int]) -> None:
    client = Client(server[1])
    assert client.ask("SET", "short", "x", "PX", "400") == "OK"
    assert client.ask("SET", "later", "x") == "OK"
    assert client.ask("EXPIRE", "later", "1") == "1"
    assert client.ask("GET", "short") == "x"
    time.sleep(0.9)
    assert client.ask("GET", "short") == "nothing"
    assert client.ask("GET", "later") == "x"
    time.sleep(0.8)
    assert client.ask("GET", "later") == "nothing"
    client.close()


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
