"""Base of every drill: a platform that answers, the lease, a timeline, and a report at its end."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot import target as targets
from otel_on_spot.declared import Declared
from otel_on_spot.drills import undo
from otel_on_spot.drills.lease import HeldLease, LeaseHeldError, hold_lease
from otel_on_spot.drills.resilience import is_outage, retry_outages
from otel_on_spot.drills.timeline import Log, Timeline
from otel_on_spot.drills.undo import Step
from otel_on_spot.errors import ToolError
from otel_on_spot.failures import UnreachableError, reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.report import Report, Verdict
from otel_on_spot.target import Target
from otel_on_spot.waiting import Deadline, wait_until

POLL_SECONDS: Final = 0.5
GIVE_BACK_SECONDS: Final = 120.0


class DrillRefusedError(ToolError):
    """A drill does not begin. The message says what was given or seen, the rule, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A drill under way. Every change goes through ``lease.record_undo`` first; ``timeline`` gets what happens."""

    name: str
    target: Target
    api: Api
    lease: HeldLease
    timeline: Timeline

    @property
    def declared(self) -> Declared:
        """Names and rules of the stack."""
        return self.target.declared

    def require_lease(self) -> None:
        """Go on only while the lease is this drill's.

        Raises:
            LeaseHeldError: somebody took it over: nothing more may be done.
        """
        if self.lease.lost.is_set():
            raise LeaseHeldError(
                "the lease was taken over while the drill ran: it stops here, and its successor puts things back"
            )

    def pause(self, seconds: float) -> None:
        """Wait, and go on only while the lease is this drill's.

        Raises:
            LeaseHeldError: somebody took it over.
        """
        self.lease.lost.wait(seconds)
        self.require_lease()

    def wait_until(self, predicate: Callable[[], bool], seconds: float, every: float = POLL_SECONDS) -> bool:
        """Call a predicate until it returns True: False where it did not within ``seconds``.

        A server that does not answer for a while is asked again. ``predicate`` costs a few requests a call, which the
        report counts.

        Raises:
            LeaseHeldError: somebody took the drill's lease over.
            ApiException: the server refused.
        """

        def holds() -> bool:
            self.require_lease()
            try:
                return predicate()
            except Exception as problem:
                if not is_outage(problem):
                    raise
                return False

        return wait_until(holds, seconds, every)

    def take_back(self, steps: Sequence[Step], moment: str, log: Log) -> None:
        """Take changes back now, the last one first: they stay in the lease, and do nothing when taken back again.

        ``moment`` names it in the timeline; the log gets a line where nobody answers.

        Raises:
            ApiException, botocore.exceptions.ClientError: it was refused.
            urllib3.exceptions.HTTPError, OSError, botocore.exceptions.BotoCoreError, ValueError: nobody answered in
                time.
        """
        for step in reversed(steps):
            done = retry_outages(
                lambda step=step: undo.take_back(self.target, self.api, step),
                Deadline(GIVE_BACK_SECONDS),
                log,
                step.what,
            )
            self.timeline.add(moment, f"{step.what}: {done}")

    def report(self, verdicts: Sequence[Verdict], measures: Mapping[str, str]) -> Report:
        """The report at its end."""
        requests = self.api.requests / max(self.timeline.seconds, 0.001)
        return Report(
            command=f"drill {self.name}",
            stack=self.declared.stack,
            cluster=self.declared.cluster,
            region=self.declared.region,
            taken_at=datetime.now(UTC),
            seconds=self.timeline.seconds,
            notes=(f"{self.api.requests} requests to the Kubernetes API, {requests:.1f} a second", *self.target.notes),
            verdicts=tuple(verdicts),
            moments=self.timeline.moments,
            measures=measures,
        )


def reach(stack: str, context: str | None, kubeconfig: Path | None) -> tuple[Target, Api]:
    """The platform of a stack, and its API server, which answers.

    Raises:
        DrillRefusedError: there is no cluster to talk to.
        program.stack_file.StackFileError, program.runner.ProgramError, plan.record.PlanError: there is no such stack.
    """
    target = targets.find(stack, context=context, kubeconfig=kubeconfig)
    if target.cluster_api is None:
        raise DrillRefusedError(target.why_no_cluster)
    api = Api(target.cluster_api)
    try:
        api.require()
    except UnreachableError as problem:
        raise DrillRefusedError(
            f"{problem}. A drill needs a cluster that answers: see otel-on-spot doctor --stack {stack}"
        ) from None
    return target, api


def require_same_cluster(target: Target) -> None:
    """The kubeconfig's API server is that of the stack's cluster: a drill of dev must not begin on prod.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html (``endpoint``)

    Raises:
        DrillRefusedError: it is another one, or AWS does not say.
    """
    declared = target.declared
    if target.cluster_api is None:
        raise DrillRefusedError(target.why_no_cluster)
    server = str(target.cluster_api.configuration.host).rstrip("/")
    update = f"aws eks update-kubeconfig --region {declared.region} --name {declared.cluster}"
    try:
        endpoint = target.aws("eks").describe_cluster(name=declared.cluster)["cluster"].get("endpoint", "")
    except (BotoCoreError, ClientError) as problem:
        raise DrillRefusedError(
            f"whether context {target.context} ({server}) is {declared.cluster} is not known: {reason(problem)}. "
            f"A drill changes things, so it must be known. Check credentials and region, and `{update}`"
        ) from None
    if endpoint.rstrip("/").lower() != server.lower():
        raise DrillRefusedError(
            f"context {target.context} leads to {server}, but cluster {declared.cluster} of stack {declared.stack} is "
            f"at {endpoint}. A drill changes things, so it must be the stack's: give --context, or run `{update}`"
        )


@contextmanager
def start(target: Target, api: Api, name: str, *, why: str, seconds: float, log: Log) -> Generator[Drill]:
    """Start a drill with the lease held; at its end everything that it changed is taken back.

    Args:
        target: the platform.
        api: its API server.
        name: of the drill.
        why: for whoever meets the lease.
        seconds: how long it may take at most; others read it as the lease's end.
        log: gets a line for each thing that happens.

    Raises:
        LeaseHeldError: another drill is under way.
        NotRestoredError: something could not be taken back.
    """
    with hold_lease(target, api, drill=name, why=why, seconds=seconds, log=log) as lease:
        yield Drill(name=name, target=target, api=api, lease=lease, timeline=Timeline(log))
