"""The page of versions shows what is pinned, and what is refused."""

import re

import pytest

from infra.addon_faults import ADDON_FAULTS
from infra.settings.models import Addons, LoadBalancerController
from otel_on_spot.lab.toolchain.modules import ARGOCD_NEXT, KARPENTER_NEXT, MODULES, PROMETHEUS
from otel_on_spot.project import root
from tests.unit.settings.test_settings import committed

PAGE = (root() / "docs" / "versions.md").read_text()
HERE = dict(re.findall(r"^\| `([\w.]+)`[^|]* \| (\S+) \|", PAGE, re.MULTILINE))
"""Pin -> the version that the page says is here."""


def test_every_add_on_is_on_the_page_at_its_pin() -> None:
    for name, field in Addons.model_fields.items():
        assert HERE[f"cluster.addons.{field.alias or name}"] == field.default


def test_the_load_balancers_controller_is_on_the_page_at_its_pin() -> None:
    assert HERE["ingress.controller.chartVersion"] == LoadBalancerController().chart_version


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_what_the_stack_files_pin_is_on_the_page(stack: str) -> None:
    raw = committed(stack)

    assert HERE["cluster.kubernetesVersion"] == raw["cluster"]["kubernetesVersion"]
    assert HERE["cluster.systemNodes.releaseVersion"] == raw["cluster"]["systemNodes"]["releaseVersion"]
    assert HERE["nodeClass.amiAlias"] == raw["nodeClass"]["amiAlias"]
    assert HERE["karpenter.version"] == raw["karpenter"]["version"]
    assert HERE["argocd.chartVersion"] == raw["argocd"]["chartVersion"]


def test_the_tools_of_the_lab_are_on_the_page_at_their_pins() -> None:
    tools = PAGE.partition("## Tools of the lab")[2].partition("## Refused")[0]

    assert dict(re.findall(r"^\| ([\w-]+) \| (v\S+) \|", tools, re.MULTILINE)) == {
        module.name: module.version for module in (*MODULES, KARPENTER_NEXT, ARGOCD_NEXT, PROMETHEUS)
    }


def test_every_refused_version_is_on_the_page_with_its_source() -> None:
    refused = PAGE.partition("## Refused")[2]

    for fault in ADDON_FAULTS:
        row = next(line for line in refused.splitlines() if fault.source in line)
        assert row.startswith(f"| {fault.addon} | {'.'.join(map(str, fault.fixed_in))} |")
        assert fault.seen in row
