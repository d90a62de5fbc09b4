"""The images that the children of the app-of-apps pull in an environment, as the plan's own values name them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import demo_chart, names
from infra.demo_chart import over
from infra.images import named
from otel_on_spot.errors import ToolError
from otel_on_spot.plan.workloads import wrapper_values
from otel_on_spot.program.recording import Recording

ROOT_APPLICATION, INGRESS_APPLICATION = "platform-root", "ingress-application"
CONTROLLER_IMAGE = "public.ecr.aws/eks/aws-load-balancer-controller"


def images(recording: Recording, root: Path) -> dict[str, list[str]]:
    """Image with its tag -> the workloads that run it, of the children in the recorded stack; both sorted.

    Raises:
        ToolError: the plan has no root Application, or the wrapper chart is not there.
    """
    found = next((r for r in recording if r.name == ROOT_APPLICATION), None)
    if found is None:
        raise ToolError(f"the plan has no {ROOT_APPLICATION}: nothing says which children there are")
    listed = of_values(yaml.load(found.inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader), root)
    balancers = next((r for r in recording if r.name == INGRESS_APPLICATION), None)
    if balancers is not None:
        told = yaml.load(balancers.inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader)
        listed[_of_load_balancers(told["controller"])] = [names.LOAD_BALANCER_CONTROLLER]
    return dict(sorted(listed.items()))


def _of_load_balancers(controller: Mapping[str, Any]) -> str:
    """The controller's image: its chart's, whose version is the image's with a v before it, or that of a mirror."""
    given = ((controller.get("values") or {}).get("image") or {}).get("repository") or CONTROLLER_IMAGE
    return f"{given}:v{controller['chartVersion']}"


def of_values(told: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """The same, from the values that the root Application passes.

    Raises:
        ToolError: the wrapper chart is not there.
    """
    child = told["applications"].get("otel-demo", {})
    if not child.get("enabled", True):
        return {}
    values = over(wrapper_values(root, told["clusterMetadata"]["environment"]), child.get("values") or {})
    return named(demo_chart.without_nulls(values), demo_chart.app_version(root), demo_chart.variant(root))
