"""One lab for the whole run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.running import Lab, why_no_lab

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    why = why_no_lab() if ours else ""
    for item in ours:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    kept = os.environ.get("LAB_HOME")
    """A folder of a lab to use and to leave running, for whoever writes tests; it is started there if it does not run."""
    running = Lab(Path(kept) if kept else tmp_path_factory.mktemp("state"))
    try:
        found = running.up(boot_seconds=2.0, timeout_seconds=300.0)
        assert found["waits_for"] == [], "\n".join([*running.log_lines, *found["waits_for"]])
        yield running
    finally:
        if not kept:
            running.down()
