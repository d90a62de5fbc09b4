"""Checks of the nodes' way into the cluster: mapping or access entry of their role, its instance profile."""

import re
from typing import Final

from otel_on_spot.doctor.check import Judging, UnknownFactsError, aws_command, check, looked_at, require, update_command
from otel_on_spot.doctor.checks.support import issue_text
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import AccessEntry, AwsCluster, InstanceProfile, Role
from otel_on_spot.findings import Finding
from otel_on_spot.kubernetes.names import NODE_GROUPS, NODE_USERNAME

NODE_ENTRY: Final = "EC2_LINUX"
MODES: Final = {"aws-auth": ("CONFIG_MAP", "API_AND_CONFIG_MAP"), "access-entry": ("API", "API_AND_CONFIG_MAP")}
"""Authentication modes in which each way counts.

Source: https://docs.aws.amazon.com/eks/latest/userguide/grant-k8s-access.html#set-cam
"""


WORKING: Final = ("ACTIVE", "UPDATING")
"""Statuses of a cluster that serves: an update of version or configuration takes many minutes.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html
"""


def without_path(arn: str) -> str:
    """A role's ARN as the authenticator writes it: without the role's path.

    Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/v0.6.13/pkg/arn/arn.go (Canonicalize)
    """
    head, _, name = arn.rpartition("/")
    return re.sub(r":role/.*$", ":role", head) + f"/{name}"


@check("cluster", "Cluster")
def cluster(facts: Facts, clusters: tuple[AwsCluster, ...]) -> Judging:
    """The cluster exists and serves."""
    name = facts.declared.cluster
    found = clusters[0] if clusters else None
    rule = "the stack's EKS cluster exists and is ACTIVE, or UPDATING"
    problems: list[str] = []
    if found is None:
        problems.append(f"no EKS cluster {name} in {facts.declared.region}")
    elif found.status not in WORKING:
        problems.append("; ".join([f"status {found.status}", *map(issue_text, found.issues)]))
    else:
        rule = "EKS names no issue of the cluster: with one it scales and updates no control plane"
        problems += map(issue_text, found.issues)
    for problem in problems:
        remedy = (aws_command(facts, f"eks describe-cluster --name {name}"), update_command(facts))
        yield Finding(subject=name, seen=problem, rule=rule, remedy=remedy)
    if found is None:
        return 0, "no cluster"
    updating = f", {found.status}" if found.status == "UPDATING" else ""
    return 1, f"{name}, Kubernetes {found.version}, {found.authentication_mode or 'CONFIG_MAP'}{updating}"


def node_roles(facts: Facts) -> tuple[Role, ...]:
    """Roles that Karpenter's nodes use: of the node classes' profiles; the declared one where no class names any."""
    roles = {role.name: role for role in require(facts, "roles")}
    profiles = {profile.name: profile for profile in require(facts, "instance_profiles")}
    used = set()
    for node_class in facts.node_classes or ():
        profile = profiles.get(node_class.instance_profile)
        used |= {profile.role_arn.rpartition("/")[2]} if profile else {node_class.role}
    used = {name for name in used if name} or {facts.declared.node_role}
    return tuple(roles[name] for name in sorted(used) if name in roles)


@check("node-role", "Node role admitted", "clusters", "roles", "instance_profiles")
def node_role(facts: Facts, clusters: tuple[AwsCluster, ...]) -> Judging:
    """The nodes' role is in ``aws-auth``, or in an access entry that is a node's and its own."""
    declared, used = facts.declared, node_roles(facts)
    if not used:
        yield Finding(
            subject=declared.node_role,
            seen=f"no IAM role {declared.node_role}",
            rule="the role that Karpenter's nodes use exists",
            remedy=(update_command(facts),),
        )
        return 0, "no node role"
    mode = next((cluster.authentication_mode for cluster in clusters), "") or "CONFIG_MAP"
    ways: list[str] = []
    for role in used:
        problems = {way: _problem(facts, role, way, mode) for way in MODES}
        admitted = [way for way, problem in problems.items() if not problem]
        ways += admitted
        for way in declared.node_access:
            if problems[way]:
                yield _refused(facts, role, way, problems[way], admitted)
    return len(used), f"{', '.join(role.name for role in used)} by {' and '.join(dict.fromkeys(ways)) or 'nothing'}"


def _problem(facts: Facts, role: Role, way: str, mode: str) -> str:
    """Reason why a way does not admit the role; empty where it does.

    Every way is asked: nodes may join by one that nobody declared. Only the declared ones must be seen.

    Raises:
        UnknownFactsError: what the declared way reads was not collected.
    """
    if mode not in MODES[way]:
        return f"authentication mode {mode} ignores it"
    try:
        return _mapping_problem(facts, role) if way == "aws-auth" else _entry_problem(facts, role)
    except UnknownFactsError:
        if way in facts.declared.node_access:
            raise
        return "not seen"


def _refused(facts: Facts, role: Role, way: str, problem: str, admitted: list[str]) -> Finding:
    remedy: tuple[str, ...] = (update_command(facts),)
    if "its access entry" in problem:
        name = facts.declared.cluster
        remedy = (
            aws_command(facts, f"eks delete-access-entry --cluster-name {name} --principal-arn {role.arn}"),
            *remedy,
        )
    otherwise = f"; nodes still join by {' and '.join(admitted)}" if admitted else "; no node joins"
    return Finding(
        subject=role.name,
        seen=f"{way}: {problem}{otherwise}",
        rule=f"node role {role.arn} is admitted by {' and '.join(facts.declared.node_access)}",
        remedy=remedy,
        severity="warning" if admitted else "critical",
    )


def _mapping_problem(facts: Facts, role: Role) -> str:
    """Reason why ``aws-auth`` does not admit the role; empty where it does."""
    found = require(facts, "aws_auth")
    if not found:
        return "there is no ConfigMap aws-auth"
    if found[0].problem:
        return f"mapRoles cannot be read ({found[0].problem})"
    wanted = without_path(role.arn)
    mapping = next((mapping for mapping in found[0].mappings if mapping.role_arn == wanted), None)
    if mapping is None:
        near = next(
            (mapping.role_arn for mapping in found[0].mappings if mapping.role_arn.rpartition("/")[2] == role.name), ""
        )
        why = "with its path" if near and without_path(near) == wanted else "which is another ARN"
        return f"mapRoles has {near}, {why}; asked for is {wanted}" if near else f"mapRoles does not list {wanted}"
    lacking = [group for group in NODE_GROUPS if group not in mapping.groups]
    if lacking:
        return f"its mapping lacks {', '.join(lacking)}"
    if mapping.username != NODE_USERNAME:
        return f"its mapping names {mapping.username!r}, not {NODE_USERNAME!r}"
    return _entry_before_mapping(facts, role)


def _entry_before_mapping(facts: Facts, role: Role) -> str:
    """Reason why the mapping is never looked at: where both count, an access entry of the role goes first.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
    """
    both = any(cluster.authentication_mode == "API_AND_CONFIG_MAP" for cluster in require(facts, "clusters"))
    entry = next((entry for entry in facts.access_entries or () if entry.principal_arn == role.arn), None)
    if not both or entry is None or entry.type == NODE_ENTRY or _of_former_role(entry, role):
        return ""
    return f"its access entry of type {entry.type} goes before the mapping, and lets no node in"


def _of_former_role(entry: AccessEntry, role: Role) -> bool:
    return entry.created_at is not None and entry.created_at < role.created_at


def _entry_problem(facts: Facts, role: Role) -> str:
    """Reason why no access entry admits the role; empty where one does.

    An entry belongs to the role that bore the name when it was made; EKS does not tell that role's unique id, but an
    entry older than the role cannot be the role's.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
    """
    entry = next((entry for entry in require(facts, "access_entries") if entry.principal_arn == role.arn), None)
    if entry is None:
        return "the cluster has no access entry for it"
    if entry.type != NODE_ENTRY:
        return f"its access entry has type {entry.type}, which lets no node in; asked for is {NODE_ENTRY}"
    if _of_former_role(entry, role) and entry.created_at:
        return (
            f"its access entry of {entry.created_at:%Y-%m-%d %H:%M} is older than the role "
            f"({role.created_at:%Y-%m-%d %H:%M}): it belongs to an earlier role of that name"
        )
    return ""


@check("instance-profile", "Instance profile")
def instance_profile(facts: Facts, instance_profiles: tuple[InstanceProfile, ...], roles: tuple[Role, ...]) -> Judging:
    """Each profile that a node class names exists and holds a living role that trusts EC2, with the node policies."""
    profiles = {profile.name: profile for profile in instance_profiles}
    by_name = {role.name: role for role in roles}
    wanted = {node_class.instance_profile for node_class in facts.node_classes or () if node_class.instance_profile}
    wanted = wanted or {facts.declared.instance_profile}
    for name in sorted(wanted):
        if problem := _profile_problem(facts, profiles.get(name), by_name):
            yield Finding(
                subject=name,
                seen=problem,
                rule="an instance profile that a node class names holds the node role, trusted by EC2, "
                "with its policies",
                remedy=(update_command(facts),),
            )
    return looked_at(wanted, "instance profile")


def _profile_problem(facts: Facts, profile: InstanceProfile | None, roles: dict[str, Role]) -> str:
    if profile is None:
        return "it does not exist: instances cannot be launched"
    if not profile.role_arn:
        return "it holds no role: instances have no credentials to join with"
    role = roles.get(profile.role_arn.rpartition("/")[2])
    if role is None:
        return f"it holds {profile.role_arn}, which does not exist"
    if profile.role_unique_id != role.unique_id:
        return f"it holds {profile.role_unique_id}, a role that is gone; {role.name} is now {role.unique_id}"
    if "ec2.amazonaws.com" not in str(role.trust):
        return f"the trust policy of {role.name} does not name ec2.amazonaws.com"
    lacking = [name for name in facts.declared.node_policies if name not in role.policies]
    return f"{role.name} lacks {', '.join(lacking)}" if lacking else ""


CHECKS: Final = (cluster, node_role, instance_profile)
