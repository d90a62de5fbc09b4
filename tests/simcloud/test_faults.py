"""The cloud fails as it is told, and says so in the log."""

import threading
import time
from pathlib import Path

import pytest

from otel_on_spot.simcloud.api_errors import ApiError, OperationCancelledError, TimedOutError, UnfinishedError
from otel_on_spot.simcloud.clock import Clock
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.faults import Fault, FaultPlan
from otel_on_spot.simcloud.operations import Operations, Subject
from tests.simcloud.conftest import Maker

QUEUE = Subject("aws:sqs/queue:Queue", "queue")


def operations(tmp_path: Path, *faults: Fault, scale: float = 0.0) -> Operations:
    return Operations(tmp_path / "log.jsonl", Clock(scale, patience=0.1), FaultPlan(list(faults)))


def run(
    made: Operations, subject: Subject = QUEUE, operation: str = "create", cancelled: threading.Event | None = None
) -> object:
    return made.run(
        subject, operation, lambda spend: spend(5) or ("id", {}), timeout=1, cancelled=cancelled or threading.Event()
    )


def test_the_nth_matching_operation_is_refused_and_no_other(tmp_path: Path) -> None:
    made = operations(
        tmp_path, Fault(effect="refuse", type="aws:sqs/*", operation="create", nth=2, code="AccessDenied", message="no")
    )
    run(made)
    run(made, operation="delete")
    with pytest.raises(ApiError, match="AccessDenied: no"):
        run(made)
    run(made)
    assert [line.result for line in made.read()] == ["ok", "ok", "AccessDenied: no", "ok"]


def test_what_fails_after_the_cloud_did_its_part_is_known_to_exist(tmp_path: Path) -> None:
    with pytest.raises(UnfinishedError) as failed:
        run(operations(tmp_path, Fault(effect="refuse", stage="after")))
    assert failed.value.identity == "id"


def test_a_throttled_operation_is_repeated_and_takes_longer_until_the_provider_gives_up(tmp_path: Path) -> None:
    made = operations(tmp_path, Fault(effect="throttle", times=3), Fault(effect="throttle", nth=2, times=30))
    run(made)
    with pytest.raises(ApiError, match=r"ThrottlingException.*25 retries"):
        run(made)
    assert made.read()[0].cloud_seconds == 5 + 1 + 2 + 4


def test_what_is_not_visible_yet_is_asked_for_again(tmp_path: Path) -> None:
    made = operations(tmp_path, Fault(effect="lag", times=2))
    run(made)
    assert made.read()[0].cloud_seconds == 5 + 2 * 3


def test_a_hanging_operation_ends_with_its_timeout_or_when_it_is_cancelled(tmp_path: Path) -> None:
    with pytest.raises(TimedOutError):
        run(operations(tmp_path, Fault(effect="hang")))
    cancelled = threading.Event()
    threading.Timer(0.05, cancelled.set).start()
    slow = Operations(tmp_path / "other.jsonl", Clock(1.0, patience=60), FaultPlan([Fault(effect="hang")]))
    with pytest.raises(OperationCancelledError):
        run(slow, cancelled=cancelled)


def test_cloud_seconds_pass_at_the_scale_and_the_log_counts_them(tmp_path: Path) -> None:
    made = operations(tmp_path, scale=0.02)
    before = time.monotonic()
    run(made)
    assert time.monotonic() - before >= 0.1
    line = made.read()[0]
    assert 5 <= line.end - line.start < 15


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '[{"effect": "explode"}]', '[{"effect": "refuse", "unknown": 1}]', "not json"]
)
def test_a_plan_that_is_no_list_of_faults_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    file = tmp_path / "faults.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"faults\.json: must be a JSON list of faults such as"):
        FaultPlan.load(file)


def test_a_refused_creation_makes_nothing(aws: Maker, cloud: Cloud) -> None:
    cloud.operations.faults, before = FaultPlan([Fault(effect="refuse", name="never")]), cloud.operations.faults
    try:
        with pytest.raises(ApiError):
            aws.make("aws:sqs/queue:Queue", "never", name="never")
    finally:
        cloud.operations.faults = before
    assert not [url for url in aws.site.client("sqs").list_queues().get("QueueUrls", []) if url.endswith("/never")]
