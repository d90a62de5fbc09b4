"""Grafana's dashboards: whole JSON, panels beside each other, and no query for what nobody serves."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.charts.demo_chart import NAMESPACE, WRAPPER, Wrapper
from tests.charts.helm import HelmError

DASHBOARDS = sorted(path.stem for path in (WRAPPER / "dashboards").glob("*.yaml"))
SPAN_METRICS = {"service_name", "span_kind", "span_name", "status_code", "le"}
"""Labels of the collector's spanmetrics connector. Source:
https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/main/connector/spanmetricsconnector/README.md"""
OF_THE_DEMO = {"traces_span_metrics_calls_total", "traces_span_metrics_duration_milliseconds_bucket"}
"""Source: the demo's own dashboards, https://github.com/open-telemetry/opentelemetry-demo/tree/2.1.3/src/grafana"""
OF_PROMETHEUS = {"titleFormat", "textFormat", "expr"}
"""Of an annotation: the Prometheus data source reads them, the model of a dashboard does not name them all."""


@cache
def served() -> dict[str, set[str]]:
    """Metric -> labels, as the lab's controllers serve them."""
    found = yaml.safe_load((Path(__file__).parent / "served_metrics.yaml").read_text())
    return {metric: set(labels) for metric, labels in found.items()} | dict.fromkeys(OF_THE_DEMO, SPAN_METRICS)


def parts(node: Any) -> Iterator[Any]:
    """A PromQL expression and everything in it."""
    yield node
    if isinstance(node, promql.MatrixSelector):
        yield from parts(node.vector_selector)
    for name in ("lhs", "rhs", "expr", "param"):
        if isinstance(inner := getattr(node, name, None), promql.Expr):
            yield from parts(inner)
    for inner in getattr(node, "args", None) or ():
        yield from parts(inner)


def unserved(expression: str) -> list[str]:
    """Each metric, and each label of a metric or of a grouping, that nobody serves."""
    found, within = [], list(parts(promql.parse(expression)))
    selectors = [part for part in within if isinstance(part, promql.VectorSelector)]
    made = {part.args[1].val for part in within if isinstance(part, promql.Call) and part.func.name == "label_replace"}
    for selector in selectors:
        if selector.name not in served():
            found.append(f"no metric {selector.name}")
            continue
        asked = [matcher.name for matcher in selector.matchers.matchers]
        found += [f"{selector.name} has no label {name}" for name in asked if name not in served()[selector.name]]
    for part in within:
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            below = [inner for inner in parts(part) if isinstance(inner, promql.VectorSelector)]
            known = made.union(*(served().get(inner.name, set()) for inner in below))
            found += [f"nothing is grouped by {label}" for label in part.modifier.labels if label not in known]
    return found


@pytest.fixture(scope="module")
def rendered(wrapper: Wrapper) -> dict[str, dict[str, Any]]:
    """Name -> dashboard."""
    maps = {
        thing["metadata"]["name"]: thing
        for thing in wrapper.objects("prod")
        if thing["kind"] == "ConfigMap" and (thing["metadata"].get("labels") or {}).get("grafana_dashboard") == "1"
    }
    assert {thing["metadata"]["namespace"] for thing in maps.values()} == {NAMESPACE}
    return {
        name: json.loads(maps[f"dashboard-{name}"]["data"][f"{name}.json"])
        for name in DASHBOARDS
        if f"dashboard-{name}" in maps
    }


def queries(dashboard: dict[str, Any]) -> list[str]:
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return asked + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]


def test_every_file_is_a_dashboard_that_grafanas_sidecar_finds(rendered: dict[str, dict[str, Any]]) -> None:
    assert {"platform", "gitops", "demo"} <= set(DASHBOARDS)
    assert sorted(rendered) == DASHBOARDS
    assert len({dashboard["uid"] for dashboard in rendered.values()}) == len(DASHBOARDS)


def missing(given: Any, kept: Any, at: str = "") -> list[str]:
    """Members of a JSON document that are not in another, by path."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            entry
            for key, value in given.items()
            for entry in (missing(value, kept[key], f"{at}.{key}") if key in kept else [f"{at}.{key}"])
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            entry
            for number, pair in enumerate(zip(given, kept, strict=True))
            for entry in missing(*pair, f"{at}.{number}")
        ]
    return [] if given == kept else [at]


def unknown(dashboard: dict[str, Any]) -> list[str]:
    """Members that Grafana's own model of a dashboard does not have: it forgets them."""
    kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
    return [at for at in missing(dashboard, kept) if at.rpartition(".")[2] not in OF_PROMETHEUS]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_it_is_a_dashboard_by_grafanas_own_model(rendered: dict[str, dict[str, Any]], name: str) -> None:
    assert unknown(rendered[name]) == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_beside_each_other_on_24_columns(rendered: dict[str, dict[str, Any]], name: str) -> None:
    places = [panel["gridPos"] for panel in rendered[name]["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        ), (one, other)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_it_asks_for_what_is_served(rendered: dict[str, dict[str, Any]], name: str) -> None:
    assert {query: found for query in queries(rendered[name]) if (found := unserved(query))} == {}


def test_a_databases_pod_is_known_by_its_name(wrapper: Wrapper, rendered: dict[str, dict[str, Any]]) -> None:
    names = "|".join(entry["name"] for entry in wrapper.values("prod")["stateful"])
    asked = [query for query in queries(rendered["demo"]) if "kafka" in query]
    assert len(asked) == 2
    assert all(f'name=~"({names})-.*"' in query for query in asked)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(karpenter_nodes_allocatables)", "no metric karpenter_nodes_allocatables"),
        ('sum(karpenter_nodepools_usage{pool="spot"})', "karpenter_nodepools_usage has no label pool"),
        ("sum by (pool) (karpenter_nodepools_usage)", "nothing is grouped by pool"),
        ("rate(argocd_app_syncs_total[5m]) or vector(0)", "no metric argocd_app_syncs_total"),
        ('x / on (a) sum without (b) (argocd_app_info{c="d"})', "no metric x"),
    ],
)
def test_a_query_for_what_nobody_serves_is_found(query: str, fault: str) -> None:
    assert fault in unserved(query)


def test_a_member_that_grafana_would_forget_is_found(rendered: dict[str, dict[str, Any]]) -> None:
    wrong = json.loads(json.dumps(rendered["gitops"]))
    wrong["panels"][1]["titel"] = wrong["panels"][1].pop("title")
    wrong["templating"]["list"][0]["lable"] = "x"
    assert sorted(unknown(wrong)) == [".panels.1.titel", ".templating.list.0.lable"]


def test_they_are_left_out_by_a_value_and_a_file_that_is_no_yaml_fails(wrapper: Wrapper, tmp_path: Path) -> None:
    without = wrapper.objects("prod", {"dashboards": {"enabled": False}})
    assert not [thing for thing in without if (thing["metadata"].get("labels") or {}).get("grafana_dashboard")]
    broken = Wrapper.assemble(wrapper.demo, tmp_path)
    (broken.path / "dashboards" / "broken.yaml").write_text("panels: [")
    with pytest.raises(HelmError, match=r"dashboards/broken\.yaml"):
        broken.objects("prod")


def test_the_page_names_each_dashboard(rendered: dict[str, dict[str, Any]]) -> None:
    page = (WRAPPER.parents[2] / "docs" / "dashboards.md").read_text()
    assert [each["title"] for each in rendered.values() if f"| {each['title']} |" not in page] == []
