"""``python -m bench.judging``: what it costs that every call of the simulated cloud is decided as a role.

The program is deployed as nobody in particular and as the bootstrap's role, in turns, in one account: its graph is made
and destroyed, and with ``--engine`` updated by ``pulumi up``, which is counted, and destroyed, which is not.

CPU seconds, not those of the clock: of this process, of the simulated AWS beside it and of the command. A call's own
cost is the CPU time of the thread that decides it; what it asks the simulated AWS is in the CPU seconds alone.
"""

import argparse
import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.__main__ import show
from bench.engine.running import MeasuredWorkspace
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.authorization import Authorization, judged
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.session import Session

BOOTSTRAP = Path(__file__).parents[1] / "bootstrap"
OWN = "otel-on-spot-bootstrap"
AIM_PERCENT, AIM_MILLISECONDS = 5, 1


@dataclass
class Deciding:
    """CPU seconds of all threads inside the deciding of calls."""

    seconds: float = 0.0

    def around(self, decide: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its CPU time added up."""
        lock = threading.Lock()

        def timed(*given: Any) -> Any:
            started = time.thread_time()
            try:
                return decide(*given)
            finally:
                with lock:
                    self.seconds += time.thread_time() - started

        return timed


@dataclass(frozen=True)
class Life:
    """CPU seconds of a deployment, its calls, and the CPU seconds in which they were decided."""

    cpu_seconds: float
    calls: int
    deciding: float


def cpu_seconds(cloud: Cloud) -> float:
    """CPU seconds so far of this process and of the simulated AWS."""
    return time.process_time() + sum(psutil.Process(cloud.moto.pid).cpu_times()[:2])


def boundary(cloud: Cloud, stack: str) -> dict[str, str]:
    """The setting ``iam`` of a stack of the bootstrap."""
    return {"permissionsBoundary": f"arn:aws:iam::{cloud.account}:policy/{OWN}/{OWN}-{stack}-boundary"}


def measured(cloud: Cloud, role: str | None, deploy: Callable[[], float]) -> Life:
    """The cost of a deployment, which returns the CPU seconds of other processes."""
    deciding = Deciding()
    gc.collect()
    started = cpu_seconds(cloud)
    with judged(cloud, role) if role else nullcontext() as calls:
        if isinstance(calls, Authorization):
            calls.operation = deciding.around(calls.operation)
            calls.function = deciding.around(calls.function)
        others = deploy()
    assert calls is None or not calls.denied
    return Life(cpu_seconds(cloud) - started + others, len(calls.calls) if calls else 0, deciding.seconds)


def of_graph(cloud: Cloud, stack: str, role: str | None) -> Life:
    """An update and a destroy of the recorded graph."""

    def deploy() -> float:
        graph.destroy(
            graph.apply(stack, cloud, config_overrides={"iam": boundary(cloud, stack)}), cloud, unprotected=True
        )
        return 0.0

    return measured(cloud, role, deploy)


def of_engine(session: Session, workspace: MeasuredWorkspace, stack: str, role: str | None) -> Life:
    """``pulumi up`` of an empty stack, which is destroyed afterwards.

    Args:
        session: the cloud.
        workspace: has the stack.
        stack: its name.
        role: who updates it; None is nobody in particular.
    """
    life = measured(session.cloud, role, lambda: workspace.up(session, stack).cpu_seconds)
    workspace.run(session, "destroy", "--yes", "--skip-preview", "--non-interactive", "--stack", stack)
    return life


def turns(runs: int, role: str, live: Callable[[str | None], Life]) -> dict[str | None, list[Life]]:
    """The lives as nobody and as a role, in turns; the first of each warms up and is not counted."""
    found: dict[str | None, list[Life]] = {None: [], role: []}
    for run in range(runs + 1):
        for who, lives in found.items():
            life = live(who)
            lives += [life] if run else []
    return found


def row(what: str, plain: list[Life], decided: list[Life]) -> tuple[str, ...]:
    """A row of the table: medians."""
    nobody, somebody = (statistics.median(life.cpu_seconds for life in lives) for lives in (plain, decided))
    of_a_call = statistics.median(1000 * life.deciding / life.calls for life in decided)
    more = f"{100 * (somebody - nobody) / nobody:.1f}%"
    return what, str(decided[0].calls), f"{nobody:.2f}", f"{somebody:.2f}", more, f"{of_a_call:.2f}"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench.judging", description=__doc__)
    options.add_argument("--runs", type=int, default=5, help="runs of each kind; the medians are printed")
    options.add_argument("--stack", default="dev", help="a stack without deletion protection")
    options.add_argument("--engine", action="store_true", help="the real engine's `up` too")
    options.add_argument("--markdown", action="store_true", help="print Markdown")
    given = options.parse_args()
    stack, role, rows = given.stack, f"{OWN}-{given.stack}-up", []
    folder = Path(tempfile.mkdtemp())
    with Session(folder / "cloud", stand_in=True, patience=60, forgetful=True) as session:
        graph.apply("account", session.cloud, root=BOOTSTRAP)
        lives = turns(given.runs, role, lambda who: of_graph(session.cloud, stack, who))
        rows.append(row(f"{stack}'s graph, made and destroyed", lives[None], lives[role]))
        if given.engine:
            workspace = MeasuredWorkspace(folder / "workspace")
            workspace.new_stack(
                session, stack, of=stack, change=lambda told: told.update(iam=boundary(session.cloud, stack))
            )
            lives = turns(given.runs, role, lambda who: of_engine(session, workspace, stack, who))
            rows.append(row(f"`pulumi up` of {stack}", lives[None], lives[role]))
    header = ("what", "calls", "CPU s as nobody", "CPU s as the role", "more", "a call, ms")
    title = f"medians of {given.runs}; aims: at most {AIM_PERCENT}% more, at most {AIM_MILLISECONDS} ms a call"
    show([(title, header, rows)], markdown=given.markdown)


if __name__ == "__main__":
    main()
