"""A chart rendered by Helm with a release's values."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.kubernetes_api import Object

HELM_SECONDS = 60
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def render(
    helm: Path,
    chart: Path,
    *,
    release: str,
    namespace: str,
    values: Mapping[str, Any],
    chart_version: str,
    kubernetes_version: str,
    skip_crds: bool = False,
) -> list[Object]:
    """The objects that ``helm install`` would make, in Helm's order.

    Args:
        helm: its binary.
        chart: the unpacked chart.
        release: name of the release.
        namespace: of the release.
        values: of the release.
        chart_version: version that the chart is published under. In the source tree ``Chart.yaml`` may lag behind:
            upstream writes it when it publishes. Source:
            https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/hack/release/common.sh
        kubernetes_version: of the API server, such as ``v1.36.3``.
        skip_crds: leave out the chart's CustomResourceDefinitions.

    Raises:
        ApiError: Helm refuses the chart or its values.
    """
    with tempfile.TemporaryDirectory(prefix="lab-chart-") as scratch:
        copy = Path(shutil.copytree(chart, Path(scratch) / chart.name))
        _publish(copy / "Chart.yaml", chart_version)
        given = Path(scratch) / "values.json"
        given.write_text(json.dumps(values))
        command = [str(helm), "template", release, str(copy), "--namespace", namespace, "--values", str(given)]
        command += ["--kube-version", kubernetes_version, "--skip-crds" if skip_crds else "--include-crds"]
        home = {f"HELM_{kind}_HOME": f"{scratch}/helm" for kind in ("CACHE", "CONFIG", "DATA")}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=HELM_SECONDS, env={**home, "HOME": scratch}
            )
        except subprocess.TimeoutExpired as problem:
            raise ApiError("Timeout", f"release {release}: helm template took more than {HELM_SECONDS} s") from problem
    if done.returncode:
        raise ApiError("InvalidChart", f"release {release}: {done.stderr.strip().replace(scratch + '/', '')}")
    return [thing for thing in yaml.load_all(done.stdout, LOADER) if thing]


def _publish(file: Path, version: str) -> None:
    file.chmod(0o600)  # the module cache is read-only, and so is a copy of it
    file.parent.chmod(0o700)
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "version": version, "appVersion": version}))


def owned(thing: Object, release: str, namespace: str, *, namespaced: bool) -> Object:
    """The object with the marks that Helm puts on what it makes.

    Source: https://helm.sh/docs/chart_best_practices/labels/ and
    https://github.com/helm/helm/blob/v4.2.1/pkg/action/validate.go

    Args:
        thing: as the chart renders it.
        release: name of the release.
        namespace: the release's.
        namespaced: the kind is in namespaces: where the object names none, it is in the release's.
    """
    metadata = dict(thing["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }
    if namespaced:
        metadata.setdefault("namespace", namespace)
    return {**thing, "metadata": metadata}
