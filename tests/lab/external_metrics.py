"""A stand-in for a metrics adapter: ``external.metrics.k8s.io`` with one number, which a file holds.

Run inside the lab as ``python -m tests.lab.external_metrics FILE CERTIFICATE KEY``.
Source: https://github.com/kubernetes/metrics/tree/v0.35.0/pkg/apis/external_metrics/v1beta1
"""

import json
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from werkzeug import Request, Response

from otel_on_spot.lab import addresses, http_server
from tests.lab.running import Lab, condition, thing, until

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
PORT = 6444
VALUE = re.compile(rf"/apis/{GROUP}/{VERSION}/namespaces/[a-z0-9-]+/([a-z0-9-]+)")
NAMED = {"name": "external-metrics", "namespace": "kube-system"}
SERVICE = thing("v1", "Service", *NAMED.values(), spec={"type": "ExternalName", "externalName": "localhost"})
"""What the API server asks at the name itself: the lab routes no ClusterIP."""
SERVED = {"group": GROUP, "version": VERSION, "service": {**NAMED, "port": PORT}, "insecureSkipTLSVerify": True}
PRIORITIES = {"groupPriorityMinimum": 100, "versionPriority": 100}
API_SERVICE = thing("apiregistration.k8s.io/v1", "APIService", f"{VERSION}.{GROUP}", spec={**SERVED, **PRIORITIES})


class Load:
    """The number that every external metric has."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, value: int) -> None:
        """Say another one."""
        self.file.write_text(str(value))


@contextmanager
def served(lab: Lab, folder: Path) -> Generator[Load]:
    """The metrics API of a lab, as long as this lasts."""
    load = Load(folder / "load")
    keys = lab.folder.certificates
    files = [str(load.file), str(keys / "apiserver.crt"), str(keys / "apiserver.key")]

    def found() -> Any:
        return lab.get("apiservice", API_SERVICE["metadata"]["name"])

    command = [sys.executable, "-m", "tests.lab.external_metrics", *files]
    with lab.beside(command, folder / "external-metrics.log"), lab.there(SERVICE, API_SERVICE):
        until("the metrics API answers", lambda: condition(found(), "Available") == "True", 90)
        yield load


def _application(file: Path) -> Any:
    @Request.application
    def answer(request: Request) -> Response:
        if request.path == f"/apis/{GROUP}/{VERSION}":
            return _json({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"})
        found = VALUE.fullmatch(request.path)
        if found is None:
            return Response("not here\n", 404)
        value = {
            "metricName": found[1],
            "metricLabels": {},
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": file.read_text(),
        }
        return _json({"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "items": [value]})

    return answer


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps({"metadata": {}, "resources": [], **content}), content_type="application/json")


if __name__ == "__main__":
    number, *certificate = map(Path, sys.argv[1:])
    http_server.server(
        (addresses.LOOPBACK, PORT), _application(number), (certificate[0], certificate[1])
    ).serve_forever()
