"""Taking back what a drill changed: past lost answers, refusals, Ctrl-C, a closed terminal; nobody else's things."""

import os
import signal
import threading
import time
from typing import Any

import pytest

from otel_on_spot.drills import undo
from otel_on_spot.drills.lease import NotRestoredError, hold_lease, put_back
from otel_on_spot.kubernetes.client import Object
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.drilled import THEIRS, WINDOW, change, drilling, restored
from tests.unit.drills.kubernetes_front import Answer


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
    hold.restore(timeout=10)
    assert left == []
    assert any("frontend scaled from 1 to 50: no answer (503 later), trying again for" in line for line in there.told)
    restored(there)


def test_what_cannot_be_restored_is_said_with_its_end_and_stays_in_the_lease(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.front.meddle = lambda *_: (0, {})
    with pytest.raises(NotRestoredError) as told:
        hold.restore(timeout=0.2)
    assert "not taken back: frontend scaled from 1 to 50; automatic sync of AppProject platform suspended" in str(
        told.value
    )
    assert "Run `otel-on-spot drill restore --stack lab`" in str(told.value)
    assert f"a suspension ends by itself at {hold.written.until:%H:%M:%S} UTC" in str(told.value)
    there.front.meddle = lambda *_: None
    left = there.lease
    assert left is not None
    assert [step.kind for step in left.steps] == ["window", "scale"]
    put_back(there.target, there.api, left, there.told.append, force=True)
    restored(there)


def test_a_refused_step_does_not_keep_the_others_from_being_taken_back(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.front.meddle = lambda _verb, path, _body: (403, {"message": "scale: no"}) if path.endswith("scale") else None
    with pytest.raises(NotRestoredError, match=r"not taken back: frontend scaled from 1 to 50\. Reason: 403 scale: no"):
        hold.restore(timeout=5)
    assert there.windows == []
    left = there.lease
    assert left is not None
    assert [step.kind for step in left.steps] == ["scale"]


def test_ctrl_c_waits_until_everything_is_taken_back(there: Cluster) -> None:
    pressed: list[int] = []

    def press(_verb: str, path: str, _body: Object) -> Answer | None:
        if path.endswith("scale") and there.replicas == 50 and not pressed:
            pressed.append(1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
        return None

    def ctrl_c() -> None:
        with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=there.told.append) as hold:
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

    with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=tell) as hold:
        change(there, hold)
        gone.set()
    restored(there)


def test_other_peoples_windows_are_untouched(there: Cluster) -> None:
    there.front.find("AppProject", "platform")["spec"]["syncWindows"] = [THEIRS]
    with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=there.told.append) as hold:
        change(there, hold)
        assert there.windows == [THEIRS, WINDOW]
    assert there.windows == [THEIRS]


def test_somebody_who_adds_a_window_meanwhile_keeps_it(there: Cluster) -> None:
    def faster(_verb: str, path: str, _body: Object) -> Answer | None:
        if path.endswith("platform"):
            there.front.meddle = lambda *_: None
            project = there.front.find("AppProject", "platform")
            project["spec"].setdefault("syncWindows", []).append(THEIRS)
            project["metadata"]["resourceVersion"] += "x"
        return None

    with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=there.told.append) as hold:
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
    assert undo.is_same(found, WINDOW) is ours
