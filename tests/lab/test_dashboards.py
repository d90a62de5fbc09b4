"""The panels of Grafana's dashboards on the real Karpenter and Argo CD: each has data."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from otel_on_spot.waiting import wait_until
from tests.lab.running import ROOT, Lab
from tests.lab.watching import PORT, watching

DASHBOARDS = ROOT / "gitops" / "charts" / "otel-demo" / "dashboards"
PANELS_WITHIN_SECONDS = 90
OWN_PORT = PORT + 2
DATABASES = "(kafka|opensearch|postgresql|prometheus|valkey-cart)-.*"
"""As the chart's template writes them."""
ASK = """
import json, sys, urllib.parse, urllib.request
def results(query):
    address = f"{sys.argv[1]}/api/v1/query?query={urllib.parse.quote(query)}"
    return len(json.load(urllib.request.urlopen(address, timeout=30))["data"]["result"])
asked = json.load(sys.stdin)
print(json.dumps({name: [results(query) for query in queries] for name, queries in asked.items()}))
"""


def panels() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each panel that shows something where nothing has happened, by name; the shop itself serves nothing here."""
    for file in sorted(DASHBOARDS.glob("*.yaml")):
        told = file.read_text().replace("{{ databases }}", DATABASES)
        dashboard = yaml.safe_load(told)
        for panel in dashboard["panels"]:
            if "during" not in panel and "traces_span_metrics" not in str(panel["queries"]):
                yield f"{dashboard['title']}: {panel['title']}", panel


def without_data(lab: Lab, wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Panels of which no query has a result: a second one may be of what goes wrong. All are asked by one process."""
    queries = {
        name: [query["expr"].replace("$namespace", "otel-demo") for query in panel["queries"]]
        for name, panel in wanted.items()
    }
    told = lab.inside(sys.executable, "-S", "-c", ASK, f"http://127.0.0.1:{OWN_PORT}", text=json.dumps(queries))
    results: dict[str, list[int]] = json.loads(told)
    return [name for name, counts in results.items() if not any(counts)]


def test_every_panel_has_data_where_nothing_has_happened(lab: Lab, tmp_path: Path) -> None:
    wanted = dict(panels())
    assert len(wanted) > 30
    with watching(lab, tmp_path, port=OWN_PORT):
        wait_until(lambda: not without_data(lab, wanted), PANELS_WITHIN_SECONDS, every=3.0)
        assert without_data(lab, wanted) == []
        # What nobody serves is seen as such.
        absent = {"a panel": {"queries": [{"expr": "sum(karpenter_nodepools_price)"}]}}
        assert without_data(lab, absent) == ["a panel"]
    print(f"{len(wanted)} panels have data")
