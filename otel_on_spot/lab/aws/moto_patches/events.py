"""Gap: events are delivered to everybody.

moto's PutEvents asks neither whether a rule is enabled nor what a queue's policy says (``simcloud.delivery``).
"""

from typing import Any


def install() -> None:
    """Deliver to a queue where EventBridge may; as on AWS, nobody is told of what is dropped."""
    from moto.events.models import Rule
    from moto.sqs import sqs_backends

    from otel_on_spot.simcloud.delivery import why_refused

    send = Rule._send_to_sqs_queue

    def send_to_sqs_queue(self: Any, resource_id: str, event: dict[str, Any], group_id: str | None = None) -> None:
        queue = sqs_backends[self.account_id][self.region_name].queues.get(resource_id)
        if self.state != "ENABLED" or queue is None:
            return
        if not why_refused(queue.policy or "", queue.queue_arn, self.arn):
            send(self, resource_id, event, group_id)

    Rule._send_to_sqs_queue = send_to_sqs_queue
