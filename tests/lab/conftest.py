"""One lab for the whole run: each test gets it healthy and clean, whatever the test before did to it."""

import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.lab.running import Lab, SharedLab, why_no_lab

HERE = Path(__file__).parent
SHARED = pytest.StashKey[SharedLab]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle-files", metavar="SEED", help="run the lab's files in random order, by this seed; 0 draws one"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    given = config.getoption("--shuffle-files")
    if given is None:
        return None
    config.option.shuffle_files = int(given) or random.randrange(1, 10**6)
    return f"the lab's files in random order: --shuffle-files {config.option.shuffle_files}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    why = why_no_lab() if ours else ""
    for item in ours:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
    seed = config.getoption("--shuffle-files")
    if seed is not None:
        files = sorted({item.path for item in ours})
        random.Random(int(seed)).shuffle(files)
        ours.sort(key=lambda item: files.index(item.path))
        items[:] = [item for item in items if HERE not in item.path.parents] + ours


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    shared = item.config.stash.get(SHARED, None)
    if report.failed and shared is not None:
        shared.suspect = True
    return report


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedLab]:
    kept = os.environ.get("LAB_HOME")
    """A folder of a lab to use and to leave running, for whoever writes tests.

    It is started there if it does not run.
    """
    running = SharedLab(Lab(Path(kept) if kept else tmp_path_factory.mktemp("state")))
    request.config.stash[SHARED] = running
    yield running
    if not kept:
        running.lab.down()


@pytest.fixture
def no_capacity(lab: Lab) -> Iterator[None]:
    with lab.short_of("*"):
        yield


@pytest.fixture
def lab(shared: SharedLab) -> Lab:
    """The lab that all tests share: up, healthy and clean."""
    return shared.ready()
