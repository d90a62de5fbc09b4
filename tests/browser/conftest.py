"""One browser for all pages that come from files; the charts of the tests beside."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, Page, running, why_no_browser
from tests.charts.conftest import demo, known_demo, shell, wrapper

__all__ = ["demo", "known_demo", "shell", "wrapper"]


@pytest.fixture(scope="session", autouse=True)
def _needs_a_browser() -> None:
    if why := why_no_browser():
        pytest.skip(why)


@pytest.fixture(scope="session")
def browser(_needs_a_browser: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that reaches nothing but this machine."""
    with running(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="session")
def page(browser: Browser) -> Iterator[Page]:
    """One tab for all: a new one is a new process."""
    with browser.page() as opened:
        yield opened
