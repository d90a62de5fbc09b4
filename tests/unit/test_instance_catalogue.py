"""The catalogue of instance types is the one of the Karpenter that the lab is built from."""

import pytest

from infra.settings import instance_types
from otel_on_spot import instance_catalogue, project


def test_the_committed_catalogue_is_what_the_pinned_module_says() -> None:
    version = instance_catalogue.pinned_version(project.root())
    module = instance_catalogue.module_folder(version)
    if module is None:
        pytest.skip("Karpenter's module is not in Go's cache")

    written = (project.root() / "infra/settings/instance_types.txt").read_text()
    assert instance_catalogue.catalogue(module, version) == written


def test_well_known_types_are_read_with_their_shape() -> None:
    by_name = {kind.name: kind for kind, _ in instance_types.catalogue()}

    assert len(by_name) > 1000
    assert (by_name["m7i.large"].vcpus, by_name["m7i.large"].mib, by_name["m7i.large"].arch) == (2, 8192, "amd64")
    assert by_name["c7gd.xlarge"].arch == "arm64"
    assert by_name["c7gd.xlarge"].nvme_gb > 0
