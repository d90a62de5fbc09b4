"""``python -m bench.judging``: what it costs that every call of the simulated cloud is decided as a role.

The program's graph is made and destroyed as nobody in particular and as the bootstrap's role, in turns, in one account.
CPU seconds, not those of the clock: of this process and of the simulated AWS beside it. A call's own cost is the CPU
time of the thread that decides it, what it asks the simulated AWS about its resources left out.
"""

import argparse
import gc
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.__main__ import show
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.authorization import Authorization, judged
from otel_on_spot.simcloud.cloud import Cloud

BOOTSTRAP = Path(__file__).parents[1] / "bootstrap"
OWN = "otel-on-spot-bootstrap"
AIM_PERCENT, AIM_MILLISECONDS = 5.0, 1.0


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


def cpu_seconds(cloud: Cloud) -> float:
    """CPU seconds so far of this process and of the simulated AWS."""
    fields = Path(f"/proc/{cloud.moto.pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def life(cloud: Cloud, stack: str, role: str | None) -> tuple[float, int, float]:
    """(CPU seconds, calls, CPU seconds of deciding them) of one update and destroy of a stack."""
    boundary = f"arn:aws:iam::{cloud.account}:policy/{OWN}/{OWN}-{stack}-boundary"
    deciding = Deciding()
    gc.collect()
    started = cpu_seconds(cloud)
    with judged(cloud, role) if role else nullcontext() as calls:
        if isinstance(calls, Authorization):
            calls.operation = deciding.around(calls.operation)
            calls.function = deciding.around(calls.function)
        made = graph.apply(stack, cloud, config_overrides={"iam": {"permissionsBoundary": boundary}})
        graph.destroy(made, cloud, unprotected=True)
    assert calls is None or not calls.denied
    return cpu_seconds(cloud) - started, len(calls.calls) if calls else 0, deciding.seconds


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench.judging", description=__doc__)
    options.add_argument("--runs", type=int, default=7, help="runs of each kind; the medians are printed")
    options.add_argument("--stack", default="dev")
    options.add_argument("--markdown", action="store_true", help="print Markdown")
    given = options.parse_args()
    role = f"{OWN}-{given.stack}-up"
    with Cloud(Path(tempfile.mkdtemp()), patience=60, forgetful=True) as cloud:
        graph.apply("account", cloud, root=BOOTSTRAP)
        kinds: dict[str | None, list[tuple[float, int, float]]] = {None: [], role: []}
        for run in range(given.runs + 1):
            for kind, found in kinds.items():
                measured = life(cloud, given.stack, kind)
                found += [measured] if run else []  # the first of each kind warms up
    plain, decided = (statistics.median(seconds for seconds, _, _ in found) for found in kinds.values())
    calls = kinds[role][0][1]
    of_a_call = statistics.median(1000 * deciding / calls for _, calls, deciding in kinds[role])
    more = 100 * (decided - plain) / plain
    header = ("stack", "calls", "CPU s as nobody", "CPU s as the role", "more", "a call, ms")
    row = (given.stack, str(calls), f"{plain:.2f}", f"{decided:.2f}", f"{more:.1f}%", f"{of_a_call:.3f}")
    title = f"medians of {given.runs}; aims: at most {AIM_PERCENT:.0f}% more, at most {AIM_MILLISECONDS:.0f} ms a call"
    show([(title, header, [row])], markdown=given.markdown)


if __name__ == "__main__":
    main()
