"""Stacks that the real engine built once; the tests ask of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.availability import why_no_engine
from tests.engine.workbench import Workbench, workbench

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    why = why_no_engine() if ours else ""
    for item in ours:
        item.add_marker(pytest.mark.engine)
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    """A stack of dev of which nothing is made yet."""
    with workbench(folder, "dev", stand_in=True) as bench:
        yield bench
