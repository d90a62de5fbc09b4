"""The real OpenTelemetry Collector reads what it is told, and a backend that fails stops nothing else.

The collector is built from the pinned modules, once, and asked for: ``make test-collector``. Everything is on loopback.
"""

import json
import os
import re
import time
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from infra import otlp
from otel_on_spot.lab.toolchain.modules import COLLECTOR
from tests.built import built
from tests.charts import collector
from tests.charts.collector import ABSENT, Backend, Collector, Loopback
from tests.charts.demo_chart import Wrapper
from tests.unit.alerts.rules import SERVED as SERVED_METRICS

VENDOR = {"endpoint": "https://otlp.example.com", "headersSecret": "otlp", "headers": {"api-key": "API_KEY"}}
SECRET = {"API_KEY": "the key of the vendor's"}
AT = Loopback()


@pytest.fixture(scope="module")
def binary() -> Path:
    if os.environ.get("COLLECTOR") != "1" and os.environ.get("LAB") != "1":
        pytest.skip("the collector takes about 30 CPU seconds, and minutes to build once: run make test-collector")
    return built(COLLECTOR, "the collector", "make test-collector") / "otel-collector"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def told(
    demo: Wrapper, folder: Path, environment: str = "prod", alerts: str = "demo", **backend: Any
) -> dict[str, Any]:
    """The configuration in the collector's pod."""
    return collector.relay(demo, environment, {"alerts": alerts, "otlp": {**VENDOR, **backend}}, folder)


@pytest.mark.parametrize("alerts", ["demo", "none"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_collector_takes_what_each_environment_tells_it(
    binary: Path, known_demo: Wrapper, tmp_path: Path, environment: str, protocol: str, alerts: str
) -> None:
    config = told(known_demo, tmp_path / "chart", environment, alerts, protocol=protocol)
    assert collector.validated(binary, collector.without_absent(config)) == ""


def test_what_is_left_out_of_what_the_collector_judges_is_the_demos_own(known_demo: Wrapper, tmp_path: Path) -> None:
    config = told(known_demo, tmp_path)
    judged = collector.without_absent(config)
    kinds = ("receivers", "processors", "exporters")
    left_out = {name for kind in kinds for name in config[kind].keys() - judged[kind].keys()}
    assert {name.partition("/")[0] for name in left_out} == {*ABSENT}
    assert [name for name in left_out if otlp.NAME in name] == []
    for name, pipeline in config["service"]["pipelines"].items():
        for kind in kinds:
            assert {*pipeline[kind]} - {*judged["service"]["pipelines"][name][kind]} <= left_out


def test_what_is_recorded_of_the_collectors_chart_is_what_the_real_one_makes(
    real_demo: Wrapper, tmp_path: Path, environment: str
) -> None:
    monitoring = {"alerts": "demo", "otlp": VENDOR}
    made = collector.recorded(real_demo, environment, monitoring, tmp_path / "recorded")
    assert made == collector.relay(real_demo, environment, monitoring, tmp_path / "real")


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a queue's setting by a wrong name": (
        lambda config: config["exporters"]["otlp/otlp-backend"]["sending_queue"].update(queue_sizes=1),
        "queue_sizes",
    ),
    "a pipeline of a processor that nothing configures": (
        lambda config: config["processors"].pop("batch/otlp-backend"),
        'references processor "batch/otlp-backend" which is not configured',
    ),
    "a component that the collector does not have": (
        lambda config: config["exporters"].update({"otlpgrpc/other": {}}),
        "unknown type",
    ),
    "a duration without a unit": (
        lambda config: config["exporters"]["otlp/otlp-backend"]["retry_on_failure"].update(max_elapsed_time="60"),
        "max_elapsed_time",
    ),
    "a certificate that is none": (
        lambda config: config["exporters"]["otlp/otlp-backend"].update(tls={"ca_pem": "-----BEGIN", "ca_file": "/x"}),
        "provide either a CA file or the PEM-encoded string, but not both",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_collector_refuses_a_fault_and_names_it(
    binary: Path, known_demo: Wrapper, tmp_path: Path, fault: str
) -> None:
    config = collector.without_absent(told(known_demo, tmp_path))
    change, message = FAULTS[fault]
    change(config)
    assert message in collector.validated(binary, config)


@contextmanager
def platform(
    binary: Path, config: dict[str, Any], folder: Path, secret: dict[str, str]
) -> Generator[tuple[Collector, Backend]]:
    """A collector with the demo's backends: it, and what reaches them."""
    demo = Backend()
    with ExitStack() as stack:
        stack.enter_context(collector.by_grpc(demo, AT.demo, 4317))
        stack.enter_context(collector.by_http(demo, AT.demo, 9090))
        running = stack.enter_context(collector.running(binary, config, AT, folder, secret))
        yield running, demo


SERVED = {"grpc": collector.by_grpc, "http": collector.by_http}


def secured(authority: trustme.CA, protocol: str) -> dict[str, Any]:
    """A backend on loopback with a certificate that no system knows."""
    return {
        "endpoint": f"https://{AT.vendor}:{4317 if protocol == 'grpc' else 4318}",
        "protocol": protocol,
        "caCertificate": authority.cert_pem.bytes().decode(),
    }


def span(name: str) -> dict[str, Any]:
    """A span, as OTLP writes it in JSON."""
    now = f"{time.time_ns()}"
    told = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": name, "kind": 1}
    told |= {"startTimeUnixNano": now, "endTimeUnixNano": now}
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [told]}]}]}


def gauge(name: str) -> dict[str, Any]:
    """A metric with one point, as OTLP writes it in JSON."""
    points = [{"timeUnixNano": f"{time.time_ns()}", "asInt": "3"}]
    return {
        "resourceMetrics": [
            {"resource": {}, "scopeMetrics": [{"metrics": [{"name": name, "gauge": {"dataPoints": points}}]}]}
        ]
    }


def log_record(text: str) -> dict[str, Any]:
    """A line of a log, as OTLP writes it in JSON."""
    told = {"timeUnixNano": f"{time.time_ns()}", "body": {"stringValue": text}}
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [told]}]}]}


@pytest.mark.parametrize("protocol", SERVED)
def test_a_vendor_is_sent_all_signals_with_the_key_of_the_secret_over_tls(
    binary: Path, known_demo: Wrapper, tmp_path: Path, authority: trustme.CA, protocol: str
) -> None:
    config = collector.hurried(told(known_demo, tmp_path / "chart", **secured(authority, protocol)), AT)
    vendor, port = Backend(), {"grpc": 4317, "http": 4318}[protocol]
    with (
        SERVED[protocol](vendor, AT.vendor, port, authority.issue_cert(AT.vendor)),
        platform(binary, config, tmp_path, SECRET) as (running, demo),
    ):
        running.send("traces", span("place an order"))
        running.send("logs", log_record("an order was placed"))
        running.send("metrics", gauge("orders_waiting"))
        arrived = {b"place an order": "trace", b"an order was placed": "log", b"orders_waiting": "metric"}
        for part, signal in [*arrived.items(), (b"otelcol_process_uptime", "metric")]:
            request = vendor.arrives(part)
            assert request.headers["api-key"] == SECRET["API_KEY"]
            assert signal in request.path.lower()
        for part in (b"place an order", b"orders_waiting"):
            demo.arrives(part)
        assert not demo.sent(SECRET["API_KEY"].encode())
        assert all("api-key" not in request.headers for request in demo.requests)
        assert SECRET["API_KEY"] not in running.log
    assert "Shutdown complete." in running.log


@contextmanager
def nobody(*_: Any) -> Generator[None]:
    """No backend at all: connections are refused."""
    yield


@pytest.mark.parametrize("protocol", SERVED)
@pytest.mark.parametrize(
    ("failure", "word"),
    [
        ("unreachable", "connection refused"),
        ("refused", "Unauthenticated|401"),
        ("slow", "[Dd]eadline ?[Ee]xceeded|Client.Timeout"),
        ("another's certificate", "certificate signed by unknown authority"),
    ],
)
def test_a_backend_that_fails_is_told_and_stops_nothing_else(
    binary: Path, known_demo: Wrapper, tmp_path: Path, authority: trustme.CA, protocol: str, failure: str, word: str
) -> None:
    config = collector.hurried(told(known_demo, tmp_path / "chart", **secured(authority, protocol)), AT)
    vendor, port = Backend("slow" if failure == "slow" else "refused"), {"grpc": 4317, "http": 4318}[protocol]
    serve = nobody if failure == "unreachable" else SERVED[protocol]
    issuer = trustme.CA() if failure.startswith("another") else authority
    with (
        serve(vendor, AT.vendor, port, issuer.issue_cert(AT.vendor)),
        platform(binary, config, tmp_path, SECRET) as (running, demo),
    ):
        dropped = running.says("Exporting failed. Dropping data.")
        assert f"{'otlp' if protocol == 'grpc' else 'otlphttp'}/otlp-backend" in dropped
        running.says(f'"otlp(http)?/otlp-backend".*({word})')
        # The demo's Prometheus has the count that the page asks for.
        counted = demo.arrives(b"otelcol_exporter_send_failed_metric_points", "metrics")
        assert b"/otlp-backend" in counted.body
        running.send("traces", span("after the failure"))
        demo.arrives(b"after the failure")
        assert running.healthy()
        assert not vendor.requests or failure == "slow"
    assert "Shutdown complete." in running.log


def family(metric: str, metrics: Collection[str]) -> str:
    """The histogram or summary that a series is part of, which is one metric by OTLP; else the metric itself."""
    name, _, part = metric.rpartition("_")
    several = f"{name}_sum" in metrics and f"{name}_count" in metrics
    return name if several and part in {"bucket", "count", "sum"} else metric


def arrived(backend: Backend) -> dict[str, set[str]]:
    """Metric -> labels of its points: what a backend was sent as JSON."""
    found: dict[str, set[str]] = {}
    for request in backend.sent(b"", "metrics"):
        for resource in json.loads(request.body)["resourceMetrics"]:
            for metric in (metric for scope in resource["scopeMetrics"] for metric in scope["metrics"]):
                (kind,) = metric.keys() & {"gauge", "sum", "histogram", "summary"}
                for point in metric[kind]["dataPoints"]:
                    named = {entry["key"] for entry in point.get("attributes", ())}
                    named |= {"le"} if len(point.get("bucketCounts", ())) > 1 else set()
                    named |= {"quantile"} if point.get("quantileValues") else set()
                    found.setdefault(metric["name"], set()).update(named)
    return found


def test_karpenter_and_argo_cd_are_scraped_for_a_backend_without_what_the_scrape_drops(
    binary: Path, known_demo: Wrapper, tmp_path: Path, authority: trustme.CA
) -> None:
    config = collector.hurried(told(known_demo, tmp_path / "chart", **secured(authority, "http")), AT)
    config["exporters"]["otlphttp/otlp-backend"]["encoding"] = "json"  # so that it can be read here
    jobs = {job["job_name"]: job for job in collector.scrape_jobs(config)}
    vendor, served = Backend(), json.loads(SERVED_METRICS.read_text())
    with ExitStack() as pages:
        pages.enter_context(collector.by_http(vendor, AT.vendor, 4318, authority.issue_cert(AT.vendor)))
        for name, metrics in served.items():
            (target,) = (target for found in jobs[name]["static_configs"] for target in found["targets"])
            host, _, port = target.rpartition(":")
            pages.enter_context(collector.metrics_page(collector.exposition(metrics), host, int(port)))
        _, demo = pages.enter_context(platform(binary, config, tmp_path, SECRET))
        for part in (b"karpenter_voluntary_disruption_eligible_nodes", b"argocd_redis_request_total"):
            vendor.arrives(part)
        assert not demo.sent(b"karpenter_")

    found = arrived(vendor)
    for name, metrics in served.items():
        wanted: dict[str, set[str]] = {}
        rules = [rule["regex"] for rule in jobs[name]["metric_relabel_configs"]]
        for metric in (metric for metric in metrics if not any(re.fullmatch(regex, metric) for regex in rules)):
            wanted.setdefault(family(metric, metrics), set()).update(metrics[metric])
        dropped = {family(metric, metrics) for metric in metrics} - wanted.keys()
        assert {"up"} | wanted.keys() <= found.keys()
        assert {metric: found[metric] for metric in wanted} == wanted
        assert not dropped & found.keys()
    assert "karpenter_cloudprovider_instance_type_cpu_cores" in served["karpenter"].keys() - found.keys()
    assert "le" in found["karpenter_interruption_message_queue_duration_seconds"]
    assert "le" not in found["karpenter_cloudprovider_duration_seconds"]


def test_a_secret_that_is_missing_is_an_empty_key_that_the_log_names(
    binary: Path, known_demo: Wrapper, tmp_path: Path, authority: trustme.CA
) -> None:
    config = collector.hurried(told(known_demo, tmp_path / "chart", **secured(authority, "http")), AT)
    vendor = Backend()
    with (
        collector.by_http(vendor, AT.vendor, 4318, authority.issue_cert(AT.vendor)),
        platform(binary, config, tmp_path, {}) as (running, _),
    ):
        assert vendor.arrives(b"otelcol_process_uptime").headers.get("api-key", "") == ""
        assert "API_KEY" in running.says("unset environment variable")
