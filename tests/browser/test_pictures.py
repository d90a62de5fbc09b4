"""Every drawing that is made here, as a browser shows it: no text is cut off, over another, or out of its box."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.engine.gantt import svg as gantt
from otel_on_spot import project, svg
from otel_on_spot.drills.stress import plot
from otel_on_spot.drills.stress.watch import Sample
from otel_on_spot.report import Moment
from tests.browser import drawings
from tests.browser.chromium import Page
from tests.unit.bench.test_gantt import UP

COMMITTED = sorted((project.root() / "docs" / "pictures").glob("*.svg"))
AT = datetime(2026, 11, 26, tzinfo=UTC)


def faults(page: Page, folder: Path, drawn: str, *, boxed: bool = False) -> list[str]:
    """What is wrong with a drawing that is opened by itself."""
    file = folder / "drawn.svg"
    file.write_text(drawn)
    page.open(file.as_uri(), width=2000, height=1600)
    return page.complaints() + drawings.faults(page, boxed=boxed)


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_a_picture_of_the_pages_is_whole(page: Page, tmp_path: Path, file: Path) -> None:
    of_components = file.stem == "prod"  # dev's is on the report's page
    assert faults(page, tmp_path, file.read_text(), boxed=of_components) == []


def test_an_update_is_whole(page: Page, tmp_path: Path) -> None:
    assert faults(page, tmp_path, gantt(UP)) == []


def moment(seconds: float, what: str, detail: str = "") -> Moment:
    return Moment(at=AT, seconds=seconds, what=what, detail=detail)


def test_a_stress_drill_is_whole_however_much_happens_at_once_and_is_told(page: Page, tmp_path: Path) -> None:
    at_once = [moment(40 + number / 10, f"event {number}") for number in range(14)]
    told = moment(90, "refused", "the API server says that the service account may not patch it; " * 8)
    samples = [
        Sample(
            at=AT,
            seconds=second,
            wanted=1200,
            running=second // 6,
            pending=0,
            nodes={"spot": 120},
            claims=(),
            cost=1234.5,
            unpriced=0,
        )
        for second in range(0, 7200, 600)
    ]

    drawn = plot.svg(samples, [moment(0, "first"), *at_once, told, moment(7200, "last")], "frontend scaled to 1200")

    assert faults(page, tmp_path, drawn) == []
    told_on_it = page.evaluate("document.documentElement.textContent")
    assert told_on_it.count("service account") == 2 * 8, "its line, and the title of its mark"
    assert "1,200" in told_on_it


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        ([svg.text(380, 50, "longer than the drawing")], "cut off: longer than the drawing"),
        ([svg.text(20, 99, "gjpqy", size=20)], "cut off: gjpqy"),
        ([svg.text(20, 50, "one"), svg.text(25, 52, "other")], "over each other: one | other"),
        ([svg.rectangle(20, 30, 60, 30), svg.text(25, 50, "wider than its box")], "out of its box: wider than its box"),
        ([], "no text"),
    ],
)  # fmt: skip
def test_a_fault_is_seen(page: Page, tmp_path: Path, parts: list[str], seen: str) -> None:
    assert faults(page, tmp_path, svg.document(400, 100, parts), boxed=True) == [seen]


def test_a_drawing_that_is_no_xml_is_seen(page: Page, tmp_path: Path) -> None:
    assert faults(page, tmp_path, svg.document(400, 100, ["<text>a & b</text>"]))
