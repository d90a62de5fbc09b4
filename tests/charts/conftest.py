"""Finds the demo chart once, says what was found, and gives the tests the wrapper chart built on it."""

import tempfile
from pathlib import Path

import pytest

from tests.charts import helm
from tests.charts.demo_chart import ENVIRONMENTS, DemoChart, DemoChartError, Wrapper, find

HERE = "tests/charts/"
DEMO = pytest.StashKey[DemoChart]()


def found(config: pytest.Config) -> DemoChart:
    if DEMO not in config.stash:
        try:
            cache = getattr(config, "cache", None)  # absent under -p no:cacheprovider
            config.stash[DEMO] = find(cache.mkdir("demo-chart") if cache else Path(tempfile.mkdtemp()))
        except DemoChartError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[DEMO]


def pytest_configure(config: pytest.Config) -> None:
    found(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    results = {
        outcome: [report for report in terminalreporter.stats.get(outcome, []) if report.nodeid.startswith(HERE)]
        for outcome in ("passed", "failed", "error", "skipped")
    }
    if not any(results.values()):
        return
    demo = found(config)
    terminalreporter.section("charts")
    terminalreporter.line(f"demo chart: {demo.how}")
    terminalreporter.line(f"rendered by: {helm.engine()}")
    if demo.source != "real":
        terminalreporter.line(
            f"{len(results['skipped'])} tests skipped: give the unpacked chart in DEMO_CHART, or let helm fetch it"
        )


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest) -> DemoChart:
    return found(request.config)


@pytest.fixture(scope="session")
def wrapper(demo: DemoChart, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """The wrapper on whatever demo chart there is: enough for what the wrapper itself renders."""
    return Wrapper.assemble(demo, tmp_path_factory.mktemp("wrapper"))


@pytest.fixture(scope="session")
def shell(demo: DemoChart, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """The wrapper on the demo chart's values and schema without its templates: fast to show what it refuses."""
    return Wrapper.assemble(demo, tmp_path_factory.mktemp("shell"), templates=False)


@pytest.fixture(scope="session")
def known_demo(wrapper: Wrapper) -> Wrapper:
    """The wrapper when at least the demo chart's values and schema are known."""
    if wrapper.demo.source == "absent":
        pytest.skip("needs the demo chart's values and schema, which are not here")
    return wrapper


@pytest.fixture(scope="session")
def real_demo(wrapper: Wrapper) -> Wrapper:
    """The wrapper when the demo chart itself renders."""
    if wrapper.demo.source != "real":
        pytest.skip("needs the demo chart's templates, which are not here")
    return wrapper


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return request.param
