"""Facts of IAM and EKS: the cluster, who is admitted, which roles there are and what they may do."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import unquote

from botocore.exceptions import ClientError

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors.ec2_facts import pages
from otel_on_spot.doctor.collectors.gathering import Gathered
from otel_on_spot.doctor.facts_aws import AccessEntry, AwsCluster, InstanceProfile, PodIdentity, Role

Client = Any
SPOT_ROLE_PATH: Final = "/aws-service-role/spot.amazonaws.com/"
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html"""


def document(value: Any) -> Mapping[str, Any]:
    """A policy document, which AWS gives as text, as URL-encoded text, or opened by boto3."""
    if isinstance(value, str):
        return json.loads(unquote(value) if value.startswith("%7B") else value)
    return value or {}


def clusters(eks: Client, declared: Declared) -> tuple[AwsCluster, ...]:
    """The stack's cluster, where it exists."""
    try:
        found = eks.describe_cluster(name=declared.cluster)["cluster"]
    except ClientError as problem:
        if is_not_found(problem):
            return ()
        raise
    return (
        AwsCluster(
            name=found["name"],
            arn=found["arn"],
            status=found["status"],
            version=found.get("version") or "",
            authentication_mode=(found.get("accessConfig") or {}).get("authenticationMode") or "",
            vpc_id=(found.get("resourcesVpcConfig") or {}).get("vpcId") or "",
            issuer=((found.get("identity") or {}).get("oidc") or {}).get("issuer") or "",
        ),
    )


def access_entries(eks: Client, declared: Declared) -> Callable[[Gathered], tuple[AccessEntry, ...]]:
    """Principals that have an access entry; those of the node roles with type and time."""

    def task(gathered: Gathered) -> tuple[AccessEntry, ...]:
        if gathered.wait("clusters") == ():
            return ()
        listed = list(pages(eks, "list_access_entries", "accessEntries", clusterName=declared.cluster))
        ours = {one.name for one in gathered.wait("roles") or ()} | {declared.node_role}

        def described(arn: str) -> AccessEntry:
            if str(arn).rpartition("/")[2] not in ours:
                return AccessEntry(principal_arn=str(arn))
            entry = eks.describe_access_entry(clusterName=declared.cluster, principalArn=arn)["accessEntry"]
            return AccessEntry(principal_arn=str(arn), type=entry["type"], created_at=entry.get("createdAt"))

        return tuple(described(str(arn)) for arn in listed)

    return task


def pod_identities(eks: Client, declared: Declared) -> Callable[[Gathered], tuple[PodIdentity, ...]]:
    """Associations of the controller's service account."""

    def task(gathered: Gathered) -> tuple[PodIdentity, ...]:
        if gathered.wait("clusters") == ():
            return ()
        found = []
        for one in pages(
            eks,
            "list_pod_identity_associations",
            "associations",
            clusterName=declared.cluster,
            namespace=declared.karpenter_namespace,
            serviceAccount=declared.karpenter_service_account,
        ):
            whole = eks.describe_pod_identity_association(
                clusterName=declared.cluster, associationId=one["associationId"]
            )["association"]
            found.append(
                PodIdentity(
                    namespace=whole["namespace"], service_account=whole["serviceAccount"], role_arn=whole["roleArn"]
                )
            )
        return tuple(found)

    return task


def addons(eks: Client, declared: Declared) -> Callable[[Gathered], tuple[str, ...]]:
    """Names of the add-ons."""

    def task(gathered: Gathered) -> tuple[str, ...]:
        if gathered.wait("clusters") == ():
            return ()
        return tuple(str(one) for one in pages(eks, "list_addons", "addons", clusterName=declared.cluster))

    return task


def instance_profiles(iam: Client, declared: Declared) -> Callable[[Gathered], tuple[InstanceProfile, ...]]:
    """The declared instance profile, and those that node classes name."""

    def task(gathered: Gathered) -> tuple[InstanceProfile, ...]:
        wanted = {one.instance_profile for one in gathered.wait("node_classes") or () if one.instance_profile}
        found = []
        for name in sorted(wanted | {declared.instance_profile}):
            try:
                one = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
            except ClientError as problem:
                if is_not_found(problem):
                    continue
                raise
            role = next(iter(one.get("Roles") or ()), {})
            found.append(
                InstanceProfile(name=name, role_arn=role.get("Arn", ""), role_unique_id=role.get("RoleId", ""))
            )
        return tuple(found)

    return task


def roles(iam: Client, declared: Declared) -> Callable[[Gathered], tuple[Role, ...]]:
    """The node roles and the controller's role, whole: declared ones, and those that the cluster's objects name."""

    def task(gathered: Gathered) -> tuple[Role, ...]:
        wanted = {declared.node_role, declared.controller_role}
        wanted |= {one.role_arn.rpartition("/")[2] for one in gathered.wait("instance_profiles") or ()}
        wanted |= {one.role for one in gathered.wait("node_classes") or ()}
        wanted |= {one.service_account_role.rpartition("/")[2] for one in gathered.wait("controllers") or ()}
        wanted |= {one.role_arn.rpartition("/")[2] for one in gathered.wait("pod_identities") or ()}
        with ThreadPoolExecutor(8) as pool:
            return tuple(one for one in pool.map(lambda name: _role(iam, name), sorted(wanted - {""})) if one)

    return task


def _role(iam: Client, name: str) -> Role | None:
    try:
        found = iam.get_role(RoleName=name)["Role"]
        attached = list(pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name))
        inline = [str(one) for one in pages(iam, "list_role_policies", "PolicyNames", RoleName=name)]
    except ClientError as problem:
        if is_not_found(problem):
            return None
        raise
    return Role(
        name=name,
        arn=found["Arn"],
        unique_id=found["RoleId"],
        created_at=found["CreateDate"],
        trust=document(found.get("AssumeRolePolicyDocument")),
        policies=_policies(iam, attached),
        inline={one: document(iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]) for one in inline},
    )


def _policies(iam: Client, attached: Iterable[Mapping[str, str]]) -> dict[str, Mapping[str, Any] | None]:
    found: dict[str, Mapping[str, Any] | None] = {}
    for one in attached:
        arn = one["PolicyArn"]
        if ":iam::aws:policy/" in arn:
            found[one["PolicyName"]] = None
            continue
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        whole = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        found[one["PolicyName"]] = document(whole["Document"])
    return found


def spot_roles(iam: Client) -> tuple[str, ...]:
    """The account's service-linked role for Spot, where it has one."""
    return tuple(one["RoleName"] for one in pages(iam, "list_roles", "Roles", PathPrefix=SPOT_ROLE_PATH))
