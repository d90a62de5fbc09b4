"""The images that the children of the app-of-apps pull in an environment, as the plan's own values name them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import demo_chart
from infra.demo_chart import over
from infra.images import DEMO, JAEGER_2, REGISTRY_APART, normalized, repositories
from otel_on_spot.errors import ToolError
from otel_on_spot.plan.workloads import CHART, wrapper_values
from otel_on_spot.program.recording import Recording

ROOT_APPLICATION = "platform-root"
SUBCHART_WORKLOADS: Mapping[str, str] = {
    f"{DEMO}/grafana/image/repository": "grafana",
    f"{DEMO}/grafana/sidecar/image/repository": "grafana",
    f"{DEMO}/jaeger/allInOne/image/repository": "jaeger",
    JAEGER_2: "jaeger",
    f"{DEMO}/opensearch/image/repository": "opensearch",
    f"{DEMO}/opentelemetry-collector/image/repository": "otel-collector",
    f"{DEMO}/prometheus/server/image/repository": "prometheus",
}


def images(recording: Recording, root: Path) -> dict[str, list[str]]:
    """Image with its tag -> the workloads that run it, of the demo in the recorded stack; both sorted.

    Raises:
        ToolError: the plan has no root Application, or the wrapper chart is not there.
    """
    found = next((r for r in recording if r.name == ROOT_APPLICATION), None)
    if found is None:
        raise ToolError(f"the plan has no {ROOT_APPLICATION}: nothing says which children there are")
    return of_values(yaml.load(found.inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader), root)


def of_values(told: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """The same, from the values that the root Application passes.

    Raises:
        ToolError: the wrapper chart is not there.
    """
    child = told["applications"].get("otel-demo", {})
    if not child.get("enabled", True):
        return {}
    values = over(wrapper_values(root, told["clusterMetadata"]["environment"]), child.get("values") or {})
    version = str(yaml.load((root / CHART / "Chart.yaml").read_text(), Loader=yaml.CSafeLoader)["appVersion"])
    listed: dict[str, set[str]] = {}
    known = repositories(demo_chart.variant(root))
    for image, workload in (*_of_components(values, version, known), *_of_subcharts(values, known), *_of_hooks(values)):
        listed.setdefault(normalized(image), set()).add(workload)
    return {image: sorted(listed[image]) for image in sorted(listed)}


Known = Mapping[str, tuple[str, str]]


def _of_components(values: Mapping[str, Any], version: str, known: Known) -> Iterator[tuple[str, str]]:
    defaults = values[DEMO].get("default", {}).get("image", {})
    repository = defaults.get("repository") or known[f"{DEMO}/default/image/repository"][0]
    tag = defaults.get("tag") or version
    for name, component in values[DEMO]["components"].items():
        if not component.get("enabled", True):
            continue
        for one, container in ((name, component), *((c["name"], c) for c in component.get("sidecarContainers", ()))):
            own = container.get("imageOverride", {})
            known_repository, known_tag = known.get(f"{DEMO}/components/{one}/imageOverride/repository", ("", ""))
            yield (
                f"{own.get('repository') or known_repository or repository}:"
                f"{own.get('tag') or known_tag or f'{tag}-{one}'}",
                name,
            )
        yield from ((container["image"], name) for container in component.get("initContainers", ()))


def _of_subcharts(values: Mapping[str, Any], known: Known) -> Iterator[tuple[str, str]]:
    for path, workload in SUBCHART_WORKLOADS.items():
        subchart = path.split("/")[1]
        if path not in known or not values[DEMO].get(subchart, {}).get("enabled", True):
            continue
        repository, tag = known[path]
        image: Any = values
        for key in path.split("/")[:-1]:
            image = image.get(key) or {}
        if path in REGISTRY_APART:
            registry, _, rest = repository.partition("/")
            repository = f"{image.get('registry') or registry}/{image.get('repository') or rest}"
        else:
            repository = image.get("repository") or repository
        yield f"{repository}:{image.get('tag') or tag}", workload


def _of_hooks(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    image = values["placementHook"]["image"]
    named = f"{image['repository']}:{image['tag']}"
    if values["placementHook"]["enabled"] and values["stateful"]:
        yield named, "stateful-placement"
    if values["podLifecycle"]["enabled"]:
        yield named, "pod-lifecycle"
