"""Lesson 2: the demo chart refuses what it does not know. Our values pass it, and the fault is seen when put back."""

import hashlib
import json
from typing import Any

import jsonschema
import pytest
import yaml

from tests.charts.demo_chart import WRAPPER, Wrapper, wanted
from tests.charts.helm import HelmError, layered

SPOT = {"karpenter.sh/capacity-type": "spot"}
DEMO = "opentelemetry-demo"


def problems(wrapper: Wrapper, values: dict[str, Any]) -> list[str]:
    """What the demo chart's own schema says of the values that it would see."""
    assert wrapper.demo.path is not None
    schema = json.loads((wrapper.demo.path / "values.schema.json").read_text())
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(values)]


def test_the_values_of_every_environment_pass_the_strict_schema(known_demo: Wrapper, environment: str):
    assert problems(known_demo, known_demo.demo_values(environment)) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"nodeSelector": SPOT},
        {"default": {"nodeSelector": SPOT}},
        {"components": {"frontend": {"nodeSelector": SPOT}}},
        {"components": {"kafka": {"nodeSelector": SPOT}}},
    ],
)
def test_a_plain_node_selector_is_refused_by_the_demo_chart(known_demo: Wrapper, fault: dict[str, Any]):
    found = problems(known_demo, layered(known_demo.demo_values("dev"), fault))

    assert [problem for problem in found if "'nodeSelector' was unexpected" in problem] == found != []


@pytest.mark.parametrize(
    "fault",
    [
        {"nodeSelector": SPOT},
        {"default": {"nodeSelector": SPOT}},
        {"components": {"frontend": {"nodeSelector": SPOT}}},
        {"components": {"frontend": {"topologySpreadConstraints": []}}},
        {"components": {"frontend": {"priorityClassName": "stateful"}}},
        {"components": {"frontend-v2": {"enabled": True, "useDefault": {"env": True}}}},
    ],
)
def test_helm_refuses_what_the_demo_chart_would_refuse(wrapper: Wrapper, fault: dict[str, Any]):
    with pytest.raises(HelmError, match=r"nodeSelector|topologySpread|priorityClassName|frontend-v2"):
        wrapper.objects("dev", {DEMO: fault})


def test_the_demo_charts_own_schema_stands_behind_the_wrappers(real_demo: Wrapper, tmp_path):
    bare = Wrapper.assemble(real_demo.demo, tmp_path)
    (bare.path / "values.schema.json").unlink()

    with pytest.raises(HelmError, match=r"(?s)opentelemetry-demo.*nodeSelector"):
        bare.objects("dev", {DEMO: {"components": {"frontend": {"nodeSelector": SPOT}}}})


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"components": {"kafka": {"schedulingRules": {"nodeSelector": SPOT}}}}, "value must be 'on-demand'"),
        ({"components": {"frontend": {"schedulingRules": {"nodeSelector": SPOT}}}}, "nodeSelector"),
        ({"default": {"schedulingRules": {"nodeSelector": SPOT}}}, "nodeSelector"),
        ({"opensearch": {"nodeSelector": SPOT}}, "value must be 'on-demand'"),
        ({"prometheus": {"server": {"nodeSelector": SPOT}}}, "value must be 'on-demand'"),
        ({"grafana": {"nodeSelector": SPOT}}, "nodeSelector"),
        ({"jaeger": {"allInOne": {"nodeSelector": SPOT}}}, "nodeSelector"),
        ({"components": {"frontend": {"schedulingRules": {"tolerations": [{"operator": "Exists"}]}}}}, "key"),
        ({"components": {"frontend": {"schedulingRules": {"tolerations": [{"key": "dedicated"}]}}}}, "key"),
        ({"components": {"cart": {"initContainers": [{"name": "w", "image": "busybox:latest"}]}}}, "resources"),
        (
            {
                "components": {
                    "cart": {
                        "initContainers": [
                            {
                                "name": "w",
                                "image": "busybox:latest",
                                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                            }
                        ]
                    }
                }
            },
            "image",
        ),
        ({"components": {"frontend": {"replicas": 0}}}, "replicas"),
    ],
)
def test_the_wrapper_refuses_spot_on_a_database_and_a_selector_anywhere_else(
    shell: Wrapper, fault: dict[str, Any], named: str
):
    with pytest.raises(HelmError, match=named):
        shell.objects("dev", {DEMO: fault})


@pytest.mark.parametrize(
    "fault", [{"statefull": []}, {"networkPolicy": {"enable": False}}, {"placementHook": {"image": {"tag": "latest"}}}]
)
def test_the_wrappers_own_values_are_strict(shell: Wrapper, fault: dict[str, Any]):
    with pytest.raises(HelmError, match=r"statefull|enable|tag"):
        shell.objects("dev", fault)


def lock_digest(dependencies: list[dict[str, Any]], locked: list[dict[str, Any]]) -> str:
    """The digest that Helm keeps in Chart.lock.

    Source: https://github.com/helm/helm/blob/v4.2.1/internal/resolver/resolver.go (HashReq)
    """
    order = ("name", "version", "repository", "condition")
    pair = [[{key: entry[key] for key in order if key in entry} for entry in side] for side in (dependencies, locked)]
    return "sha256:" + hashlib.sha256(json.dumps(pair, separators=(",", ":")).encode()).hexdigest()


def test_the_lock_file_is_the_one_helm_would_write_for_the_pinned_version():
    chart, lock = (yaml.safe_load((WRAPPER / name).read_text()) for name in ("Chart.yaml", "Chart.lock"))

    assert wanted() == ("opentelemetry-demo", "0.38.6")
    assert lock["dependencies"] == chart["dependencies"]
    assert lock["digest"] == lock_digest(chart["dependencies"], lock["dependencies"])


def test_the_digest_is_computed_as_the_demo_chart_s_own_lock_was(known_demo: Wrapper):
    assert known_demo.demo.path is not None
    chart, lock = (yaml.safe_load((known_demo.demo.path / name).read_text()) for name in ("Chart.yaml", "Chart.lock"))

    assert lock["digest"] == lock_digest(chart["dependencies"], lock["dependencies"])
