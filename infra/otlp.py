"""A backend of the company's beside the demo's own: values that make the demo's collector send there as well.

Pipelines beside the demo's: what the demo chart lists differs by its version, and a list in values replaces.
Each ends in a small queue that drops what is too old: a backend that does not answer takes no memory from the rest.
"""

from typing import Any, Final

import yaml

from infra import demo_chart
from infra.images import DEMO
from infra.settings.models import Monitoring, OtlpBackend

NAME: Final = "otlp-backend"
SCRAPES: Final = demo_chart.ROOT / demo_chart.WRAPPER / "alerts" / "scrape.yaml"
BATCH: Final = {"timeout": "5s", "send_batch_size": 512, "send_batch_max_size": 512}
QUEUE: Final = {"queue_size": 50, "num_consumers": 2}
"""In requests, each of a batch: some 25 MB a signal, of the collector's 400 MiB.

Source: https://github.com/open-telemetry/opentelemetry-collector/blob/main/exporter/exporterhelper/README.md
"""
RETRY: Final = {"initial_interval": "1s", "max_interval": "15s", "max_elapsed_time": "60s"}
"""What is older is dropped, and counted in ``otelcol_exporter_send_failed_*``."""


def values(monitoring: Monitoring) -> dict[str, Any]:
    """Values of the demo's wrapper chart: nothing without a backend."""
    backend = monitoring.otlp
    if backend is None:
        return {}
    collector: dict[str, Any] = {"config": _config(backend, scrapes=monitoring.alerts == "demo")}
    if backend.headers_secret is not None:
        # Optional: without it the backend refuses what comes, and the collector's pod still starts.
        collector["extraEnvsFrom"] = [{"secretRef": {"name": backend.headers_secret, "optional": True}}]
    reached: dict[str, Any] = {"port": backend.port}
    if backend.namespace:
        reached["namespace"] = backend.namespace
    return {"monitoring": {"otlp": reached}, DEMO: {"opentelemetry-collector": collector}}


def _config(backend: OtlpBackend, *, scrapes: bool) -> dict[str, Any]:
    """Configuration of the collector beside the demo's. ``scrapes``: Karpenter and Argo CD are there to be scraped.

    Component types by the names that every tested version of the collector knows.
    """
    exporter = f"{'otlp' if backend.protocol == 'grpc' else 'otlphttp'}/{NAME}"
    attributes, batch, scraper = f"k8sattributes/{NAME}", f"batch/{NAME}", f"prometheus/{NAME}"
    processors = ["memory_limiter", attributes, "resourcedetection", "resource", batch]
    receivers = {"traces": ["otlp"], "metrics": ["otlp", *([scraper] if scrapes else [])], "logs": ["otlp"]}
    return {
        **({"receivers": {scraper: {"config": {"scrape_configs": _scrape_configs()}}}} if scrapes else {}),
        "processors": {attributes: {}, batch: BATCH},
        "exporters": {exporter: _exporter(backend)},
        "service": {
            "pipelines": {
                f"{signal}/{NAME}": {"receivers": given, "processors": [*processors], "exporters": [exporter]}
                for signal, given in receivers.items()
            }
        },
    }


def _exporter(backend: OtlpBackend) -> dict[str, Any]:
    """The exporter.

    Sources: https://github.com/open-telemetry/opentelemetry-collector/tree/main/exporter/otlpexporter,
    https://github.com/open-telemetry/opentelemetry-collector/blob/main/config/configtls/README.md
    """
    tls = {"ca_pem": backend.ca_certificate} if backend.ca_certificate is not None else {}
    return {
        "endpoint": backend.address,
        "timeout": "10s",
        "tls": {"insecure": True} if backend.endpoint.startswith("http:") else tls,
        "headers": {header: f"${{env:{key}}}" for header, key in backend.headers.items()},
        "sending_queue": QUEUE,
        "retry_on_failure": RETRY,
    }


def _scrape_configs() -> list[dict[str, Any]]:
    """The jobs of the demo's Prometheus. A dollar would begin a variable of the collector's."""
    told = SCRAPES.read_text().replace("$", "$$")
    found: list[dict[str, Any]] = yaml.safe_load(told)["scrape_configs"]
    return found
