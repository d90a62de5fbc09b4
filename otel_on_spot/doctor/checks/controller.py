"""Checks of Karpenter's controller: that it runs, its identity, its permissions, its version."""

import json
from datetime import timedelta
from typing import Final

from otel_on_spot.declared import actions
from otel_on_spot.doctor.check import CheckResult, age, check, require, update_command
from otel_on_spot.doctor.checks.node_access import node_roles
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Role
from otel_on_spot.doctor.facts_kubernetes import Controller
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import allows
from otel_on_spot.kubernetes.names import KARPENTER_KINDS, POD_IDENTITY

AGENT: Final = "eks-pod-identity-agent"
POD_IDENTITY_ACTIONS: Final = ("sts:AssumeRole", "sts:TagSession")
STARTING: Final = timedelta(minutes=2)
"""Time in which a replica whose node was drained is placed, started, and has the lease of the leader."""
RESTART: Final = "kubectl -n {namespace} rollout restart deployment/{name}"


def controller_role_arn(facts: Facts) -> str:
    """ARN of the role that the controller's service account gets; empty where it gets none."""
    declared = facts.declared
    if declared.identity == "irsa":
        return next((controller.service_account_role for controller in require(facts, "controllers")), "")
    return next(
        (
            association.role_arn
            for association in require(facts, "pod_identities")
            if (association.namespace, association.service_account)
            == (declared.karpenter_namespace, declared.karpenter_service_account)
        ),
        "",
    )


@check("controller-permissions", "Controller's permissions", "roles", "instance_profiles")
def permissions(facts: Facts) -> CheckResult:
    """The controller's role has every declared policy with every declared action, and may pass the node roles."""
    declared = facts.declared
    role: Role | None = next((role for role in require(facts, "roles") if role.name == declared.controller_role), None)
    rule = "the controller's role has the program's policies, whole, and may pass the node role to EC2"
    restart = RESTART.format(namespace=declared.karpenter_namespace, name="karpenter")
    if role is None:
        gone = Finding(
            subject=declared.controller_role,
            seen="the role does not exist",
            rule=rule,
            remedy=(update_command(facts), restart),
        )
        return CheckResult(count=0, what="no role", findings=(gone,))
    problems = []
    for name, wanted in declared.controller_policies.items():
        if name not in role.policies:
            problems.append(f"policy {name} is not attached ({', '.join(wanted[:3])}, ...)")
            continue
        lacking = [action for action in wanted if action not in actions(role.policies[name] or {})]
        if lacking:
            problems.append(f"policy {name} lacks {', '.join(lacking)}")
    documents = [document for document in (*role.policies.values(), *role.inline.values()) if document]
    problems += [
        f"no statement lets it pass {role.arn} (iam:PassRole)"
        for role in node_roles(facts)
        if not allows(documents, "iam:PassRole", role.arn)
    ]
    findings = tuple(
        Finding(subject=declared.controller_role, seen=problem, rule=rule, remedy=(update_command(facts), restart))
        for problem in problems
    )
    return CheckResult(
        count=len(declared.controller_policies),
        what=f"{format_count(len(declared.controller_policies), 'policy', 'policies')} of {declared.controller_role}",
        findings=findings,
    )


@check("controller-identity", "Controller's identity", "roles", "addons", "controllers", "pod_identities", "clusters")
def identity(facts: Facts) -> CheckResult:
    """The controller's service account gets the declared role, and the role trusts that way."""
    declared = facts.declared
    account = f"{declared.karpenter_namespace}/{declared.karpenter_service_account}"
    role_arn, way = controller_role_arn(facts), "IRSA" if declared.identity == "irsa" else "Pod Identity"
    rule = f"service account {account} gets role {declared.controller_role} by {way}"
    problem = ""
    by_arn: dict[str, Role] = {known.arn: known for known in require(facts, "roles")}
    role = by_arn.get(role_arn)
    mend: tuple[str, ...] = (update_command(facts),)
    if not role_arn:
        thing = "annotation eks.amazonaws.com/role-arn" if way == "IRSA" else "Pod Identity association"
        problem = f"{account} has no {thing}: Karpenter has no credentials"
    elif role is None:
        problem = f"{account} gets {role_arn}, which does not exist"
    elif role.name != declared.controller_role:
        problem = f"{account} gets {role.name}"
    else:
        problem = _trust_problem(facts, role)
    if not problem and way == "Pod Identity" and AGENT not in {addon.name for addon in require(facts, "addons")}:
        problem = f"the add-on {AGENT} is not there: associations have no effect"
    if not problem and way == "IRSA" and not declared.associated:
        problem = _leftover(facts)
        mend = _delete_association(facts) if problem else mend
    restart = RESTART.format(namespace=declared.karpenter_namespace, name="karpenter")
    findings = (Finding(subject=account, seen=problem, rule=rule, remedy=(*mend, restart)),) if problem else ()
    return CheckResult(count=1, what=f"{account} by {way}", findings=findings)


def _leftover(facts: Facts) -> str:
    """An association that IRSA's service account still has: Pod Identity's webhook goes before IRSA's.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html (considerations)
    """
    left = [association.role_arn for association in require(facts, "pod_identities")]
    if not left:
        return ""
    return f"a Pod Identity association of {', '.join(left)} is left, and goes before IRSA: new pods get no credentials"


def _delete_association(facts: Facts) -> tuple[str, ...]:
    """The commands that find and delete it: no update does, where the state does not hold it."""
    declared = facts.declared
    where = f"--cluster-name {declared.cluster} --region {declared.region}"
    whose = f"--namespace {declared.karpenter_namespace} --service-account {declared.karpenter_service_account}"
    return (
        f"aws eks list-pod-identity-associations {where} {whose} --query 'associations[].associationId' --output text",
        f"aws eks delete-pod-identity-association {where} --association-id ID",
    )


def _trust_problem(facts: Facts, role: Role) -> str:
    declared = facts.declared
    if declared.identity == "irsa":
        subject = f"system:serviceaccount:{declared.karpenter_namespace}:{declared.karpenter_service_account}"
        issuer = next((cluster.issuer.removeprefix("https://") for cluster in require(facts, "clusters")), "")
        text = json.dumps(role.trust)
        if subject not in text:
            return f"the trust policy of {role.name} does not name {subject}"
        return "" if issuer and issuer in text else f"the trust policy of {role.name} names another cluster's issuer"
    granted = {
        action
        for statement in role.trust.get("Statement") or ()
        if POD_IDENTITY in json.dumps(statement.get("Principal"))
        for action in actions({"Statement": [statement]})
    }
    lacking = [action for action in POD_IDENTITY_ACTIONS if action not in granted]
    return f"the trust policy of {role.name} does not allow {POD_IDENTITY} {', '.join(lacking)}" if lacking else ""


def is_down(facts: Facts, controller: Controller) -> bool:
    """True where no replica is available, for longer than a replica takes to start on another node."""
    starting = controller.replicas and controller.available_since and age(facts, controller.available_since) < STARTING
    return controller.available < 1 and not starting


@check("karpenter-running", "Karpenter runs", "controllers")
def running(facts: Facts) -> CheckResult:
    """The controller has an available replica and serves this cluster."""
    declared = facts.declared
    found: tuple[Controller, ...] = require(facts, "controllers")
    rule = f"Karpenter runs in {declared.karpenter_namespace} and serves {declared.cluster}"
    problems: list[tuple[str, tuple[str, ...]]] = []
    logs = f"kubectl -n {declared.karpenter_namespace} logs deployment/karpenter --since=15m"
    if not found:
        problems.append(
            (
                "there is no Deployment of it: nothing launches, drains or handles an interruption",
                (update_command(facts),),
            )
        )
    for controller in found:
        if is_down(facts, controller):
            problems.append(
                (
                    f"{controller.available} of {controller.replicas} replicas are available",
                    (logs, update_command(facts)),
                )
            )
        served = controller.environment.get("CLUSTER_NAME", "")
        if served != declared.cluster:
            problems.append((f"CLUSTER_NAME is {served!r}", (update_command(facts),)))
    findings = tuple(Finding(subject="karpenter", seen=text, rule=rule, remedy=remedy) for text, remedy in problems)
    replicas = sum(controller.available for controller in found)
    return CheckResult(count=len(found), what=format_count(replicas, "available replica"), findings=findings)


@check("karpenter-versions", "CRD and controller versions", "controllers", "custom_kinds")
def versions(facts: Facts) -> CheckResult:
    """CRDs are served, and controller and CRD chart have the declared version."""
    kinds, declared = require(facts, "custom_kinds"), facts.declared
    rule = f"controller and CRDs are both version {declared.karpenter_version}"
    problems = [
        f"CRD {name} is not there" for name in (kind.crd for kind in KARPENTER_KINDS) if name not in kinds.established
    ]
    problems += [f"CRD {name} is not served in v1" for name, served in kinds.established.items() if not served]
    told = []
    for controller in require(facts, "controllers"):
        version = controller.version_label or controller.image.partition("@")[0].rpartition(":")[2]
        told.append(f"controller {version}")
        if version != declared.karpenter_version:
            problems.append(f"the controller is version {version}")
    for release in sorted(set(kinds.release_of.values())):
        version = kinds.chart_versions.get(release, "")
        told.append(f"CRDs {version}" if version else f"CRDs of release {release}, whose record was not found")
        if version and version != declared.karpenter_version:
            problems.append(f"the CRDs come from {release} version {version}")
    findings = tuple(
        Finding(subject="karpenter", seen=text, rule=rule, remedy=(update_command(facts),), severity="critical")
        for text in problems
    )
    return CheckResult(count=len(kinds.established), what=", ".join(told) or "no controller, no CRD", findings=findings)


@check("spot-role", "Spot's service-linked role", "spot_roles")
def spot_role(facts: Facts) -> CheckResult:
    """The account has the service-linked role without which EC2 launches no Spot instance."""
    spot = [name for name, pool in facts.declared.pools.items() if "spot" in pool.capacity_types]
    found = require(facts, "spot_roles")
    findings = ()
    if spot and not found:
        findings = (
            Finding(
                subject="AWSServiceRoleForEC2Spot",
                seen=f"the account has no such role; {format_count(len(spot), 'pool')} may launch Spot "
                f"({', '.join(spot)})",
                rule="EC2 launches Spot instances with this service-linked role, once per account",
                remedy=("aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",),
            ),
        )
    return CheckResult(
        count=len(found), what=", ".join(found) or ("not needed" if not spot else "none"), findings=findings
    )


CHECKS: Final = (permissions, identity, running, versions)
