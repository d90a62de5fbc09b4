"""The real Prometheus beside a lab: it scrapes Karpenter and Argo CD, and judges the rules with shorter waits."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from otel_on_spot.lab import addresses, isolation
from otel_on_spot.lab.toolchain import ToolchainError, missing
from otel_on_spot.lab.toolchain.build import place
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import PROMETHEUS
from otel_on_spot.waiting import wait_until
from tests.lab.running import ROOT, Lab

ALERTS = ROOT / "gitops" / "charts" / "otel-demo" / "alerts"
FASTER = 20
"""How much faster time runs in the rules of a test: fifteen minutes are 45 seconds."""
EVERY = "3s"
PORT = 19090
TARGETS = {
    "karpenter": addresses.KARPENTER_METRICS,
    "argocd-application-controller": addresses.ARGOCD_CONTROLLER_METRICS,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])(?!\w)")
_THRESHOLD = re.compile(r"([>-] )(\d{3,})(?!\w)")


def faster(rules: dict[str, Any], times: int = FASTER) -> dict[str, Any]:
    """The same rules with every duration, and every threshold of 100 seconds or more, so many times shorter.

    The calendar of support stays: its dates are dates.
    """

    def shorter(match: re.Match[str]) -> str:
        return f"{max(1, int(match[1]) * _SECONDS[match[2]] // times)}s"

    def smaller(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) // times}"

    told: dict[str, Any] = json.loads(json.dumps(rules))
    for group in told["groups"]:
        group["interval"] = EVERY
        for rule in group["rules"]:
            if "eks:" not in rule["expr"] and "eks:" not in rule.get("record", ""):
                rule["expr"] = _THRESHOLD.sub(smaller, _DURATION.sub(shorter, rule["expr"]))
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = _DURATION.sub(shorter, rule[key])
    return told


def binary() -> Path:
    """Prometheus, where it is built; else the test is skipped, and says what to do."""
    try:
        if missing(modules=[PROMETHEUS]):
            pytest.skip("Prometheus is not built: run make test-alerts, or make lab-test")
        return place(PROMETHEUS, Go.find()) / "prometheus"
    except ToolchainError as error:
        pytest.skip(f"Prometheus cannot be built: {error}")


class Watch:
    """A Prometheus that runs in a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def ask(self, path: str) -> Any:
        """What its API answers; None while it does not."""
        code = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=5).read().decode())"
        told = self.lab.inside(sys.executable, "-S", "-c", code, f"http://127.0.0.1:{PORT}/api/v1/{path}", check=False)
        return json.loads(told)["data"] if told else None

    def firing(self) -> set[str]:
        """Alerts that fire now, beside the heartbeat."""
        told = self.ask("alerts") or {"alerts": []}
        return {row["labels"]["alertname"] for row in told["alerts"] if row["state"] == "firing"} - {"Watchdog"}

    def value(self, query: str) -> float:
        """Value of a query with one sample; 0 where it has none."""
        told = self.ask(f"query?query={quote(query)}")
        return float(told["result"][0]["value"][1]) if told and told["result"] else 0.0

    def fires(self, name: str, seconds: float) -> float:
        """Seconds until an alert fires.

        Raises:
            AssertionError: it does not.
        """
        begun = time.monotonic()
        assert wait_until(lambda: name in self.firing(), seconds, every=1.0), (
            f"{name} does not fire within {seconds:g} s; firing: {sorted(self.firing())}"
        )
        return time.monotonic() - begun

    def silent(self, seconds: float) -> bool:
        """Whether nothing fires any more, soon."""
        return wait_until(lambda: not self.firing(), seconds, every=1.0)


@contextmanager
def watching(lab: Lab, folder: Path) -> Generator[Watch]:
    """Prometheus in the lab's own network, with the jobs and the drops of the demo's, from here to the end."""
    rules = faster(yaml.safe_load((ALERTS / "rules.yaml").read_text()))
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    jobs = yaml.safe_load((ALERTS / "scrape.yaml").read_text())["scrape_configs"]
    for job in jobs:
        # The lab has no DNS: one process of each, under its fixed address.
        del job["dns_sd_configs"]
        job |= {"scrape_interval": EVERY, "scrape_timeout": EVERY}
        job["static_configs"] = [{"targets": [f"127.0.0.1:{TARGETS[job['job_name']]}"]}]
    config = {
        "global": {"evaluation_interval": EVERY},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        str(binary()), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{PORT}",
    ]  # fmt: skip
    line = isolation.inside(lab.folder, command)
    variables = isolation.environment(lab.stack, lab.folder, lab.tools)
    with (folder / "log").open("w") as log, subprocess.Popen(line, env=variables, stdout=log, stderr=log) as process:
        try:
            watch = Watch(lab)
            assert wait_until(lambda: watch.ask("alerts") is not None, 60, every=1.0), (folder / "log").read_text()
            yield watch
        finally:
            process.terminate()
            process.wait(timeout=30)
