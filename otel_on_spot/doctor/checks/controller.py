"""Checks of Karpenter's controller: that it runs, its identity, its permissions, its version."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from otel_on_spot.declared import actions
from otel_on_spot.doctor.check import Judging, age, check, require, update_command
from otel_on_spot.doctor.checks.node_access import node_roles
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Addon, Role
from otel_on_spot.doctor.facts_kubernetes import Controller, CustomKinds
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
def permissions(facts: Facts, roles: tuple[Role, ...]) -> Judging:
    """The controller's role has every declared policy with every declared action, and may pass the node roles."""
    declared = facts.declared
    role = next((role for role in roles if role.name == declared.controller_role), None)
    restart = RESTART.format(namespace=declared.karpenter_namespace, name="karpenter")
    for problem in ["the role does not exist"] if role is None else _lacking(facts, role):
        yield Finding(
            subject=declared.controller_role,
            seen=problem,
            rule="the controller's role has the program's policies, whole, and may pass the node role to EC2",
            remedy=(update_command(facts), restart),
        )
    if role is None:
        return 0, "no role"
    count = len(declared.controller_policies)
    return count, f"{format_count(count, 'policy', 'policies')} of {declared.controller_role}"


def _lacking(facts: Facts, role: Role) -> Iterator[str]:
    """What the controller's role cannot do, in words."""
    for name, wanted in facts.declared.controller_policies.items():
        if name not in role.policies:
            yield f"policy {name} is not attached ({', '.join(wanted[:3])}, ...)"
            continue
        lacking = [action for action in wanted if action not in actions(role.policies[name] or {})]
        if lacking:
            yield f"policy {name} lacks {', '.join(lacking)}"
    documents = [document for document in (*role.policies.values(), *role.inline.values()) if document]
    for passed in node_roles(facts):
        if not allows(documents, "iam:PassRole", passed.arn):
            yield f"no statement lets it pass {passed.arn} (iam:PassRole)"


@check("controller-identity", "Controller's identity", "roles", "addons", "controllers", "pod_identities", "clusters")
def identity(facts: Facts, roles: tuple[Role, ...], addons: tuple[Addon, ...]) -> Judging:
    """The controller's service account gets the declared role, and the role trusts that way."""
    declared = facts.declared
    account = f"{declared.karpenter_namespace}/{declared.karpenter_service_account}"
    role_arn, way = controller_role_arn(facts), "IRSA" if declared.identity == "irsa" else "Pod Identity"
    role = next((known for known in roles if known.arn == role_arn), None)
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
    if not problem and way == "Pod Identity" and AGENT not in {addon.name for addon in addons}:
        problem = f"the add-on {AGENT} is not there: associations have no effect"
    if not problem and way == "IRSA" and not declared.associated:
        problem = _leftover(facts)
        mend = _delete_association(facts) if problem else mend
    if problem:
        yield Finding(
            subject=account,
            seen=problem,
            rule=f"service account {account} gets role {declared.controller_role} by {way}",
            remedy=(*mend, RESTART.format(namespace=declared.karpenter_namespace, name="karpenter")),
        )
    return 1, f"{account} by {way}"


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


@check("karpenter-running", "Karpenter runs")
def running(facts: Facts, controllers: tuple[Controller, ...]) -> Judging:
    """The controller has an available replica and serves this cluster."""
    declared, update = facts.declared, update_command(facts)
    logs = f"kubectl -n {declared.karpenter_namespace} logs deployment/karpenter --since=15m"
    problems: list[tuple[str, ...]] = []
    if not controllers:
        problems.append(("there is no Deployment of it: nothing launches, drains or handles an interruption", update))
    for controller in controllers:
        if is_down(facts, controller):
            problems.append((f"{controller.available} of {controller.replicas} replicas are available", logs, update))
        served = controller.environment.get("CLUSTER_NAME", "")
        if served != declared.cluster:
            problems.append((f"CLUSTER_NAME is {served!r}", update))
    for text, *remedy in problems:
        yield Finding(
            subject="karpenter",
            seen=text,
            rule=f"Karpenter runs in {declared.karpenter_namespace} and serves {declared.cluster}",
            remedy=tuple(remedy),
        )
    return len(controllers), format_count(sum(found.available for found in controllers), "available replica")


@check("karpenter-versions", "CRD and controller versions")
def versions(facts: Facts, controllers: tuple[Controller, ...], custom_kinds: CustomKinds) -> Judging:
    """CRDs are served, and controller and CRD chart have the declared version."""
    wanted, there = facts.declared.karpenter_version, custom_kinds.established
    problems = [f"CRD {kind.crd} is not there" for kind in KARPENTER_KINDS if kind.crd not in there]
    problems += [f"CRD {name} is not served in v1" for name, served in there.items() if not served]
    told = []
    for controller in controllers:
        version = controller.version_label or controller.image.partition("@")[0].rpartition(":")[2]
        told.append(f"controller {version}")
        if version != wanted:
            problems.append(f"the controller is version {version}")
    for release in sorted(set(custom_kinds.release_of.values())):
        version = custom_kinds.chart_versions.get(release, "")
        told.append(f"CRDs {version}" if version else f"CRDs of release {release}, whose record was not found")
        if version and version != wanted:
            problems.append(f"the CRDs come from {release} version {version}")
    for text in problems:
        rule = f"controller and CRDs are both version {wanted}"
        yield Finding(subject="karpenter", seen=text, rule=rule, remedy=(update_command(facts),))
    return len(there), ", ".join(told) or "no controller, no CRD"


@check("spot-role", "Spot's service-linked role")
def spot_role(facts: Facts, spot_roles: tuple[str, ...]) -> Judging:
    """The account has the service-linked role without which EC2 launches no Spot instance."""
    spot = [name for name, pool in facts.declared.pools.items() if "spot" in pool.capacity_types]
    if spot and not spot_roles:
        yield Finding(
            subject="AWSServiceRoleForEC2Spot",
            seen=f"the account has no such role; {format_count(len(spot), 'pool')} may launch Spot ({', '.join(spot)})",
            rule="EC2 launches Spot instances with this service-linked role, once per account",
            remedy=("aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",),
        )
    return len(spot_roles), ", ".join(spot_roles) or ("not needed" if not spot else "none")


CHECKS: Final = (permissions, identity, running, versions)
