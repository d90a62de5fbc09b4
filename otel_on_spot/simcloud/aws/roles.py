"""IAM roles, their policies, instance profiles, OIDC providers."""

import json
import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.iam import allows, document
from otel_on_spot.simcloud.api_errors import ApiError, refuse
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Rewritten, Seconds, Site, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties

MANAGED_POLICY_LIMIT = 6144
"""Characters without white space. Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


TRUST_POLICY_LIMIT, INLINE_POLICY_LIMIT, POLICIES_OF_A_ROLE = 2048, 10240, 10
"""Characters of a trust policy without white space, those of a role's inline policies, and its managed policies."""


def named(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that finds roles by a pattern of their names: none found is an empty list."""
    pages = site.client("iam").get_paginator("list_roles").paginate(PathPrefix=arguments.get("pathPrefix") or "/")
    pattern = re.compile(arguments.get("nameRegex") or "")
    found = [role for page in pages for role in page["Roles"] if pattern.search(role["RoleName"])]
    return {
        "names": [role["RoleName"] for role in found],
        "arns": [role["Arn"] for role in found],
        "id": site.region,
    }


def one(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that reads one role."""
    role = site.client("iam").get_role(RoleName=arguments["name"])["Role"]
    return {
        "name": role["RoleName"],
        "id": role["RoleName"],
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "path": role["Path"],
        "description": role.get("Description") or "",
        "createDate": role["CreateDate"].isoformat(),
        "maxSessionDuration": role["MaxSessionDuration"],
        "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
        "roleLastUseds": [],
        "assumeRolePolicy": document_of(role["AssumeRolePolicyDocument"]),
        "tags": tags_of(role.get("Tags")),
    }


def document_of(value: Any) -> str:
    """A policy document as JSON text, whether boto3 decoded it or not."""
    return json.dumps(document(value))


def trusts(site: Site, role_arn: str, principal: Mapping[str, str], *actions: str) -> bool:
    """Decide if a role's trust policy lets a principal call these actions of STS; AssumeRole without any.

    Args:
        site: that the role is of.
        role_arn: the role, with or without a path.
        principal: as a policy names it, such as ``{"Service": "eks.amazonaws.com"}``.
        actions: all of which it must be let to call.

    Raises:
        ClientError: there is no such role.
    """
    trust = site.client("iam").get_role(RoleName=role_arn.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    return all(allows(trust, action, principal=principal) for action in actions or ("sts:AssumeRole",))


def _trusted(call: Call, policy: str) -> None:
    """Refuse a trust policy that is too long, or names a service or a role that does not exist: moto takes it."""
    unknown = principals.unknown(call.site, policy)
    refuse((unknown, f"Invalid principal in policy: {', '.join(unknown)}"), code="MalformedPolicyDocument")
    told = f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_LIMIT}"
    refuse((size_of(policy) > TRUST_POLICY_LIMIT, told), code="LimitExceeded")


def size_of(policy: str) -> int:
    """Characters of a policy without white space, as IAM counts them."""
    return len("".join(policy.split()))


class Role(Handler):
    """A role. moto and AWS both refuse to delete one that still has policies or profiles."""

    token = "aws:iam/role:Role"
    taggable = True
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        _trusted(call, inputs["assumeRolePolicy"])
        made = call.site.client("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Path=inputs["path"],
            Description=inputs.get("description") or "",
            MaxSessionDuration=int(inputs["maxSessionDuration"]),
            Tags=tag_list(all_tags(call.site, inputs)),
            **({"PermissionsBoundary": boundary} if (boundary := inputs.get("permissionsBoundary")) else {}),
        )["Role"]
        known = {"arn": made["Arn"], "createDate": made["CreateDate"].isoformat(), "uniqueId": made["RoleId"]}
        return inputs["name"], {**known, "managedPolicyArns": [], "inlinePolicies": []}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        told = one(call.site, {"name": identity})
        seen = ("name", "arn", "uniqueId", "assumeRolePolicy", "description", "permissionsBoundary")
        return {**{key: told[key] for key in seen}, **own_tags(call.site, state, told["tags"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        iam = call.site.client("iam")
        _trusted(call, new["assumeRolePolicy"])
        iam.update_assume_role_policy(RoleName=identity, PolicyDocument=new["assumeRolePolicy"])
        iam.update_role(
            RoleName=identity,
            Description=new.get("description") or "",
            MaxSessionDuration=int(new["maxSessionDuration"]),
        )
        boundary = new.get("permissionsBoundary") or ""
        if boundary and boundary != state.get("permissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=identity, PermissionsBoundary=boundary)
        elif not boundary and state.get("permissionsBoundary"):
            iam.delete_role_permissions_boundary(RoleName=identity)
        self.retag(call, state, new, "iam", "role", RoleName=identity)
        return {"permissionsBoundary": boundary}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        if any(row["roleArn"] == state.get("arn") for row in call.site.cloud.tables.all("clusters").values()):
            call.site.cloud.tables.put(
                "warnings", f"role/{identity}", {"text": f"role {identity} deleted while a cluster uses it"}
            )
        call.site.client("iam").delete_role(RoleName=identity)


class RolePolicyAttachment(Handler):
    """A managed policy on a role."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        iam, policy = call.site.client("iam"), inputs["policyArn"]
        attached = iam.list_attached_role_policies(RoleName=inputs["role"])["AttachedPolicies"]
        if len({*(held["PolicyArn"] for held in attached), policy}) > POLICIES_OF_A_ROLE:
            raise ApiError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {POLICIES_OF_A_ROLE}")
        iam.attach_role_policy(RoleName=inputs["role"], PolicyArn=policy)
        return self.identity(call.site, inputs), {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        pages = call.site.client("iam").list_attached_role_policies(RoleName=state["role"])["AttachedPolicies"]
        return {} if state["policyArn"] in [policy["PolicyArn"] for policy in pages] else None

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("iam").detach_role_policy(RoleName=state["role"], PolicyArn=state["policyArn"])


class RolePolicy(Rewritten):
    """A policy inside a role."""

    token = "aws:iam/rolePolicy:RolePolicy"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        told = f"Maximum policy size of {INLINE_POLICY_LIMIT} bytes exceeded for role {inputs['role']}"
        refuse((size_of(inputs["policy"]) > INLINE_POLICY_LIMIT, told), code="LimitExceeded")
        call.site.client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )
        return self.identity(call.site, inputs), {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        found = call.site.client("iam").get_role_policy(RoleName=state["role"], PolicyName=state["name"])
        return {"policy": document_of(found["PolicyDocument"])}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("iam").delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


class Policy(Handler):
    """A managed policy. moto takes one of any size and deletes one that is attached; AWS does neither, nor do we."""

    token = "aws:iam/policy:Policy"
    taggable = True
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self._fits(inputs["policy"])
        made = call.site.client("iam").create_policy(
            PolicyName=inputs["name"],
            Path=inputs["path"],
            PolicyDocument=inputs["policy"],
            Description=inputs.get("description") or "",
            Tags=tag_list(all_tags(call.site, inputs)),
        )["Policy"]
        return made["Arn"], {"arn": made["Arn"], "policyId": made["PolicyId"], "attachmentCount": 0}

    @staticmethod
    def _fits(policy: str) -> None:
        size = size_of(policy)
        told = f"Cannot exceed quota for PolicySize: {MANAGED_POLICY_LIMIT} (given: {size})"
        refuse((size > MANAGED_POLICY_LIMIT, told), code="LimitExceeded")

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        iam = call.site.client("iam")
        policy = iam.get_policy(PolicyArn=identity)["Policy"]
        version = iam.get_policy_version(PolicyArn=identity, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        tags = tags_of(iam.list_policy_tags(PolicyArn=identity)["Tags"])
        return {"policy": document_of(version["Document"]), **own_tags(call.site, state, tags)}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._fits(new["policy"])
        iam = call.site.client("iam")
        versions = [v for v in iam.list_policy_versions(PolicyArn=identity)["Versions"] if not v["IsDefaultVersion"]]
        if len(versions) >= 4:
            iam.delete_policy_version(
                PolicyArn=identity, VersionId=min(versions, key=lambda v: v["CreateDate"])["VersionId"]
            )
        iam.create_policy_version(PolicyArn=identity, PolicyDocument=new["policy"], SetAsDefault=True)
        self.retag(call, state, new, "iam", "policy", PolicyArn=identity)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        iam = call.site.client("iam")
        attached = iam.list_entities_for_policy(PolicyArn=identity)["PolicyRoles"]
        told = f"Cannot delete a policy attached to entities: {', '.join(role['RoleName'] for role in attached)}"
        refuse((attached, told), code="DeleteConflict")
        for version in iam.list_policy_versions(PolicyArn=identity)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=identity, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=identity)


class InstanceProfile(Handler):
    """An instance profile and the role in it. AWS deletes one that instances use, and so does moto."""

    token = "aws:iam/instanceProfile:InstanceProfile"
    taggable = True
    seconds = Seconds(8, 2, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        iam = call.site.client("iam")
        made = iam.create_instance_profile(
            InstanceProfileName=inputs["name"], Path=inputs["path"], Tags=tag_list(all_tags(call.site, inputs))
        )["InstanceProfile"]
        if inputs.get("role"):
            iam.add_role_to_instance_profile(InstanceProfileName=inputs["name"], RoleName=inputs["role"])
        return inputs["name"], {
            "arn": made["Arn"],
            "createDate": made["CreateDate"].isoformat(),
            "uniqueId": made["InstanceProfileId"],
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        profile = call.site.client("iam").get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]
        roles = [role["RoleName"] for role in profile["Roles"]]
        return {"role": roles[0] if roles else "", **own_tags(call.site, state, tags_of(profile.get("Tags")))}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        iam = call.site.client("iam")
        if state.get("role") != new.get("role"):
            if state.get("role"):
                iam.remove_role_from_instance_profile(InstanceProfileName=identity, RoleName=state["role"])
            iam.add_role_to_instance_profile(InstanceProfileName=identity, RoleName=new["role"])
        self.retag(call, state, new, "iam", "instance_profile", InstanceProfileName=identity)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        iam = call.site.client("iam")
        for role in iam.get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=identity, RoleName=role["RoleName"])
        iam.delete_instance_profile(InstanceProfileName=identity)


class ServiceLinkedRole(Handler):
    """A role that a service made its own. moto makes one twice; AWS refuses, and so do we.

    The provider tags it after it was made.
    Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/service_linked_role.go
    """

    token = "aws:iam/serviceLinkedRole:ServiceLinkedRole"
    taggable = True
    seconds = Seconds(3, 1, 3)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        iam = call.site.client("iam")
        if not principals.is_service(inputs["awsServiceName"], call.site.region):
            raise ApiError("InvalidInput", f"Invalid AWS service name: {inputs['awsServiceName']}")
        path = f"/aws-service-role/{inputs['awsServiceName']}/"
        taken = any(role["Path"] == path for role in iam.list_roles()["Roles"])
        told = f"Service role name for {inputs['awsServiceName']} has been taken in this account"
        refuse((taken, f"{told}, please try a different suffix."), code="InvalidInput")
        made = iam.create_service_linked_role(
            AWSServiceName=inputs["awsServiceName"], Description=inputs.get("description") or ""
        )["Role"]
        self.retag(call, {}, inputs, "iam", "role", RoleName=made["RoleName"])
        return made["Arn"], {
            "arn": made["Arn"],
            "name": made["RoleName"],
            "path": made["Path"],
            "createDate": made["CreateDate"].isoformat(),
            "uniqueId": made["RoleId"],
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        role = call.site.client("iam").get_role(RoleName=identity.rpartition("/")[2])["Role"]
        return own_tags(call.site, state, tags_of(role.get("Tags")))

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        name = identity.rpartition("/")[2]
        call.site.client("iam").update_role(RoleName=name, Description=new.get("description") or "")
        self.retag(call, state, new, "iam", "role", RoleName=name)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("iam").delete_role(RoleName=identity.rpartition("/")[2])


class OpenIdConnectProvider(Handler):
    """An OIDC provider, for IRSA."""

    token = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    taggable = True
    seconds = Seconds(1, 1, 1)
    removed_by = ("iam", "delete_open_id_connect_provider", "OpenIDConnectProviderArn")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        if not inputs["url"].startswith("https://"):
            raise ApiError("ValidationError", "Invalid Open ID Connect Provider URL: it begins with https://")
        made = call.site.client("iam").create_open_id_connect_provider(
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists") or [],
            Tags=tag_list(all_tags(call.site, inputs)),
        )
        identity = made["OpenIDConnectProviderArn"]
        return identity, {"arn": identity, "thumbprintLists": inputs.get("thumbprintLists") or []}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        found = call.site.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=identity)
        return {
            "clientIdLists": found["ClientIDList"],
            "thumbprintLists": found["ThumbprintList"],
            **own_tags(call.site, state, tags_of(found.get("Tags"))),
        }

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        call.site.client("iam").update_open_id_connect_provider_thumbprint(
            OpenIDConnectProviderArn=identity, ThumbprintList=new.get("thumbprintLists") or []
        )
        self.retag(call, state, new, "iam", "open_id_connect_provider", OpenIDConnectProviderArn=identity)
        return {"clientIdLists": state["clientIdLists"], "thumbprintLists": new.get("thumbprintLists") or []}
