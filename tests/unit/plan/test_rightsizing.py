"""Requests against use: by workload, by a Prometheus's answers, and in words where it has none."""

import io
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from unittest import mock

import promql_parser
import pytest
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.plan import rightsizing
from otel_on_spot.plan.rightsizing import CPU, MEMORY, PrometheusError
from otel_on_spot.plan.workloads import Workload

MIB = 2**20


def workload(name: str, cpu: int, memory: int, replicas: int = 1) -> Workload:
    return Workload(name=name, replicas=replicas, cpu_millis=cpu, memory_mib=memory, node_selector={}, apart=False)


def answers(cpu: Mapping[str, float], memory: Mapping[str, float]) -> Any:
    return lambda query: dict(cpu if CPU in query else memory)


def test_the_busiest_pod_of_a_workload_counts_and_a_name_within_a_name_is_another() -> None:
    cpu = {"frontend-6d5f7c9b4-abcde": 0.2, "frontend-6d5f7c9b4-fghij": 0.3, "frontend-proxy-7bb9d8c6f-klmno": 0.9}
    memory = dict.fromkeys((*cpu, "opensearch-0"), 100 * MIB)
    named = [workload("frontend", 300, 100), workload("frontend-proxy", 900, 100), workload("opensearch", 1, 90)]
    found = {use.workload.name: use for use in rightsizing.uses(answers(cpu, memory), named, "otel-demo", "7d")}

    assert found["frontend"].cpu_millis == pytest.approx(300)
    assert found["frontend-proxy"].cpu_millis == pytest.approx(900)
    assert (found["opensearch"].cpu_millis, found["opensearch"].memory_mib) == (None, 100)


@pytest.mark.parametrize(
    ("cpu", "memory", "verdict"),
    [
        (80, 80, "fits"),
        (10, 80, "CPU asks for 10.0 times what it uses"),
        (80, 120, "memory uses more than it asks for"),
        (120, 20, "CPU uses more than it asks for; memory asks for 5.0 times what it uses"),
    ],
)
def test_what_the_numbers_say(cpu: float, memory: float, verdict: str) -> None:
    pod = "a-6d5f7c9b4-abcde"
    told = answers({pod: cpu / 1000}, {pod: memory * MIB})

    assert rightsizing.uses(told, [workload("a", 100, 100)], "n", "1h")[0].verdict == verdict


def test_the_greatest_waste_stands_first_and_what_was_not_seen_is_in_no_sum() -> None:
    pods = {f"{name}-6d5f7c9b4-abcde": 0.1 for name in ("small", "large")}
    named = [workload("small", 110, 10), workload("unseen", 9000, 9000), workload("large", 500, 10, replicas=3)]
    found = rightsizing.uses(answers(pods, dict.fromkeys(pods, 5 * MIB)), named, "n", "1h")

    assert [use.workload.name for use in found] == ["large", "small", "unseen"]
    assert found[-1].verdict == "no pod seen"
    assert rightsizing.totals(found)["requestedVcpus"] == pytest.approx(1.61)
    assert rightsizing.totals(found)["usedVcpus"] == pytest.approx(0.4)


def test_the_queries_are_promql_of_the_kubelets_metrics() -> None:
    asked = rightsizing.queries("otel-demo", "7d")

    for metric, query in asked.items():
        assert metric in promql_parser.parse(query).prettify()
    with pytest.raises(ValueError, match="expected type matrix"):
        promql_parser.parse(asked[CPU].replace("[5m]", ""))


@pytest.mark.parametrize("window", ["", "7", "0d", "7d:", "seven", "7d}"])
def test_a_window_that_is_none_is_refused_before_anything_is_asked(window: str) -> None:
    with pytest.raises(PrometheusError, match="a window is a number"):
        rightsizing.uses(lambda query: pytest.fail("asked"), [], "n", window)


def test_a_prometheus_without_these_metrics_is_told_what_it_must_scrape() -> None:
    with pytest.raises(PrometheusError, match=rf"no {MEMORY} of namespace otel-demo in the last 7d.*cadvisor"):
        rightsizing.uses(answers({"a-0": 1}, {}), [workload("a", 1, 1)], "otel-demo", "7d")


class Prometheus(BaseHTTPRequestHandler):
    """Answers each query with one pod of the frontend."""

    def do_POST(self) -> None:
        query = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
        if self.path != "/api/v1/query":
            self.send_error(404)
            return
        row = {"metric": {"pod": "frontend-6d5f7c9b4-abcde"}, "value": [1, "0.01" if CPU in query else str(50 * MIB)]}
        content = json.dumps({"status": "success", "data": {"resultType": "vector", "result": [row]}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_command_asks_prometheus_and_reports(url: str) -> None:
    ran = CliRunner().invoke(app, ["rightsize", "--stack", "dev", "--prometheus", f"{url}/", "--json"])
    assert ran.exit_code == 0, ran.output
    told = {row["name"]: row for row in json.loads(ran.stdout)["workloads"]}

    assert told["frontend"]["cpuMillis"]["used"] == pytest.approx(10)
    assert told["frontend"]["memoryMib"]["used"] == 50
    assert {row["verdict"] for name, row in told.items() if name != "frontend"} == {"no pod seen"}


@pytest.mark.parametrize("path", ["/elsewhere", ""])
def test_what_is_no_prometheus_is_said_in_words(url: str, path: str) -> None:
    given = f"{url}{path}" if path else "http://127.0.0.1:9"
    ran = CliRunner().invoke(app, ["rightsize", "--prometheus", given])

    assert ran.exit_code == 2
    assert f"--prometheus {given}: " in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize(
    "url",
    [
        *(
            "localhost:9090",
            "",
            "http://",
            "http://:9090",
            "http://localhost:abc",
            "http://localhost:99999",
            "http://[::1",
        ),
        *("ftp://localhost", "file:///etc/passwd", "http://localhost:0", "//localhost:9090"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PrometheusError, match="give a URL such as"):
        rightsizing.prometheus(url)


def content(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n" + 200 * b"X: y\r\n" + b"\r\n{}",
        b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        content("<html>"),
        content("[]"),
        content("null"),
        content('{"data": {"resultType": "scalar", "result": [1, "2"]}}'),
        content('{"data": {"result": [{"metric": {}, "value": [1, "2"]}]}}'),
        content('{"data": {"result": [{"metric": {"pod": "a"}, "value": [1]}]}}'),
        content('{"data": {"result": [{"metric": {"pod": "a"}, "value": [1, "much"]}]}}'),
    ],
)
def test_an_answer_of_something_else_is_said_in_words(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        served = threading.Thread(target=serve)
        served.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(PrometheusError, match=f"--prometheus {url}: "):
            rightsizing.prometheus(url)("up")
        served.join()


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_pod_without_a_number_is_not_seen(value: str) -> None:
    """JSON has neither."""
    pods = [("a", "2"), ("b", value)]
    told = {"data": {"result": [{"metric": {"pod": pod}, "value": [1, number]} for pod, number in pods]}}
    with mock.patch("urllib.request.urlopen", return_value=io.StringIO(json.dumps(told))):
        assert rightsizing.prometheus("http://localhost:9090")("up") == {"a": 2.0}
