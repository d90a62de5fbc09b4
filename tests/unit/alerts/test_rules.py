"""The rules file without Prometheus: every alert says all that a person needs, and asks only for what is served."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, time

import pytest
import yaml

from infra.settings.rules import KARPENTER_FOR_KUBERNETES
from otel_on_spot.plan.cost import prices
from otel_on_spot.simcloud.eks_answers import SUPPORTED_UNTIL
from tests.lab.watching import faster
from tests.promql import asked, carried, grouped, groupings, made, unmatched
from tests.unit.alerts import page
from tests.unit.alerts.cases import CASES, COUNTERS, HEALTHY
from tests.unit.alerts.rules import (
    ROOT,
    SERVED,
    Alert,
    alerts,
    dropped,
    groups,
    page_of,
    records,
    rules,
    served,
)

ALERTS = alerts()
NAMES = [alert.name for alert in ALERTS]
SEVERITIES = {"critical", "warning", "none"}
LESSONS = {"NodeNeverJoins", "DatabaseOnSpot", "PlacementGuardFails", "InterruptionPathDead", "SuspensionOutlivesLease"}
each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def test_the_four_lessons_and_a_heartbeat_are_among_at_least_sixteen_alerts() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 17
    assert set(NAMES) > LESSONS | {"Watchdog"}


@each
def test_an_alert_says_how_bad_what_it_means_for_users_and_which_page_helps(alert: Alert) -> None:
    assert alert.severity in SEVERITIES
    assert set(alert.annotations) == {"summary", "description", "runbook"}
    assert len(alert.annotations["summary"]) <= 110
    assert alert.annotations["description"].endswith(".")
    assert page_of(alert).is_file(), f"there is no page {alert.annotations['runbook']}"


@each
def test_an_alert_waits_or_says_by_its_expression_how_long(alert: Alert) -> None:
    assert alert.for_ or alert.keep_firing_for or alert.name == "Watchdog"
    assert re.fullmatch(r"(\d+[mh])?", alert.for_)


@each
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(alert: Alert) -> None:
    if alert.name != "Watchdog":  # every case expects it
        assert any(alert.name in names for case in CASES for names in case.fires.values())
    fires = [case for case in CASES if any(alert.name in names for names in case.fires.values())]
    assert alert.name == "Watchdog" or len(fires) < len(CASES)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in rules() if not rule["expr"].startswith("vector(")],
    ids=lambda rule: rule.get("alert") or rule["record"],
)
def test_a_rule_asks_only_for_metrics_and_labels_that_are_served(rule: dict[str, str]) -> None:
    known = served() | {name: [] for name in records()}
    wanted = asked(rule["expr"])
    assert wanted, "no metric was found in the expression"
    for metric, labels in wanted.items():
        assert metric in known, f"{metric} is served by neither controller: {SERVED.name}"
        assert not dropped(metric), f"{metric} is dropped at the scrape"
        assert labels <= set(known[metric]) | ({"error", "reason", "capacity_type"} if metric in records() else set())
    # What a rule groups by comes out of a metric, a record or a label_replace.
    named = {label for metric in wanted for label in known[metric]}
    recorded = {label for metric in wanted if metric in records() for label in grouped(records()[metric])} | {"minor"}
    assert grouped(rule["expr"]) <= named | made(rule["expr"]) | recorded | {"job", "instance"}


def known() -> dict[str, set[str]]:
    """Metric -> labels: what is served, and what is recorded of it."""
    found = {metric: set(labels) for metric, labels in served().items()}
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = {*found.get(rule["record"], ()), *rule.get("labels", ())} | carried(
                rule["expr"], found
            )
    return found


def unnamed(expr: str, texts: Iterable[str], labels: Mapping[str, Collection[str]]) -> list[str]:
    """What a rule groups by and its metrics lack, and what its texts name and its result lacks."""
    wrong = [
        f"nothing is grouped by {label}"
        for named, metrics in groupings(expr)
        for label in sorted(named - made(expr).union({"job", "instance"}, *(labels[metric] for metric in metrics)))
    ]
    wrong += unmatched(expr, labels)
    has = carried(expr, labels)
    for text in texts:
        told = set(re.findall(r"\$labels\.(\w+)", text))
        wrong += [f"the result has no label {label}" for label in sorted(told - has)]
    return wrong


@each
def test_an_alert_names_only_labels_that_its_result_has(alert: Alert) -> None:
    assert unnamed(alert.expr, alert.annotations.values(), known()) == []


def test_what_a_record_matches_by_is_on_both_sides() -> None:
    labels = known()
    assert {name: unmatched(expr, labels) for name, expr in records().items() if unmatched(expr, labels)} == {}


@pytest.mark.parametrize(
    ("expr", "text", "fault"),
    [
        ("sum by (nodepool) (karpenter_nodepools_usage) > 1", "{{ $labels.resource_type }}", "no label resource_type"),
        ("sum(karpenter_nodepools_usage) > 1", "{{ $labels.nodepool }}", "no label nodepool"),
        ("absent(up{job='karpenter'})", "{{ $labels.instance }}", "no label instance"),
        ("absent(up{job='karpenter'} == 1)", "{{ $labels.job }}", "no label job"),
        (
            "argocd_app_info and on (name) sum by (pool, name) (karpenter_nodepools_usage)",
            "{{ $labels.nodepool }}",
            "no label nodepool",
        ),
        ("sum without (nodepool) (karpenter_nodepools_usage)", "{{ $labels.nodepool }}", "no label nodepool"),
        ("platform:failed_syncs:15m > 1", "{{ $labels.phase }}", "no label phase"),
        ("sum by (phase) (platform:failed_syncs:15m)", "", "nothing is grouped by phase"),
        # The other operand has it, and this one does not.
        ("argocd_app_info or sum by (name) (karpenter_nodepools_usage)", "", "nothing is grouped by name"),
        ("argocd_app_info unless on (nodepool) karpenter_nodepools_usage", "", "nothing is matched by nodepool"),
        ("up and on (job, node) argocd_app_info", "", "nothing is matched by node"),
        ("argocd_app_info / on (name) karpenter_pods_state", "{{ $labels.namespace }}", "no label namespace"),
        ("topk(3, sum by (nodepool) (karpenter_nodepools_usage))", "{{ $labels.zone }}", "no label zone"),
    ],
)
def test_a_label_that_the_result_does_not_have_is_seen(expr: str, text: str, fault: str) -> None:
    assert any(fault in wrong for wrong in unnamed(expr, [text], known()))


def test_labels_that_an_operation_brings_along_are_known() -> None:
    for expr, labels in {
        "argocd_app_info * on (name) group_left (phase) karpenter_pods_state": {"sync_status", "phase"},
        'label_replace(karpenter_pods_state, "workload", "$1", "name", "(.*)-.*")': {"workload"},
        "histogram_quantile(.9, sum by (le, name) (rate(argocd_app_reconcile_bucket[5m])))": set[str](),
        "1 - sum by (name) (argocd_app_info)": {"name"},
        "-0.5 * sum by (name) (argocd_app_info)": {"name"},
        "5 / 4 * sum by (name) (argocd_app_info)": {"name"},
        "max_over_time(sum by (name) (argocd_app_info)[5m:1m]) > 1": {"name"},
    }.items():
        assert labels <= carried(expr, known()), expr
    assert "le" not in carried(
        "histogram_quantile(.9, sum by (le, name) (rate(argocd_app_reconcile_bucket[5m])))", known()
    )


def test_a_metric_or_a_label_that_nobody_serves_is_seen() -> None:
    assert asked('sum by (x) (rate(karpenter_nodes_lost_total{pool="a", zone!~"b{}"}[5m])) > 0 unless up') == {
        "karpenter_nodes_lost_total": {"pool", "zone"},
        "up": set(),
    }
    assert "karpenter_nodes_lost_total" not in served()
    assert "pool" not in served()["karpenter_nodepools_usage"]


def test_a_case_uses_only_series_that_are_served() -> None:
    unserved = [
        (case.name, series)
        for case in CASES
        for series in {**HEALTHY, **case.series}
        if not set(re.findall(r"(\w+)=", series.partition("{")[2]))
        <= {*served()[series.partition("{")[0]], "job", "instance"}
    ]

    assert unserved == []


def test_the_databases_that_an_alert_watches_are_those_that_the_chart_keeps_off_spot() -> None:
    files = (ROOT / "gitops/charts/otel-demo").glob("values*.yaml")
    stateful = [row for file in files for row in yaml.safe_load(file.read_text()).get("stateful") or []]
    exprs = {alert.name: alert.expr for alert in ALERTS}
    found = re.search(r"\(replicasets/\(([^)]*)\)-\[a-z0-9\]\+\|statefulsets/([^)]*)\)", exprs["DatabaseOnSpot"])
    assert found is not None
    replica_sets, stateful_sets = found.groups()
    assert replica_sets.split("|") == sorted({row["name"] for row in stateful if row["kind"] == "Deployment"})
    assert stateful_sets.split("|") == sorted({row["name"] for row in stateful if row["kind"] == "StatefulSet"})
    assert f"|{replica_sets})-[a-z0-9]+" in exprs["FallbackStuck"]  # which are no fall-back


def test_every_record_of_a_counter_has_its_case() -> None:
    assert {name for name, expr in records().items() if "increase(" in expr} == COUNTERS.keys()


def test_every_minor_that_the_program_takes_has_an_end_of_support_or_comes_after_those_that_have() -> None:
    told = [rule for rule in rules() if rule.get("record") == "eks:standard_support_end:seconds"]
    ends = {rule["labels"]["minor"]: rule["expr"] for rule in told}
    taken = [*KARPENTER_FOR_KUBERNETES]  # ends of minors before these are of clusters that EKS moves by itself
    dated = [minor for minor in taken if minor in ends]
    assert dated
    assert dated == taken[: len(dated)]
    # One calendar: what `plan --cost` reckons by, and the simulated cloud's, which begins later.
    calendar = prices()["support"]
    assert ends == {
        minor: f"vector({datetime.combine(day, time(), UTC).timestamp():.0f})" for minor, day in calendar.items()
    }
    dates = {minor: f"{day}" for minor, day in calendar.items()}
    assert {minor: standard for minor, (standard, _) in SUPPORTED_UNTIL.items()}.items() <= dates.items()


def test_the_page_of_alerts_is_what_the_rules_say() -> None:
    assert page.PAGE.read_text() == page.rendered(page.PAGE.read_text()), "run: python -m tests.unit.alerts.page"


def test_a_group_has_a_name_of_its_own_and_an_interval() -> None:
    names = [group["name"] for group in groups()]
    assert len(names) == len(set(names))
    assert all(group["interval"] for group in groups())


def test_where_time_runs_faster_a_rule_still_asks_for_a_record_that_there_is() -> None:
    """The lab's tests judge by these rules: with a record's name rewritten, no alert over counters could ever fire."""
    hurried = faster({"groups": groups()})["groups"]
    found = [rule for group in hurried for rule in group["rules"]]
    wanted = {metric for rule in found for metric in asked(rule["expr"]) if ":" in metric}
    assert wanted
    assert wanted <= {rule["record"] for rule in found if "record" in rule}
    times = {rule["alert"]: rule.get("for") for rule in found if "alert" in rule}
    assert (times["PoolNearLimit"], times["InterruptionPathDead"], times["SuspensionOutlivesLease"]) == (
        "45s", "15s", "60s",
    )  # fmt: skip
