"""SVG elements as text, and the colours that all drawings share."""

from collections.abc import Iterable
from html import escape
from typing import Final

INK: Final = "#1f2933"
FAINT: Final = "#7b8794"
MARGIN: Final = 28


def document(width: float, height: float, parts: Iterable[str]) -> str:
    """A drawing on white; sizes are pixels."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    root = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">'
    return "\n".join([root, rectangle(0, 0, width, height, fill="#ffffff"), *parts, "</svg>"]) + "\n"


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element around markup. ``stroke_width`` becomes ``stroke-width``; floats keep one digit, None is left out."""
    written = "".join(
        f' {key.replace("_", "-")}="{_number(value)}"' for key, value in attributes.items() if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value))


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = 12,
    bold: bool = False,
    anchor: str | None = None,
    colour: str = INK,
) -> str:
    """A line of text.

    Args:
        x: where its start is, or what ``anchor`` says, in pixels.
        y: its baseline.
        content: plain text.
        size: pixels.
        bold: heavier.
        anchor: "middle" or "end"; None is the start.
        colour: its fill.
    """
    weight = "bold" if bold else None
    return element(
        "text", escape(content), x=x, y=y, font_size=str(size), fill=colour, font_weight=weight, text_anchor=anchor
    )


def rectangle(x: float, y: float, width: float, height: float, *, title: str = "", **attributes: object) -> str:
    """A rectangle.

    Args:
        x: its left edge, in pixels.
        y: its upper edge.
        width: in pixels.
        height: in pixels.
        title: shows when the pointer is over it; empty shows nothing.
        attributes: of the element, such as ``fill``; see ``element``.
    """
    tip = element("title", escape(title)) if title else ""
    return element("rect", tip, x=x, y=y, width=width, height=height, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """A straight line.

    Args:
        x1: its start, in pixels.
        y1: its start.
        x2: its end.
        y2: its end.
        attributes: of the element, such as ``stroke``; see ``element``.
    """
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def path(d: str, **attributes: object) -> str:
    """A line through points, not filled unless ``fill`` says so."""
    return element("path", d=d, **{"fill": "none", **attributes})
