"""Gap: fleets of type instant.

moto's CreateFleet takes the first override at any price, ignores the launch template's security groups, instance
profile, disks and metadata options, always has capacity, and names every host as in us-east-1.

Here it takes the cheapest offering that has capacity, and launches what the template says, into the reservation that it
targets (``reservations``). Where nothing has capacity
it answers as AWS does: no instance, and InsufficientInstanceCapacity for each offering. Price-capacity-optimized is
taken as cheapest, because capacity here is there or not. Spot requests are not kept as resources.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otel_on_spot.lab.aws.capacity import Shortage, shortages
from otel_on_spot.lab.aws.moto_patches import reservations
from otel_on_spot.lab.aws.moto_patches.prices import on_demand_price, spot_price
from otel_on_spot.lab.aws.moto_patches.requests import groups_of


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


def template_of(backend: Any, spec: Any) -> dict[str, Any]:
    """Data of the launch template's version that moto's launch specification names."""
    told = spec.launch_template_spec
    template = backend.get_launch_template(template_id=told["LaunchTemplateId"])
    return template.get_version(told.get("Version") or template.default_version_number).data


def refusal(backend: Any, now: Sequence[Shortage], capacity_type: str, spec: Any, zone: str) -> tuple[str, str] | None:
    """(code, text) by which EC2 refuses an offering; None where it has capacity.

    Args:
        backend: moto's EC2.
        now: the shortages; they say nothing of what is reserved.
        capacity_type: ``spot`` or ``on-demand``.
        spec: moto's launch specification.
        zone: its name, such as ``eu-west-1a``.
    """
    if reserved := reservations.target(template_of(backend, spec)):
        taken = reservations.takes(backend, reserved, spec.instance_type, zone)
        return None if taken else (reservations.CODE, reservations.MESSAGE)
    covering = (shortage for shortage in now if shortage.covers(capacity_type, spec.instance_type, zone))
    shortage = next(covering, None)
    return None if shortage is None else (shortage.code, shortage.message(spec.instance_type, zone))


def price(capacity_type: str, instance_type: str, zone: str) -> float:
    """USD an hour of an offering."""
    return spot_price(instance_type, zone) if capacity_type == "spot" else on_demand_price(instance_type)


def instant_fleet(base: Any, folder: Path) -> type:
    """A class of instant fleets, made from moto's class."""

    class InstantFleet(base):
        """Launches all it is asked for from the cheapest offering with capacity, or nothing."""

        errors: list[dict[str, Any]]

        def create_spot_requests(self, weight_to_add: float) -> Any:
            """Launch on Spot."""
            self._launch(int(weight_to_add), "spot")
            return []

        def create_on_demand_requests(self, weight_to_add: float) -> Any:
            """Launch on On-Demand."""
            self._launch(int(weight_to_add), "on-demand")

        @property
        def instances(self) -> list[dict[str, Any]]:
            """Launched instances, in CreateFleet's words."""
            return [
                self._build_instance_data(launched["instance"], launched["lifecycle"], launched["launch_spec"])
                for launched in self.on_demand_instances
            ]

        def _launch(self, count: int, capacity_type: str) -> None:
            self.errors = getattr(self, "errors", [])
            now, offered = shortages(folder), []
            for spec in self.launch_specs:
                zone = self.ec2_backend.get_subnet(spec.subnet_id).availability_zone
                refused = refusal(self.ec2_backend, now, capacity_type, spec, zone)
                if refused:
                    self._refuse(spec, capacity_type, *refused)
                else:
                    offered.append((price(capacity_type, spec.instance_type, zone), spec.instance_type, zone, spec))
            if offered:
                self._run(min(offered, key=lambda offering: offering[:3])[3], count, capacity_type)

        def _refuse(self, spec: Any, capacity_type: str, code: str, text: str) -> None:
            about = {"LaunchTemplateSpecification": spec.launch_template_spec, "Overrides": spec.overrides or {}}
            self.errors.append(
                {
                    "LaunchTemplateAndOverrides": about,
                    "Lifecycle": capacity_type,
                    "ErrorCode": code,
                    "ErrorMessage": text,
                }
            )

        def _run(self, spec: Any, count: int, capacity_type: str) -> None:
            from moto.ec2.utils import filter_iam_instance_profiles

            backend = self.ec2_backend
            data = template_of(backend, spec)
            name, arn = profile_of(data)
            if name or arn:
                try:
                    filter_iam_instance_profiles(
                        backend.account_id,
                        partition="aws",
                        iam_instance_profile_arn=arn,
                        iam_instance_profile_name=name,
                    )
                except Exception as problem:  # noqa: BLE001 (moto's own: the profile is not there)
                    text = (
                        f"Value ({name or arn}) for parameter iamInstanceProfile.name is invalid. "
                        "Invalid IAM Instance Profile name"
                    )
                    self._refuse(spec, capacity_type, "InvalidParameterValue", f"{text} ({problem})")
                    return
            options: dict[str, Any] = {"block_device_mappings": disks} if (disks := disks_of(data)) else {}
            reservation = backend.run_instances(
                image_id=spec.image_id,
                count=count,
                user_data=spec.user_data,
                security_group_names=[],
                security_group_ids=groups_of(data),
                instance_type=spec.instance_type,
                is_instance_type_default=False,
                region_name=backend.region_name,
                subnet_id=spec.subnet_id,
                key_name=spec.key_name,
                fleet_id=self.id,
                tags=spec.tag_specifications,
                metadata_options=data.get("MetadataOptions") or {},
                lifecycle="spot" if capacity_type == "spot" else None,
                **options,
            )
            for instance in reservation.instances:
                reservations.mark(instance, reservations.target(data))
                if name or arn:
                    backend.associate_iam_instance_profile(
                        instance_id=instance.id, iam_instance_profile_name=name, iam_instance_profile_arn=arn
                    )
                self.on_demand_instances.append(
                    {"id": reservation.id, "instance": instance, "launch_spec": spec, "lifecycle": capacity_type}
                )
            self.fulfilled_capacity += count

    return InstantFleet


def install(folder: Path) -> None:
    """Replace fleets of type instant; others stay moto's.

    ``capacity.json`` is in ``folder``.
    """
    from moto.ec2.models import fleets
    from moto.ec2.responses.fleets import Fleets

    instant = instant_fleet(fleets.Fleet, folder)
    moto_fleet = fleets.Fleet

    parameters = inspect.signature(moto_fleet)

    def fleet(*arguments: Any, **named: Any) -> Any:
        kind = parameters.bind(*arguments, **named).arguments["fleet_type"]
        return (instant if kind == "instant" else moto_fleet)(*arguments, **named)

    vars(fleets)["Fleet"] = fleet
    inner = Fleets.create_fleet

    def create_fleet(self: Any) -> Any:
        answer: Any = inner(self)
        made = self.ec2_backend.fleets[answer.result["FleetId"]]
        if isinstance(made, instant):
            answer.result["Errors"] = made.errors
        return answer

    Fleets.create_fleet = create_fleet
