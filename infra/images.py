"""The demo's images: where the wrapper chart's values name each, and the values that take them from mirrors."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from infra import demo_chart

DEMO: Final = "opentelemetry-demo"
DOCKER_HUB: Final = "docker.io"

REPOSITORIES: Final[Mapping[str, tuple[str, str]]] = {
    f"{DEMO}/default/image/repository": ("ghcr.io/open-telemetry/demo", ""),
    f"{DEMO}/components/flagd/imageOverride/repository": ("ghcr.io/open-feature/flagd", "v0.12.8"),
    f"{DEMO}/components/valkey-cart/imageOverride/repository": ("docker.io/valkey/valkey", "8.1.3-alpine"),
    f"{DEMO}/grafana/image/repository": ("docker.io/grafana/grafana", "12.2.0"),
    f"{DEMO}/grafana/sidecar/image/repository": ("quay.io/kiwigrid/k8s-sidecar", "1.30.10"),
    f"{DEMO}/jaeger/allInOne/image/repository": ("docker.io/jaegertracing/all-in-one", "1.53.0"),
    f"{DEMO}/opensearch/image/repository": ("docker.io/opensearchproject/opensearch", "3.2.0"),
    f"{DEMO}/opentelemetry-collector/image/repository": ("docker.io/otel/opentelemetry-collector-contrib", "0.135.0"),
    f"{DEMO}/prometheus/server/image/repository": ("quay.io/prometheus/prometheus", "v3.6.0"),
}
"""Path in the wrapper's values -> repository and tag, of opentelemetry-demo 0.38.6; a test compares them."""
JAEGER_2: Final = f"{DEMO}/jaeger/jaeger/image/repository"
OF_VARIANTS: Final[Mapping[str, Mapping[str, tuple[str, str] | None]]] = {
    "chart-0.40": {
        f"{DEMO}/components/flagd/imageOverride/repository": ("ghcr.io/open-feature/flagd", "v0.12.9"),
        f"{DEMO}/components/postgresql/imageOverride/repository": ("docker.io/library/postgres", "17.6"),
        f"{DEMO}/components/valkey-cart/imageOverride/repository": ("docker.io/valkey/valkey", "9.0.1-alpine3.23"),
        f"{DEMO}/grafana/image/repository": ("docker.io/grafana/grafana", "13.0.1"),
        f"{DEMO}/grafana/sidecar/image/repository": ("quay.io/kiwigrid/k8s-sidecar", "2.7.1"),
        f"{DEMO}/jaeger/allInOne/image/repository": None,
        JAEGER_2: ("docker.io/jaegertracing/jaeger", "2.17.0"),
        f"{DEMO}/opensearch/image/repository": ("docker.io/opensearchproject/opensearch", "3.6.0"),
        f"{DEMO}/opentelemetry-collector/image/repository": (
            "docker.io/otel/opentelemetry-collector-contrib",
            "0.151.0",
        ),
        f"{DEMO}/prometheus/server/image/repository": ("quay.io/prometheus/prometheus", "v3.11.3"),
    },
    "chart-0.41": {
        f"{DEMO}/components/astronomy-db/imageOverride/repository": ("docker.io/library/postgres", "18.4"),
        f"{DEMO}/components/flagd/imageOverride/repository": ("ghcr.io/open-feature/flagd", "v0.16.0"),
        f"{DEMO}/components/valkey-cart/imageOverride/repository": ("ghcr.io/valkey-io/valkey", "9.0.4-alpine3.23"),
        f"{DEMO}/grafana/image/repository": ("docker.io/grafana/grafana", "13.1.0"),
        f"{DEMO}/grafana/sidecar/image/repository": ("quay.io/kiwigrid/k8s-sidecar", "2.8.1"),
        f"{DEMO}/jaeger/allInOne/image/repository": None,
        JAEGER_2: ("docker.io/jaegertracing/jaeger", "2.19.0"),
        f"{DEMO}/opensearch/image/repository": ("docker.io/opensearchproject/opensearch", "3.7.0"),
        f"{DEMO}/opentelemetry-collector/image/repository": (
            "docker.io/otel/opentelemetry-collector-contrib",
            "0.156.0",
        ),
        f"{DEMO}/prometheus/server/image/repository": ("quay.io/prometheus/prometheus", "v3.13.1"),
    },
}
"""Variant -> what differs from the default chart's, of opentelemetry-demo 0.40.10 and 0.41.0; None: it is gone."""
SUBCHART_WORKLOADS: Final[Mapping[str, str]] = {
    f"{DEMO}/grafana/image/repository": "grafana",
    f"{DEMO}/grafana/sidecar/image/repository": "grafana",
    f"{DEMO}/jaeger/allInOne/image/repository": "jaeger",
    JAEGER_2: "jaeger",
    f"{DEMO}/opensearch/image/repository": "opensearch",
    f"{DEMO}/opentelemetry-collector/image/repository": "otel-collector",
    f"{DEMO}/prometheus/server/image/repository": "prometheus",
}
"""Path in the wrapper's values -> the workload of a subchart that runs the image."""
CHOWN, DOWNLOAD, RELOAD = (
    f"{DEMO}/grafana/initChownData/image/repository",
    f"{DEMO}/grafana/downloadDashboardsImage/repository",
    f"{DEMO}/prometheus/configmapReload/prometheus/image/repository",
)
TURNED_ON: Final[Mapping[str, tuple[str, str]]] = {
    CHOWN: ("docker.io/library/busybox", "1.31.1"),
    DOWNLOAD: ("docker.io/curlimages/curl", "8.9.1"),
    RELOAD: ("quay.io/prometheus-operator/prometheus-config-reloader", "v0.85.0"),
}
"""Path in the wrapper's values -> repository and tag of what runs only where values turn it on; a test compares it."""
TURNED_ON_OF_VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "chart-0.40": {CHOWN: "1.37.0", DOWNLOAD: "8.20.0", RELOAD: "v0.91.0"},
    "chart-0.41": {CHOWN: "1.38.0", DOWNLOAD: "8.21.0", RELOAD: "v0.92.1"},
}
"""Variant -> the tags of the same."""
REGISTRY_APART: Final = frozenset(
    {f"{DEMO}/grafana/image/repository", f"{DEMO}/grafana/sidecar/image/repository", CHOWN, DOWNLOAD}
)
"""Grafana's chart has the registry under a key of its own, beside the repository."""
PULL_SECRETS: Final[Mapping[str, bool]] = {
    "placementHook/imagePullSecrets": True,
    f"{DEMO}/default/image/pullSecrets": True,
    f"{DEMO}/grafana/image/pullSecrets": False,
    f"{DEMO}/jaeger/allInOne/image/pullSecrets": False,
    f"{DEMO}/opensearch/imagePullSecrets": True,
    f"{DEMO}/opentelemetry-collector/imagePullSecrets": True,
    f"{DEMO}/prometheus/imagePullSecrets": True,
}
"""Path in the wrapper's values -> true where a Secret is written ``{name: ...}``, false where its name alone."""


def repositories(variant: str) -> dict[str, tuple[str, str]]:
    """Path in the wrapper's values -> repository and tag, of the demo chart that a variant of values is for."""
    found = {**REPOSITORIES, **OF_VARIANTS.get(variant, {})}
    return {path: image for path, image in found.items() if image is not None}


def normalized(reference: str) -> str:
    """An image with its registry: ``busybox`` is ``docker.io/library/busybox``.

    Source: https://github.com/distribution/reference/blob/v0.6.0/normalize.go
    """
    first, slash, _ = reference.partition("/")
    if not slash:
        return f"{DOCKER_HUB}/library/{reference}"
    return reference if "." in first or ":" in first or first == "localhost" else f"{DOCKER_HUB}/{reference}"


def named(values: Mapping[str, Any], version: str, variant: str) -> dict[str, list[str]]:
    """Image with its tag -> the workloads that run it, as the wrapper's values name them; both sorted.

    Args:
        values: of the wrapper, layered as Helm does.
        version: of the demo: the tag of its own images, where the values say none.
        variant: of the values, which says which demo chart's own images those are that the values leave out.
    """
    listed: dict[str, set[str]] = {}
    known = repositories(variant)
    for image, workload in (
        *_of_components(values, version, known),
        *_of_subcharts(values, known),
        *_turned_on(values, variant),
        *_of_hooks(values),
    ):
        listed.setdefault(normalized(image), set()).add(workload)
    return {image: sorted(listed[image]) for image in sorted(listed)}


def _of_components(
    values: Mapping[str, Any], version: str, known: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    defaults = values[DEMO].get("default", {}).get("image", {})
    repository = defaults.get("repository") or known[f"{DEMO}/default/image/repository"][0]
    tag = defaults.get("tag") or version
    for name, component in values[DEMO]["components"].items():
        if not component.get("enabled", True):
            continue
        for key, container in (
            (name, component),
            *((sidecar["name"], sidecar) for sidecar in component.get("sidecarContainers", ())),
        ):
            own = container.get("imageOverride", {})
            known_repository, known_tag = known.get(f"{DEMO}/components/{key}/imageOverride/repository", ("", ""))
            yield (
                f"{own.get('repository') or known_repository or repository}:"
                f"{own.get('tag') or known_tag or f'{tag}-{key}'}",
                name,
            )
        yield from ((container["image"], name) for container in component.get("initContainers", ()))


def _of_subcharts(values: Mapping[str, Any], known: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for path, workload in SUBCHART_WORKLOADS.items():
        subchart = path.split("/")[1]
        if path not in known or not values[DEMO].get(subchart, {}).get("enabled", True):
            continue
        yield _at(values, path, *known[path]), workload


def _at(values: Mapping[str, Any], path: str, repository: str, tag: str) -> str:
    """The image at a path of the values, or the chart's own."""
    image: Any = values
    for key in path.split("/")[:-1]:
        image = image.get(key) or {}
    if path in REGISTRY_APART:
        registry, _, rest = repository.partition("/")
        repository = f"{image.get('registry') or registry}/{image.get('repository') or rest}"
    else:
        repository = image.get("repository") or repository
    return f"{repository}:{image.get('tag') or tag}"


def _turned_on(values: Mapping[str, Any], variant: str) -> Iterator[tuple[str, str]]:
    grafana, prometheus = (values[DEMO].get(name, {}) for name in ("grafana", "prometheus"))
    kept = grafana.get("persistence", {}).get("enabled") and grafana.get("initChownData", {}).get("enabled", True)
    reload = prometheus.get("configmapReload", {}).get("prometheus", {}).get("enabled")
    for path, workload, runs in (
        (CHOWN, "grafana", grafana.get("enabled", True) and kept),
        (DOWNLOAD, "grafana", grafana.get("enabled", True) and grafana.get("dashboards")),
        (RELOAD, "prometheus", prometheus.get("enabled", True) and reload),
    ):
        if runs:
            repository, tag = TURNED_ON[path]
            yield _at(values, path, repository, TURNED_ON_OF_VARIANTS.get(variant, {}).get(path, tag)), workload


def _of_hooks(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    image = values["placementHook"]["image"]
    named = f"{image['repository']}:{image['tag']}"
    if values["placementHook"]["enabled"] and values["stateful"]:
        yield named, "stateful-placement"
    if values["podLifecycle"]["enabled"]:
        yield named, "pod-lifecycle"


def mirrored(reference: str, registries: Mapping[str, str]) -> str:
    """The image as it is named at the mirror of its registry; the same where its registry has none."""
    whole = normalized(reference)
    registry, _, rest = whole.partition("/")
    return f"{registries[registry]}/{rest}" if registry in registries else reference


def demo_values(registries: Mapping[str, str], pull_secrets: Sequence[str]) -> dict[str, Any]:
    """Values of the demo's wrapper chart that take every image from mirrors, those of its hooks included.

    Args:
        registries: registry -> what stands in its place, for example a pull-through cache of ECR with its prefix.
        pull_secrets: names of Secrets in the demo's namespace.
    """
    values: dict[str, Any] = {}
    if registries:
        wrapper = demo_chart.values()
        named = {"placementHook/image/repository": wrapper["placementHook"]["image"]["repository"]}
        known = {**TURNED_ON, **repositories(demo_chart.variant())}
        named |= {path: repository for path, (repository, _) in known.items()}
        for path, repository in named.items():
            there = mirrored(repository, registries)
            if path in REGISTRY_APART:
                registry, _, there = there.partition("/")
                _put(values, path.removesuffix("repository") + "registry", registry)
            _put(values, path, there)
        for name, containers in _init_containers(wrapper):
            # A list replaces the chart's, so it is given whole.
            own = [
                {**container, "image": mirrored(container["image"], registries)} for container in deepcopy(containers)
            ]
            _put(values, f"{DEMO}/components/{name}/initContainers", own)
    if pull_secrets:
        one_binary = JAEGER_2 in repositories(demo_chart.variant())
        for path, as_map in PULL_SECRETS.items():
            of_chart = path.replace("jaeger/allInOne", "jaeger/jaeger") if one_binary else path
            _put(values, of_chart, [{"name": name} if as_map else name for name in pull_secrets])
    return values


def at_mirrors(values: Mapping[str, Any], registries: Mapping[str, str]) -> dict[str, Any]:
    """Values that a stack file gives the wrapper, with the images that they name taken from mirrors as well."""
    return {key: _at_mirrors(value, key, registries) for key, value in values.items()}


def _at_mirrors(value: Any, path: str, registries: Mapping[str, str]) -> Any:
    key = path.rpartition("/")[2].lower()
    if isinstance(value, list):
        return [_at_mirrors(item, path, registries) for item in value]
    if isinstance(value, str):
        return mirrored(value, registries) if key == "image" else value
    if not isinstance(value, Mapping):
        return value
    found = {name: _at_mirrors(below, f"{path}/{name}", registries) for name, below in value.items()}
    repository = value.get("repository")
    if not isinstance(repository, str) or not key.endswith(("image", "imageoverride")):
        return found
    if f"{path}/repository" in REGISTRY_APART:
        whole = mirrored(f"{value.get('registry') or DOCKER_HUB}/{repository}", registries)
        registry, _, rest = whole.partition("/")
        return found | {"registry": registry, "repository": rest}
    return found | {"repository": mirrored(repository, registries)}


def _init_containers(wrapper: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, component in wrapper[DEMO]["components"].items():
        if (component or {}).get("initContainers"):
            yield name, component["initContainers"]


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        values = values.setdefault(key, {})
    values[last] = value
