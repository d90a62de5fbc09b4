"""CPU architectures of the demo's images, read image by image where each is built; a registry is never asked.

A pool launches what is cheapest: on an architecture that an image lacks, its container ends with "exec format error".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

AMD64_ARM64: Final = ("amd64", "arm64")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was read of one image. ``tags``: those that it was read for, as patterns; ``on``: the day."""

    architectures: tuple[str, ...] = AMD64_ARM64
    tags: tuple[str, ...]
    source: str
    on: str = "2026-11-26"


CHECKED: Final[Mapping[str, Checked]] = {
    "ghcr.io/open-telemetry/demo": Checked(
        tags=("2.1.3-*", "2.2.0-*", "3.0.0-*"),
        source="https://github.com/open-telemetry/opentelemetry-demo/blob/2.1.3/.github/workflows/component-build-images.yml",
    ),
    "ghcr.io/open-feature/flagd": Checked(
        tags=("v0.12.8", "v0.12.9", "v0.16.0"),
        source="https://github.com/open-feature/flagd/blob/flagd/v0.12.8/.github/workflows/release-please.yaml",
    ),
    "docker.io/valkey/valkey": Checked(
        tags=("8.1.*-alpine", "9.0.*-alpine*"),
        source="https://github.com/valkey-io/valkey-container/blob/mainline/.github/workflows/ci.yml",
    ),
    "docker.io/grafana/grafana": Checked(
        tags=("12.*", "13.*"),
        source="https://github.com/grafana/grafana/blob/main/.github/workflows/release-build.yml",
    ),
    "quay.io/kiwigrid/k8s-sidecar": Checked(
        tags=("1.30.10",),
        source="https://github.com/kiwigrid/k8s-sidecar/blob/1.30.10/.github/workflows/release.yaml",
    ),
    "docker.io/jaegertracing/all-in-one": Checked(
        tags=("1.53.0",),
        source="https://github.com/jaegertracing/jaeger/blob/v1.53.0/scripts/build-all-in-one-image.sh",
    ),
    "docker.io/opensearchproject/opensearch": Checked(
        tags=("3.2.0",),
        source="https://github.com/opensearch-project/opensearch-build/blob/3.2.0/docker/release/README.md",
    ),
    "docker.io/otel/opentelemetry-collector-contrib": Checked(
        tags=("0.135.0", "0.151.0", "0.156.0"),
        source="https://github.com/open-telemetry/opentelemetry-collector-releases/blob/v0.135.0/distributions/otelcol-contrib/.goreleaser.yaml",
    ),
    "quay.io/prometheus/prometheus": Checked(
        tags=("v3.*",), source="https://github.com/prometheus/prometheus/blob/main/Makefile"
    ),
    "docker.io/library/busybox": Checked(
        tags=("1.*",), source="https://github.com/docker-library/busybox/tree/dist-arm64v8"
    ),
    "registry.k8s.io/kubectl": Checked(
        tags=("v1.*",), source="https://github.com/kubernetes/kubernetes/blob/v1.36.3/build/common.sh"
    ),
}
"""Repository -> what was read. Of newer charts' images: postgres, jaeger 2 and the sidecar's 2.x were not."""


def architectures(image: str) -> tuple[str, ...]:
    """Architectures that an image is known to have; none where nobody has read them for its tag.

    Args:
        image: with its registry and tag.
    """
    repository, _, tag = image.rpartition(":")
    checked = CHECKED.get(repository)
    known = checked is not None and any(fnmatchcase(tag, pattern) for pattern in checked.tags)
    return checked.architectures if checked is not None and known else ()


def told(image: str) -> str:
    """Architectures of an image in words, with the day and the source that they were read on and from."""
    known = architectures(image)
    checked = CHECKED.get(image.rpartition(":")[0])
    return (
        f"{', '.join(known)} (read {checked.on}: {checked.source})" if known and checked else "architectures not read"
    )


def lacking(images: Mapping[str, list[str]], architecture: str) -> list[str]:
    """Images that are not known to have an architecture."""
    return [image for image in images if architecture not in architectures(image)]
