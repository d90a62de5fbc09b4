"""Security groups, and single tags on things that somebody else made."""

import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.program.resource_types import fields, resource_type
from otel_on_spot.simcloud.api_errors import ApiError, refuse
from otel_on_spot.simcloud.aws import in_use
from otel_on_spot.simcloud.aws.ec2 import Ec2Handler, filters_of, refuse_other_networks
from otel_on_spot.simcloud.handler import Call, Rewritten, Seconds, Site
from otel_on_spot.simcloud.properties import Properties

Permission = dict[str, Any]
GROUP = resource_type("aws:ec2/securityGroup:SecurityGroup").arn


def by_tags(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that finds security groups by tags: none found is an empty list."""
    found = site.client("ec2").describe_security_groups(Filters=filters_of(arguments))["SecurityGroups"]
    ids = [group["GroupId"] for group in found]
    return {
        "ids": ids,
        "arns": [GROUP.format_map({**fields({}, site.scope), "id": group}) for group in ids],
        "vpcIds": [group["VpcId"] for group in found],
        "tags": dict(arguments.get("tags") or {}),
        "id": site.region,
    }


PORTS, ICMP = range(65536), range(-1, 256)
DESCRIPTION = re.compile(r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{0,255}")
RULES_OF_A_GROUP = 60
"""Sources or destinations of each direction.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
"""


def _refuse_rule(rule: Properties) -> None:
    """Refuse protocols, ports and descriptions that EC2 refuses; moto takes any.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    """
    protocol, told = str(rule["protocol"]).lower(), rule.get("description") or ""
    low, high = int(rule["fromPort"]), int(rule["toPort"])
    known = protocol in ("-1", "tcp", "udp", "icmp", "icmpv6") or (protocol.isdigit() and int(protocol) < 256)
    invalid = "InvalidParameterValue"
    refuse(
        (
            not DESCRIPTION.fullmatch(told),
            f"Invalid rule description: {told[:80]}. Valid descriptions are strings less than 256 characters from the "
            "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ),
        code=invalid,
    )
    source = rule.get("cidrBlocks") or rule.get("securityGroups") or rule.get("self")
    refuse((not source, "The rule names no source: cidrBlocks, securityGroups or self"), code="MissingParameter")
    refuse(
        (not known, f"Invalid value '{protocol}' for IP protocol. Unknown protocol."),
        (
            protocol in ("icmp", "icmpv6", "1", "58") and not (low in ICMP and high in ICMP),
            f"Invalid ICMP type/code ({low}:{high}): -1 to 255 are allowed",
        ),
        (
            protocol in ("tcp", "udp", "6", "17") and (low > high or low not in PORTS or high not in PORTS),
            f"Invalid TCP/UDP port range ({low}:{high})",
        ),
        code=invalid,
    )


def _refuse_text(inputs: Properties) -> None:
    """Refuse names and descriptions of a security group that EC2 refuses; moto takes any.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
    """
    name = inputs["name"]
    own = f"Invalid value '{name}' for groupName. Group names may not be in the format sg-*."
    rule = "a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$* are allowed, 255 of them"
    refuse(
        (name.lower().startswith("sg-"), own),
        *(
            (
                not inputs[key] or not DESCRIPTION.fullmatch(inputs[key]),
                f"Value ({inputs[key]}) for parameter {member} is invalid: {rule}",
            )
            for key, member in (("name", "GroupName"), ("description", "GroupDescription"))
        ),
        code="InvalidParameterValue",
    )


RULE = ("protocol", "fromPort", "toPort", "cidrBlocks", "securityGroups", "self", "description")
"""Arguments of a rule that are sent."""


def permissions(rules: list[Properties] | None, group: str) -> list[Permission]:
    """Rules of a security group as EC2's API writes them; ``self`` stands for the group.

    Raises:
        ApiError: a rule has an argument that is not simulated.
    """
    listed = []
    for rule in rules or []:
        if unknown := sorted(key for key, value in rule.items() if value and key not in RULE):
            raise ApiError(
                "NotSimulated", f"{', '.join(unknown)} of a rule: the simulated cloud knows {', '.join(RULE)}"
            )
        _refuse_rule(rule)
        told = {"Description": rule["description"]} if rule.get("description") else {}
        permission: Permission = {"IpProtocol": rule["protocol"]}
        if rule["protocol"] != "-1":
            permission |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
        if rule.get("cidrBlocks"):
            permission["IpRanges"] = [{"CidrIp": cidr, **told} for cidr in rule["cidrBlocks"]]
        if groups := [*(rule.get("securityGroups") or ()), *((group,) if rule.get("self") else ())]:
            permission["UserIdGroupPairs"] = [{"GroupId": source, **told} for source in groups]
        listed.append(permission)
    return listed


def rules_of(listed: list[Permission], group: str) -> list[Properties]:
    """EC2's permissions as rules: one for each description, as the real provider groups them."""
    rules = []
    for permission in listed:
        grouped: dict[str, Properties] = {}
        for kind, key, into in (
            ("IpRanges", "CidrIp", "cidrBlocks"),
            ("UserIdGroupPairs", "GroupId", "securityGroups"),
        ):
            for source in permission.get(kind, []):
                rule = grouped.setdefault(source.get("Description", ""), {})
                if source[key] == group:
                    rule["self"] = True
                else:
                    rule.setdefault(into, []).append(source[key])
        for description, rule in grouped.items():
            ports = {"fromPort": permission.get("FromPort", 0), "toPort": permission.get("ToPort", 0)}
            rules.append(
                {
                    "protocol": permission["IpProtocol"],
                    **ports,
                    **({"description": description} if description else {}),
                    **rule,
                }
            )
    return rules


def replace_rules(site: Site, described: Mapping[str, Any], inputs: Properties) -> None:
    """Take all rules of a group away, as DescribeSecurityGroups shows it, and give it those of the inputs.

    Raises:
        ApiError: EC2 refuses a rule.
    """
    ec2, group = site.client("ec2"), described["GroupId"]
    for direction in ("ingress", "egress"):
        asked = permissions(inputs.get(direction), group)
        sources = [
            source for rule in asked for source in (*rule.get("IpRanges", ()), *rule.get("UserIdGroupPairs", ()))
        ]
        told = f"The maximum number of rules per security group has been reached: {RULES_OF_A_GROUP}"
        refuse((len(sources) > RULES_OF_A_GROUP, told), code="RulesPerSecurityGroupLimitExceeded")
        groups = {source["GroupId"] for source in sources if "GroupId" in source} - {group}
        refuse_other_networks(site, described["VpcId"], sorted(groups), "InvalidGroup.NotFound", f"group {group}")
    for direction, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        if before := described[member]:
            getattr(ec2, f"revoke_security_group_{direction}")(GroupId=group, IpPermissions=before)
        if after := permissions(inputs.get(direction), group):
            getattr(ec2, f"authorize_security_group_{direction}")(GroupId=group, IpPermissions=after)


class SecurityGroup(Ec2Handler):
    """A security group with its rules inline. moto deletes one in use; AWS does not, nor do we."""

    token = "aws:ec2/securityGroup:SecurityGroup"
    kind, noun, key = "security-group", "SecurityGroup", "GroupId"
    told = ("description",)
    seconds = Seconds(4, 2, 4)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2 = call.site.client("ec2")
        _refuse_text(inputs)
        ec2.describe_vpcs(VpcIds=[inputs["vpcId"]])
        identity = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=self.specification(call, inputs),
        )["GroupId"]
        replace_rules(call.site, self.described(call, identity), inputs)
        return identity, {"arn": self.arn(call.site, identity), "ownerId": call.site.cloud.account}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        group = self.described(call, identity)
        rules = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}
        told = {key: rules_of(group[member], identity) for key, member in rules.items()}
        return {**super().read(call, identity, state), **told}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        replace_rules(call.site, self.described(call, identity), new)
        super().update(call, identity, state, old, new)
        return {direction: new.get(direction) or [] for direction in ("ingress", "egress")}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        in_use.refuse_group(call.site, identity)
        super().delete(call, identity, state)


class DefaultSecurityGroup(SecurityGroup):
    """The group that comes with a VPC: adopted, its rules replaced. Deleting it only forgets it."""

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    seconds = Seconds(2, 1, 0)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2 = call.site.client("ec2")
        here = [{"Name": "vpc-id", "Values": [inputs["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        group = ec2.describe_security_groups(Filters=here)["SecurityGroups"][0]
        identity = group["GroupId"]
        replace_rules(call.site, group, inputs)
        Ec2Handler.update(self, call, identity, {}, {}, inputs)
        return identity, {
            "arn": self.arn(call.site, identity),
            "name": "default",
            "ownerId": call.site.cloud.account,
            "description": group["Description"],
        }

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """AWS keeps it as long as its VPC."""


class Tag(Rewritten):
    """One tag on a resource of EC2 that is not ours."""

    token = "aws:ec2/tag:Tag"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        tag = {"Key": inputs["key"], "Value": inputs["value"]}
        call.site.client("ec2").create_tags(Resources=[inputs["resourceId"]], Tags=[tag])
        return self.identity(call.site, inputs), {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        here = [{"Name": "resource-id", "Values": [state["resourceId"]]}, {"Name": "key", "Values": [state["key"]]}]
        found = call.site.client("ec2").describe_tags(Filters=here)["Tags"]
        return {"value": found[0]["Value"]} if found else None

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("ec2").delete_tags(Resources=[state["resourceId"]], Tags=[{"Key": state["key"]}])
