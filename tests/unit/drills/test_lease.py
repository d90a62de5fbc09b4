"""The lease of drills: one at a time, what it changes written down first, and all of it taken back, whoever died."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from drills import holding, lease, patience, undo
from drills.holding import LeaseHeld, NotRestored, acquire, held, put_back
from drills.kubernetes_api import Object
from tests.unit.drills.cluster import DEAD, DEPLOYMENT, Cluster, cluster
from tests.unit.drills.kubernetes_front import Answer

WINDOW = {
    "kind": "deny",
    "schedule": "1 12 23 11 *",
    "duration": "600s",
    "applications": ["*"],
    "manualSync": True,
    "description": "ours",
}
THEIRS = {"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "applications": ["*"]}
SCALED = undo.scaled(DEPLOYMENT, 1, 50)
SUSPENDED = undo.suspended("argocd", "platform", WINDOW)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(lease, "DURATION_SECONDS", 0.3)
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(patience, "AGAIN_SECONDS", 0.02)
    with cluster() as one:
        yield one


def drilling(there: Cluster, *, seconds: float = 60.0) -> holding.Hold:
    return acquire(there.target, there.api, drill="stress", why="a test", seconds=seconds, tell=there.told.append)


def change(there: Cluster, hold: holding.Hold) -> None:
    """What a stress drill changes."""
    hold.will(SUSPENDED)
    undo.change_windows(there.api, SUSPENDED.given["path"], lambda windows: [*windows, WINDOW])
    hold.will(SCALED)
    there.api.merge(f"{DEPLOYMENT}/scale", {"spec": {"replicas": 50}})


def die(there: Cluster, hold: holding.Hold, holder: str = "") -> None:
    """The holder is gone without a word, and everything that it changed stays."""
    hold._ended.set()
    hold._renewing.join()
    there.held_by(holder or f"ada@{socket.gethostname()}/{DEAD}")


def restored(there: Cluster) -> None:
    assert there.replicas == 1
    assert there.windows == []
    assert there.lease is None


def test_a_drill_takes_its_changes_back_in_reverse_order_and_gives_the_lease_up(there: Cluster) -> None:
    with held(there.target, there.api, drill="stress", why="", seconds=60, tell=there.told.append) as hold:
        change(there, hold)
        assert there.replicas == 50
        assert there.windows == [WINDOW]
    restored(there)
    back = [line for line in there.told if line.startswith("taken back")]
    assert [("scaled" in line, "suspended" in line) for line in back] == [(True, False), (False, True)]


def test_a_change_is_in_the_lease_before_it_is_made(there: Cluster) -> None:
    with held(there.target, there.api, drill="stress", why="", seconds=60, tell=there.told.append) as hold:
        change(there, hold)
    kinds = ["lease" if "leases" in path else path.rpartition("/")[2] for _, path, _ in there.front.writes]
    for step, made in (("AppProject platform", "platform"), ("frontend scaled", "scale")):
        written = next(n for n, one in enumerate(there.front.writes) if step in str(one[2]) and kinds[n] == "lease")
        assert written < kinds.index(made)


def test_a_change_that_cannot_be_written_down_is_not_made(there: Cluster) -> None:
    hold = drilling(there)
    there.front.meddle = lambda verb, _path, _body: (403, {"message": "no"}) if verb == "PUT" else None
    with pytest.raises(Exception, match="no"):
        change(there, hold)
    assert there.windows == []
    there.front.meddle = lambda *_: None
    hold.restore()


def test_the_lease_says_who_why_and_until_when(there: Cluster) -> None:
    hold = drilling(there, seconds=90)
    found = there.lease
    assert found is not None
    assert (found.drill, found.why, found.steps) == ("stress", "a test", ())
    assert found.holder.endswith(f"@{socket.gethostname()}/{os.getpid()}")
    assert (found.until - found.since).total_seconds() == 90
    hold.restore()


def test_a_second_drill_is_refused_while_the_holder_lives(there: Cluster) -> None:
    hold = drilling(there)
    with pytest.raises(LeaseHeld, match=r"drill stress of .* \(a test\).*resume --stack lab --force"):
        drilling(there)
    assert there.lease is not None
    hold.restore()


def test_a_holder_elsewhere_that_renews_is_alive_and_its_changes_are_left(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    die(there, hold, "ada@elsewhere/1")
    stop = threading.Event()

    def renewing() -> None:
        while not stop.wait(0.05):
            there.held_by("ada@elsewhere/1")

    renewed = threading.Thread(target=renewing)
    renewed.start()
    with pytest.raises(LeaseHeld, match="ada@elsewhere/1"):
        drilling(there)
    stop.set()
    renewed.join()
    assert (there.replicas, there.windows) == (50, [WINDOW])


@pytest.mark.parametrize("holder", ["", "ada@elsewhere/1"], ids=["dead on this machine", "silent on another"])
def test_what_a_dead_holder_left_is_put_back_before_the_next_drill_begins(there: Cluster, holder: str) -> None:
    before = drilling(there)
    change(there, before)
    die(there, before, holder)
    hold = drilling(there)
    assert there.replicas == 1
    assert there.windows == []
    found = there.lease
    assert found is not None
    assert found.steps == ()
    assert any("putting back what was left by drill stress" in line for line in there.told)
    hold.restore()
    restored(there)


def test_what_was_written_down_and_never_made_is_taken_back_as_nothing(there: Cluster) -> None:
    before = drilling(there)
    before.will(SUSPENDED)
    before.will(SCALED)
    die(there, before)
    left = there.lease
    assert left is not None
    told = put_back(there.target, there.api, left, there.told.append)
    assert told == [f"{SCALED.what}: has 1 replicas", f"{SUSPENDED.what}: is not suspended"]
    restored(there)


def test_of_two_that_begin_at_once_one_is_refused(there: Cluster) -> None:
    def faster(verb: str, path: str, body: Object) -> Answer | None:
        if verb == "POST" and "leases" in path:
            there.front.meddle = lambda *_: None
            there.front.write(verb, path, body)
            there.held_by("grace@elsewhere/7")
        return None

    there.front.meddle = faster
    with pytest.raises(LeaseHeld, match="grace@elsewhere/7"):
        drilling(there)


def test_of_two_that_put_back_at_once_one_is_refused(there: Cluster) -> None:
    before = drilling(there)
    change(there, before)
    die(there, before)
    left = there.lease
    assert left is not None
    there.held_by("grace@elsewhere/7")
    with pytest.raises(LeaseHeld, match="grace@elsewhere/7"):
        put_back(there.target, there.api, left, there.told.append, force=True)
    assert there.replicas == 50


def test_a_lease_that_was_taken_over_is_lost_and_nothing_is_touched_any_more(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.held_by("grace@elsewhere/7")
    assert hold.lost.wait(5)
    with pytest.raises(LeaseHeld, match="taken over: drill stress of grace@elsewhere/7"):
        hold.will(SCALED)
    with pytest.raises(NotRestored, match=r"grace@elsewhere/7.*It puts back what is left: frontend scaled"):
        hold.restore(patience=0.2)
    assert (there.replicas, there.windows) == (50, [WINDOW])
    assert there.lease is not None


def test_a_write_whose_answer_was_lost_is_found_to_be_our_own(there: Cluster) -> None:
    hold = drilling(there)
    lost = threading.Event()

    def hang_up(verb: str, path: str, body: Object) -> Answer | None:
        if verb == "PUT" and not lost.is_set():
            lost.set()
            there.front.meddle = lambda *_: None
            there.front.write(verb, path, body)
            return (0, {})
        return None

    there.front.meddle = hang_up
    assert lost.wait(5)
    time.sleep(0.3)
    assert not hold.lost.is_set()
    hold.restore()
    restored(there)


def test_a_lost_connection_while_restoring_is_tried_again(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    left = [0, 500, 429, 0, 503]

    def broken(_verb: str, path: str, _body: Object) -> Answer | None:
        return (left.pop(), {"message": "later"}) if left and path.endswith("scale") else None

    there.front.meddle = broken
    hold.restore(patience=10)
    assert left == []
    assert any("frontend scaled from 1 to 50: no answer (503 later), trying again for" in one for one in there.told)
    restored(there)


def test_what_cannot_be_restored_is_said_with_its_end_and_stays_in_the_lease(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.front.meddle = lambda *_: (0, {})
    with pytest.raises(NotRestored) as told:
        hold.restore(patience=0.2)
    assert "not taken back: frontend scaled from 1 to 50; automatic sync of AppProject platform suspended" in str(
        told.value
    )
    assert "Run `otel-on-spot resume --stack lab`" in str(told.value)
    assert f"a suspension ends by itself at {hold.record.until:%H:%M:%S} UTC" in str(told.value)
    there.front.meddle = lambda *_: None
    left = there.lease
    assert left is not None
    assert [one.kind for one in left.steps] == ["window", "scale"]
    put_back(there.target, there.api, left, there.told.append, force=True)
    restored(there)


def test_a_refused_step_does_not_keep_the_others_from_being_taken_back(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.front.meddle = lambda _verb, path, _body: (403, {"message": "scale: no"}) if path.endswith("scale") else None
    with pytest.raises(NotRestored, match=r"not taken back: frontend scaled from 1 to 50\. Reason: 403 scale: no"):
        hold.restore(patience=5)
    assert there.windows == []
    left = there.lease
    assert left is not None
    assert [one.kind for one in left.steps] == ["scale"]


def test_ctrl_c_waits_until_everything_is_taken_back(there: Cluster) -> None:
    pressed: list[int] = []

    def press(_verb: str, path: str, _body: Object) -> Answer | None:
        if path.endswith("scale") and there.replicas == 50 and not pressed:
            pressed.append(1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
        return None

    def ctrl_c() -> None:
        with held(there.target, there.api, drill="stress", why="", seconds=60, tell=there.told.append) as hold:
            change(there, hold)
            there.front.meddle = press
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ctrl_c()
    assert pressed
    restored(there)
    assert sum("a moment" in line for line in there.told) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_terminal_that_is_gone_does_not_keep_anything_from_being_taken_back(there: Cluster) -> None:
    gone = threading.Event()

    def tell(line: str) -> None:
        there.told.append(line)
        if gone.is_set():
            raise BrokenPipeError

    with held(there.target, there.api, drill="stress", why="", seconds=60, tell=tell) as hold:
        change(there, hold)
        gone.set()
    restored(there)


def test_other_peoples_windows_are_untouched(there: Cluster) -> None:
    there.front.one("AppProject", "platform")["spec"]["syncWindows"] = [THEIRS]
    with held(there.target, there.api, drill="stress", why="", seconds=60, tell=there.told.append) as hold:
        change(there, hold)
        assert there.windows == [THEIRS, WINDOW]
    assert there.windows == [THEIRS]


def test_somebody_who_adds_a_window_meanwhile_keeps_it(there: Cluster) -> None:
    def faster(_verb: str, path: str, _body: Object) -> Answer | None:
        if path.endswith("platform"):
            there.front.meddle = lambda *_: None
            project = there.front.one("AppProject", "platform")
            project["spec"].setdefault("syncWindows", []).append(THEIRS)
            project["metadata"]["resourceVersion"] += "x"
        return None

    with held(there.target, there.api, drill="stress", why="", seconds=60, tell=there.told.append) as hold:
        there.front.meddle = faster
        change(there, hold)
        assert there.windows == [THEIRS, WINDOW]
    assert there.windows == [THEIRS]


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (WINDOW, True),
        ({key: value for key, value in WINDOW.items() if key != "description"}, True),
        ({**WINDOW, "description": "theirs"}, False),
        ({**WINDOW, "timeZone": "Europe/Rome"}, False),
        (THEIRS, False),
        ({}, False),
    ],
)
def test_a_window_is_ours_though_an_older_argo_cd_dropped_a_field(found: dict[str, Any], ours: bool) -> None:
    assert undo.same(found, WINDOW) is ours
