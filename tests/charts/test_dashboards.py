"""Grafana's dashboards: whole JSON, panels beside each other, and no query for what nobody serves."""

import enum
import json
import re
import typing
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.charts.demo_chart import NAMESPACE, WRAPPER, Wrapper
from tests.charts.helm import HelmError
from tests.promql import asked, carried, groupings, made, unmatched
from tests.unit.alerts.rules import dropped, served

DASHBOARDS = sorted(path.stem for path in (WRAPPER / "dashboards").glob("*.yaml"))
SPAN_METRICS = {"service_name", "span_kind", "span_name", "status_code", "le"}
"""Labels of the collector's spanmetrics connector. Source:
https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/main/connector/spanmetricsconnector/README.md"""
OF_THE_DEMO = {"traces_span_metrics_calls_total", "traces_span_metrics_duration_milliseconds_bucket"}
"""Source: the demo's own dashboards, https://github.com/open-telemetry/opentelemetry-demo/tree/2.1.3/src/grafana"""
OF_PROMETHEUS = {"titleFormat", "textFormat", "expr"}
"""Of an annotation: the Prometheus data source reads them, the model of a dashboard does not name them all."""


def known() -> dict[str, set[str]]:
    """Metric -> labels: what the lab's controllers serve, and the demo's collector."""
    return {metric: set(labels) for metric, labels in served().items()} | dict.fromkeys(OF_THE_DEMO, SPAN_METRICS)


def unserved(expression: str) -> list[str]:
    """Each metric that nobody serves or scrapes, and each label of a metric or a grouping without source."""
    labels, found = known(), []
    wanted = asked(expression)
    for metric, matched in wanted.items():
        if metric not in labels:
            found.append(f"no metric {metric}")
        elif dropped(metric):
            found.append(f"{metric} is dropped at the scrape")
        else:
            found += [f"{metric} has no label {name}" for name in sorted(matched - labels[metric])]
    for named, metrics in groupings(expression):
        there = made(expression).union(*(labels.get(metric, set()) for metric in metrics))
        found += [f"nothing is grouped by {label}" for label in sorted(named - there)]
    return found or unmatched(expression, labels)


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


# Without them the model takes whatever a query, or the options of a panel of these kinds, has.
runtime.register_dataquery_variant(prometheus.variant_config())
for kind in (stat, table, timeseries):
    runtime.register_panelcfg_variant(kind.variant_config())


def of_another_type(value: Any, hint: Any, at: str = "") -> list[str]:
    """Members of a document, read into Grafana's model, whose values the model's types do not admit, by path."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Union:
        return min((of_another_type(value, one, at) for one in inner), key=len)
    if typing.get_origin(hint) is typing.Literal:
        return [] if value in inner else [at]
    if hint in (object, Any):
        return []
    if typing.get_origin(hint) in (list, dict):
        if not isinstance(value, typing.get_origin(hint)):
            return [at]
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, entry in entries for found in of_another_type(entry, inner[-1], f"{at}.{key}")]
    if issubclass(hint, enum.Enum):
        return [] if value in list(hint) or value in [member.value for member in hint] else [at]
    if hint in (bool, int, float, str, type(None)):
        fits = isinstance(value, (int, float) if hint is float else hint)
        return [] if fits and (hint is bool or not isinstance(value, bool)) else [at]
    if isinstance(value, dict):  # the model leaves some as they were
        value = hint.from_json(value)
    if not isinstance(value, hint):
        return [at]
    members = typing.get_type_hints(type(value))
    return [
        found
        for name, member in members.items()
        if hasattr(value, name)
        for found in of_another_type(getattr(value, name), member, f"{at}.{name}")
    ]


def unknown(dashboard: dict[str, Any]) -> list[str]:
    """Members that Grafana's own model of a dashboard does not have: it forgets them."""
    kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
    return [at for at in missing(dashboard, kept) if at.rpartition(".")[2] not in OF_PROMETHEUS]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_it_is_a_dashboard_by_grafanas_own_model(rendered: dict[str, dict[str, Any]], name: str) -> None:
    assert unknown(rendered[name]) == []
    assert of_another_type(Dashboard.from_json(rendered[name]), Dashboard) == []


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


def unnamed(panels: Iterable[Mapping[str, Any]]) -> list[str]:
    """Labels that a legend or a table's column names, and the result of the query does not have."""
    labels, wrong = known(), []
    for panel in panels:
        for query in panel["queries"]:
            named = {*re.findall(r"{{ *(\w+) *}}", query.get("legend", "")), *panel.get("columns", ())}
            wrong += [f"{panel['title']}: {label}" for label in sorted(named - carried(query["expr"], labels))]
    return wrong


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_legend_and_a_column_are_labels_of_what_is_asked(name: str) -> None:
    told = (WRAPPER / "dashboards" / f"{name}.yaml").read_text().replace("{{ databases }}", "kafka")
    assert unnamed(yaml.safe_load(told)["panels"]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"queries": [{"expr": "sum by (nodepool) (karpenter_nodepools_usage)", "legend": "{{pool}}"}]},
        {"queries": [{"expr": "sum(karpenter_nodepools_usage)", "legend": "{{nodepool}}"}]},
        {"queries": [{"expr": "argocd_app_info"}], "columns": ["name", "revision"]},
        {"queries": [{"expr": "argocd_app_info unless on (name) karpenter_pods_state", "legend": "{{phase}}"}]},
    ],
    ids=["another name", "summed away", "a column", "of the other operand"],
)
def test_a_legend_of_a_label_that_is_not_there_is_found(wrong: dict[str, Any]) -> None:
    assert len(unnamed([{"title": "a panel"} | wrong])) == 1


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
        ("sum by (request_type) (argocd_git_request_total)", "no metric argocd_git_request_total"),
        (
            "sum(karpenter_cloudprovider_instance_type_cpu_cores)",
            "karpenter_cloudprovider_instance_type_cpu_cores is dropped at the scrape",
        ),
        ("rate(argocd_app_syncs_total[5m]) or vector(0)", "no metric argocd_app_syncs_total"),
        ('x / on (a) sum without (b) (argocd_app_info{c="d"})', "no metric x"),
        ("karpenter_nodepools_cost_total and on (pool) karpenter_nodes_allocatable", "nothing is matched by pool"),
        ("karpenter_nodepools_usage and on (zone) karpenter_nodes_allocatable", "nothing is matched by zone"),
        ("sum(karpenter_nodepools_usage) / on (nodepool) karpenter_nodepools_limit", "nothing is matched by nodepool"),
    ],
)
def test_a_query_for_what_nobody_serves_is_found(query: str, fault: str) -> None:
    assert fault in unserved(query)


def test_a_member_that_grafana_would_forget_is_found(rendered: dict[str, dict[str, Any]]) -> None:
    wrong = json.loads(json.dumps(rendered["gitops"]))
    wrong["panels"][1]["titel"] = wrong["panels"][1].pop("title")
    wrong["panels"][0]["targets"][0]["legendFromat"] = "x"
    wrong["templating"]["list"][0]["lable"] = "x"
    assert sorted(unknown(wrong)) == [".panels.0.targets.0.legendFromat", ".panels.1.titel", ".templating.list.0.lable"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"refresh": 30}, ".refresh"),
        ({"editable": "no"}, ".editable"),
        ({"graphTooltip": 7}, ".graph_tooltip"),
        ({"tags": ["one", 2]}, ".tags.1"),
        ({"time": {"from": 0, "to": "now"}}, ".time.from_val"),
        ({"panels": [{"type": "stat", "gridPos": {"x": 0, "y": 0, "w": "12", "h": 4}}]}, ".panels.0.grid_pos.w"),
        ({"panels": [{"type": "table", "transformations": [{"id": 5}]}]}, ".panels.0.transformations.0.id_val"),
        (
            {"panels": [{"type": "stat", "targets": [{"expr": 1, "datasource": {"type": "prometheus"}}]}]},
            ".panels.0.targets.0.expr",
        ),
    ],
)
def test_a_value_that_grafana_does_not_admit_is_found(
    rendered: dict[str, dict[str, Any]], change: dict[str, Any], found: str
) -> None:
    assert of_another_type(Dashboard.from_json(rendered["gitops"] | change), Dashboard) == [found]


def test_they_are_left_out_by_a_value_and_a_file_that_is_no_yaml_fails(wrapper: Wrapper, tmp_path: Path) -> None:
    without = {thing["metadata"]["name"] for thing in wrapper.objects("prod", {"dashboards": {"enabled": False}})}
    ours = {thing["metadata"]["name"] for thing in wrapper.objects("prod")} - without
    assert len(ours) == len(DASHBOARDS)
    broken = Wrapper.assemble(wrapper.demo, tmp_path)
    (broken.path / "dashboards" / "broken.yaml").write_text("panels: [")
    with pytest.raises(HelmError, match=r"dashboards/broken\.yaml"):
        broken.objects("prod")


def test_the_page_names_each_dashboard(rendered: dict[str, dict[str, Any]]) -> None:
    page = (WRAPPER.parents[2] / "docs" / "dashboards.md").read_text()
    assert [each["title"] for each in rendered.values() if f"| {each['title']} |" not in page] == []
