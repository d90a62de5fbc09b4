"""What it costs to decide every call: lives in turns, and a row of medians."""

import pytest

from bench.judging import Deciding, Life, row, turns


def test_lives_take_turns_and_the_first_of_each_is_not_counted() -> None:
    lived: list[str | None] = []

    def live(who: str | None) -> Life:
        lived.append(who)
        return Life(cpu_seconds=float(len(lived)), calls=4, deciding=0.002)

    found = turns(2, "up", live)
    assert lived == [None, "up"] * 3
    assert {who: [life.cpu_seconds for life in lives] for who, lives in found.items()} == {None: [3, 5], "up": [4, 6]}


def test_a_row_has_medians_the_difference_and_the_milliseconds_of_a_call() -> None:
    plain = [Life(seconds, 0, 0.0) for seconds in (2.0, 9.0, 1.0)]
    decided = [Life(seconds, 400, deciding) for seconds, deciding in ((2.1, 0.2), (2.0, 0.1), (9.0, 0.4))]
    assert row("dev", plain, decided) == ("dev", "400", "2.00", "2.10", "5.0%", "0.50")


def test_the_time_of_every_thread_is_added_up_also_where_a_call_is_refused() -> None:
    deciding = Deciding()

    def refuse(count: int) -> None:
        sum(range(count))
        raise PermissionError

    for _ in range(2):
        before = deciding.seconds
        with pytest.raises(PermissionError):
            deciding.around(refuse)(200_000)
        assert deciding.seconds > before
