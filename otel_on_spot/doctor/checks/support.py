"""Checks of what EKS runs: the add-ons' health and versions, and the support of the Kubernetes minor."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from infra.addon_faults import faults_of
from otel_on_spot.doctor.check import Judging, aws_command, check, looked_at, update_command
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Addon, AwsCluster, HealthIssue, Insight, KubernetesVersion, NodeGroup
from otel_on_spot.findings import Finding, Severity, format_count, format_duration

WORKING_ADDON: Final = ("ACTIVE", "CREATING", "UPDATING")
"""Statuses of an add-on that works or is on its way. DELETING is none: the program declares every add-on that is there.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Addon.html
"""
HOURLY: Final = {"standard": 0.10, "extended": 0.60}
"""US dollars for a cluster and hour. Source: https://aws.amazon.com/eks/pricing/, seen in November 2026"""
HOURS_A_MONTH: Final = 730
NOTICE: Final = timedelta(days=60)
"""Time before an end of support from which the doctor speaks: AWS announces an end at least as long before it.

Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html#version-faqs
"""


def issue_text(issue: HealthIssue) -> str:
    """An issue in EKS's own words."""
    about = f" ({', '.join(issue.resources)})" if issue.resources else ""
    return f"{issue.code}: {issue.message}{about}".strip()


@check("add-ons", "Add-ons")
def addons(facts: Facts, addons: tuple[Addon, ...]) -> Judging:
    """Every add-on works, without an issue of EKS's, in a version that is not known to be bad."""
    cluster = facts.declared.cluster
    for addon in addons:
        if problem := _problem(addon, _faults(addon)):
            yield Finding(
                subject=addon.name,
                seen=problem,
                rule="every add-on is ACTIVE, or on its way there, EKS names no issue of it, and its version "
                "is none that is known to be bad",
                remedy=(
                    aws_command(facts, f"eks describe-addon --cluster-name {cluster} --addon-name {addon.name}"),
                    "kubectl -n kube-system get pods -o wide",
                    update_command(facts),
                ),
                severity="warning" if addon.status in WORKING_ADDON else "critical",
            )
    return looked_at(addons, "add-on")


def _faults(addon: Addon) -> Iterable[str]:
    return (
        f"{addon.version} is older than {fault.mended}: {fault.what} ({fault.source}, seen {fault.seen})"
        for fault in faults_of(addon.name, addon.version)
    )


@check("node-groups", "Node groups")
def node_groups(facts: Facts, node_groups: tuple[NodeGroup, ...]) -> Judging:
    """EKS names no issue of a managed node group."""
    where = f"--cluster-name {facts.declared.cluster}"
    for group in node_groups:
        if problem := _problem(group):
            yield Finding(
                subject=group.name,
                seen=problem,
                rule="every node group is ACTIVE, or on its way there, and EKS names no issue of it",
                remedy=(
                    aws_command(facts, f"eks describe-nodegroup {where} --nodegroup-name {group.name}"),
                    update_command(facts),
                ),
                severity="warning" if group.status in WORKING_ADDON else "critical",
            )
    return looked_at(node_groups, "node group")


def _problem(thing: Addon | NodeGroup, faults: Iterable[str] = ()) -> str:
    issues = "; ".join((*map(issue_text, thing.issues), *faults))
    # Facts that an earlier version recorded have no status.
    if thing.status and thing.status not in WORKING_ADDON:
        return f"status {thing.status}{f': {issues}' if issues else ''}"
    return issues


@check("insights", "EKS's own insights")
def insights(facts: Facts, insights: tuple[Insight, ...]) -> Judging:
    """EKS's own insights say of nothing that it is wrong, or that it would break at the next upgrade."""
    cluster = facts.declared.cluster
    failed = [insight for insight in insights if insight.status in ("ERROR", "WARNING")]
    for insight in failed:
        yield Finding(
            subject=f"{insight.category}: {insight.name}",
            seen=f"{insight.status}{f' for Kubernetes {insight.minor}' if insight.minor else ''}: {insight.reason}",
            rule="EKS finds nothing in the way of the next upgrade or the way back, and no misconfiguration",
            remedy=(aws_command(facts, f"eks describe-insight --cluster-name {cluster} --id {insight.id}"),),
            severity="warning",
        )
    undecided = sum(insight.status == "UNKNOWN" for insight in insights)
    told = f", {undecided} that EKS does not know" if undecided else ""
    what = f"{format_count(len(failed), 'insight')} that does not pass{told}" if insights else "EKS finds nothing"
    return len(insights), what


@check("kubernetes-support", "Support of the Kubernetes minor")
def support(
    facts: Facts, clusters: tuple[AwsCluster, ...], kubernetes_versions: tuple[KubernetesVersion, ...]
) -> Judging:
    """The cluster's minor is in standard support, for some time to come."""
    minors = {minor.version: minor for minor in kubernetes_versions}
    told = []
    for cluster in clusters:
        minor = minors.get(cluster.version)
        until = minor.standard_until if minor else None
        told.append(f"{cluster.version}, standard support {f'until {until:%Y-%m-%d}' if until else 'of no known end'}")
        problem, severity = _support_problem(facts, cluster, minor)
        if problem:
            yield Finding(
                subject=f"Kubernetes {cluster.version}",
                seen=problem,
                rule="the cluster runs a minor in standard support, with two months to move to the next",
                remedy=(
                    aws_command(facts, f"eks describe-cluster-versions --cluster-versions {cluster.version}"),
                    aws_command(facts, f"eks list-insights --cluster-name {cluster.name}"),
                ),
                severity=severity,
            )
    return len(clusters), "; ".join(told) or "no cluster"


def _support_problem(facts: Facts, cluster: AwsCluster, minor: KubernetesVersion | None) -> tuple[str, Severity]:
    if minor is None or minor.standard_until is None:
        return "", "warning"
    now, more = facts.taken_at, (HOURLY["extended"] - HOURLY["standard"]) * HOURS_A_MONTH
    price = f"${HOURLY['extended']:.2f} an hour in place of ${HOURLY['standard']:.2f}, about ${more:.0f} a month more"
    extended = minor.extended_until
    if now >= minor.standard_until:
        left = extended - now if extended else None
        seen = f"standard support ended on {minor.standard_until:%Y-%m-%d}: {price}"
        if left is not None and left < NOTICE:
            return f"{seen}; EKS moves it by itself after {extended:%Y-%m-%d}, at any time", "critical"
        return seen, "warning"
    if minor.standard_until - now >= NOTICE:
        return "", "warning"
    after = (
        "EKS then moves it to the next minor by itself, at any time (upgradePolicy STANDARD)"
        if cluster.support_type == "STANDARD"
        else f"extended support follows by itself: {price}"
    )
    left = format_duration(minor.standard_until - now)
    return f"standard support ends on {minor.standard_until:%Y-%m-%d}, in {left}; {after}", "warning"
