"""Gap: moto's SQS looks through a whole queue, several times, for each message that is sent or received.

It makes all of a queue's attributes anew to read one of them, the numbers of its messages too, by a clock that takes
microseconds. With 1,000 messages in the queue a receive of ten took a second: nearly all that Karpenter waited for.
"""

import time
from typing import Any


def install() -> None:
    """Read the one attribute, and the operating system's clock."""
    from moto.sqs import models

    def is_kept(self: Any, queue_name: str, message: Any) -> bool:
        kept_seconds = self.get_queue(queue_name).message_retention_period
        return message.sent_timestamp / 1000 + kept_seconds > time.time()

    models.SQSBackend.is_message_valid_based_on_retention_period = is_kept
    models.unix_time = time.time  # ty: ignore[invalid-assignment]
    models.unix_time_millis = _milliseconds  # ty: ignore[invalid-assignment]


def _milliseconds() -> float:
    return 1000 * time.time()
