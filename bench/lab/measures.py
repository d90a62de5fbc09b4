"""Each measurement: given a running lab, a list of seconds or numbers. Nothing is left behind in the lab."""

import json
import re
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from otel_on_spot.lab import addresses
from otel_on_spot.lab.aws import events
from tests.lab.running import Lab, until

MESSAGES = 1000
FRONTENDS = 50
PODS = 1000
NODES = 100
CROWD = 2000
PAUSE_SECONDS = 3.0
"""Between attempts to revert: Argo CD's next self-heal counts its backoff from the last sync."""
PATIENCE_SECONDS = 600.0
NAMESPACE, QUEUE = "default", "otel-lab-interruption"
QUEUED = "karpenter_interruption_message_queue_duration_seconds"
AWS_CALLS = "aws_sdk_go_request_duration_seconds"
"""Karpenter's own clock for its calls of AWS.

Source: https://github.com/jonathan-innis/aws-sdk-go-prometheus/blob/v0.1.1/common/metrics.go
"""


def interruption(lab: Lab) -> dict[str, float]:
    """Seconds from the event on the bus to the NodeClaim's deletion.

    The API server writes the deletion with a resolution of a second, so it is watched for, every 50 ms.
    """
    name = "bench-interrupted"
    lab.wants_node(name)
    try:
        node = until("the pod runs", lambda: lab.runs(name), PATIENCE_SECONDS)
        claim = lab.claim_of_node(node)
        instance = claim["status"]["providerID"].rpartition("/")[2]
        with _deletion_of(lab, claim["metadata"]["name"]) as seen:
            started = time.monotonic()
            lab.ask("event", event=events.spot_interruption(lab.stack.region, instance))
            assert seen.wait(60), "the NodeClaim was not deleted within 60 s"
            seconds = time.monotonic() - started
        until("the pod runs elsewhere", lambda: lab.moved(name, claim), PATIENCE_SECONDS)
        return {"seconds": seconds}
    finally:
        lab.no_longer_wants_node(name)


@contextmanager
def _deletion_of(lab: Lab, claim: str) -> Generator[threading.Event]:
    """Set when a NodeClaim has a deletion timestamp, or is gone."""
    seen, over = threading.Event(), threading.Event()

    def look() -> None:
        while not over.is_set() and not seen.is_set():
            now = lab.get("nodeclaim", claim)
            if now is None or now["metadata"].get("deletionTimestamp"):
                seen.set()
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def burst(lab: Lab) -> dict[str, float]:
    """1,000 state changes of other clusters' instances at once: Karpenter's own clock says how long each waited.

    Returns:
        ``seconds`` from the first one sent until the last is handled, ``rate`` in messages a second, ``p50`` and
        ``p99`` in seconds, as upper bounds of the histogram's buckets (``QUEUED``).
    """
    url = lab.aws("sqs", "get_queue_url", QueueName=QUEUE)["QueueUrl"]
    before = histogram(karpenter_metrics(lab), QUEUED)
    body = json.dumps(events.state_change(lab.stack.region, "i-0123456789abcdef0", "stopping"))
    started = lab.fill_queue(url, body, MESSAGES)
    sent = time.monotonic() - started

    def counted() -> dict[float, float]:
        return since(histogram(karpenter_metrics(lab), QUEUED), before)

    until("all are handled", lambda: _total(counted()) >= MESSAGES, PATIENCE_SECONDS)
    seconds = time.monotonic() - started
    counts = counted()
    return {
        "sent in": sent,
        "seconds": seconds,
        "rate": MESSAGES / seconds,
        "p50": quantile(counts, 0.5),
        "p99": quantile(counts, 0.99),
    }


def histogram(told: str, name: str, label: str = "") -> dict[float, float]:
    """Cumulative count by upper bound in seconds.

    ``told``: Karpenter's metrics. ``label``: of the series that count, as ``action="DeleteMessage"``; all count without
    one.
    """
    found: dict[float, float] = {}
    for match in re.finditer(rf"^{name}_bucket{{([^}}]*)}} (\S+)$", told, re.MULTILINE):
        bound = re.search(r'le="([^"]+)"', match[1])
        if bound and label in match[1]:
            key = float(bound[1].replace("+Inf", "inf"))
            found[key] = found.get(key, 0.0) + float(match[2])
    return found


def since(after: dict[float, float], before: dict[float, float]) -> dict[float, float]:
    """What a histogram has counted in between."""
    return {bound: after[bound] - before.get(bound, 0.0) for bound in after}


def karpenter_metrics(lab: Lab) -> str:
    """Karpenter's metrics."""
    code = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    return lab.inside(sys.executable, "-c", code, f"http://127.0.0.1:{addresses.KARPENTER_METRICS}/metrics")


def _total(counts: dict[float, float]) -> float:
    return counts.get(float("inf"), 0.0)


def quantile(counts: dict[float, float], share: float) -> float:
    """Upper bound of the bucket that holds the quantile. ``counts``: cumulative, by upper bound."""
    wanted = share * _total(counts)
    return next(bound for bound in sorted(counts) if counts[bound] >= wanted)


def frontends(lab: Lab) -> dict[str, float]:
    """50 frontends under a deny window: seconds until the last NodeClaim is made, and until all run."""
    declared, before = lab.replicas(), set(lab.claims())
    with lab.denied():
        try:
            started, claimed = time.monotonic(), 0.0
            lab.scale_frontend(FRONTENDS)
            seen = set(before)
            while True:
                ready = lab.ready("frontend", "otel-demo")
                if set(lab.claims()) - seen:
                    seen |= set(lab.claims())
                    claimed = time.monotonic() - started
                if ready == FRONTENDS:
                    return {"claims": len(seen - before), "claimed": claimed, "running": time.monotonic() - started}
                assert time.monotonic() - started < PATIENCE_SECONDS, f"{ready} of {FRONTENDS} frontends are ready"
                time.sleep(0.2)
        finally:
            lab.scale_frontend(declared)
            until("the nodes are gone again", lambda: len(lab.claims()) <= len(before), PATIENCE_SECONDS)


@contextmanager
def crowded(lab: Lab) -> Generator[None]:
    """A lab with at least 100 nodes, launched by Karpenter one for each of as many pods, and 2,000 pods."""
    names = ("bench-apart", "bench-crowd")
    before = set(lab.claims())
    try:
        lab.wants_node(names[0], cpu="100m", memory="64Mi", replicas=NODES, apart=True)
        _until_ready(lab, names[0], NODES)
        rest = CROWD - len(lab.get("pods"))
        lab.wants_node(names[1], cpu="10m", memory="16Mi", replicas=rest)
        _until_ready(lab, names[1], rest)
        yield
    finally:
        for name in names:
            lab.kubectl("delete", "deployment", name, f"--namespace={NAMESPACE}", "--ignore-not-found")
        # Left to themselves they go by the pools' budgets, a tenth at a time.
        if ours := set(lab.claims()) - before:
            lab.kubectl("delete", "nodeclaims", "--ignore-not-found", "--wait=false", *ours)
        until("the nodes are gone again", lambda: len(lab.claims()) <= len(before), 3 * PATIENCE_SECONDS)


def _until_ready(lab: Lab, name: str, replicas: int) -> None:
    until(f"{replicas} pods of {name} run", lambda: lab.ready(name) == replicas, 3 * PATIENCE_SECONDS)


def doctor(lab: Lab) -> dict[str, float]:
    """The doctor on the lab as it is, which must be in order: seconds of the whole command, and what it looked at."""
    started = time.monotonic()
    told = lab.inside(sys.executable, "-m", "otel_on_spot", "doctor", "--stack", lab.stack.name)
    seconds = time.monotonic() - started
    checks = re.search(r"(\d+) checks", told)
    assert checks, told[-500:]
    return {
        "seconds": seconds,
        "nodes": len(lab.get("nodes")),
        "pods": len(lab.get("pods")),
        "checks": int(checks[1]),
    }


def karpenter_uses(lab: Lab) -> tuple[float, float]:
    """Resident memory in MiB and CPU seconds of the controller."""
    told = karpenter_metrics(lab)
    memory, cpu = (
        float(match[1])
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total")
        if (match := re.search(rf"^{name} (\S+)$", told, re.MULTILINE))
    )
    return memory / 2**20, cpu


def revert(lab: Lab) -> dict[str, float]:
    """Seconds until Argo CD puts a manual scale back."""
    declared = lab.replicas()
    lab.scale_frontend(FRONTENDS)
    started = time.monotonic()
    until("it is put back", lambda: lab.replicas() == declared, PATIENCE_SECONDS)
    seconds = time.monotonic() - started
    time.sleep(PAUSE_SECONDS)
    return {"seconds": seconds}


def memory(lab: Lab) -> dict[str, float]:
    """MiB by process, and of all."""
    rows: list[dict[str, Any]] = lab.ask("processes")
    found = {row["name"]: row["rss_mib"] for row in rows}
    return {**found, "all": sum(found.values())}
