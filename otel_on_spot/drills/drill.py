"""What every drill has: a platform that answers, the lease, a timeline, and a report at its end."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot import target as targets
from otel_on_spot.declared import Declared
from otel_on_spot.drills.holding import Hold, held
from otel_on_spot.drills.kubernetes_api import Api
from otel_on_spot.drills.timeline import Tell, Timeline
from otel_on_spot.errors import ToolError
from otel_on_spot.failures import UnreachableError, reason
from otel_on_spot.report import Report, Verdict
from otel_on_spot.target import Target


class DrillRefused(ToolError):  # noqa: N818
    """A drill does not begin. The message says what was given or seen, the rule, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A drill under way. Every change goes through ``hold.will`` first; ``timeline`` gets what happens."""

    name: str
    target: Target
    api: Api
    hold: Hold
    timeline: Timeline

    @property
    def declared(self) -> Declared:
        """Names and rules of the stack."""
        return self.target.declared

    def report(self, verdicts: Sequence[Verdict], measures: Mapping[str, str]) -> Report:
        """What it says at its end."""
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
        DrillRefused: there is no cluster to talk to.
        program.stack_file.StackFileError, plan.record.ProgramError, plan.record.PlanError: there is no such stack.
    """
    target = targets.find(stack, context=context, kubeconfig=kubeconfig)
    if target.cluster_api is None:
        raise DrillRefused(target.why_no_cluster)
    api = Api(target.cluster_api)
    try:
        api.require()
    except UnreachableError as problem:
        raise DrillRefused(
            f"{problem}. A drill needs a cluster that answers: see otel-on-spot doctor --stack {stack}"
        ) from None
    return target, api


def require_same_cluster(target: Target) -> None:
    """The kubeconfig's API server is that of the stack's cluster: a drill of dev must not begin on prod.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html (``endpoint``)

    Raises:
        DrillRefused: it is another one, or AWS does not say.
    """
    declared = target.declared
    assert target.cluster_api is not None
    given = str(target.cluster_api.configuration.host).rstrip("/")
    update = f"aws eks update-kubeconfig --region {declared.region} --name {declared.cluster}"
    try:
        endpoint = target.aws("eks").describe_cluster(name=declared.cluster)["cluster"].get("endpoint", "")
    except (BotoCoreError, ClientError) as problem:
        raise DrillRefused(
            f"whether context {target.context} ({given}) is cluster {declared.cluster} cannot be told: {reason(problem)}. "
            f"A drill changes things, so it must be known. Check credentials and region, and `{update}`"
        ) from None
    if endpoint.rstrip("/").lower() != given.lower():
        raise DrillRefused(
            f"context {target.context} leads to {given}, but cluster {declared.cluster} of stack {declared.stack} is at {endpoint}. "
            f"A drill changes things, so it must be the stack's: give --context, or run `{update}`"
        )


@contextmanager
def begun(target: Target, api: Api, name: str, *, why: str, seconds: float, tell: Tell) -> Generator[Drill]:
    """A drill with the lease held; at its end everything that it changed is taken back.

    Args:
        seconds: how long it may take at most; others read it as the lease's end.

    Raises:
        drills.holding.LeaseHeld: another drill is under way.
        drills.holding.NotRestored: something could not be taken back.
    """
    with held(target, api, drill=name, why=why, seconds=seconds, tell=tell) as hold:
        yield Drill(name=name, target=target, api=api, hold=hold, timeline=Timeline(tell))
