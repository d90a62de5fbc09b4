"""The catalogue of instance types is the one of the Karpenter that the lab is built from."""

import re

import pytest

from infra.settings import instance_types
from infra.settings.rules import FEW_PODS, SYSTEM_MIB, SYSTEM_PODS, SYSTEM_VCPUS
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


def test_types_with_few_pods_are_those_that_the_pinned_module_counts() -> None:
    module = instance_catalogue.module_folder(instance_catalogue.pinned_version(project.root()))
    if module is None:
        pytest.skip("Karpenter's module is not in Go's cache")
    text = (module / "pkg/providers/instancetype/zz_generated.vpclimits.go").read_text()
    counted = re.findall(r'"(\S+)": \{\s+Interface:\s+(\d+),\s+IPv4PerInterface:\s+(\d+)', text)
    pods = {name: int(interfaces) * (int(addresses) - 1) + 2 for name, interfaces, addresses in counted}
    large_enough = {
        kind.name
        for kind, _ in instance_types.catalogue()
        if kind.vcpus >= SYSTEM_VCPUS and not 0 < kind.mib < SYSTEM_MIB
    }

    assert len(pods) > 1000
    assert {name: pods[name] for name in pods.keys() & large_enough if pods[name] < SYSTEM_PODS} == FEW_PODS


def test_types_that_only_the_price_list_has_are_left_out() -> None:
    assert {"cc2.8xlarge", "cr1.8xlarge", "hs1.8xlarge", "g2.2xlarge", "g3.4xlarge", "p2.xlarge"}.isdisjoint(
        instance_types.by_name().keys()
    )
    assert {"m3.large", "c3.large", "p3.2xlarge", "hpc7g.4xlarge", "c9g.large"} <= instance_types.by_name().keys()
