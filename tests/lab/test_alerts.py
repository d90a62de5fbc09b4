"""Alerts on the real platform: silent where it is healthy; lessons 1 and 2 put back fire their own, and no other.

Time in the rules runs faster (``watching.FASTER``); thresholds that are no times are as they are shipped.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import faults_access, faults_cloud, faults_cluster
from tests.lab.running import Lab
from tests.lab.watching import FASTER, Watch, watching
from tests.unit.alerts.rules import SERVED, alerts, asked, records, rules

HEALTHY_SECONDS = 1800 / FASTER
NAMES = {alert.name for alert in alerts()}


@dataclass(frozen=True)
class Fault:
    """A fault of the lab. ``also``: alerts that rightly follow from it."""

    alert: str
    name: str
    seed: Callable[[Lab], AbstractContextManager[None]]
    seconds: float
    also: frozenset[str] = frozenset()


def of_doctor(part: str) -> Callable[[Lab], AbstractContextManager[None]]:
    """A fault that the doctor is proven with, by its name."""
    table = (*faults_access.FAULTS, *faults_cloud.FAULTS, *faults_cluster.FAULTS)
    (found,) = (fault for fault in table if fault.name == part)
    return found.seed


@contextmanager
def a_node_that_may_not_join(lab: Lab) -> Generator[None]:
    with of_doctor("the role is missing from aws auth")(lab):
        lab.wants_node("invisible")
        yield
    lab.no_longer_wants_node("invisible")


HELD = frozenset({"ApplicationOutOfSync", "SuspensionOutlivesLease"})
PENDING = frozenset({"PodsUnbound"})
FAULTS = (
    Fault("NodeNeverJoins", "a node's role is mapped nowhere", a_node_that_may_not_join, 120, PENDING),
    Fault(
        "DatabaseOnSpot",
        "a database is moved to Spot",
        of_doctor("a database is moved to spot while syncs are held"),
        120,
        HELD | {"ApplicationUnhealthy"},
    ),
)


@pytest.fixture
def watch(lab: Lab, tmp_path: Path) -> Iterator[Watch]:
    with watching(lab, tmp_path) as watch:
        yield watch


def test_a_healthy_lab_fires_nothing_for_half_an_hour_and_serves_what_the_rules_ask_for(lab: Lab, watch: Watch) -> None:
    """Half an hour of the rules' time; and the list of metrics that the unit tests judge by is what is served."""
    end = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < end:
        assert watch.firing() == set()
        time.sleep(2)
    assert watch.value("up") == 1.0
    served = json.loads(SERVED.read_text())
    live = set(watch.ask("label/__name__/values"))
    wanted = {metric for rule in rules() for metric in asked(rule["expr"])} - records().keys() - {"up"}
    born_by_faults = {
        "karpenter_cloudprovider_instance_launch_failures_total",
        "karpenter_nodeclaims_terminated_total",
        "karpenter_pods_unbound_time_seconds",
        "operator_nodeclaim_termination_current_time_seconds",
    }
    assert wanted - born_by_faults <= live
    for job, metrics in served.items():
        for metric in wanted & metrics.keys() & live:
            row = watch.ask(f"series?match[]={metric}")[0]
            assert set(row) - {"__name__", "job", "instance", "le"} <= set(metrics[metric]) | {"le"}, (job, metric)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_makes_its_alert_fire_and_no_other(
    lab: Lab, watch: Watch, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    assert watch.silent(60)
    begun = time.monotonic()
    with fault.seed(lab):
        watch.fires(fault.alert, fault.seconds)
        took = time.monotonic() - begun
        others = watch.firing() - {fault.alert}
    record_property("seconds to fire", round(took, 1))
    print(f"{fault.alert}: {took:.0f} s in the lab, of which {fault.name} and the rules' own wait")
    assert others <= fault.also


def test_every_fault_is_of_an_alert_that_there_is() -> None:
    assert {fault.alert for fault in FAULTS} | {name for fault in FAULTS for name in fault.also} <= NAMES
    assert all(re.fullmatch(r"[A-Z]\w+", fault.alert) for fault in FAULTS)
