"""Alerts on the real platform: silent where it is healthy; each fault that is put in fires its own, and no other.

Time in the rules runs faster (``watching.FASTER``); thresholds that are no times are as they are shipped.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from otel_on_spot.waiting import wait_until
from tests.lab.faults_alerts import ROUNDS, Fault
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, SharedLab, until
from tests.lab.watching import FASTER, PORT, Watch, watching
from tests.promql import asked
from tests.unit.alerts.rules import SERVED, alerts, records, rules

HEALTHY_SECONDS = 1800 / FASTER
FIRES_SECONDS = 240.0
"""Until an alert fires; the longest is a sync of the whole demo, the tries of its hook, and what follows."""
NAMES = {alert.name for alert in alerts()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Lab], Watch]]:
    """One for all tests, for counters are counted from what it saw before; another where the lab was made anew."""
    watches: list[Watch] = []
    with ExitStack() as ends:

        def watch_of(lab: Lab) -> Watch:
            if not watches or watches[-1].ask("alerts") is None:
                watches.append(ends.enter_context(watching(lab, tmp_path_factory.mktemp("prometheus"))))
            return watches[-1]

        yield watch_of


@pytest.fixture
def watch(lab: Lab, prometheus: Callable[[Lab], Watch]) -> Watch:
    lab.forget_refusals(wait=True)  # the faults launch nodes; the rules look at Karpenter's counters
    found = prometheus(lab)
    found.judge()  # what a failed test hurried would fire still
    assert found.silent(90), found.rows()
    return found


def test_a_healthy_lab_fires_nothing_for_half_an_hour_and_serves_what_the_rules_ask_for(lab: Lab, watch: Watch) -> None:
    """Half an hour of the rules' time; and the list of metrics that the unit tests judge by is what is served."""
    end = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < end:
        assert watch.firing() == set()
        time.sleep(2)
    assert watch.heartbeat()
    assert watch.value("up") == 1.0
    # 616 when the lab was measured; 3,400 with the buckets and the inner works that the scrape drops.
    assert 300 < watch.value('count({job=~"karpenter|argocd-application-controller"})') < 1000
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
    watch.judge(*(alert for fault in faults for alert in fault.fires))
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
    watch.judge()
    for each in seeded:
        assert each.taken_out is not None
        each.taken_out.result()
        for alert, seconds in each.seconds.items():
            record_property(f"seconds until {alert}", round(seconds, 1))
            print(f"{each.fault.name}: {alert} after {seconds:.0f} s")


def test_an_end_of_support_that_comes_near_is_told(
    lab: Lab, watch: Watch, record_property: Callable[[str, object], None]
) -> None:
    """The lab's API server tells its minor by the real Argo CD; what comes near is a date in the rules' calendar."""
    begun = time.monotonic()
    watch.judge("ExtendedSupportNear", supported=30)
    try:
        until("it fires", lambda: "ExtendedSupportNear" in watch.firing(), FIRES_SECONDS)
        seconds = time.monotonic() - begun
        assert [row["minor"] for row in watch.rows()] == [lab.stack.kubernetes_version]
    finally:
        watch.judge()
    record_property("seconds until ExtendedSupportNear", round(seconds, 1))
    print(f"support ends in 30 days: ExtendedSupportNear after {seconds:.0f} s")


DRILLS: dict[str, tuple[str, ...]] = {
    "node-join": ("--timeout", "90"),
    "drift": (),
    "spot-interruption": ("--timeout", "120"),
    "stress": ("--replicas", "20", "--hold", "20", "--why", "a look", "--max-wait", "120"),
    "drought": ("--narrow", "--replicas", "60", "--within", "60", "--max-wait", "150", "--max-return", "0"),
    "spot-storm": ("--all", "--timeout", "150"),
}
"""Drills with their options. Of the droughts the one that narrows the pool: the others are true, and are told."""
DRILLED_FASTER = 5
"""How much faster time runs in every rule beside the drills, which take the time that they take."""


def test_half_an_hour_of_drills_makes_no_alert_fire(
    shared: SharedLab, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Half an hour of the rules' time: each drill, and the platform at rest for what is left of it."""
    lab = shared.ready()
    with watching(lab, tmp_path, DRILLED_FASTER, PORT + 1) as watch, ThreadPoolExecutor(1) as beside:
        assert wait_until(lambda: watch.value("count(up == 1)") == 2.0, 60)
        end, fired, looks = time.monotonic() + 1800 / DRILLED_FASTER, list[str](), 0
        for name, options in [*DRILLS.items(), ("rest", ())]:
            begun = time.monotonic()
            drill = beside.submit(rehearse, lab, tmp_path, name, *options, seconds=300) if name in DRILLS else None
            while not drill.done() if drill else time.monotonic() < end:
                fired += [f"{row['alertname']} in {name}" for row in watch.rows()]
                looks += 1
                time.sleep(2)
            if drill:
                told = drill.result()
                assert told.code == 0, told.told
            record_property(f"seconds of {name}", round(time.monotonic() - begun))
            print(f"{name}: {time.monotonic() - begun:.0f} s")
        assert watch.heartbeat()
        record_property("looks", looks)
        assert fired == []


def test_every_alert_is_shown_in_the_lab() -> None:
    faults = [fault for faults in ROUNDS.values() for fault in faults]
    shown = {name for fault in faults for name in fault.fires}
    assert shown | {"ExtendedSupportNear", "Watchdog"} == NAMES
    assert {name for fault in faults for name in fault.also} <= NAMES
