"""What is wrong with the SVG drawings of an open page, to the eye."""

from tests.browser.chromium import Page

FAULTS = """
(boxed => [...document.querySelectorAll('svg')].flatMap(svg => {
  const whole = svg.getBoundingClientRect(), slack = 1;
  const texts = [...svg.querySelectorAll('text')].filter(text => text.textContent.trim())
    .map(text => ({what: text.textContent, at: text.getBoundingClientRect()}));
  const boxes = [...svg.querySelectorAll('rect')].map(rect => rect.getBoundingClientRect())
    .filter(box => box.width < whole.width - slack);
  const within = (inner, outer) => inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
  const meet = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > slack &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 3 * slack;
  const cut = texts.filter(text => !within(text.at, whole)).map(text => `cut off: ${text.what}`);
  const over = texts.flatMap((one, number) => texts.slice(number + 1).filter(other => meet(one.at, other.at))
    .map(other => `over each other: ${one.what} | ${other.what}`));
  const out = !boxed ? [] : texts.filter(text => boxes.some(box => meet(text.at, box) && !within(text.at, box)))
    .map(text => `out of its box: ${text.what}`);
  return [...(texts.length ? [] : ['no text']), ...cut, ...over, ...out];
}))
"""


def faults(page: Page, *, boxed: bool = False) -> list[str]:
    """Texts that are cut off or lie over each other; of ``boxed`` drawings also those that leave their box."""
    return page.evaluate(f"{FAULTS}({str(boxed).lower()})")
