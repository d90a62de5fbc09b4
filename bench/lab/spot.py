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

import yaml

from bench.lab import measures
from otel_on_spot.lab import addresses
from tests.lab.rehearsals import Rehearsed, rehearse
from tests.lab.running import ROOT, Lab, until

Numbers = dict[str, Any]
REPLICAS: Final = 50
NAME: Final = "bench-drought"
PATIENCE_SECONDS: Final = 900.0


def fallback(lab: Lab) -> Numbers:
    """50 pods as frontends, all of Spot refused: seconds until all run, the boots in them, and the refusals."""
    forget_refusals(lab)
    return _in_a_drought(lab, REPLICAS, cpu="200m", memory="250Mi")


def thousand(lab: Lab) -> Numbers:
    """1,000 pods in a drought, with an On-Demand pool that has room for them."""
    pools = yaml.safe_load((ROOT / f"Pulumi.{lab.stack.name}.yaml").read_text())["config"]["otel-on-spot:pools"]
    pools["on-demand"]["limits"] = pools["spot"]["limits"]
    lab.apply(pools=pools)
    try:
        forget_refusals(lab)
        return _in_a_drought(lab, measures.PODS, cpu="100m", memory="128Mi")
    finally:
        lab.apply()


def heap(lab: Lab) -> Numbers:
    """Karpenter's memory while 1,000 pods come, and what its heap holds then, by the real controller's profile."""
    lab.wants_node(NAME, cpu="100m", memory="128Mi", replicas=measures.PODS)
    most, profile = 0.0, ""
    try:
        started = time.monotonic()
        while _ready(lab) < measures.PODS:
            assert time.monotonic() - started < PATIENCE_SECONDS, f"{_ready(lab)} of {measures.PODS} pods run"
            memory, _ = measures.karpenter_uses(lab)
            if memory > 1.1 * most:
                profile = heap_profile(lab)
            most = max(most, memory)
            time.sleep(1.0)
        told = measures.karpenter_metrics(lab)
        values = {
            key: float(match[1]) / 2**20
            for key, name in (("heap in use", "go_memstats_heap_inuse_bytes"), ("from the OS", "go_memstats_sys_bytes"))
            if (match := re.search(rf"^{name} (\S+)$", told, re.MULTILINE))
        }
        return {"MiB": most, "profile": profile, **values}
    finally:
        lab.kubectl("delete", "deployment", NAME, f"--namespace={measures.NAMESPACE}")
        _only_what_was_there(lab)


def heap_profile(lab: Lab, lines: int = 6) -> str:
    """The functions that hold most of Karpenter's heap: ``share name`` by line, the greatest first."""
    code = (
        "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read().hex().encode())"
    )
    url = f"http://127.0.0.1:{addresses.KARPENTER_METRICS}/debug/pprof/heap"
    with tempfile.NamedTemporaryFile(suffix=".pb.gz") as file:
        file.write(bytes.fromhex(lab.inside(sys.executable, "-c", code, url)))
        file.flush()
        command = [
            "go",
            "tool",
            "pprof",
            "-sample_index=inuse_space",
            "-top",
            "-flat",
            f"-nodecount={lines}",
            file.name,
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    rows = re.findall(r"^ *(\d\S*) +\S+% +\S+% +\S+ +\S+% +(.+)$", told, re.MULTILINE)
    return "; ".join(f"{size} {name.rsplit('/', 1)[-1]}" for size, name in rows if size != "0")


def back_on_spot(lab: Lab) -> Numbers:
    """``drill drought`` whole: seconds until all is back on Spot after its return, and evictions by node."""
    forget_refusals(lab)
    seen = _rehearsed(lab, "drought", "--replicas", str(REPLICAS), "--max-return", "1200", "--within", "120")
    told = (seen.report or {})["measures"]
    evictions = [int(count) for count in re.findall(r" (\d+)(?:,|$)", told["evictions by node"])]
    return {
        "seconds": float(told["back on Spot"].split()[0]),
        "evictions": sum(evictions),
        "nodes": len(evictions),
        "moved once": seen.lines["moved-once"],
    }


def storm(lab: Lab) -> Numbers:
    """``drill spot-storm --all``: looks at the front path that were served, the longest gap, until all is whole."""
    seen = _rehearsed(lab, "spot-storm", "--all", "--timeout", "300")
    told = (seen.report or {})["measures"]
    served, looks = (int(word) for word in told["front path"].split()[:3:2])
    gap = re.search(r"longest gap ([\d.]+) s", told["front path"])
    assert gap, told["front path"]
    return {
        "warned": told["warned"].partition(" at once")[0],
        "served": served,
        "looks": looks,
        "gap": float(gap[1]),
        "whole": float(told["time to whole"].split()[0]),
    }


def warnings(lab: Lab) -> Numbers:
    """1,000 messages at once: seconds until the last is handled, and CPU of both ends while they are.

    Karpenter waits for answers of the simulated SQS, one receive and a delete for each message: where the simulated AWS
    has a core to itself for as long as it takes, the time is the lab's.
    """
    before = cpu_seconds(lab)
    found = measures.burst(lab)
    after = cpu_seconds(lab)
    used = {name: after[name] - before[name] for name in before}
    of_lab = sum(seconds for name, seconds in used.items() if name != "karpenter")
    calls = measures.aws_calls(lab)
    return {**found, "CPU of Karpenter": used["karpenter"], "CPU of the lab": of_lab, "calls": calls}


def cpu_seconds(lab: Lab) -> dict[str, float]:
    """CPU seconds that each process of the lab has used; they are numbered in the lab's own namespace."""
    code = (
        "import json, os, sys; ticks = os.sysconf('SC_CLK_TCK')\n"
        "def used(pid):\n"
        "    fields = open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()\n"
        "    return (int(fields[11]) + int(fields[12])) / ticks\n"
        "print(json.dumps({name: used(pid) for name, pid in json.loads(sys.stdin.read()).items()}))"
    )
    pids = {row["name"]: row["pid"] for row in lab.ask("processes")}
    return json.loads(lab.inside(sys.executable, "-c", code, text=json.dumps(pids)))


def forget_refusals(lab: Lab) -> None:
    """Start Karpenter again: for three minutes it leaves alone what EC2 refused, and would not ask again."""
    lab.ask("restart", name="karpenter")
    until("Karpenter answers", lambda: "karpenter_build_info" in measures.karpenter_metrics(lab), 60)


def _in_a_drought(lab: Lab, replicas: int, *, cpu: str, memory: str) -> Numbers:
    before = set(lab.claims())
    with _no_spot(lab):
        lab.wants_node(NAME, cpu=cpu, memory=memory, replicas=replicas, pool="")
        try:
            started = time.monotonic()
            while (running := _ready(lab)) < replicas and time.monotonic() - started < PATIENCE_SECONDS:
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
            lab.kubectl("delete", "deployment", NAME, f"--namespace={measures.NAMESPACE}")


@contextmanager
def _no_spot(lab: Lab) -> Generator[None]:
    lab.kubectl("delete", "events", "--all", f"--namespace={measures.NAMESPACE}")
    lab.ask("capacity", shortages=[{"capacity_type": "spot"}])
    try:
        yield
    finally:
        lab.ask("capacity", shortages=[])
        _only_what_was_there(lab)


def _only_what_was_there(lab: Lab) -> None:
    """Take away the nodes that nothing needs any more, not by the pools' budgets, a tenth at a time."""
    of_demo = {pod["spec"].get("nodeName") for pod in lab.get("pods") if pod["metadata"]["namespace"] == "otel-demo"}
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


def _ready(lab: Lab) -> int:
    return lab.get("deployment", NAME, measures.NAMESPACE)["status"].get("readyReplicas", 0)


def _rehearsed(lab: Lab, name: str, *options: str) -> Rehearsed:
    with tempfile.TemporaryDirectory() as folder:
        seen = rehearse(lab, Path(folder), name, *options, seconds=2400)
    assert seen.report is not None, seen.told
    return seen
