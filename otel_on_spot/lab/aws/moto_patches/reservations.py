"""Gap: On-Demand Capacity Reservations, none of whose calls moto has.

Here they are made, described and cancelled; an instant fleet launches into the one that its launch template targets,
and an instance that ends gives its place back. Capacity Blocks and interruptible reservations are not there, nor do
reservations end by themselves: ``EndDate`` is told, not kept.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-reservations.html
"""

from collections.abc import Mapping
from typing import Any, Final

CODE: Final = "ReservationCapacityExceeded"
MESSAGE: Final = (
    "The requested reservation does not have sufficient compatible and available capacity for this request."
)
"""EC2's words where a reservation has no place left, or is of another type or zone.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""


def reservations(backend: Any) -> dict[str, dict[str, Any]]:
    """Reservations of an account in a region, by id, in DescribeCapacityReservations' words, without what is free."""
    return vars(backend).setdefault("capacity_reservations", {})


def target(template: Mapping[str, Any]) -> str:
    """The reservation that a launch template's data launches into alone; empty where it names none."""
    told = template.get("CapacityReservationSpecification") or {}
    return (told.get("CapacityReservationTarget") or {}).get("CapacityReservationId") or ""


def free(backend: Any, identity: str) -> int:
    """Instances that a reservation has room for."""
    running = (
        instance
        for reservation in backend.reservations.values()
        for instance in reservation.instances
        if getattr(instance, "capacity_reservation_id", "") == identity and instance.state != "terminated"
    )
    return reservations(backend)[identity]["TotalInstanceCount"] - sum(1 for _ in running)


def takes(backend: Any, identity: str, instance_type: str, zone: str) -> bool:
    """True where a reservation is active, of this type and zone, and has room.

    Args:
        backend: moto's EC2.
        identity: of the reservation.
        instance_type: of the instance.
        zone: of the instance.
    """
    found = reservations(backend).get(identity, {})
    of = (found.get("InstanceType"), found.get("AvailabilityZone"), found.get("State"))
    return of == (instance_type, zone, "active") and free(backend, identity) > 0


def mark(instance: Any, identity: str) -> None:
    """Say of an instance which reservation it runs in, as DescribeInstances tells it; nothing where that is empty."""
    if not identity:
        return
    instance.capacity_reservation_id = identity
    instance.capacity_reservation_specification = {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationId": identity},
    }


def _matches(row: Mapping[str, Any], name: str, values: list[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
    if name == "tag-key":
        return bool(set(values) & set(tags))
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:")) in values
    return str(row["".join(word.capitalize() for word in name.split("-"))]) in values


def install() -> None:
    """Give moto's EC2 the three calls."""
    from moto.core.responses import ActionResult
    from moto.core.utils import utcnow
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.responses import EC2Response
    from moto.ec2.utils import random_resource_id

    def told(backend: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        tags = [
            {"Key": key, "Value": value} for key, value in backend.tags.get(row["CapacityReservationId"], {}).items()
        ]
        return {**row, "Tags": tags, "AvailableInstanceCount": free(backend, row["CapacityReservationId"])}

    def wanted(backend: Any, identity: str) -> dict[str, Any]:
        if identity not in reservations(backend):
            text = f"The specified Capacity Reservation ID '{identity}' does not exist."
            raise EC2ClientError("InvalidCapacityReservationId.NotFound", text)
        return reservations(backend)[identity]

    def create_capacity_reservation(self: Any) -> Any:
        identity, count = f"cr-{random_resource_id(17)}", int(self._get_param("InstanceCount"))
        row = {
            "CapacityReservationId": identity,
            "OwnerId": self.current_account,
            "CapacityReservationArn": (
                f"arn:aws:ec2:{self.region}:{self.current_account}:capacity-reservation/{identity}"
            ),
            "InstanceType": self._get_param("InstanceType"),
            "InstancePlatform": self._get_param("InstancePlatform"),
            "AvailabilityZone": self._get_param("AvailabilityZone"),
            "Tenancy": "default",
            "TotalInstanceCount": count,
            "State": "active",
            "EndDate": self._get_param("EndDate"),
            "EndDateType": self._get_param("EndDateType", "unlimited"),
            "InstanceMatchCriteria": self._get_param("InstanceMatchCriteria", "open"),
            "ReservationType": "default",
            "CreateDate": utcnow(),
            "StartDate": utcnow(),
        }
        reservations(self.ec2_backend)[identity] = row
        tags = self._parse_tag_specification("capacity-reservation").get("capacity-reservation", {})
        self.ec2_backend.create_tags([identity], tags)
        return ActionResult({"CapacityReservation": told(self.ec2_backend, row)})

    def describe_capacity_reservations(self: Any) -> Any:
        asked = self._get_param("CapacityReservationIds", [])
        backend, filters = self.ec2_backend, self._filters_from_querystring()
        rows = [wanted(backend, identity) for identity in asked] or reservations(backend).values()
        rows = [told(backend, row) for row in rows]
        found = [row for row in rows if all(_matches(row, name, values) for name, values in filters.items())]
        return ActionResult({"CapacityReservations": found})

    def cancel_capacity_reservation(self: Any) -> Any:
        wanted(self.ec2_backend, self._get_param("CapacityReservationId"))["State"] = "cancelled"
        return ActionResult({"Return": True})

    for call in (create_capacity_reservation, describe_capacity_reservations, cancel_capacity_reservation):
        setattr(EC2Response, call.__name__, call)
