"""What only AWS can tell, and what must not meet it: asked before the first resource is declared."""

import re
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.regions import ZONES_WITHOUT_CONTROL_PLANE
from infra.settings.models import Settings
from infra.settings.placeholders import documentation_account, placeholders
from infra.settings.problem import Problem, message

USER_ID: Final = re.compile(r"(A[A-Z0-9]{15,}|\d{12})(:|$)")
"""Unique id of an IAM user or role, or the account of its root or of a federated user, with a session or without.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""


def refuse_placeholders(settings: Settings, opts: pulumi.InvokeOptions) -> None:
    """A preview or an update of AWS is refused while the stack file has values of the examples; all are named at once.

    A plan and a simulated cloud answer with a user or an account that nobody has. There the values do no harm, and a
    note says what to replace.

    Raises:
        pulumi.RunError: the account is a real one, or cannot be asked for; no resource was declared yet.
    """
    found = placeholders(settings)
    if not found:
        return
    stack_file = f"Pulumi.{pulumi.get_stack()}.yaml"
    try:
        caller = aws.get_caller_identity(opts=opts)
    except Exception as failure:
        # Whatever the provider says: the account that it may work in can be a placeholder itself.
        told = f"{message(stack_file, found)}\n  the account cannot be asked for: {failure}"
        raise pulumi.RunError(told) from failure
    if USER_ID.match(caller.user_id) and not documentation_account(caller.account_id):
        raise pulumi.RunError(message(stack_file, found))
    pulumi.log.info(
        f"{stack_file}: replace before `pulumi up` on AWS: "
        + ", ".join(f"{problem.key} ({problem.given})" for problem in found)
    )


def refuse_zones(settings: Settings, opts: pulumi.InvokeOptions) -> None:
    """Which zones an account has, AWS alone knows; and in a few, known by their ids, EKS takes no subnet.

    Raises:
        pulumi.RunError: the cluster would have a subnet in a zone that is not there, or that EKS refuses; no resource
            was declared yet.
    """
    refused = ZONES_WITHOUT_CONTROL_PLANE.get(settings.region, frozenset())
    zones = aws.get_availability_zones(opts=opts)
    ids = dict(zip(zones.names, zones.zone_ids, strict=True))
    use = "use " + ", ".join(
        name for name, zone_id in ids.items() if zone_id not in refused and name[:-1] == settings.region
    )
    problems = [
        Problem(
            "network.zones",
            f"{zone} ({ids[zone]} in this account)",
            "EKS has no control plane in this zone: it takes no subnet of it",
            use,
        )
        if zone in ids
        else Problem("network.zones", zone, f"the account has no such zone in {settings.region}", use)
        for zone in settings.network.zones
        if ids.get(zone) in refused | {None}
    ]
    if problems:
        raise pulumi.RunError(message(f"Pulumi.{pulumi.get_stack()}.yaml", problems))


def refuse_taken_names(stack_names: names.StackNames, opts: pulumi.InvokeOptions) -> None:
    """IAM's names are the account's: a role of this name that is another stack's is told before anything is made.

    The owner's tag says whose a role is. One without it is older than the tag: it is this stack's where the cluster is
    in this region.

    Raises:
        pulumi.RunError: such roles exist; all are named, and no resource was declared yet.
    """
    taken = aws.iam.get_roles(name_regex=f"^({'|'.join(stack_names.roles)})$", opts=opts).names
    own = stack_names.owner_tags[names.OWNER_TAG]
    owners: dict[str, list[str]] = {}
    for role in sorted(taken):
        owner = aws.iam.get_role(name=role, opts=opts).tags.get(names.OWNER_TAG, "")
        if owner != own:
            owners.setdefault(owner, []).append(role)
    if "" in owners and stack_names.cluster in aws.eks.get_clusters(opts=opts).names:
        del owners[""]
    problems = [
        Problem(
            "cluster.name",
            f"{stack_names.cluster}, and {', '.join(roles)} {'are' if len(roles) > 1 else 'is'} there already, "
            + (f"of the stack {owner} (region/stack)" if owner else f"without the tag {names.OWNER_TAG}"),
            "names of IAM are the account's, whatever the region: AWS would refuse these roles, and the policies and "
            "the instance profile that go with them, one by one after the network is built",
            "give the cluster a name of its own, with its region in it for instance; if they are this stack's (it was "
            "renamed, or its first update was cut off before November 2026), say so, role by role: "
            f"aws iam tag-role --role-name {roles[0]} --tags Key={names.OWNER_TAG},Value={own}",
        )
        for owner, roles in sorted(owners.items())
    ]
    if problems:
        raise pulumi.RunError(message(f"Pulumi.{pulumi.get_stack()}.yaml", problems))
