"""``make engine-faults``: every step of dev's update and destroy, killed before and after the cloud did it, and refused.

Not part of ``make test``, which takes a spread of them (test_faults.py).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simcloud import graph
from simcloud.cloud import Cloud
from simcloud.inventory import shape
from tests.engine.fault_steps import killed_at_each, refused_at_each, steps_of
from tests.engine.workbench import REGION, Workbench, workbench

Shape = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        yield bench


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return steps_of("dev")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Shape:
    with Cloud(tmp_path_factory.mktemp("undisturbed"), patience=30) as cloud:
        graph.apply("dev", cloud)
        return shape(cloud, REGION)


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def say(line: str) -> None:
        with capfd.disabled():
            print(line, flush=True)

    return say


WAYS = [
    (killed_at_each, "after"),
    (killed_at_each, "before"),
    (refused_at_each, "after"),
    (refused_at_each, "before"),
]


@pytest.mark.parametrize(("strike", "stage"), WAYS, ids=[f"{way.__name__}-{stage}" for way, stage in WAYS])
def test_every_step_of_an_update_and_of_a_destroy(
    bench: Workbench,
    steps: list[str],
    undisturbed: Shape,
    tell: Callable[[str], None],
    strike: Callable[..., int],
    stage: str,
) -> None:
    tell("")
    rounds = strike(bench, "create", stage, steps, tell)
    bench.up()
    bench.expect_no_changes()
    assert shape(bench.cloud, REGION) == undisturbed
    rounds += strike(bench, "delete", stage, steps, tell)
    bench.destroy()
    assert bench.left() == []
    tell(f"{2 * len(steps)} steps in {rounds} runs")
