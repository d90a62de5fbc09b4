"""The real chart where DEMO_CHART holds it, the stand-in where nothing does, a clear word where something else does."""

from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.gitops.demo_chart import DemoChartError, find

CHART = "name: {name}\nversion: {version}\ndependencies: [{{name: grafana}}, {{name: jaeger}}]\n"


def given(
    tmp_path: Path, name: str = "opentelemetry-demo", version: str = "0.38.6", vendored: tuple[str, ...] = ()
) -> dict[str, Any]:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "Chart.yaml").write_text(CHART.format(name=name, version=version))
    for chart in vendored:
        (folder / "charts" / chart).mkdir(parents=True)
    return {"DEMO_CHART": str(folder)}


def test_without_a_given_chart_it_is_the_stand_in_and_says_so(source: Path) -> None:
    found = find(source, {})

    assert found.stand_in
    assert "STAND-IN" in found.line
    assert "STAND-IN" in (found.folder / "Chart.yaml").read_text()


def test_the_given_chart_is_the_real_one(source: Path, tmp_path: Path) -> None:
    found = find(source, given(tmp_path, vendored=("grafana", "jaeger")))

    assert not found.stand_in
    assert found.folder == tmp_path / "given"
    assert "STAND-IN" not in found.line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"version": "0.37.0"},
            r"holds opentelemetry-demo 0\.37\.0; the wrapper depends on opentelemetry-demo 0\.38\.6",
        ),
        ({"name": "other"}, "holds other"),
        ({"vendored": ("grafana",)}, r"charts/ lacks jaeger\. Run `helm dependency build` there"),
    ],
)
def test_another_chart_is_refused(source: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(DemoChartError, match=said):
        find(source, given(tmp_path, **change))


def test_a_path_without_a_chart_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DemoChartError, match=r"no Chart\.yaml there"):
        find(source, {"DEMO_CHART": str(tmp_path / "nowhere")})


def test_a_stand_in_of_another_version_than_the_wrappers_is_refused(source: Path) -> None:
    (source / "gitops/charts/otel-demo/Chart.yaml").write_text(
        "dependencies: [{name: opentelemetry-demo, version: 0.39.0}]\n"
    )

    with pytest.raises(DemoChartError, match=r"the stand-in is of opentelemetry-demo 0\.38\.6"):
        find(source, {})
