"""The front path of the demo during a drill: what its stack promises, looks all along, and whether it was kept."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.resilience import CONNECTION_ERRORS
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import ENDPOINT_SLICE, SERVICE_NAME
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.target import Target

EVERY_SECONDS: Final = 0.5
FRONT: Final = ("frontend-proxy", "frontend")
"""Workloads of the demo's front path and their Services, in its namespace: what a visitor's request goes through."""
SERVICE, PORT = FRONT[0], 8080
PROXY: Final = "/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/"
"""Source: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/"""
WAIVED_GAP_SECONDS: Final = 60.0
"""How long the front path may be away where the stack promises nothing: a launch and a boot on AWS, and some."""
ENDPOINTS: Final = "ready endpoints of {services} (no containers run in a lab)"
HTTP: Final = "Service {namespace}/{service} by HTTP through the API server's proxy"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a stack promises of its front path while a node goes.

    ``gap``: seconds that it may be away; 0 promises that every look is served. ``waived``: why that is not promised.
    """

    gap: float = 0.0
    waived: str = ""

    @property
    def rule(self) -> str:
        """The rule in words."""
        if not self.waived:
            return "every look is served: Git declares two replicas or more of each workload of the front path"
        return f"the front path is never away for more than {self.gap:.0f} s ({self.waived})"


def promise(replicas: Mapping[str, int], stack: str, gap: float | None = None) -> Promise:
    """The promise of a stack.

    ``replicas`` are those that Git declares for the stack: never what is there at the moment. ``gap``: seconds that the
    front path may be away, where whoever drills waives the promise.
    """
    if gap is not None:
        return Promise(gap=gap, waived=f"waived by --gap {gap:g}")
    single = [f"{replicas.get(name, 0)} of {name}" for name in FRONT if replicas.get(name, 0) < 2]
    if single:
        return Promise(gap=WAIVED_GAP_SECONDS, waived=f"100% is waived: {stack} declares {' and '.join(single)}")
    return Promise()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look. ``seconds``: since the first one. ``answering``: endpoints that would answer, 0 where nothing does."""

    seconds: float
    answering: int

    @property
    def served(self) -> bool:
        """True where anything answers."""
        return self.answering > 0


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Availability over all looks. ``longest_gap``: seconds from the last success before a failure to the next one.

    ``least``: the fewest that answered at any look.
    """

    looks: int
    served: int
    longest_gap: float
    least: int = 0

    @property
    def ratio(self) -> float:
        """From 0 to 1; 0 where nobody looked: what was not seen was not kept."""
        return self.served / self.looks if self.looks else 0.0

    @property
    def text(self) -> str:
        """The looks in words."""
        looks = format_count(self.looks, "look")
        return f"{self.served} of {looks} served, {self.ratio:.2%}, longest gap {self.longest_gap:.1f} s"


def availability(samples: Sequence[Sample]) -> Availability:
    """Success ratio and longest gap. A gap is as long as it may have been: failures lie between two successes."""
    longest, good = 0.0, samples[0].seconds if samples else 0.0
    failing = False
    for sample in samples:
        if failing or not sample.served:
            longest = max(longest, sample.seconds - good)
        failing = not sample.served
        if sample.served:
            good = sample.seconds
    return Availability(
        looks=len(samples),
        served=sum(sample.served for sample in samples),
        longest_gap=longest,
        least=min((sample.answering for sample in samples), default=0),
    )


@dataclass(frozen=True, kw_only=True)
class Front:
    """The front path as a drill saw it. ``probe``: what was looked at. ``namespace``: of the demo."""

    seen: Availability = Availability(looks=0, served=0, longest_gap=0.0)
    promised: Promise = Promise()
    probe: str = "the front path"
    namespace: str = "otel-demo"

    @property
    def text(self) -> str:
        """The looks in words, and what was looked at."""
        return f"{self.seen.text}: {self.probe}"

    def verdict(self, runbook: str) -> Verdict:
        """Whether the promise was kept: what is waived is said on the line, in order or not."""
        seen, promised = self.seen, self.promised
        what = self.text + (f"; {promised.waived}" if promised.waived else "")
        away = seen.longest_gap > promised.gap if promised.waived else seen.served < seen.looks
        finding = None
        if away or not seen.looks:
            missed = format_count(seen.looks - seen.served, "look")
            told = f"nothing served in {missed} of {seen.looks}, for {seen.longest_gap:.1f} s at a time"
            finding = Finding(
                subject=self.probe,
                seen=told if seen.looks else "nobody looked",
                rule=promised.rule,
                remedy=(
                    f"kubectl -n {self.namespace} get deployments,poddisruptionbudgets {' '.join(FRONT)}",
                    f"kubectl -n {self.namespace} get pods -o wide  # on two nodes, and Ready before the next goes",
                ),
            )
        return verdict_of(runbook, "front-path", "The front path", what, finding)


def through_the_proxy(api: Api, namespace: str) -> int:
    """1 where the Service answers an HTTP request that the API server passes on, else 0."""
    return int(200 <= api.status(PROXY.format(namespace=namespace, service=SERVICE, port=PORT)) <= 399)


def ready_endpoints(api: Api, namespace: str) -> int:
    """Ready endpoints of the Service of the front path that has the fewest: a request goes through all of them."""
    slices = api.list(ENDPOINT_SLICE.path(namespace), labelSelector=f"{SERVICE_NAME} in ({','.join(FRONT)})")
    ready = dict.fromkeys(FRONT, 0)
    for part in slices:
        service = part["metadata"]["labels"][SERVICE_NAME]
        ready[service] += sum(
            (endpoint.get("conditions") or {}).get("ready") in (True, None) for endpoint in part.get("endpoints") or []
        )
    return min(ready.values())


def front_path(target: Target, api: Api) -> tuple[Callable[[], int], str]:
    """A look at the front path, and its name. By HTTP; where no container runs, by endpoints that are ready."""
    namespace = target.declared.stateful_namespace
    if target.simulated:
        services = " and ".join(f"{namespace}/{service}" for service in FRONT)
        return lambda: ready_endpoints(api, namespace), ENDPOINTS.format(services=services)
    return lambda: through_the_proxy(api, namespace), HTTP.format(namespace=namespace, service=SERVICE)


def require_served(target: Target, api: Api) -> None:
    """Go on only where the front path answers.

    Raises:
        DrillRefusedError: it does not.
    """
    look, name = front_path(target, api)
    if not look():
        raise DrillRefusedError(
            f"{name}: nothing is served, before any drill. A drill shows what happens to a platform that is well: see "
            f"otel-on-spot doctor --stack {target.declared.stack}"
        )


class Probe:
    """Looks every half second, in a thread of its own. A context: it ends with it."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._over = threading.Event()
        self._began = time.monotonic()
        self._samples: list[Sample] = []
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """So far."""
        return tuple(self._samples)

    def _run(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            try:
                answering = self._look()
            except (ApiException, *CONNECTION_ERRORS):
                answering = 0
            self._samples.append(Sample(seconds=started - self._began, answering=answering))
            self._over.wait(max(0.0, started + EVERY_SECONDS - time.monotonic()))


class FrontProbe(Probe):
    """Looks at the front path of a drill's platform. ``gap``: see ``promise``."""

    def __init__(self, drill: Drill, gap: float | None) -> None:
        look, self._name = front_path(drill.target, drill.api)
        super().__init__(look)
        self._declared, self._gap = drill.declared, gap

    @property
    def front(self) -> Front:
        """So far, summed up."""
        return Front(
            seen=availability(self.samples),
            promised=promise(self._declared.replicas, self._declared.stack, self._gap),
            probe=self._name,
            namespace=self._declared.stateful_namespace,
        )
