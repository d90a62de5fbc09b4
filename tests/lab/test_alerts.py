"""Alerts on the real platform: silent where it is healthy; each fault that is put in fires its own, and no other.

Time in the rules runs faster (``watching.FASTER``); thresholds that are no times are as they are shipped.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.lab.faults_alerts import ROUNDS, Fault
from tests.lab.running import Lab, SharedLab
from tests.lab.watching import FASTER, Watch, watching
from tests.promql import asked
from tests.unit.alerts.rules import SERVED, alerts, records, rules

HEALTHY_SECONDS = 1800 / FASTER
FIRES_SECONDS = 150.0
"""Until an alert fires; the longest is a minute until the last message is an hour old, and what follows."""
NAMES = {alert.name for alert in alerts()}


@pytest.fixture(scope="module")
def prometheus(shared: SharedLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """One for all tests: what it saw before is what counters are counted from."""
    with watching(shared.ready(), tmp_path_factory.mktemp("prometheus")) as watch:
        yield watch


@pytest.fixture
def watch(lab: Lab, prometheus: Watch) -> Watch:
    assert prometheus.silent(90), prometheus.rows()
    return prometheus


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


class Seeded:
    """A fault in the lab, from its seed on, until all of its alerts have fired.

    Args:
        lab: where to.
        fault: what to put in.
        ends: takes it out where the test ends before.
        taking_out: does so meanwhile: what waits for the platform must not keep the test from looking.
    """

    def __init__(self, lab: Lab, fault: Fault, ends: ExitStack, taking_out: ThreadPoolExecutor) -> None:
        self.fault = fault
        self.taken_out: Future[None] | None = None
        self.seconds: dict[str, float] = {}
        self._begun = time.monotonic()
        self._taking_out = taking_out
        self._own = ends.enter_context(ExitStack())
        self._own.enter_context(fault.seed(lab))

    @property
    def waits_for(self) -> set[str]:
        """Alerts of it that have not fired yet."""
        return self.fault.fires.keys() - self.seconds.keys()

    def look(self, firing: list[dict[str, str]]) -> None:
        """Note what has begun to fire; once all does, take the fault out: it disturbs the others no longer."""
        if not self.waits_for:
            return
        for name in self.waits_for:
            wanted = self.fault.fires[name].items() | {("alertname", name)}
            if any(wanted <= labels.items() for labels in firing):
                self.seconds[name] = time.monotonic() - self._begun
        if not self.waits_for:
            self.taken_out = self._taking_out.submit(self._own.pop_all().close)


@pytest.mark.parametrize("name", ROUNDS)
def test_faults_side_by_side_make_their_alerts_fire_and_no_other(
    lab: Lab, watch: Watch, name: str, record_property: Callable[[str, object], None]
) -> None:
    faults = ROUNDS[name]
    allowed = {alert for fault in faults for alert in fault.fires.keys() | fault.also}
    assert watch.knows()
    with ThreadPoolExecutor(len(faults)) as taking_out, ExitStack() as ends:
        seeded = [Seeded(lab, fault, ends, taking_out) for fault in faults]
        deadline = time.monotonic() + FIRES_SECONDS
        while waited := {alert for each in seeded for alert in each.waits_for}:
            assert time.monotonic() < deadline, f"{sorted(waited)} not within {FIRES_SECONDS:g} s: {watch.rows()}"
            firing = watch.rows()
            assert [row for row in firing if row["alertname"] not in allowed] == []
            for each in seeded:
                each.look(firing)
            time.sleep(1.0)
    for each in seeded:
        assert each.taken_out is not None
        each.taken_out.result()
        for alert, seconds in each.seconds.items():
            record_property(f"seconds until {alert}", round(seconds, 1))
            print(f"{each.fault.name}: {alert} after {seconds:.0f} s")


def test_every_alert_of_a_fault_is_one_that_there_is() -> None:
    faults = [fault for faults in ROUNDS.values() for fault in faults]
    assert {name for fault in faults for name in fault.fires.keys() | fault.also} <= NAMES
