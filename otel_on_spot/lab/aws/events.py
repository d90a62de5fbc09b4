"""The simulated event bus, and events as EC2 and AWS Health write them, from an instance's id."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from otel_on_spot.simcloud.delivery import Delivery, deliver

if TYPE_CHECKING:
    from otel_on_spot.simcloud.handler import Site

ACCOUNT = "123456789012"
State = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]

Event = dict[str, Any]


def _event(source: str, kind: str, region: str, resources: list[str], detail: Mapping[str, Any]) -> Event:
    """Source: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": resources,
        "detail": dict(detail),
    }


def _arn(region: str, instance: str) -> str:
    return f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance}"


def spot_interruption(region: str, instance: str) -> Event:
    """Two minutes before EC2 takes a Spot instance back.

    Its resource has no account: EC2 writes ``arn:aws:ec2:<zone>:instance/<id>`` here and nowhere else.
    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
    """
    detail = {"instance-id": instance, "instance-action": "terminate"}
    kind = "EC2 Spot Instance Interruption Warning"
    return _event("aws.ec2", kind, region, [f"arn:aws:ec2:{region}a:instance/{instance}"], detail)


def rebalance_recommendation(region: str, instance: str) -> Event:
    """A Spot instance is at an elevated risk.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
    """
    kind = "EC2 Instance Rebalance Recommendation"
    return _event("aws.ec2", kind, region, [f"arn:aws:ec2:{region}a:instance/{instance}"], {"instance-id": instance})


def state_change(region: str, instance: str, state: State) -> Event:
    """An instance is in another state.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
    """
    detail = {"instance-id": instance, "state": state}
    return _event("aws.ec2", "EC2 Instance State-change Notification", region, [_arn(region, instance)], detail)


def health_event(region: str, *instances: str) -> Event:
    """Maintenance or retirement of instances is scheduled in two weeks.

    Source: https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html
    """
    now, code = datetime.now(UTC), "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
    detail = {
        "eventArn": f"arn:aws:health:{region}::event/EC2/{code}/{code}_{uuid.uuid4()}",
        "service": "EC2",
        "eventTypeCode": code,
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "communicationId": uuid.uuid4().hex,
        "startTime": (now + timedelta(days=14)).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "endTime": (now + timedelta(days=14, hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "lastUpdatedTime": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "statusCode": "upcoming",
        "eventRegion": region,
        "eventDescription": [{"language": "en_US", "latestDescription": "The instance is scheduled for retirement."}],
        "affectedEntities": [{"entityValue": instance, "status": "PENDING"} for instance in instances],
        "affectedAccount": ACCOUNT,
        "page": "1",
        "totalPages": "1",
    }
    return _event("aws.health", "AWS Health Event", region, list(instances), detail)


def capacity_reservation_interruption(region: str, instance: str) -> Event:
    """An instance in an interruptible capacity reservation is taken back.

    Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/controllers/interruption/messages/capacityreservationinterruption/model.go
    """
    detail = {"instance-id": instance, "instance-action": "terminate"}
    kind = "EC2 Capacity Reservation Instance Interruption Warning"
    return _event("aws.ec2", kind, region, [_arn(region, instance)], detail)


class Clients(Protocol):
    """Whatever has boto3 clients by service: a ``simcloud`` Site, or an ``Endpoint``."""

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""


def put_event(clients: Clients, event: dict[str, Any]) -> list[Delivery]:
    """Put an event on the default bus: it goes where the declared rules and the queues' policies let it go.

    Returns: what became of it at each target of each rule that matches; nothing where no rule does.
    """
    return deliver(cast("Site", clients), event)
