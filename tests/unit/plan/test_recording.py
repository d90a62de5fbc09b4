"""Registrations are kept whole; what a plan cannot know, it refuses; nothing leaks from one run into the next."""

import socket
from typing import Any

import pulumi
import pytest
from pulumi_aws import sqs
from pulumi_aws.get_region import get_region

from otel_on_spot.plan.record import PlanError, record_program
from otel_on_spot.program.recording import Registration
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.program.values import UNKNOWN, Secret, holds_unknown, masked, references, revealed

QUEUE = "aws:sqs/queue:Queue"


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("t:index:Group", name, None, opts)
        self.queue = sqs.Queue(f"{name}-queue", name=f"{name}-queue", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({"url": self.queue.url})


def queue(program: Any, name: str, **options: Any) -> Registration:
    return record_program(program, **options).named(QUEUE, name)


def test_a_registration_is_kept_whole() -> None:
    def program() -> None:
        first = sqs.Queue("first")
        sqs.Queue(
            "second",
            message_retention_seconds=300,
            tags={"after": first.name},
            opts=pulumi.ResourceOptions(
                depends_on=[first],
                protect=True,
                ignore_changes=["tags"],
                retain_on_delete=True,
                deleted_with=first,
                custom_timeouts=pulumi.CustomTimeouts(delete="9m"),
                aliases=[pulumi.Alias(name="former")],
            ),
        )

    plan = record_program(program)
    first, second = plan.named(QUEUE, "first"), plan.named(QUEUE, "second")

    assert second.inputs["messageRetentionSeconds"] == 300
    assert second.property_dependencies["tags"] == (first.urn,)
    assert first.urn in second.dependencies
    assert (second.protect, second.retain_on_delete, second.deleted_with) == (True, True, first.urn)
    assert (second.ignore_changes, dict(second.custom_timeouts)) == (("tags",), {"delete": "9m"})
    assert any("former" in alias for alias in second.aliases)
    assert second.custom
    assert plan.reaches(second, first)
    assert not plan.reaches(first, second)


def test_a_urn_is_the_engines_own() -> None:
    plan = record_program(lambda: Group("a"))

    assert (
        plan.named(QUEUE, "a-queue").urn == "urn:pulumi:test::otel-on-spot::t:index:Group$aws:sqs/queue:Queue::a-queue"
    )


def test_an_edge_to_a_component_is_an_edge_to_what_is_below_it() -> None:
    def program() -> None:
        group = Group("a")
        sqs.Queue("after", opts=pulumi.ResourceOptions(depends_on=[group]))

    plan = record_program(program)

    assert plan.reaches(plan.named(QUEUE, "after"), plan.named(QUEUE, "a-queue"))


def test_outputs_of_a_component_are_kept_as_registered() -> None:
    plan = record_program(lambda: Group("a"))
    (group,) = plan.of_type("t:index:Group")

    assert group.registered_outputs == {"url": plan.named(QUEUE, "a-queue").outputs["url"]}


def test_computed_outputs_are_there_after_up_and_unknown_at_preview() -> None:
    known = queue(lambda: sqs.Queue("q"), "q")
    unknown = queue(lambda: sqs.Queue("q", delay_seconds=3), "q", preview=True)

    assert str(known.outputs["arn"]).startswith("arn:aws:sqs:")
    assert unknown.outputs["arn"] == UNKNOWN
    assert unknown.outputs["delaySeconds"] == 3


def test_secrets_are_marked_and_never_show_themselves() -> None:
    def program() -> None:
        sqs.Queue("q", tags={"token": pulumi.Output.secret("sentinel")})
        pulumi.export("token", pulumi.Output.secret("sentinel"))

    plan = record_program(program)
    found = plan.named(QUEUE, "q")

    assert isinstance(found.inputs["tags"], Secret) or isinstance(found.inputs["tags"]["token"], Secret)
    assert "sentinel" not in repr(plan)
    assert "sentinel" not in str(masked(dict(plan.exports)))
    assert revealed(found.inputs)["tags"]["token"] == "sentinel"


def test_an_unexpected_question_to_aws_is_refused() -> None:
    from pulumi_aws.ec2 import get_ami

    with pytest.raises(PlanError, match=r"getAmi.*a plan"):
        record_program(lambda: get_ami(most_recent=True, owners=["amazon"]))


def test_an_expected_question_is_answered_and_recorded() -> None:
    plan = record_program(lambda: pulumi.export("region", get_region().region))

    assert [invoke.token for invoke in plan.invokes] == ["aws:index/getRegion:getRegion"]
    assert plan.exports["region"]


def test_reading_what_exists_is_refused() -> None:
    with pytest.raises(PlanError, match="cannot"):
        record_program(lambda: sqs.Queue.get("q", id="https://sqs.eu-west-1.amazonaws.com/111122223333/q"))


def test_a_remote_component_that_the_plan_does_not_know_is_refused() -> None:
    class Strange(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("strange:index:Thing", "x", {}, None, remote=True)

    with pytest.raises(PlanError, match="remote component"):
        record_program(Strange)


def test_a_refusal_of_the_program_is_its_message_alone() -> None:
    def program() -> None:
        raise pulumi.RunError("not today")

    with pytest.raises(ProgramError) as refusal:
        record_program(program)
    assert str(refusal.value) == "not today"


def test_a_failed_assert_inside_apply_fails_the_recording() -> None:
    """Pulumi's plain mocks let it pass unseen."""

    def check(_name: str) -> None:
        raise AssertionError("seen")

    with pytest.raises(AssertionError, match="seen"):
        record_program(lambda: pulumi.export("x", sqs.Queue("q", name="q").name.apply(check)))


def test_one_run_leaves_nothing_in_the_next() -> None:
    first = record_program(lambda: sqs.Queue("one"), config={"a": "1"})
    second = record_program(lambda: pulumi.export("a", pulumi.Config().get("a") or "gone"))

    assert [r.name for r in first.of_type(QUEUE)] == ["one"]
    assert (second.of_type(QUEUE), second.exports["a"]) == ((), "gone")


def test_nothing_is_asked_of_the_network_or_of_the_environments_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a plan opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    plain = queue(lambda: sqs.Queue("q"), "q")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_PROFILE", "other")

    assert queue(lambda: sqs.Queue("q"), "q").outputs == plain.outputs


def test_values_know_what_is_unknown_secret_and_referred_to() -> None:
    from otel_on_spot.program.values import Reference

    value = {"a": [Secret({"b": UNKNOWN})], "c": Reference("urn:x")}

    assert holds_unknown(value)
    assert references(value) == {"urn:x"}
    assert masked(value) == {"a": ["[secret]"], "c": "[urn:x]"}
