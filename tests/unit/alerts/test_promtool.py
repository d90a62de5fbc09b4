"""The alert rules under promtool: each fires on its fault and on nothing else, from every awkward start.

promtool is built from the pinned module, once, and asked for: ``make test-alerts``.
"""

import os
import subprocess
from collections import Counter as Counted
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_on_spot.lab.toolchain.modules import PROMETHEUS
from tests.built import built
from tests.unit.alerts.cases import (
    CASES,
    COUNTERS,
    HEALTHY,
    HOUR,
    KARPENTER,
    RESTARTED,
    SAID,
    START,
    START_SECONDS,
    Case,
    Counter,
    Said,
    started,
    up,
)
from tests.unit.alerts.rules import RULES, alerts, groups

FOUND, UNREACHED = (f'job="karpenter", instance="10.0.0.{last}:8080"' for last in (8, 9))


@pytest.fixture(scope="module")
def promtool() -> Path:
    if os.environ.get("ALERTS") != "1" and os.environ.get("LAB") != "1":
        pytest.skip("promtool takes about a minute of CPU, and minutes to build once: run make test-alerts")
    return built(PROMETHEUS, "promtool", "make test-alerts") / "promtool"


def group(case: Case) -> dict[str, Any]:
    """A case as promtool reads it: the healthy platform, what the case changes, and all alerts that fire."""
    end = max(case.fires) + 1
    healthy = {series: f"{value}x{end}" for series, value in HEALTHY.items() if series not in case.without}
    return {
        "name": case.name,
        "interval": "1m",
        "start_timestamp": case.start,
        "input_series": [{"series": series, "values": told} for series, told in {**healthy, **case.series}.items()],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names | {"Watchdog"})
                ],
            }
            for minute, names in case.fires.items()
        ],
        "alert_rule_test": [_read(said) for said in SAID if said.case == case.name],
    }


def _read(said: Said) -> dict[str, Any]:
    """What people read of an alert, as promtool holds it against the rule."""
    (alert,) = (alert for alert in alerts() if alert.name == said.alert)
    expected = {
        "exp_labels": {"severity": alert.severity, **said.labels},
        "exp_annotations": {**alert.annotations, "summary": said.summary},
    }
    return {"eval_time": f"{said.minute}m", "alertname": said.alert, "exp_alerts": [expected]}


def judged(
    promtool: Path, folder: Path, cases: Sequence[Case], rules: Path = RULES
) -> subprocess.CompletedProcess[str]:
    """What promtool says of the cases."""
    files = []
    for every, slow in (("30s", False), ("10m", True)):
        told = {
            "rule_files": [str(rules)],
            "evaluation_interval": every,
            "fuzzy_compare": True,
            # Else promtool takes the groups in any order, and a record may be one evaluation, ten minutes, old.
            "group_eval_order": [group["name"] for group in groups()],
            "tests": [group(case) for case in cases if case.slow == slow],
        }
        if told["tests"]:
            files.append(folder / f"every-{every}.yaml")
            files[-1].write_text(yaml.safe_dump(told, sort_keys=False))
    return subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, check=False, timeout=300)


def test_the_rules_are_rules_of_prometheus(promtool: Path) -> None:
    ended = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_fires_on_its_fault_and_on_no_other(promtool: Path, tmp_path: Path) -> None:
    ended = judged(promtool, tmp_path, CASES)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-6000:]


def counted(record: str, counter: Counter) -> dict[str, Any]:
    """Births, growth and a new beginning of a counter, on targets that are known and on those that are not."""
    window = counter.minutes
    birth, growth = window + 5, 2 * window + 15
    began_anew = growth + window + 5
    further = [{label: value} for label, values in counter.counts.items() for value in values[1:]]
    label, _, other = counter.apart
    series = {
        up(KARPENTER): "1x400",
        # Two that add up, of which one grows and the other begins anew.
        counter.series(KARPENTER): f"_x{birth} 2x{growth - birth - 1} 6x400",
        counter.series(KARPENTER, {label: other}): f"_x{birth} 3x{began_anew - birth - 1} 1x400",
        # A target that has just been found, and one that was not reached: what they have counted is old news.
        up(FOUND): f"_x{birth} 1x400",
        up(FOUND.replace("karpenter", "pods")): "1x400",
        counter.series(FOUND): f"_x{birth} 1000x400",
        up(UNREACHED): f"0x{birth - 1} 1x400",
        counter.series(UNREACHED): f"_x{birth} 2000x400",
        # One that has just been started has counted all of it since.
        up(RESTARTED): f"_x{birth} 1x400",
        started(RESTARTED): f"_x{birth} {START_SECONDS + 60 * (birth - 1)}x400",
        counter.series(RESTARTED): f"_x{birth} 10x400",
        **{counter.series(KARPENTER, changed): f"_x{birth} 40x{growth - birth - 1} 41x400" for changed in further},
        **{counter.series(KARPENTER, changed): f"_x{birth} 7+7x400" for changed in counter.never},
    }
    own, rows = counter.row(), Counted(counter.row(changed) for changed in further)
    nothing = dict.fromkeys({own, *rows}, 0)
    grown = nothing | rows | {own: 4 + rows[own]}
    at = {
        birth - 1: {},
        birth: {own: 15},
        birth + window - 2: {own: 15},
        birth + window - 1: {own: 5},
        birth + window + 1: nothing,
        growth: grown,
        growth + window - 2: grown,
        growth + window + 2: nothing,
        began_anew + 1: {**nothing, own: 1},
    }
    for minute in range(birth, birth + window):
        if minute in at:
            at[minute] = {row: at[minute].get(row, 0) + 40 * rows[row] for row in nothing}
    return {
        "name": record,
        "interval": "1m",
        "start_timestamp": START,
        "input_series": [{"series": one, "values": told} for one, told in series.items()],
        "promql_expr_test": [
            {
                "expr": f"round({record})",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": row, "value": value} for row, value in told.items()],
            }
            for minute, told in at.items()
        ],
    }


def test_a_record_adds_up_what_is_counted_from_its_birth(promtool: Path, tmp_path: Path) -> None:
    told = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "group_eval_order": [group["name"] for group in groups()],
        "tests": [counted(record, counter) for record, counter in COUNTERS.items()],
    }
    (tmp_path / "counters.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    command = [promtool, "test", "rules", tmp_path / "counters.yaml"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-6000:]


@dataclass(frozen=True)
class Fault:
    """A change of a rule, and the case that must then fail."""

    given: str
    faulty: str
    case: str


NOTHING = "# nothing more"
FAULTS = {
    "`== 0` where a series may be missing": Fault(
        "> 0 unless platform:interruption_messages:1h > 0",
        "> 0 and platform:interruption_messages:1h == 0",
        "nodes end, and a queue that never delivered has no series",
    ),
    "births that are not counted": Fault(
        "(karpenter_cloudprovider_instance_launch_failures_total unless karpenter_cloudprovider_instance_launch_"
        "failures_total offset 15m)",
        "(karpenter_cloudprovider_instance_launch_failures_total unless karpenter_cloudprovider_instance_launch_"
        "failures_total)",
        "a first refused launch is the birth of its counter",
    ),
    "births that are always counted": Fault(
        "and on (job, instance) platform:target_known:15m\n            or increase(karpenter_cloudprovider_instance",
        "or increase(karpenter_cloudprovider_instance",
        "a refused launch from before Prometheus is old news",
    ),
    "a start that is not seen": Fault(
        "process_start_time_seconds > time() - 900",
        "process_start_time_seconds > time() - 1",
        "a launch refused by a Karpenter that has just started",
    ),
    "a drought that any dry type makes": Fault(
        'and on () platform:create_errors:15m{error="InsufficientCapacityError"} > 0',
        NOTHING,
        "some Spot types are dry, and the launch works with others",
    ),
    "an end without an instance that the queue should tell of": Fault(
        '(karpenter_nodeclaims_terminated_total{capacity_type!=""} unless',
        "(karpenter_nodeclaims_terminated_total unless",
        "claims end that a drought gave no instance",
    ),
    "a drought of On-Demand": Fault(
        'capacity_type="spot", reason=~"LaunchFailed',
        'reason=~"LaunchFailed',
        "On-Demand runs dry, which is no drought of Spot",
    ),
    "a fallback that may not be dry": Fault(
        'unless on () platform:launch_failures:1h{capacity_type="spot"} > 0',
        NOTHING,
        "stateless pods stay on On-Demand, and Spot is still dry",
    ),
    "a system node that Karpenter should repair": Fault(
        'status!="True", karpenter_sh_nodepool!=""',
        'status!="True"',
        "a system node is unready, which Karpenter does not repair",
    ),
    "a database by its first letters": Fault(
        "-[a-z0-9]+|statefulsets",
        ".*|statefulsets",
        "healthy: all alerts are silent",
    ),
    "a database whose pod is over": Fault(
        'capacity_type="spot", phase!~"Succeeded|Failed"',
        'capacity_type="spot"',
        "a database's pod on Spot is over",
    ),
    "a guard that may try only once": Fault(
        'unless on (owner) karpenter_pods_state{phase="Succeeded"}',
        NOTHING,
        "the guard fails once and tries again",
    ),
    "a guard whose retries hide that it fails": Fault(
        'phase="Failed"}[10m]',
        'phase="Failed"}[1m]',
        "the guard fails with every retry of the sync, each of which makes its Job anew",
    ),
    "a budget of a pool without nodes": Fault(
        'and on (nodepool) max by (nodepool) (karpenter_nodepools_usage{resource_type="nodes"}) > 0',
        NOTHING,
        "a budget of a pool without nodes allows nothing",
    ),
    "a budget that is judged by its last figure": Fault(
        "and on (reason) max by (reason) (",
        "or on (nodepool) 0 * max by (reason) (",
        "a budget allowed nothing when a node had drifted, and none is drifted now",
    ),
    "a lease that any difference outlives": Fault(
        "unless on (namespace, name) increase(argocd_app_sync_total[1h]) > 0",
        NOTHING,
        "an Application out of sync is tried again and again",
    ),
    "a failed sync that is over": Fault(
        'and on (namespace, name) argocd_app_info{sync_status!="Synced"}',
        NOTHING,
        "a sync failed and the next one did not",
    ),
    "an event without a time that counts": Fault(
        'bucket{le=~"600([.]0)?"}[5m])), "le"',
        'bucket{le="+Inf"}[5m])), "le"',
        "one message of a thousand waits, and a hundred have no time for Karpenter",
    ),
    "one claim's end that ends the alert": Fault(
        "keep_firing_for: 10m", "keep_firing_for: 0s", "a claim that was given up and made anew keeps it firing"
    ),
    "an absence that is a comparison": Fault(
        'absent(up{job="karpenter"} == 1)', 'up{job="karpenter"} == 0', "no series at all: only the absences are told"
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_rule_is_found(promtool: Path, tmp_path: Path, fault: str) -> None:
    change = FAULTS[fault]
    text = RULES.read_text()
    assert text.count(change.given) == 1, f"{change.given!r} is there {text.count(change.given)} times"
    (tmp_path / "rules.yaml").write_text(text.replace(change.given, change.faulty))
    (case,) = (case for case in CASES if case.name == change.case)
    ended = judged(promtool, tmp_path, [case], tmp_path / "rules.yaml")
    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "FAILED" in told
    assert "alertname" in told, told  # a case that differs, no rule that cannot be read


def test_what_people_read_of_every_alert_is_held_in_a_case() -> None:
    assert {said.alert for said in SAID} == {alert.name for alert in alerts()}
    assert {said.case for said in SAID} <= {case.name for case in CASES}


def test_every_case_is_of_one_day_or_less() -> None:
    assert max(max(case.fires) for case in CASES) <= 27 * HOUR
