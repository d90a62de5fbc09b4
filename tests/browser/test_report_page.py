"""The page of ``report --html`` as a browser shows it: by itself, whole, and to be read."""

from pathlib import Path

import pytest

from tests.browser import drawings
from tests.browser.chromium import Page
from tests.unit.cli.test_report_page import text

__all__ = ["text"]

WIDTHS = {"desk": 1280, "telephone": 390}
SMALLEST_PIXELS = 8
LEAST_CONTRAST = 4.5
"""Source: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
FAULTS = """
((smallest, least) => {
  const found = [], root = document.documentElement, said = element => element.textContent.trim().slice(0, 40);
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  if (root.scrollWidth > root.clientWidth) found.push('the page is wider than the window');
  for (const section of document.querySelectorAll('section')) {
    const shown = [...section.children].filter(child => child.tagName !== 'H2' && child.clientHeight &&
      child.checkVisibility({opacityProperty: true, visibilityProperty: true}) && child.innerText?.trim());
    if (!shown.length) found.push(`nothing is seen of ${section.id}`);
  }
  for (const table of document.querySelectorAll('table')) {
    const around = table.parentElement, scrolls = getComputedStyle(around).overflowX !== 'visible';
    if (table.scrollWidth > around.clientWidth && root.clientWidth > 1000) found.push(`to be scrolled: ${said(table)}`);
    if (table.scrollWidth > around.clientWidth && !scrolls) found.push(`a table runs out: ${said(table)}`);
  }
  for (const cell of document.querySelectorAll('td, th'))
    if (cell.scrollWidth > cell.clientWidth + 1) found.push(`a cell runs out: ${said(cell)}`);
  for (const text of document.querySelectorAll('svg text')) {
    const pixels = parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
    if (pixels < smallest) found.push(`too small: ${said(text)}, ${pixels.toFixed(1)} pixels`);
  }
  for (const element of document.querySelectorAll('h1, h2, p, td, th, small')) {
    const contrast = 1.05 / (light(getComputedStyle(element).color) + 0.05);
    if (contrast < least && said(element)) found.push(`too faint: ${said(element)}, ${contrast.toFixed(1)}`);
  }
  return found;
})
"""


@pytest.fixture(scope="module")
def file(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("report") / "page.html"
    written.write_text(text)
    return written


def looked_at(page: Page, file: Path, width: int) -> list[str]:
    """What is wrong with a page: what it asks for, what the browser complains of, what is not to be read."""
    page.open(file.as_uri(), width=width)
    asked = [f"asks for {url}" for url in page.requests() if url != file.as_uri()]
    seen = page.evaluate(f"{FAULTS}({SMALLEST_PIXELS}, {LEAST_CONTRAST})")
    return asked + page.complaints() + seen + drawings.faults(page, boxed=True)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_it_stands_by_itself_and_everything_on_it_can_be_read(page: Page, file: Path, width: int) -> None:
    assert looked_at(page, file, width) == []
    assert page.evaluate("[...document.querySelectorAll('section')].map(section => section.id)") == [
        "plan",
        "posture",
        "cost",
        "doctor",
        "drills",
    ]
    hidden = page.evaluate("(drawn => drawn.scrollWidth - drawn.clientWidth)(document.querySelector('.drawing'))")
    assert (hidden == 0) == (width == WIDTHS["desk"]), "at a desk the whole graph is seen at once"


def test_at_a_desk_a_long_name_is_broken_and_no_other_word(page: Page, text: str, tmp_path: Path) -> None:
    file, arn = tmp_path / "page.html", "arn:aws:iam::123456789012:policy/" + "x" * 200
    assert all(text.count(f"<td>{cell}</td>") == 1 for cell in ("7 add-ons", "drill node-join"))
    long = text.replace("<td>7 add-ons</td>", f"<td>{arn}</td>").replace("node Ready: 41 s", f"{arn}: 41 s")
    file.write_text(long)
    assert looked_at(page, file, WIDTHS["desk"]) == []
    lines = "cell => { const of = new Range(); of.selectNodeContents(cell); return of.getClientRects().length }"
    short = "#doctor td:first-child, #drills td:nth-child(-n+3)"
    assert set(page.evaluate(f"[...document.querySelectorAll('{short}')].map({lines})")) == {1}


POLICY = "<meta http-equiv="
SECTION = '<section id="cost">'
FOR_THE_BROWSER = [
    (POLICY, f'<script>console.error("out of order")</script>{POLICY}', "out of order"),
    (POLICY, f"<script>nobody.knows()</script>{POLICY}", "Uncaught"),
    (POLICY, f'<img src="https://example.com/a.png">{POLICY}', "asks for https://example.com/a.png"),
    ("</body>", '<img src="https://example.com/b.png"></body>', "Content Security Policy"),
]
FOR_THE_EYE = [
    (SECTION, f"{SECTION[:-1]} style='visibility: hidden'>", "nothing is seen of cost"),
    ("</style>", ".wide { overflow: visible } #posture td { white-space: nowrap }</style>", "a table runs out: "),
    ("</style>", "h1 { width: 1000px }</style>", "the page is wider than the window"),
    ("</style>", "#doctor table { table-layout: fixed; width: 200px }</style>", "a cell runs out: "),
    ("</style>", ".drawing svg { min-width: 0 } </style>", "too small: "),
    ("</style>", ".faint { color: #7b8794 }</style>", "too faint: "),
]
IN_THE_DRAWING = [("</style>", "svg text { font-size: 3em }</style>", "out of its box: ")]


@pytest.mark.parametrize("put_in", [FOR_THE_BROWSER, FOR_THE_EYE, IN_THE_DRAWING])
def test_faults_on_it_are_seen(page: Page, text: str, tmp_path: Path, put_in: list[tuple[str, str, str]]) -> None:
    file, faulty = tmp_path / "page.html", text
    for where, instead, _ in put_in:
        assert faulty.count(where) == 1
        faulty = faulty.replace(where, instead)
    file.write_text(faulty)
    found = looked_at(page, file, WIDTHS["telephone"])
    assert [seen for *_, seen in put_in if not any(seen in fault for fault in found)] == []
