"""Who asks, whether the account is the right one, and the roles that services keep in it."""

from typing import Final

from infra.before_anything import USER_ID
from infra.settings import parse
from infra.settings.placeholders import documentation_account, placeholders
from otel_on_spot.doctor.check import Judging, looked_at, result_of
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import tags_of
from otel_on_spot.kubernetes.names import NODE_POOL
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program import stack_file

LINKED: Final = {
    "eks.amazonaws.com": ("aws:eks/cluster:Cluster", "the first cluster"),
    "eks-nodegroup.amazonaws.com": ("aws:eks/nodeGroup:NodeGroup", "the first node group"),
    "autoscaling.amazonaws.com": ("aws:eks/nodeGroup:NodeGroup", "the first node group, through its own role"),
    "fis.amazonaws.com": ("aws:fis/experimentTemplate:ExperimentTemplate", "the first experiment"),
}
"""Service -> the resource type whose first one makes the service's own role, and what that is called.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles.html,
https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html,
https://docs.aws.amazon.com/fis/latest/userguide/using-service-linked-roles.html
"""
SPOT: Final = "spot.amazonaws.com"


@result_of
def identity(situation: Situation) -> Judging:
    """The credentials are of the account that the stack belongs to."""
    asks, allowed = situation.identity, situation.allowed_accounts
    if allowed and asks.account not in allowed:
        yield Finding(
            subject=asks.arn,
            seen=f"credentials of the account {asks.account}; the stack's file says {', '.join(allowed)}",
            rule="a stack is made in the account that its file names: the provider refuses any other one",
            remedy=("aws sts get-caller-identity",),
        )
    return 1, f"{asks.arn} in {asks.account}"


def is_real(situation: Situation) -> bool:
    """Decide if the account is one of AWS's, not a simulated cloud's."""
    return bool(USER_ID.match(situation.identity.user_id)) and not documentation_account(situation.identity.account)


@result_of
def examples(situation: Situation) -> Judging:
    """No value of the examples is left in the stack's file; a simulated cloud does not mind."""
    config = stack_file.read(situation.root, situation.recording.stack)
    prefix = f"{config.project}:"
    raw = {key.removeprefix(prefix): value for key, value in config.values.items() if key.startswith(prefix)}
    settings, _ = parse(raw)
    left = placeholders(settings) if settings else []
    if left and not is_real(situation):
        note = f", {format_count(len(left), 'value')} of the examples, which a simulated cloud takes"
        return len(raw), format_count(len(raw), "key") + note
    for problem in left:
        yield Finding(
            subject=problem.key,
            seen=problem.given,
            rule=f"{problem.rule}; `pulumi preview` refuses it",
            remedy=(f"Pulumi.{config.stack}.yaml: {problem.do}",),
        )
    return looked_at(raw, "key")


@result_of
def linked_roles(situation: Situation) -> Judging:
    """The services' own roles are there, or are made by the first thing that needs them; Spot's is not."""
    iam = situation.client("iam")

    def found(service: str) -> list[str]:
        return [role["RoleName"] for role in iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]]

    needed = {service: told for service, told in LINKED.items() if situation.of_type(told[0])}
    missing = [service for service in needed if not found(service)]
    looked = len(needed)
    if _launches_spot(situation):
        looked += 1
        declared = [
            role
            for role in situation.of_type("aws:iam/serviceLinkedRole:ServiceLinkedRole")
            if role.inputs["awsServiceName"] == SPOT
        ]
        there = found(SPOT)
        if not declared and not there:
            yield Finding(
                subject="AWSServiceRoleForEC2Spot",
                seen="the account has none, and the stack makes none",
                rule="an account that never ran Spot needs its service-linked role first: without it `pulumi up` "
                "ends well, every launch on Spot fails, and pods stay Pending",
                remedy=(f"aws iam create-service-linked-role --aws-service-name {SPOT}",),
            )
        if declared and there and not _is_own(situation, there[0]):
            yield Finding(
                subject="AWSServiceRoleForEC2Spot",
                seen="the account has it, of somebody else, and karpenter.spotServiceLinkedRole makes it",
                rule="an account has one, and IAM refuses the second with InvalidInput",
                remedy=("set karpenter.spotServiceLinkedRole to false",),
            )
    made = "; ".join(f"{service}: {needed[service][1]} makes it" for service in missing)
    return looked, format_count(looked, "role") + (f". Not there yet, {made}" if missing else ", all there")


def _is_own(situation: Situation, role: str) -> bool:
    told = situation.client("iam").get_role(RoleName=role)["Role"].get("Tags")
    return situation.owns(tags_of(told), situation.default_tags)


def _launches_spot(situation: Situation) -> bool:
    return any(
        "spot" in (term.get("values") or ())
        for pool in situation.of_type(NODE_POOL.token)
        for term in pool.inputs["spec"]["template"]["spec"]["requirements"]
    )
