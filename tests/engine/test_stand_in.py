"""The stand-in for the pulumi-eks component, which most tests use, against the component's own provider."""

import shutil
from pathlib import Path

import pytest

from otel_on_spot.simcloud.inventory import shape
from otel_on_spot.simcloud.session import EKS_PLUGIN
from tests.engine.workbench import REGION, workbench


@pytest.mark.skipif(shutil.which(EKS_PLUGIN) is None, reason=f"no {EKS_PLUGIN} on PATH")
def test_the_stand_in_for_pulumi_eks_makes_what_its_own_provider_makes(tmp_path: Path) -> None:
    made = {}
    for stand_in in (True, False):
        with workbench(tmp_path / f"{stand_in}", "dev", stand_in=stand_in) as bench:
            bench.up()
            dependencies = {
                resource["urn"]: set(resource.get("dependencies", [])) for resource in bench.state()["resources"]
            }
            made[stand_in] = (dependencies, shape(bench.cloud, REGION, passwords=False))
    assert made[True][0].keys() == made[False][0].keys()
    assert made[True][1] == made[False][1]
