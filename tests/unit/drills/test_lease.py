"""The lease of drills: one at a time, what it changes written down first, and all of it taken back, whoever died."""

import os
import socket
import threading

import pytest

from otel_on_spot.drills.lease import LeaseHeldError, NotRestoredError, hold_lease, put_back
from otel_on_spot.kubernetes.client import Object
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.drilled import SCALED, SUSPENDED, WINDOW, change, die, drilling, restored
from tests.unit.drills.kubernetes_front import Answer


def test_a_drill_takes_its_changes_back_in_reverse_order_and_gives_the_lease_up(there: Cluster) -> None:
    with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=there.told.append) as hold:
        change(there, hold)
        assert there.replicas == 50
        assert there.windows == [WINDOW]
    restored(there)
    back = [line for line in there.told if line.startswith("taken back")]
    assert [("scaled" in line, "suspended" in line) for line in back] == [(True, False), (False, True)]


def test_a_change_is_in_the_lease_before_it_is_made(there: Cluster) -> None:
    with hold_lease(there.target, there.api, drill="stress", why="", seconds=60, log=there.told.append) as hold:
        change(there, hold)
    kinds = ["lease" if "leases" in path else path.rpartition("/")[2] for _, path, _ in there.front.writes]
    for step, made in (("AppProject platform", "platform"), ("frontend scaled", "scale")):
        written = next(n for n, write in enumerate(there.front.writes) if step in str(write[2]) and kinds[n] == "lease")
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
    with pytest.raises(LeaseHeldError, match=r"drill stress of .* \(a test\).*drill restore --stack lab --force"):
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
    with pytest.raises(LeaseHeldError, match="ada@elsewhere/1"):
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
    before.record_undo(SUSPENDED)
    before.record_undo(SCALED)
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
    with pytest.raises(LeaseHeldError, match="grace@elsewhere/7"):
        drilling(there)


def test_of_two_that_put_back_at_once_one_is_refused(there: Cluster) -> None:
    before = drilling(there)
    change(there, before)
    die(there, before)
    left = there.lease
    assert left is not None
    there.held_by("grace@elsewhere/7")
    with pytest.raises(LeaseHeldError, match="grace@elsewhere/7"):
        put_back(there.target, there.api, left, there.told.append, force=True)
    assert there.replicas == 50


def test_a_lease_that_was_taken_over_is_lost_and_nothing_is_touched_any_more(there: Cluster) -> None:
    hold = drilling(there)
    change(there, hold)
    there.held_by("grace@elsewhere/7")
    assert hold.lost.wait(5)
    with pytest.raises(LeaseHeldError, match="taken over: drill stress of grace@elsewhere/7"):
        hold.record_undo(SCALED)
    with pytest.raises(NotRestoredError, match=r"grace@elsewhere/7.*It puts back what is left: frontend scaled"):
        hold.restore(timeout=0.2)
    assert (there.replicas, there.windows) == (50, [WINDOW])
    assert there.lease is not None
