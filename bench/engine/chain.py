"""Makespans of a graph of steps: the longest chain, and the same steps behind the barriers of modules.

Steps are named by any string; ``seconds`` says how long each takes, ``needs`` which steps each waits for.
"""

import heapq
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Needs = Mapping[str, Set[str]]


@dataclass(frozen=True)
class Chain:
    """Steps one after another, and the sum of their seconds."""

    seconds: float
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    """Steps that start when the module before is done, and ``wait`` seconds have passed after it."""

    name: str
    steps: frozenset[str]
    wait: float = 0.0


@dataclass(frozen=True)
class Stretch:
    """When a module's first step may start and its last one ends, in seconds since the start of all."""

    module: str
    start: float
    end: float


def ends(seconds: Mapping[str, float], needs: Needs) -> dict[str, float]:
    """When each step ends where each starts as soon as all that it needs is done, and nothing else holds it.

    Raises:
        ValueError: a step needs one that is not in ``seconds``, or itself by way of others.
    """
    unknown = {below for step in seconds for below in needs.get(step, ())} - seconds.keys()
    if unknown:
        raise ValueError(f"needed, but not among the steps: {', '.join(sorted(unknown))}. Give every step its seconds")
    done: dict[str, float] = {}
    try:
        for step in TopologicalSorter({step: needs.get(step, ()) for step in seconds}).static_order():
            done[step] = seconds[step] + max((done[below] for below in needs.get(step, ())), default=0.0)
    except CycleError as problem:
        raise ValueError(f"steps that wait for each other: {' -> '.join(problem.args[1])}. Take one edge out") from None
    return done


def longest(seconds: Mapping[str, float], needs: Needs) -> Chain:
    """The chain that nothing can beat, however many steps run at once; of equally long ones, the first by name.

    Raises:
        ValueError: as ``ends``.
    """
    done = ends(seconds, needs)
    if not done:
        return Chain(0.0, ())
    last = min(done, key=lambda step: (-done[step], step))
    chain = [last]
    while needs.get(chain[-1]):
        chain.append(min(needs[chain[-1]], key=lambda step: (-done[step], step)))
    return Chain(done[last], tuple(reversed(chain)))


def serial(seconds: Mapping[str, float], needs: Needs, modules: Sequence[Module]) -> list[Stretch]:
    """The same steps, module after module; inside a module the graph, with as many steps at once as it allows.

    Edges between modules are those of the barriers: a need in an earlier module is met, one in a later is dropped.

    Raises:
        ValueError: a step is in no module or in two, a module holds a step that does not exist, or as ``ends``.
    """
    for step in seconds:
        homes = [module.name for module in modules if step in module.steps]
        if len(homes) != 1:
            raise ValueError(f"{step} is in {' and '.join(homes) or 'no module'}. Put each step into one module")
    stretches: list[Stretch] = []
    now = 0.0
    for module in modules:
        absent = module.steps - seconds.keys()
        if absent:
            raise ValueError(f"module {module.name}: no such step: {', '.join(sorted(absent))}. Take it out")
        start = now + module.wait
        inside = {step: needs.get(step, frozenset()) & module.steps for step in module.steps}
        now = start + max(ends({step: seconds[step] for step in module.steps}, inside).values(), default=0.0)
        stretches.append(Stretch(module.name, start, now))
    return stretches


def limited(seconds: Mapping[str, float], needs: Needs, at_once: int, holding: Needs | None = None) -> float:
    """Makespan where at most ``at_once`` steps run; what was ready first goes first, as in the engine.

    Args:
        seconds: step -> its seconds.
        needs: step -> what must have ended before it.
        at_once: steps that may run at one time.
        holding: needs that a step waits for when it has begun already: meanwhile it takes one of the places.

    Returns:
        Seconds; infinity where steps that wait take every place from what they wait for.

    Raises:
        ValueError: as ``ends``, or no step may run.
    """
    if at_once < 1:
        raise ValueError(f"at most {at_once} at once: at least one step must be allowed to run")
    ends(seconds, {step: {*needs.get(step, ()), *(holding or {}).get(step, ())} for step in seconds})
    order = {step: place for place, step in enumerate(seconds)}
    left, queue, held = set(seconds), [], set()
    running: list[tuple[float, str]] = []
    done: set[str] = set()
    now = 0.0
    while left or queue or held or running:
        ready = sorted((step for step in left if set(needs.get(step, ())) <= done), key=order.__getitem__)
        left -= set(ready)
        queue += ready
        while queue and len(running) + len(held) < at_once:
            held.add(queue.pop(0))
        for step in sorted(held, key=order.__getitem__):
            if set((holding or {}).get(step, ())) <= done:
                held.remove(step)
                heapq.heappush(running, (now + seconds[step], step))
        if not running:
            return math.inf
        now, step = heapq.heappop(running)
        done.add(step)
    return now
