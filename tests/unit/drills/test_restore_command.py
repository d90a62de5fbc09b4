"""``drill restore`` from the command line: what it prints, and how it ends."""

import pytest
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.drills import drill
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.drilled import WINDOW, change, die, drilling, restored


@pytest.fixture
def reached(there: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(drill, "reach", lambda *_: (there.target, there.api))
    return there


def restore(*options: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["drill", "restore", "--stack", "lab", *options])
    return ended.exit_code, ended.output


def test_where_nothing_is_left_it_says_so(reached: Cluster) -> None:
    assert restore() == (0, "no drill has left anything\n")


def test_it_says_what_it_put_back_each_thing_once(reached: Cluster) -> None:
    hold = drilling(reached)
    change(reached, hold)
    die(reached, hold)
    code, told = restore()
    assert code == 0
    assert told.count("scaled from 50 to 1") == 1
    assert told.endswith("nothing is left\n")
    restored(reached)


def test_a_drill_under_way_is_left_alone_unless_forced(reached: Cluster) -> None:
    hold = drilling(reached)
    change(reached, hold)
    code, told = restore()
    assert code == 2
    assert "a drill is under way: drill stress" in told
    assert reached.windows == [WINDOW]
    hold._ended.set()
    hold._renewing.join()
    assert restore("--force")[0] == 0
    restored(reached)


def test_what_cannot_be_put_back_ends_with_1(reached: Cluster) -> None:
    hold = drilling(reached)
    change(reached, hold)
    die(reached, hold)
    reached.front.meddle = lambda _verb, path, _body: (403, {"message": "no"}) if path.endswith("scale") else None
    code, told = restore()
    assert code == 1
    assert "error: not taken back: frontend scaled from 1 to 50. Reason: 403 no." in told


def test_the_old_name_does_the_same_says_the_new_one_and_is_in_no_help(reached: Cluster) -> None:
    ended = CliRunner().invoke(app, ["resume", "--stack", "lab"])
    assert (ended.exit_code, ended.stdout) == (0, "no drill has left anything\n")
    assert ended.stderr == "`resume` is now called `drill restore`\n"
    assert "resume" not in CliRunner().invoke(app, ["--help"]).output
