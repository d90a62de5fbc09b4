"""The real Prometheus beside a lab: it scrapes Karpenter and Argo CD, and judges the rules with shorter waits."""

import json
import re
import sys
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from otel_on_spot.lab import addresses
from otel_on_spot.lab.toolchain.modules import PROMETHEUS
from otel_on_spot.waiting import wait_until
from tests.built import built
from tests.lab.running import ROOT, Lab

ALERTS = ROOT / "gitops" / "charts" / "otel-demo" / "alerts"
FASTER = 20
"""How much faster time runs in the rules of a test: fifteen minutes are 45 seconds."""
FASTER_STILL = {
    "InterruptionPathDead": 60,
    "RepairHeld": 60,
    "ExtendedSupportNear": 120,
    "SuspensionOutlivesLease": 120,
    "FallbackStuck": 360,
    "DriftHeld": 1440,
    "DisruptionBlocked": 1440,
}
"""Alerts that take hours: what they judge takes the lab seconds only. The first one's records are ``HOURLY``."""
HOURLY = 60
"""The same of records over an hour: it is a minute."""
SUPPORTED_DAYS = 365
"""How long the calendar of a test supports every minor: its own dates would end a test's health on a day of 2027."""
EVERY = "3s"
PORT = 19090
TARGETS = {
    "karpenter": addresses.KARPENTER_METRICS,
    "argocd-application-controller": addresses.ARGOCD_CONTROLLER_METRICS,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<![\w.:])(\d+)([smhd])(?!\w)")
"""A duration; not the end of a record's name, as ``platform:failed_syncs:15m`` has one."""
_THRESHOLD = re.compile(r"([>-] )(\d{3,})(?!\w)")


def faster(
    rules: dict[str, Any],
    times: int | None = None,
    *,
    supported: float | None = None,
    hurried: Collection[str] = FASTER_STILL,
) -> dict[str, Any]:
    """The same rules with every duration, and every threshold of 100 seconds or more, shorter.

    Args:
        rules: the file.
        times: how much, for every rule alike; else as ``speed`` says.
        supported: the days from now until support of every minor ends; else the calendar's own dates stay.
        hurried: alerts that a fault must make fire, and that may take hours.
    """
    told: dict[str, Any] = json.loads(json.dumps(rules))
    for group in told["groups"]:
        group["interval"] = EVERY
        for rule in group["rules"]:
            _hurry(rule, times or speed(rule, hurried))
            if supported is not None and rule.get("record") == "eks:standard_support_end:seconds":
                rule["expr"] = f"vector({time.time() + supported * 86400:.0f})"
    return told


def speed(rule: dict[str, Any], hurried: Collection[str]) -> int:
    """How much faster time runs in a rule; ``hurried`` have the figures of ``FASTER_STILL``."""
    if rule.get("record", "").endswith(":1h"):
        return HOURLY
    alert = rule.get("alert", "")
    return FASTER_STILL.get(alert, FASTER) if alert in hurried else FASTER


def _hurry(rule: dict[str, Any], times: int) -> None:
    def shorter(match: re.Match[str]) -> str:
        return f"{max(1, int(match[1]) * _SECONDS[match[2]] // times)}s"

    def smaller(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) // times}"

    if "eks:" not in rule["expr"] and "eks:" not in rule.get("record", ""):
        rule["expr"] = _THRESHOLD.sub(smaller, _DURATION.sub(shorter, rule["expr"]))
    for key in ("for", "keep_firing_for"):
        if key in rule:
            rule[key] = _DURATION.sub(shorter, rule[key])


def binary() -> Path:
    """Prometheus, where it is built; else the test is skipped, and says what to do."""
    return built(PROMETHEUS, "Prometheus", "make test-alerts, or make lab-test") / "prometheus"


class Watch:
    """A Prometheus that runs in a lab.

    Args:
        lab: which.
        rules: the file that it judges by.
        times: how much faster, for every rule alike; else as ``speed`` says.
        port: where it listens.
    """

    def __init__(self, lab: Lab, rules: Path, times: int | None = None, port: int = PORT) -> None:
        self.lab = lab
        self._rules = rules
        self._times = times
        self._port = port

    def judge(self, *hurried: str, supported: float = SUPPORTED_DAYS) -> None:
        """Write the rules, which Prometheus then reads by itself.

        Args:
            hurried: alerts in which time runs still faster.
            supported: the days until support of every minor ends.
        """
        told = yaml.safe_load((ALERTS / "rules.yaml").read_text())
        told = faster(told, self._times, supported=supported, hurried=hurried)
        self._rules.write_text(yaml.safe_dump(told))

    def heartbeat(self) -> bool:
        """Whether the alert fires that always does."""
        return self.value('count(ALERTS{alertname="Watchdog", alertstate="firing"})') == 1.0

    def ask(self, path: str) -> Any:
        """What its API answers; None while it does not."""
        code = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=5).read().decode())"
        told = self.lab.inside(
            sys.executable, "-S", "-c", code, f"http://127.0.0.1:{self._port}/api/v1/{path}", check=False
        )
        return json.loads(told)["data"] if told else None

    def rows(self) -> list[dict[str, str]]:
        """Labels of what fires now, beside the heartbeat.

        Raises:
            AssertionError: Prometheus does not answer.
        """
        told = self.ask("alerts")
        assert told is not None, "Prometheus does not answer"
        firing = (row["labels"] for row in told["alerts"] if row["state"] == "firing")
        return [labels for labels in firing if labels["alertname"] != "Watchdog"]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now, beside the heartbeat."""
        return {labels["alertname"] for labels in self.rows()}

    def knows(self, seconds: float = 3600 / HOURLY + 30) -> bool:
        """Whether both targets have been watched for an hour of the rules', soon: births of counters count then."""
        both = "count(platform:target_known:15m) + count(platform:target_known:1h)"
        return wait_until(lambda: self.value(both) == 2 * len(TARGETS), seconds, every=2.0)

    def value(self, query: str) -> float:
        """Value of a query with one sample; 0 where it has none."""
        told = self.ask(f"query?query={quote(query)}")
        return float(told["result"][0]["value"][1]) if told and told["result"] else 0.0

    def silent(self, seconds: float) -> bool:
        """Whether nothing fires any more, soon."""
        return wait_until(lambda: not self.firing(), seconds, every=1.0)


@contextmanager
def watching(lab: Lab, folder: Path, times: int | None = None, port: int = PORT) -> Generator[Watch]:
    """Prometheus in the lab's own network, with the jobs and the drops of the demo's, from here to the end.

    Args:
        lab: where.
        folder: keeps its files.
        times: how much faster time runs, in every rule alike; else as ``speed`` says.
        port: of its own, where another one runs in the lab.
    """
    watch = Watch(lab, folder / "rules.yaml", times, port)
    watch.judge()
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
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=auto-reload-config",
        f"--config.auto-reload-interval={EVERY}",
    ]  # fmt: skip
    log = folder / "log"
    with lab.beside(command, log) as process:
        assert wait_until(lambda: watch.ask("alerts") is not None, 60, every=1.0), log.read_text()
        assert process.poll() is None, log.read_text()
        yield watch
