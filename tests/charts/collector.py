"""A real collector on loopback: the configuration that its pod would mount, with stubs for whom it talks to.

Left out of what runs, and of what is judged: ``ABSENT``, components of the demo's own. Changed for a run: addresses,
and waits that would make the tests minutes long (``hurried``).
"""

import gzip
import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, cast

import grpc
import trustme
import yaml
from typing_extensions import override

from infra import otlp
from infra.settings.models import Monitoring
from otel_on_spot.waiting import wait_until
from tests.charts import helm
from tests.charts.demo_chart import NAMESPACE, RELEASE, Wrapper
from tests.charts.workloads import by_name

CHART = yaml.safe_load((Path(__file__).parent / "collector-chart.yaml").read_text())
ABSENT = (
    *("httpcheck", "jaeger", "nginx", "postgresql", "redis", "zipkin"),
    *("resourcedetection", "transform", "opensearch"),
)
"""Component types that ``otel_on_spot/lab/go/otel-collector`` is built without; its main.go says why."""
RELAY = """
apiVersion: v1
kind: ConfigMap
metadata: {name: relay}
data:
  relay: |
    {{- tpl (toYaml .Values.config) . | nindent 4 }}
"""
STARTS_WITHIN_SECONDS, ARRIVES_WITHIN_SECONDS = 60, 40
Answer = Literal["taken", "refused", "slow"]


def relay(demo: Wrapper, environment: str, monitoring: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The collector's configuration: by the real charts where they are here, else by what is recorded of them.

    Args:
        demo: the wrapper chart.
        environment: whose values.
        monitoring: the setting of that name.
        folder: for a chart of its own; empty.
    """
    if demo.demo.source == "real":
        return rendered(demo.objects(environment, _given(environment, monitoring)))
    return recorded(demo, environment, monitoring, folder)


def recorded(demo: Wrapper, environment: str, monitoring: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same by the values of the demo chart and what is recorded of the collector's chart."""
    given = _given(environment, monitoring)
    merged = helm.coalesced(demo.demo.defaults, helm.coalesced(demo.values(environment), given)["opentelemetry-demo"])
    config = helm.coalesced(CHART["config"], merged["opentelemetry-collector"]["config"])
    config["processors"] = helm.layered(CHART["preset"], config["processors"])
    for signal in ("traces", "metrics", "logs"):
        pipeline = config["service"]["pipelines"][signal]
        pipeline["processors"] = ["k8sattributes", *pipeline["processors"]]
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "relay", "version": "0.0.0"}))
    (folder / "templates" / "relay.yaml").write_text(RELAY)
    values = {"config": config, "global": given["global"]}
    return rendered(helm.render(folder, release=RELEASE, namespace=NAMESPACE, values=values))


def _given(environment: str, monitoring: Mapping[str, Any]) -> dict[str, Any]:
    """What the program and Argo CD hand the wrapper chart."""
    cluster = {"environment": environment, "clusterName": f"otel-{environment}", "region": "eu-central-1"}
    given = {"monitoring": {"alerts": monitoring["alerts"]}, "global": {"clusterMetadata": cluster}}
    return helm.layered(otlp.values(Monitoring.model_validate(monitoring)), given)


def rendered(objects: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The configuration among these objects."""
    maps = by_name(list(objects), "ConfigMap")
    (told,) = (found["data"]["relay"] for found in maps.values() if "relay" in found.get("data", {}))
    return cast("dict[str, Any]", yaml.safe_load(told))


def without_absent(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration without the components that this collector is built without."""
    told = json.loads(json.dumps(config))
    for kind in ("receivers", "processors", "exporters"):
        told[kind] = {name: made for name, made in told[kind].items() if name.partition("/")[0] not in ABSENT}
        for pipeline in told["service"]["pipelines"].values():
            pipeline[kind] = [name for name in pipeline[kind] if name.partition("/")[0] not in ABSENT]
    return cast("dict[str, Any]", told)


@dataclass
class Loopback:
    """Addresses of this process alone: the collector's pod, the demo's backends, the vendor, Karpenter and Argo CD."""

    prefix: str = field(default_factory=lambda: f"127.{64 + os.getpid() % 128}.{1 + (os.getpid() >> 7) % 250}")

    @property
    def pod(self) -> str:
        return f"{self.prefix}.1"

    @property
    def demo(self) -> str:
        return f"{self.prefix}.2"

    @property
    def vendor(self) -> str:
        return f"{self.prefix}.3"

    @property
    def platform(self) -> str:
        return f"{self.prefix}.4"


def scrape_jobs(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The jobs that scrape the platform for the backend; none where nothing does."""
    receiver = config["receivers"].get(f"prometheus/{otlp.NAME}", {})
    return cast("list[dict[str, Any]]", receiver.get("config", {}).get("scrape_configs", []))


def hurried(config: Mapping[str, Any], at: Loopback) -> dict[str, Any]:
    """The configuration for a run on loopback: no cluster, no DNS, and seconds where it has minutes."""
    told = without_absent(config)
    for name, processor in told["processors"].items():
        if name.startswith("k8sattributes"):
            processor["passthrough"] = True  # else it asks the API server, which is not here
        if name.startswith("batch"):
            processor["timeout"] = "200ms"
    told["exporters"]["otlp"]["endpoint"] = f"{at.demo}:4317"
    told["exporters"]["otlphttp/prometheus"]["endpoint"] = f"http://{at.demo}:9090/api/v1/otlp"
    for job in scrape_jobs(told):
        ports = [found["port"] for found in job.pop("dns_sd_configs")]
        job["static_configs"] = [{"targets": [f"{at.platform}:{port}" for port in ports]}]
        job["scrape_interval"] = job["scrape_timeout"] = "1s"
    (reader,) = (row["periodic"] for row in told["service"]["telemetry"]["metrics"]["readers"] if "periodic" in row)
    reader["exporter"]["otlp"]["endpoint"] = f"http://{at.pod}:4318"
    reader["interval"], reader["timeout"] = 1000, 500
    for name, exporter in told["exporters"].items():
        if name.endswith(otlp.NAME):
            exporter["timeout"] = "1s"
            exporter["retry_on_failure"] = {"initial_interval": "200ms", "max_interval": "1s", "max_elapsed_time": "3s"}
    return told


@dataclass(frozen=True)
class Request:
    """What a backend was sent."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Backend:
    """A backend by OTLP on loopback: what it was sent, and how it answers."""

    answer: Answer = "taken"
    requests: list[Request] = field(default_factory=list)

    def sent(self, part: bytes, path: str = "") -> list[Request]:
        """The requests that hold these bytes, such as a metric's name."""
        return [request for request in list(self.requests) if part in request.body and path in request.path]

    def arrives(self, part: bytes, path: str = "") -> Request:
        """The first request that holds these bytes, waited for."""
        found = wait_until(lambda: next(iter(self.sent(part, path)), None), ARRIVES_WITHIN_SECONDS, 0.1)
        assert found is not None, f"{part!r} did not arrive; {len(self.requests)} requests did"
        return found


@contextmanager
def by_grpc(backend: Backend, host: str, port: int, leaf: trustme.LeafCert | None = None) -> Generator[None]:
    """Serve a backend by gRPC, with TLS where it has a certificate."""

    class EveryMethod(grpc.GenericRpcHandler):
        @override
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            path = str(handler_call_details.method)

            def export(body: bytes, context: grpc.ServicerContext) -> bytes:
                if backend.answer == "refused":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
                if backend.answer == "slow":
                    time.sleep(3)
                headers = {key: str(value) for key, value in context.invocation_metadata()}
                backend.requests.append(Request(path, headers, body))
                return b""

            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(8), handlers=[EveryMethod()])
    if leaf is None:
        server.add_insecure_port(f"{host}:{port}")
    else:
        pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
        server.add_secure_port(f"{host}:{port}", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


@contextmanager
def by_http(backend: Backend, host: str, port: int, leaf: trustme.LeafCert | None = None) -> Generator[None]:
    """Serve a backend by HTTP, with TLS where it has a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            if backend.answer == "slow":
                time.sleep(3)
            if backend.answer != "refused":
                backend.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            with suppress(OSError):
                self.send_response(401 if backend.answer == "refused" else 200)
                self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    if leaf is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with _serving(server):
        yield


@contextmanager
def metrics_page(text: str, host: str, port: int) -> Generator[None]:
    """Serve metrics as a controller does: the same text whenever it is scraped."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with _serving(ThreadingHTTPServer((host, port), Handler)):
        yield


def exposition(served: Mapping[str, Iterable[str]]) -> str:
    """Metrics in Prometheus' text format, a series each. ``served``: series' name -> its labels."""
    lines = []
    for name, labels in sorted(served.items()):
        family, _, suffix = name.rpartition("_")
        if suffix == "bucket":
            lines.append(f"# TYPE {family} histogram")
            lines += [_series(name, labels, le=le) for le in ("1", "+Inf")]
            lines += [_series(f"{family}_{part}", served[f"{family}_{part}"]) for part in ("count", "sum")]
        elif "quantile" in labels:
            lines.append(f"# TYPE {name} summary")
            lines.append(_series(name, labels, quantile="0.5"))
            lines += [_series(f"{name}_{part}", served[f"{name}_{part}"]) for part in ("count", "sum")]
        elif not {f"{family}_bucket", family} & served.keys():
            lines += [f"# TYPE {name} {'counter' if suffix == 'total' else 'gauge'}", _series(name, labels)]
    return "\n".join([*lines, ""])


def _series(name: str, labels: Iterable[str], **known: str) -> str:
    told = ",".join(f'{label}="{known.get(label, "a")}"' for label in labels)
    return f"{name}{{{told}}} 1"


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Generator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def validated(binary: Path, config: Mapping[str, Any]) -> str:
    """What the collector says of a configuration: nothing where it takes it."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(config), file)
        file.flush()
        environment = {"MY_POD_IP": "127.0.0.1", "API_KEY": "key"}
        command = [binary, "validate", f"--config={file.name}"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


@dataclass
class Collector:
    """A collector that runs."""

    process: subprocess.Popen[bytes]
    log_file: Path
    at: Loopback

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_file.read_text(errors="replace")

    def healthy(self) -> bool:
        """Whether its own health check, which its pod's probes ask, says so."""
        return self.process.poll() is None and _status(self.at.pod, 13133) == 200

    def says(self, pattern: str) -> str:
        """The first line of its log that matches, waited for."""

        def line() -> str | None:
            return next((line for line in self.log.splitlines() if re.search(pattern, line)), None)

        found = wait_until(line, ARRIVES_WITHIN_SECONDS, 0.2)
        assert found is not None, f"no {pattern!r} in the collector's log:\n{self.log[-3000:]}"
        return found

    def send(self, signal: str, message: Mapping[str, Any]) -> None:
        """Send it something as the demo's services do, by OTLP over HTTP."""
        connection = http.client.HTTPConnection(self.at.pod, 4318, timeout=10)
        connection.request("POST", f"/v1/{signal}", json.dumps(message), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()


def _status(host: str, port: int) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def running(
    binary: Path, config: Mapping[str, Any], at: Loopback, folder: Path, secret: Mapping[str, str]
) -> Generator[Collector]:
    """A collector, ready to receive; ended afterwards.

    Args:
        binary: the collector.
        config: its whole configuration.
        at: its addresses.
        folder: for its files.
        secret: the Secret's keys, as its pod has them in its environment.
    """
    (folder / "relay.yaml").write_text(yaml.safe_dump(dict(config)))
    environment = {"MY_POD_IP": at.pod, **secret}
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, f"--config={folder / 'relay.yaml'}"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    collector = Collector(process, folder / "collector.log", at)
    try:
        wait_until(lambda: process.poll() is not None or collector.healthy(), STARTS_WITHIN_SECONDS, 0.1)
        assert collector.healthy(), collector.log[-3000:]
        yield collector
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
