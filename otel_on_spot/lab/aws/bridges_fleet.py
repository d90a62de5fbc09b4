"""Gap: moto's CreateFleet of type instant takes the first override at any price, ignores the launch template's security groups,
instance profile, disks and metadata options, always has capacity, and names every host as in us-east-1.

Here it takes the cheapest offering that has capacity, and launches what the template says. Where nothing has capacity it
answers as AWS does: no instance, and InsufficientInstanceCapacity for each offering. Price-capacity-optimized is taken as
cheapest, because capacity here is there or not. Spot requests are not kept as resources.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
"""

from pathlib import Path
from typing import Any

from otel_on_spot.lab.aws.prices import on_demand_price, spot_price

NEEDED = ("ec2:RunInstances", "ec2:CreateTags")
"""What CreateFleet asks for beside itself; for a template with an instance profile also iam:PassRole.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-prerequisites.html
"""
NO_CAPACITY = "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone})."


def groups_of(template: dict[str, Any]) -> list[str]:
    """Security groups of a launch template's data, of its own and of its interfaces, each once."""
    found = list(template.get("SecurityGroupIds") or [])
    for interface in template.get("NetworkInterfaces") or []:
        found += interface.get("Groups") or []
    return list(dict.fromkeys(found))


def profile_of(template: dict[str, Any]) -> tuple[str | None, str | None]:
    """(name, ARN) of a launch template's instance profile."""
    told = template.get("IamInstanceProfile") or {}
    return told.get("Name"), told.get("Arn")


def disks_of(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Block devices of a launch template's data; they go with the instance unless told otherwise."""
    return [
        {**disk, "Ebs": {"DeleteOnTermination": True, **disk["Ebs"]}}
        for disk in template.get("BlockDeviceMappings") or []
        if disk.get("Ebs")
    ]


def passed_roles(response: Any) -> tuple[str, ...]:
    """``iam:PassRole`` where a template of the request has an instance profile; a template that is not there has none."""
    from moto.ec2.exceptions import EC2ClientError

    for config in response._get_param("LaunchTemplateConfigs", []):
        told = config.get("LaunchTemplateSpecification") or {}
        try:
            if "LaunchTemplateId" in told:
                template = response.ec2_backend.get_launch_template(template_id=told["LaunchTemplateId"])
            else:
                template = response.ec2_backend.get_launch_template_by_name(name=told.get("LaunchTemplateName", ""))
        except EC2ClientError:
            continue
        if any(profile_of(template.latest_version().data)):
            return ("iam:PassRole",)
    return ()


def install(folder: Path) -> None:
    """Replace fleets of type instant; others stay moto's.

    Args:
        folder: where ``capacity.json`` is.
    """
    from moto.ec2.models import fleets
    from moto.ec2.responses.fleets import Fleets

    from otel_on_spot.lab.aws.instant_fleet import instant_fleet

    instant = instant_fleet(fleets.Fleet, folder)
    moto_fleet = fleets.Fleet

    def fleet(*given: Any) -> Any:
        return (instant if given[9] == "instant" else moto_fleet)(*given)

    vars(fleets)["Fleet"] = fleet
    inner = Fleets.create_fleet

    def create_fleet(self: Any) -> Any:
        from otel_on_spot.lab.aws.bridges_permissions import refusal

        for action in (*NEEDED, *passed_roles(self)):
            problem = refusal(self, action)
            if problem is not None:
                raise problem
        answer: Any = inner(self)
        made = self.ec2_backend.fleets[answer.result["FleetId"]]
        if isinstance(made, instant):
            answer.result["Errors"] = made.errors
        return answer

    Fleets.create_fleet = create_fleet


def price(capacity_type: str, instance_type: str, zone: str) -> float:
    """USD an hour of an offering."""
    return spot_price(instance_type, zone) if capacity_type == "spot" else on_demand_price(instance_type)
