"""The images that the children of the app-of-apps pull in an environment, as the plan's own values name them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import demo_chart
from infra.demo_chart import over
from infra.images import named
from otel_on_spot.errors import ToolError
from otel_on_spot.plan.workloads import wrapper_values
from otel_on_spot.program.recording import Recording

ROOT_APPLICATION = "platform-root"


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
    return named(values, demo_chart.app_version(root), demo_chart.variant(root))
