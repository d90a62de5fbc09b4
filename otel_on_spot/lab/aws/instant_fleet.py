"""A fleet of type instant over moto's own: see ``bridges_fleet``."""

from pathlib import Path
from typing import Any

from otel_on_spot.lab.aws import bridges_fleet
from otel_on_spot.lab.aws.capacity import short, shortages


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
            """What was launched, in CreateFleet's words."""
            return [
                self._build_instance_data(i["instance"], i["lifecycle"], i["launch_spec"])
                for i in self.on_demand_instances
            ]

        def _launch(self, count: int, capacity_type: str) -> None:
            self.errors = getattr(self, "errors", [])
            now, offered = shortages(folder), []
            for spec in self.launch_specs:
                zone = self.ec2_backend.get_subnet(spec.subnet_id).availability_zone
                if short(now, capacity_type, spec.instance_type, zone):
                    text = bridges_fleet.NO_CAPACITY.format(type=spec.instance_type, zone=zone)
                    self._refuse(spec, capacity_type, "InsufficientInstanceCapacity", text)
                else:
                    offered.append(
                        (bridges_fleet.price(capacity_type, spec.instance_type, zone), spec.instance_type, zone, spec)
                    )
            if offered:
                self._run(min(offered, key=lambda one: one[:3])[3], count, capacity_type)

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

            backend, told = self.ec2_backend, spec.launch_template_spec
            template = backend.get_launch_template(template_id=told["LaunchTemplateId"])
            data = template.get_version(told.get("Version") or template.default_version_number).data
            name, arn = bridges_fleet.profile_of(data)
            if name or arn:
                try:
                    filter_iam_instance_profiles(
                        backend.account_id,
                        partition="aws",
                        iam_instance_profile_arn=arn,
                        iam_instance_profile_name=name,
                    )
                except Exception as problem:  # moto's own: the profile is not there
                    text = f"Value ({name or arn}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
                    self._refuse(spec, capacity_type, "InvalidParameterValue", f"{text} ({problem})")
                    return
            options: dict[str, Any] = (
                {"block_device_mappings": disks} if (disks := bridges_fleet.disks_of(data)) else {}
            )
            reservation = backend.run_instances(
                image_id=spec.image_id,
                count=count,
                user_data=spec.user_data,
                security_group_names=[],
                security_group_ids=bridges_fleet.groups_of(data),
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
                if name or arn:
                    backend.associate_iam_instance_profile(
                        instance_id=instance.id, iam_instance_profile_name=name, iam_instance_profile_arn=arn
                    )
                self.on_demand_instances.append(
                    {"id": reservation.id, "instance": instance, "launch_spec": spec, "lifecycle": capacity_type}
                )
            self.fulfilled_capacity += count

    return InstantFleet
