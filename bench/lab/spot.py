"""Measurements of Spot that runs dry or is taken away, on a running lab: one run each, as numbers by name."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.lab import measures
from otel_on_spot.lab import addresses
from tests.lab.rehearsals import Rehearsed, rehearse
from tests.lab.running import Lab, until

Numbers = dict[str, Any]
REPLICAS: Final = 50
RETURNING: Final = 300
NAME: Final = "bench-drought"
PATIENCE_SECONDS: Final = 900.0


def fallback(lab: Lab) -> Numbers:
    """50 pods as frontends, all of Spot refused: seconds until all run, the boots in them, and the refusals."""
    lab.forget_refusals()
    return _in_a_drought(lab, REPLICAS, cpu="200m", memory="250Mi")


def thousand(lab: Lab) -> Numbers:
    """1,000 pods in a drought, with an On-Demand pool that has room for them."""
    pools = lab.config("pools")
    pools["on-demand"]["limits"] = pools["spot"]["limits"]
    lab.apply(pools=pools)
    try:
        lab.forget_refusals()
        return _in_a_drought(lab, measures.PODS, cpu="100m", memory="128Mi")
    finally:
        lab.apply()


def heap(lab: Lab) -> Numbers:
    """1,000 pods through the Spot pool: time until all run, Karpenter's CPU, and its memory at its peak, by holder.

    Returns: beside seconds and claims, MiB at the peak: ``resident``; ``Go``, what its runtime has of the system; of
        that ``heap``, in use; ``live``, what the last collection left, whose greatest holders are in ``profile``.
    """
    before = set(lab.claims())
    _, cpu = measures.karpenter_uses(lab)
    lab.wants_node(NAME, cpu="100m", memory="128Mi", replicas=measures.PODS)
    peak: Numbers = {"resident": 0.0}
    try:
        started = time.monotonic()
        while lab.ready(NAME) < measures.PODS:
            assert time.monotonic() - started < PATIENCE_SECONDS, f"{lab.ready(NAME)} of {measures.PODS} pods run"
            told = measures.karpenter_metrics(lab)
            resident = _mib(told, "process_resident_memory_bytes")
            if resident > 1.05 * peak["resident"]:
                held = _mib(told, "go_memstats_sys_bytes") - _mib(told, "go_memstats_heap_released_bytes")
                in_use = _mib(told, "go_memstats_heap_inuse_bytes")
                peak = {"resident": resident, "Go": held, "heap": in_use, **heap_profile(lab)}
            time.sleep(1.0)
        seconds = time.monotonic() - started
        _, cpu_after = measures.karpenter_uses(lab)
        claims = len(set(lab.claims()) - before)
        return {"seconds": seconds, "claims": claims, "CPU seconds": cpu_after - cpu, **peak}
    finally:
        _no_pods(lab)
        _only_what_was_there(lab)


def _mib(told: str, metric: str) -> float:
    found = re.search(rf"^{metric} (\S+)$", told, re.MULTILINE)
    assert found, f"Karpenter has no metric {metric}"
    return float(found[1]) / 2**20


def heap_profile(lab: Lab) -> Numbers:
    """What the last collection left in Karpenter's heap, and the functions that made most of it, the greatest first."""
    code = (
        "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read().hex().encode())"
    )
    url = f"http://127.0.0.1:{addresses.KARPENTER_METRICS}/debug/pprof/heap"
    with tempfile.NamedTemporaryFile(suffix=".pb.gz") as file:
        file.write(bytes.fromhex(lab.inside(sys.executable, "-c", code, url)))
        file.flush()
        sample = ("-sample_index=inuse_space", "-unit=MB", "-top", "-flat", "-nodecount=5")
        command = ["go", "tool", "pprof", *sample, file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    total = re.search(r"of ([\d.]+)MB total", told)
    assert total, told[:500]
    rows = re.findall(r"^ *([\d.]+)MB +\S+% +\S+% +\S+ +\S+% +(.+)$", told, re.MULTILINE)
    holders = "; ".join(f"{float(size):.0f} {name.rsplit('/', 1)[-1]}" for size, name in rows)
    return {"live": float(total[1]), "profile": holders}


def back_on_spot(lab: Lab) -> Numbers:
    """``drill drought`` whole: seconds until all is back on Spot after its return, and evictions by node.

    With more pods than the nodes that are there have room for, or nothing leaves Spot.
    """
    lab.forget_refusals()
    seen = _rehearsed(lab, "drought", "--replicas", str(RETURNING), "--max-return", "1200", "--within", "60")
    assert seen.lines["taken"] == "ok", seen.told
    told = (seen.report or {})["measures"]
    evictions = [int(count) for count in re.findall(r" (\d+)(?:,|$)", told["evictions by node"])]
    return {
        "seconds": float(told["back on Spot"].split()[0]),
        "evictions": sum(evictions),
        "nodes": len(evictions),
        "moved once": seen.lines["moved-once"],
    }


def storm(lab: Lab) -> Numbers:
    """``drill spot-storm --all``: looks at the front path that were served, its longest gap, until all is whole."""
    seen = _rehearsed(lab, "spot-storm", "--all", "--timeout", "300")
    told = (seen.report or {})["measures"]
    served, looks = (int(word) for word in told["front path"].split()[:3:2])
    gap = re.search(r"longest gap ([\d.]+) s", told["front path"])
    assert gap, told["front path"]
    return {
        "warned": told["warned"].partition(" at once")[0],
        "served": served,
        "looks": looks,
        "away": float(gap[1]),
        "least": int(told["least answering"].split()[0]),
        "whole": float(told["time to whole"].split()[0]),
    }


def warnings(lab: Lab) -> Numbers:
    """1,000 messages at once: seconds until the last is handled, and CPU of both ends while they are.

    Karpenter receives ten at a time, handles and deletes them side by side, and then asks for the next ten: what it
    waits for is answers of the simulated SQS, by Karpenter's own clock.
    """
    told, cpu = measures.karpenter_metrics(lab), cpu_seconds(lab)
    found = measures.burst(lab)
    told_after, cpu_after = measures.karpenter_metrics(lab), cpu_seconds(lab)
    used = {f"CPU of {name}": cpu_after[name] - cpu[name] for name in cpu}
    waited = {}
    for action in ("ReceiveMessage", "DeleteMessage"):
        before, after = (measures.histogram(scrape, measures.AWS_CALLS, f'"{action}"') for scrape in (told, told_after))
        waited[f"ms of {action}"] = 1000 * measures.quantile(measures.since(after, before), 0.5)
    return {**found, **used, **waited}


def cpu_seconds(lab: Lab) -> dict[str, float]:
    """CPU seconds that Karpenter, the simulated AWS and the rest of the lab have used, in the lab's own namespace."""
    code = (
        "import collections, json, psutil, sys; karpenter, used = int(sys.argv[1]), collections.Counter()\n"
        "for process in psutil.process_iter(['cpu_times', 'cmdline']):\n"
        "    words, times = process.info['cmdline'] or [], process.info['cpu_times'] or (0, 0)\n"
        "    moto = any('moto_main' in word for word in words)\n"
        "    used['karpenter' if process.pid == karpenter else 'moto' if moto else 'rest'] += sum(times[:2])\n"
        "print(json.dumps(used))"
    )
    return json.loads(lab.inside(sys.executable, "-c", code, str(lab.process("karpenter")["pid"])))


def _in_a_drought(lab: Lab, replicas: int, *, cpu: str, memory: str) -> Numbers:
    before = set(lab.claims())
    with _no_spot(lab):
        lab.wants_node(NAME, cpu=cpu, memory=memory, replicas=replicas, pool="")
        try:
            started = time.monotonic()
            while (running := lab.ready(NAME)) < replicas and time.monotonic() - started < PATIENCE_SECONDS:
                time.sleep(0.3)
            seconds = time.monotonic() - started
            claims = [claim for name, claim in lab.claims().items() if name not in before]
            refused = {
                event["involvedObject"]["name"]
                for event in lab.get("events")
                if event["reason"] == "InsufficientCapacityError"
            }
            return {
                "seconds": seconds,
                "left": replicas - running,
                "nodes": len(claims),
                "boot": max(map(_boot, claims), default=0.0),
                "refused": len(refused - before),
            }
        finally:
            _no_pods(lab)


@contextmanager
def _no_spot(lab: Lab) -> Generator[None]:
    # The collection in one request: `delete --all` asks once for each event, minutes after a thousand pods.
    lab.kubectl("delete", f"--raw=/api/v1/namespaces/{measures.NAMESPACE}/events")
    try:
        with lab.short_of("spot"):
            yield
    finally:
        _only_what_was_there(lab)


def _no_pods(lab: Lab) -> None:
    """Delete the pods before their nodes: Karpenter launches others for pods of a node that goes."""
    lab.kubectl("delete", "deployment", NAME, f"--namespace={measures.NAMESPACE}", "--cascade=foreground")


def _only_what_was_there(lab: Lab) -> None:
    """Take away the nodes that nothing needs any more, not by the pools' budgets, a tenth at a time.

    Each node has the demo's collector, of a DaemonSet: it needs none.
    """
    of_demo = {
        pod["spec"].get("nodeName")
        for pod in lab.get("pods")
        if pod["metadata"]["namespace"] == "otel-demo"
        and pod["metadata"].get("ownerReferences", [{}])[0].get("kind") != "DaemonSet"
    }
    empty = [name for name, claim in lab.claims().items() if claim.get("status", {}).get("nodeName") not in of_demo]
    if empty:
        lab.kubectl("delete", "nodeclaims", "--ignore-not-found", "--wait=false", *empty)
    until("the nodes are gone again", lambda: not set(empty) & set(lab.claims()), PATIENCE_SECONDS)


def _boot(claim: Any) -> float:
    """Seconds from a NodeClaim's launch until its node registered; 0 where it did not."""
    at = {
        entry["type"]: datetime.fromisoformat(entry["lastTransitionTime"])
        for entry in claim.get("status", {}).get("conditions", ())
        if entry["status"] == "True"
    }
    return (at["Registered"] - at["Launched"]).total_seconds() if {"Registered", "Launched"} <= at.keys() else 0.0


def _rehearsed(lab: Lab, name: str, *options: str) -> Rehearsed:
    """A drill, to its end. What it prints is kept where ``CAPTURES`` says, as the tests' is: pages show it."""
    with tempfile.TemporaryDirectory() as folder:
        seen = rehearse(lab, Path(folder), name, *options, keep=f"{name}-{lab.stack.name}", seconds=2400)
    assert seen.report is not None, seen.told
    return seen
