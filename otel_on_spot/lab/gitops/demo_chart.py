"""The demo chart that the lab deploys: the real one where it is given, else a stand-in of ours that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

VARIABLE: Final = "DEMO_CHART"
WRAPPER: Final = Path("gitops/charts/otel-demo")
STAND_IN: Final = Path(__file__).parent / "stand_in" / "opentelemetry-demo"


class DemoChartError(Exception):
    """DEMO_CHART names something that is not the chart that the wrapper depends on."""


@dataclass(frozen=True, kw_only=True)
class DemoChart:
    """An unpacked chart. ``stand_in``: it is ours, and has no software in it."""

    folder: Path
    name: str
    version: str
    stand_in: bool

    @property
    def place(self) -> Path:
        """Its place in the repository."""
        return WRAPPER / "charts" / self.name

    @property
    def line(self) -> str:
        """One line for people."""
        if self.stand_in:
            return (
                f"demo chart: STAND-IN for {self.name} {self.version} "
                f"(set {VARIABLE} to the unpacked chart for the real one)"
            )
        return f"demo chart: the real {self.name} {self.version} from {self.folder}"


def find(repository: Path, environment: Mapping[str, str]) -> DemoChart:
    """The chart given in DEMO_CHART, else the stand-in.

    The wrapper chart of the working tree says which chart and version.

    Raises:
        DemoChartError: DEMO_CHART holds another chart or version, or lacks its own dependencies.
    """
    name, version = _wanted(repository)
    given = environment.get(VARIABLE)
    if not given:
        ours = _read(STAND_IN) or {}
        if (ours.get("name"), str(ours.get("version"))) != (name, version):
            raise DemoChartError(
                f"the wrapper depends on {name} {version}; "
                f"the stand-in is of {ours.get('name')} {ours.get('version')}. "
                f"Give the real chart in {VARIABLE}, or bring the stand-in to {version}"
            )
        return DemoChart(folder=STAND_IN, name=name, version=version, stand_in=True)
    return DemoChart(folder=_checked(Path(given).resolve(), name, version), name=name, version=version, stand_in=False)


def _wanted(repository: Path) -> tuple[str, str]:
    dependency = yaml.safe_load((repository / WRAPPER / "Chart.yaml").read_text())["dependencies"][0]
    return str(dependency["name"]), str(dependency["version"])


def _read(folder: Path) -> dict[str, Any] | None:
    file = folder / "Chart.yaml"
    if not file.is_file():
        return None
    content = yaml.safe_load(file.read_text())
    return content if isinstance(content, dict) else {}


def _checked(folder: Path, name: str, version: str) -> Path:
    chart = _read(folder)
    if chart is None:
        raise DemoChartError(
            f"{VARIABLE}={folder}: no Chart.yaml there. Give the unpacked directory of {name} {version}"
        )
    if (chart.get("name"), str(chart.get("version"))) != (name, version):
        raise DemoChartError(
            f"{VARIABLE}={folder}: holds {chart.get('name')} {chart.get('version')}; "
            f"the wrapper depends on {name} {version}. Give that one"
        )
    vendored = folder / "charts"
    missing = [
        dependency["name"]
        for dependency in chart.get("dependencies") or []
        if not list(vendored.glob(f"{dependency['name']}*"))
    ]
    if missing:
        raise DemoChartError(
            f"{VARIABLE}={folder}: charts/ lacks {', '.join(missing)}. Run `helm dependency build` there"
        )
    return folder
