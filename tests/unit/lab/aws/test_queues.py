"""The simulated SQS beside moto's: a receive does not look through the whole queue for each of its messages."""

import pytest
from moto.sqs import models

from otel_on_spot.lab.aws.moto_patches import sqs
from tests.unit.lab.aws.conftest import REGION

MESSAGES = 200


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> models.SQSBackend:
    """A backend of its own with a queue, in this process; moto is as it was afterwards."""
    for name in ("unix_time", "unix_time_millis"):
        monkeypatch.setattr(models, name, getattr(models, name))
    kept = models.SQSBackend.is_message_valid_based_on_retention_period
    monkeypatch.setattr(models.SQSBackend, "is_message_valid_based_on_retention_period", kept)
    sqs.install()
    made = models.SQSBackend(REGION, "123456789012")
    made.create_queue("interruptions")
    return made


def test_a_receive_looks_at_each_message_of_the_queue_once(
    queues: models.SQSBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    is_delayed = models.Message.delayed.fget

    def counted(message: models.Message) -> bool:
        nonlocal looks
        looks += 1
        return is_delayed(message)

    for number in range(MESSAGES):
        queues.send_message("interruptions", str(number))
    monkeypatch.setattr(models.Message, "delayed", property(counted))
    received = queues.receive_message("interruptions", 10, 20, 20, ["All"])

    assert [message.body for message in received] == [str(number) for number in range(10)]
    assert looks == MESSAGES
    for message in received:
        queues.delete_message("interruptions", message.receipt_handle or "")
    assert queues.get_queue("interruptions").attributes["ApproximateNumberOfMessages"] == MESSAGES - 10


def test_a_message_that_is_older_than_the_queue_keeps_them_is_not_received(queues: models.SQSBackend) -> None:
    kept_milliseconds = 1000 * queues.get_queue("interruptions").attributes["MessageRetentionPeriod"]
    message = queues.send_message("interruptions", "old")
    message.sent_timestamp -= kept_milliseconds + 1000

    assert queues.receive_message("interruptions", 10, 0, 20) == []
