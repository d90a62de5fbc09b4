"""Polls and retries end in time, and not before the last try."""

import threading
from collections.abc import Iterator

import pytest

from otel_on_spot.waiting import Deadline, retry, wait_until


def test_a_poll_ends_with_the_first_true_result() -> None:
    results: Iterator[str] = iter(("", "", "ready"))
    assert wait_until(lambda: next(results), 5, every=0.001) == "ready"


def test_a_poll_gives_the_last_result_when_time_is_up() -> None:
    calls: list[int] = []
    assert wait_until(lambda: calls.append(1), Deadline(0.01), every=0.002) is None
    assert len(calls) > 1


def test_a_poll_without_time_asks_once() -> None:
    assert wait_until(lambda: "now", 0) == "now"


def test_a_cancellation_ends_a_long_wait() -> None:
    cancelled = threading.Event()
    threading.Timer(0.01, cancelled.set).start()
    deadline = Deadline(60, cancelled)
    assert not wait_until(lambda: False, deadline, every=30)
    assert deadline.elapsed < 10


def test_what_may_pass_is_tried_again_and_reported() -> None:
    failures: list[Exception] = []

    def action() -> str:
        if len(failures) < 2:
            raise OSError("no answer")
        return "done"

    assert (
        retry(action, 5, passing=lambda problem: isinstance(problem, OSError), failed=failures.append, every=0.001)
        == "done"
    )
    assert [str(failure) for failure in failures] == ["no answer", "no answer"]


@pytest.mark.parametrize(("seconds", "passes"), [(0, True), (5, False)], ids=["time is up", "does not pass"])
def test_the_last_failure_is_raised(seconds: float, passes: bool) -> None:
    def action() -> None:
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        retry(action, seconds, passing=lambda _: passes, every=0.001)
