"""Every check of the account, in the order in which an update would meet what it finds."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.doctor.check import CheckResult
from otel_on_spot.failures import reason
from otel_on_spot.findings import Finding
from otel_on_spot.plan import cost
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.preflight import (
    account,
    certificates,
    existing_vpc,
    github,
    keys,
    permissions,
    places,
    quotas,
    state,
    taken,
)
from otel_on_spot.preflight.permissions import UnknownCallerError
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.report import Report, Verdict

PAGE: Final = "docs/preflight.md"
COMMAND: Final = "preflight"
UNANSWERED: Final = (BotoCoreError, ClientError, UnknownCallerError, OSError)
"""What a check raises that could not look: AWS, or GitHub, does not answer."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check. ``of``: the type of resource without which there is nothing to look at; empty looks always."""

    id: str
    title: str
    judge: Callable[[Situation], CheckResult]


CHECKS: Final = (
    Check(id="identity", title="Credentials", judge=account.identity),
    Check(id="examples", title="Values of the examples", judge=account.examples),
    Check(id="permissions", title="Permissions of whoever deploys", judge=permissions.deployer),
    Check(id="boundary", title="Boundary of the roles", judge=permissions.boundaries),
    Check(id="quotas", title="Quotas", judge=quotas.judge),
    Check(id="linked-roles", title="Roles of services", judge=account.linked_roles),
    Check(id="zones", title="Zones", judge=places.zones),
    Check(id="existing-vpc", title="VPC that the stack is given", judge=existing_vpc.given),
    Check(id="instance-types", title="Instance types", judge=places.instance_types),
    Check(id="names", title="Names", judge=taken.judge),
    Check(id="kms-key", title="Key that the stack is given", judge=keys.given),
    Check(id="certificates", title="Certificates of load balancers", judge=certificates.given),
    Check(id="state", title="State and secrets", judge=state.judge),
    Check(id="repository", title="Repository that deploys", judge=github.repository),
)
BILL: Final = Verdict(id="bill", title="Bill", runbook=PAGE, status="ok")
"""The line of what the stack costs; ``examine`` fills it in."""


def run_check(situation: Situation, check: Check) -> Verdict:
    """One check's verdict; unknown where AWS does not answer it."""
    empty = Verdict(id=check.id, title=check.title, runbook=PAGE, status="ok")
    try:
        looked = check.judge(situation)
    except UNANSWERED as problem:
        aws = isinstance(problem, BotoCoreError | ClientError)
        why = f"AWS: {reason(problem)}" if aws else str(problem)
        return replace(empty, status="unknown", why_unknown=why)
    status = "found" if looked.findings else "ok"
    return replace(empty, status=status, count=looked.count, what=looked.what, findings=looked.findings)


def examine(situation: Situation, checks: Iterable[Check] = CHECKS) -> Report:
    """Every verdict on the account, and the bill."""
    started, taken_at = time.monotonic(), datetime.now(UTC)
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        verdicts = list(pool.map(lambda check: run_check(situation, check), checks))
    measures, bill = _bill(situation)
    clusters = situation.of_type(taken.CLUSTER)
    return Report(
        command=COMMAND,
        stack=situation.recording.stack,
        cluster=clusters[0].inputs["name"] if clusters else "no cluster",
        region=situation.region,
        taken_at=taken_at,
        seconds=time.monotonic() - started,
        notes=("nothing was made or changed",),
        verdicts=(*verdicts, *bill),
        measures=measures,
    )


def _bill(situation: Situation) -> tuple[dict[str, str], tuple[Verdict, ...]]:
    """What the stack costs an hour, by list prices, and whether that is within the stack's own limit."""
    if not situation.of_type(taken.CLUSTER):
        return {}, ()
    document = as_document(situation.recording)
    try:
        found = cost.estimate(document, cost.workloads_of(document, situation.root))
    except cost.PriceError as problem:
        return {}, (replace(BILL, status="unknown", why_unknown=str(problem)),)
    hours = cost.prices()["hours"]["per_month"]
    told = (
        f"about {found.expected / hours:.2f} USD an hour with the demo, {found.rest / hours:.2f} at rest, at most "
        f"{found.limits / hours:.2f} at the pools' limits (list prices, no tax; otel-on-spot plan --cost has each line)"
    )
    limit = cost.monthly_limit(situation.root, situation.recording.stack)
    findings = ()
    if limit is not None and found.expected > limit:
        findings = (
            Finding(
                subject="costs.monthlyLimitUsd",
                seen=f"{found.expected:,.0f} USD a month expected, {limit:,} allowed",
                rule="the stack costs no more than its file says",
                remedy=(f"otel-on-spot plan --stack {situation.recording.stack} --cost",),
                severity="warning",
            ),
        )
    month = f"{found.expected:,.0f} USD a month expected" + (f", {limit:,} allowed" if limit is not None else "")
    verdict = replace(BILL, status="found" if findings else "ok", count=len(found.lines), what=month, findings=findings)
    return {"bill": told}, (verdict,)
