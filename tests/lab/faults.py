"""Faults that are put into a running lab and taken out again, each with the line of the doctor that must name it."""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from otel_on_spot.doctor import examine, facts
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.report import as_document
from tests.lab.running import ROOT, Lab

CLUSTER, REGION, ACCOUNT = "otel-lab", "eu-west-1", "123456789012"
NODE_ROLE, CONTROLLER_ROLE = f"{CLUSTER}-karpenter-node", f"{CLUSTER}-karpenter-controller"
QUEUE = f"{CLUSTER}-interruption"


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


class Seed(Protocol):
    """A generator function that puts a fault in, yields, and takes it out; its name says which."""

    __name__: str

    def __call__(self, lab: Lab, /) -> Iterator[None]: ...


def seeding(seed: Seed) -> Callable[[Lab], AbstractContextManager[None]]:
    """The context in which a fault is there; it is taken out whatever the test does meanwhile."""

    @contextmanager
    def running(lab: Lab) -> Generator[None]:
        seeded = seed(lab)
        next(seeded)
        try:
            yield
        finally:
            next(seeded, None)

    return running


def swapped(lab: Lab, service: str, away: str, back: str, **given: Any) -> Iterator[None]:
    """What one call of AWS takes away, and another one with the same arguments gives back."""
    lab.aws(service, away, **given)
    yield
    lab.aws(service, back, **given)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault.

    ``line``: the doctor's line that must name it; ``said``: words of what it says was seen; ``also``: lines that
    may follow from it; ``seconds``: how long the cluster may take until it shows; ``later``: what is seen is judged
    as if so much later, for a fault that is none as long as it may be over by itself.
    """

    name: str
    line: str
    said: str
    seed: Callable[[Lab], AbstractContextManager[None]]
    also: frozenset[str]
    seconds: float
    later: timedelta


class Faults(list[Fault]):
    """Faults in the order in which they are put in."""

    def named(
        self, line: str, said: str, *, also: tuple[str, ...] = (), seconds: float = 0.0, later: timedelta = timedelta()
    ) -> Callable[[Seed], Seed]:
        """Add a generator that puts a fault in, yields, and takes it out."""

        def add(seed: Seed) -> Seed:
            one = Fault(
                name=seed.__name__.replace("_", " "),
                line=line,
                said=said,
                seed=seeding(seed),
                also=frozenset(also),
                seconds=seconds,
                later=later,
            )
            self.append(one)
            return seed

        return add

    def one(self, name: str) -> Fault:
        """The one of this name."""
        (found,) = (fault for fault in self if fault.name == name)
        return found


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the doctor said: its report, and the facts that it judged."""

    report: dict[str, Any]
    facts: Facts

    def later(self, time: timedelta) -> "Seen":
        """The same facts, judged as if they were taken so much later."""
        if not time:
            return self
        moved = replace(self.facts, taken_at=self.facts.taken_at + time)
        report = examine.examine(moved, examine.select_checks((), ()), seconds=self.report["seconds"])
        return Seen(report=as_document(report), facts=moved)

    @property
    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """Findings by line, of the lines that have any."""
        return {verdict["id"]: verdict["findings"] for verdict in self.report["verdicts"] if verdict["findings"]}

    @property
    def unknown(self) -> dict[str, str]:
        """Why not, by line that was not judged."""
        return {
            verdict["id"]: verdict["why_unknown"]
            for verdict in self.report["verdicts"]
            if verdict["status"] == "unknown"
        }

    def said(self, line: str) -> str:
        """What a line says was seen."""
        return " | ".join(f"{entry['subject']}: {entry['seen']}" for entry in self.lines.get(line, []))


def doctor(lab: Lab, folder: Path, *options: str, tree: Path = ROOT) -> Seen:
    """Run the command as a user does, in the lab's namespaces; its exit code must be what its report says."""
    out, kept = folder / "report.json", folder / "facts.json"
    out.unlink(missing_ok=True)
    line = ("--verbose", "doctor", "--json", str(out), "--facts-out", str(kept))
    told, code = lab.otel_on_spot(*line, *options, tree=tree)
    assert out.exists(), told[-3000:]
    report = json.loads(out.read_text())
    assert report["exit_code"] == code, told[-3000:]
    return Seen(report=report, facts=facts.load(kept))
