"""Which opentelemetry-demo chart the tests stand on, and the wrapper chart put together with it.

Real: a directory given in DEMO_CHART, or what `helm dependency build` fetches. Else the values, the strict schema and
the list of workloads kept beside the repository, behind a chart without templates. Else a chart without anything.
Other versions that have values here are found in DEMO_CHARTS (several directories, joined as in PATH) or beside the
repository: docs/demo-chart-versions.md.
"""

import json
import os
import shutil
import tarfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from infra import demo_chart as chart_in_git
from infra import names, passwords, persistence
from infra.settings import parse
from tests.charts import helm
from tests.unit.settings.test_settings import committed

REPOSITORY = Path(__file__).parents[2]
WRAPPER = REPOSITORY / "gitops" / "charts" / "otel-demo"
SECRET = names.demo_passwords(1)
RELEASE = NAMESPACE = "otel-demo"
ENVIRONMENTS = ("dev", "staging", "prod")
FETCH_TIMEOUT_SECONDS = 10.0
RETRY_FETCH_AFTER_SECONDS = 3600.0


class DemoChartError(Exception):
    """DEMO_CHART names something that is not the chart the wrapper depends on."""


@dataclass(frozen=True)
class DemoChart:
    """The demo chart as it was found; `how` is one line for people."""

    source: Literal["real", "shared", "absent"]
    path: Path | None
    how: str

    @cached_property
    def version(self) -> str:
        """The chart's version; what the wrapper depends on when the chart is absent."""
        return str(yaml.safe_load((self.path / "Chart.yaml").read_text())["version"]) if self.path else wanted()[1]

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The chart's own values; empty when the chart is absent."""
        return helm.load_values([self.path / "values.yaml"]) if self.path else {}


def wanted() -> tuple[str, str]:
    """Name and version of the demo chart that the wrapper depends on."""
    dependency = yaml.safe_load((WRAPPER / "Chart.yaml").read_text())["dependencies"][0]
    return dependency["name"], dependency["version"]


def contracts() -> dict[str, str]:
    """Every version that the wrapper has values for -> the variant of them: empty where it needs none."""
    return chart_in_git.versions()


def of_version(version: str) -> DemoChart:
    """The demo chart of one version: real from DEMO_CHARTS, else its recorded values and workloads, else absent."""
    name, _ = wanted()
    for given in filter(None, [*os.environ.get("DEMO_CHARTS", "").split(os.pathsep), os.environ.get("DEMO_CHART")]):
        chart_file = Path(given) / "Chart.yaml"
        if not chart_file.is_file():
            raise DemoChartError(f"DEMO_CHARTS: {given} has no Chart.yaml. Give unpacked directories of {name}.")
        if str(yaml.safe_load(chart_file.read_text())["version"]) == version:
            return DemoChart("real", Path(given).resolve(), f"real {version} from DEMO_CHARTS")
    shared = REPOSITORY.parent / "shared" / "charts" / f"{name}-{version}"
    if (shared / "workloads.json").exists():
        return DemoChart("shared", shared, f"schema, values and workloads {version} from ../shared")
    return DemoChart("absent", None, f"absent: give {name} {version} in DEMO_CHARTS")


def find(cache: Path) -> DemoChart:
    """The best demo chart to be had here. `cache` keeps a fetched chart, and the time of a fetch that failed.

    Raises:
        DemoChartError: DEMO_CHART is set and does not hold the wanted chart.
    """
    name, version = wanted()
    if given := os.environ.get("DEMO_CHART"):
        return DemoChart("real", checked(Path(given).resolve()), f"real {version} from DEMO_CHART")
    fetched = cache / f"{name}-{version}" / name
    missing = "fetched earlier" if fetched.exists() else fetch(cache, fetched)
    if fetched.exists():
        return DemoChart("real", checked(fetched), f"real {version}, {missing}")
    shared = REPOSITORY.parent / "shared" / "charts" / f"{name}-{version}"
    if (shared / "workloads.json").exists():
        return DemoChart("shared", shared, f"schema, values and workloads {version} from ../shared ({missing})")
    return DemoChart("absent", None, f"absent ({missing}); set DEMO_CHART to a directory of {name} {version}")


def checked(path: Path) -> Path:
    """The path, once it is known to hold the wanted chart with its dependencies."""
    name, version = wanted()
    chart_file = path / "Chart.yaml"
    if not chart_file.is_file():
        raise DemoChartError(
            f"DEMO_CHART={path}: no Chart.yaml there. Give the unpacked directory of {name} {version}."
        )
    chart = yaml.safe_load(chart_file.read_text())
    if (chart["name"], chart["version"]) != (name, version):
        found = f"{chart['name']} {chart['version']}"
        raise DemoChartError(
            f"DEMO_CHART={path}: holds {found}; the wrapper depends on {name} {version}. Give that one."
        )
    missing = [
        dependency["name"]
        for dependency in chart["dependencies"]
        if not list((path / "charts").glob(f"{dependency['name']}*"))
    ]
    if missing:
        raise DemoChartError(
            f"DEMO_CHART={path}: charts/ lacks {', '.join(missing)}. Run `helm dependency build` there."
        )
    return path


def fetch(cache: Path, fetched: Path) -> str:
    """Tries `helm dependency build` on a copy of the wrapper; returns one phrase on how it went."""
    failed = cache / "fetch-failed-at"
    if failed.exists() and time.time() - float(failed.read_text()) < RETRY_FETCH_AFTER_SECONDS:
        return "could not be fetched within the last hour"
    build = cache / "build"
    shutil.rmtree(build, ignore_errors=True)
    shutil.copytree(WRAPPER, build)
    try:
        helm.dependency_build(build, timeout_seconds=FETCH_TIMEOUT_SECONDS)
    except helm.HelmError as error:
        failed.write_text(str(time.time()))
        return f"helm dependency build failed: {error}"
    with tarfile.open(next((build / "charts").glob("*.tgz"))) as archive:
        archive.extractall(fetched.parent, filter="data")
    return "fetched now"


COMPONENTS_THAT_LEFT: Mapping[str, tuple[str, ...]] = {"0.41.0": ("postgresql",)}
"""Version -> what has to be taken out of values.yaml and the environments' files: its schema knows it no longer."""


def edited(path: Path, version: str) -> None:
    """Edits a copy of the wrapper as docs/demo-chart-versions.md says for a version."""
    chart = yaml.safe_load((path / "Chart.yaml").read_text())
    chart["dependencies"][0]["version"] = version
    (path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (path / "Chart.lock").unlink()
    for file in path.glob("values*.yaml") if version in COMPONENTS_THAT_LEFT else ():
        values = json.loads(json.dumps(helm.load_values([file])))
        for name in COMPONENTS_THAT_LEFT[version]:
            values.get("opentelemetry-demo", {}).get("components", {}).pop(name, None)
        file.write_text(yaml.dump(values, Dumper=_NoAliases))


@cache
def of_program(environment: str, variant: str) -> dict[str, Any]:
    """The values that the program makes of the environment's committed `persistence`, and those of its passwords."""
    settings, problems = parse(committed(environment))
    assert settings is not None, problems
    return passwords.laid_over(persistence.values(settings.persistence, variant).get("otel-demo", {}), SECRET, variant)


class _NoAliases(yaml.SafeDumper):
    """Writes what was shared by an anchor out in full."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@dataclass(frozen=True)
class Wrapper:
    """The wrapper chart, complete enough to render: charts/opentelemetry-demo is the demo chart or its stand-in."""

    path: Path
    demo: DemoChart
    variant: str = ""

    @classmethod
    def assemble(cls, demo: DemoChart, into: Path, *, templates: bool = True, version: str = "") -> "Wrapper":
        """Copies the wrapper into a directory and puts the demo chart beside it, or its values and schema alone.

        Args:
            demo: the chart as it was found.
            into: an empty directory.
            templates: whether the demo chart's own objects are rendered too, where they are there.
            version: another version than Chart.yaml names, with the edits of docs/demo-chart-versions.md for it.
        """
        name, depends_on = wanted()
        version = version or depends_on
        path = Path(shutil.copytree(WRAPPER, into / "otel-demo"))
        if version != depends_on:
            edited(path, version)
        subchart = path / "charts" / name
        if demo.source == "real" and demo.path and templates:
            shutil.copytree(demo.path, subchart)
        else:
            subchart.mkdir(parents=True)
            (subchart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version}))
            if demo.path:
                for file in ("values.yaml", "values.schema.json"):
                    shutil.copy(demo.path / file, subchart / file)
        return cls(path, demo, contracts().get(version, ""))

    def undeclared(self, databases: Collection[str], into: Path) -> "Wrapper":
        """A copy whose values.yaml places none of the given databases, as an edit in Git would leave it."""
        copy = Wrapper.assemble(self.demo, into)
        values = json.loads(json.dumps(helm.load_values([copy.path / "values.yaml"])))
        demo = values["opentelemetry-demo"]
        places = {"opensearch": demo["opensearch"], "prometheus": demo["prometheus"]["server"]}
        for name in databases:
            place = places.get(name) or demo["components"][name]["schedulingRules"]
            del place["nodeSelector"], place["tolerations"]
        (copy.path / "values.yaml").write_text(yaml.dump(values, Dumper=_NoAliases))
        return copy

    def given(self, environment: str, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
        """What Argo CD passes to Helm: the environment's files, then the Application's values.

        Those are what the program makes of volumes and passwords, and `overrides`.
        """
        _, *files = chart_in_git.value_files(environment, self.variant)
        given = helm.load_values([self.path / file for file in files])
        given = helm.layered(given, of_program(environment, self.variant))
        return helm.layered(given, overrides or {})

    def values(self, environment: str) -> dict[str, Any]:
        """What the wrapper's templates see, without the demo chart's own defaults."""
        return helm.coalesced(helm.load_values([self.path / "values.yaml"]), self.given(environment))

    def demo_values(self, environment: str) -> dict[str, Any]:
        """What the demo chart's templates see: its own defaults under what the wrapper gives it."""
        return helm.coalesced(self.demo.defaults, self.values(environment)["opentelemetry-demo"])

    def objects(self, environment: str, overrides: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rendered objects.

        Raises:
            HelmError: Helm refuses the values.
        """
        values = self.given(environment, overrides)
        return helm.render(self.path, release=RELEASE, namespace=NAMESPACE, values=values)
