"""The table of docs/alerts.md out of the rules: ``python -m tests.unit.alerts.page`` writes it anew."""

import re
from collections.abc import Sequence
from typing import Final

from tests.unit.alerts.rules import ROOT, Alert, alerts

PAGE: Final = ROOT / "docs" / "alerts.md"
BEGIN, END = "<!-- alerts: begin -->", "<!-- alerts: end -->"


def rows(told: Sequence[Alert]) -> str:
    """The table: a row an alert."""
    head = "| Alert | Severity | For | Means | Page |\n|---|---|---|---|---|"
    lines = (
        f"| `{alert.name}` | {alert.severity} | {alert.for_ or 'at once'} | {alert.annotations['description']} "
        f"| {_link(alert)} |"
        for alert in told
    )
    return "\n".join([head, *lines])


def _link(alert: Alert) -> str:
    page = alert.annotations["runbook"].removeprefix("docs/")
    return f"[{page.rsplit('/', 1)[-1].removesuffix('.md')}]({page})"


def rendered(text: str) -> str:
    """The page with its table as the rules are now."""
    return re.sub(f"{BEGIN}.*{END}", f"{BEGIN}\n{rows(alerts())}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
