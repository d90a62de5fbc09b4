"""The page of ``report``: each section's figures are those of their sources, and nothing is loaded from anywhere."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from otel_on_spot import project
from otel_on_spot.cli import app, report_page
from otel_on_spot.doctor import examine, facts
from otel_on_spot.plan import cost, picture, verdict
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.workloads import workloads
from tests.unit.conftest import recorded

ROOT = project.root()
HEALTHY = ROOT / "tests/unit/doctor/healthy.json"
LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "xlink:href"}
"""Attributes by which a browser fetches something."""
DRILL: dict[str, Any] = {
    "format": 1,
    "command": "drill node-join",
    "stack": "dev",
    "taken_at": "2026-11-26T06:00:00Z",
    "verdicts": [
        {"id": "joins", "title": "a node joins", "status": "ok"},
        {"id": "soon", "title": "the pod runs <soon>", "status": "found"},
    ],
    "measures": {"node Ready": "41 s"},
}


class Read(HTMLParser):
    """The page as a browser takes it: elements in balance, figures and text by section, what would be loaded."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ended_wrongly: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0
        self.figures: dict[str, dict[str, str]] = {}
        self.text: dict[str, str] = {}
        self.policy = ""
        self._section = self._figure = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.scripts += tag == "script" or any(name.startswith("on") for name in given)
        self.loads += [f"{tag} {name}={value}" for name, value in given.items() if name in LOADING]
        if tag in ("link", "iframe", "image", "use", "base", "object", "embed"):
            self.loads.append(tag)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        if tag == "section":
            self._section = given["id"] or ""
            self.figures[self._section], self.text[self._section] = {}, ""
        self._figure = given.get("data-figure") or ("" if tag != "small" else self._figure)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.ended_wrongly.append(tag)

    def handle_data(self, data: str) -> None:
        if "url(" in data or "@import" in data:
            self.loads.append(data)
        if self._section:
            self.text[self._section] += data
        if self._figure and data.strip() and self._figure not in self.figures[self._section]:
            self.figures[self._section][self._figure] = data.strip()


def made(folder: Path, *arguments: str) -> str:
    file = folder / "page.html"
    ran = CliRunner().invoke(app, ["report", "--stack", "dev", "--html", str(file), *arguments])
    assert ran.exit_code == 0, ran.output
    return file.read_text()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    (folder / "join.json").write_text(json.dumps(DRILL))
    return made(folder, "--facts", str(HEALTHY), "--drill", str(folder / "join.json"))


@pytest.fixture(scope="module")
def page(text: str) -> Read:
    return Read(text)


def test_it_is_well_formed_and_has_every_section_in_order(page: Read) -> None:
    assert (page.open, page.ended_wrongly) == ([], [])
    assert list(page.figures) == ["plan", "posture", "cost", "doctor", "drills"]


def test_it_loads_nothing_and_runs_nothing_and_tells_the_browser_so(page: Read) -> None:
    assert (page.loads, page.scripts) == ([], 0)
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'"


@pytest.mark.parametrize(
    "fault",
    [
        '<img src="https://example.com/a.png">',
        '<link rel="stylesheet" href="a.css">',
        '<svg><use href="https://example.com/a.svg"/></svg>',
        "<style>body { background: url(https://example.com) }</style>",
        "<style>@import 'a.css'</style>",
        '<iframe src="a.html"></iframe>',
    ],
)
def test_what_would_load_something_is_seen(text: str, fault: str) -> None:
    assert Read(text.replace("</body>", f"{fault}</body>")).loads


def test_plan_is_the_recordings_with_its_picture(page: Read, text: str) -> None:
    recording = recorded("dev")

    assert page.figures["plan"] == {
        "resources": str(sum(r.custom for r in recording)),
        "components": str(len(picture.by_component(recording).nodes)),
    }
    (drawn,) = (part.partition("</svg>")[0] + "</svg>" for part in ("<svg" + text.partition("<svg")[2],))
    assert drawn == picture.svg(recording).strip()
    ElementTree.fromstring(drawn)


def test_posture_is_the_guard_rails_verdict(page: Read) -> None:
    judged = verdict.as_document(verdict.verdict(recorded("dev")))
    waived = {each["rule"] for each in judged["violations"] if each["waiver"]}

    assert page.figures["posture"] == {
        "rules_kept": str(len(judged["passed"])), "violated": "0", "waived": str(len(waived)),
    }  # fmt: skip
    assert all(rule in page.text["posture"] for rule in waived)


def test_cost_is_the_estimate_line_by_line(page: Read) -> None:
    document = as_document(recorded("dev"))
    found = cost.estimate(document, workloads(ROOT, "dev"))

    assert page.figures["cost"] == {
        "at_rest": f"{found.rest:,.0f}",
        "with_the_demo": f"{found.expected:,.0f}",
        "at_the_limits": f"{found.limits:,.0f}",
    }
    for each in found.lines:
        assert each.what in page.text["cost"]


def test_the_doctors_part_is_its_report_of_the_same_facts(page: Read) -> None:
    report = examine.examine(facts.load(HEALTHY), examine.select_checks((), ()))
    counts = {status: sum(each.status == status for each in report.verdicts) for status in ("found", "unknown", "ok")}

    assert page.figures["doctor"] == {name: str(counts[status]) for status, name in report_page.DOCTORS.items()}
    assert all(each.id in page.text["doctor"] for each in report.verdicts)


def test_a_drills_promises_and_measures_are_there_with_what_it_broke(page: Read) -> None:
    told = page.text["drills"]

    assert "drill node-join" in told
    assert "1 of 2 promises kept; broken: the pod runs <soon>" in told
    assert "node Ready: 41 s" in told
    assert "2026-11-26 06:00" in told


def test_without_a_platform_and_drills_the_page_says_so() -> None:
    at = facts.load(HEALTHY).taken_at
    text = report_page.page(recorded("dev"), ROOT, "Nothing answered. AWS: no <credentials>.", [], at)
    page = Read(text)

    assert (page.open, page.ended_wrongly) == ([], [])
    assert "Not looked at a living platform. Nothing answered. AWS: no <credentials>." in page.text["doctor"]
    assert "give each file as --drill FILE" in page.text["drills"]


SPOILT = (
    {"command": "doctor"}, {"command": None}, {"stack": 5}, {"stack": None}, {"taken_at": None}, {"format": "1"},
    {"verdicts": None}, {"verdicts": {}}, {"verdicts": ["x"]}, {"verdicts": [{}]}, {"verdicts": [{"status": "ok"}]},
    {"verdicts": [{"title": None, "status": "found"}]}, {"verdicts": [{"title": "a", "status": "purple"}]},
    {"measures": "x"}, {"measures": ["x"]},
)  # fmt: skip
"""Keys of a drill's report that are something else."""


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "no json", "[" * 100_000, *(json.dumps({**DRILL, **other}) for other in SPOILT)]
)
def test_what_is_no_drills_report_is_refused_by_its_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    ran = CliRunner().invoke(app, ["report", "--html", str(tmp_path / "page.html"), "--drill", str(file)])

    assert ran.exit_code == 2
    assert f"--drill {file}: " in ran.output
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("name", ["folder", "file/page.html", 300 * "x"])
@pytest.mark.parametrize("option", ["--html", "--svg", "--yaml"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, option: str, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    where = tmp_path / name
    if option == "--yaml" and name == "folder":
        where = tmp_path / "file"
    facts_of = ["--facts", str(HEALTHY)] if option == "--html" else []
    ran = CliRunner().invoke(app, ["report" if option == "--html" else "plan", option, str(where), *facts_of])

    assert ran.exit_code == 2
    assert "Name a file that may be written" in ran.output
    assert "unexpected" not in ran.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
