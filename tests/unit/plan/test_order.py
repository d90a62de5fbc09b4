"""Options are kept as they were given, and edges are followed as the engine follows them."""

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws

from otel_on_spot.plan.record import record_program
from otel_on_spot.program.recording import Recording, Registration

QUEUE = "aws:sqs/queue:Queue"
Options = pulumi.ResourceOptions


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: Options | None = None) -> None:
        super().__init__("t:index:Group", name, None, opts)
        aws.sqs.Queue(f"{name}-queue", name=f"{name}-queue", opts=Options(parent=self))
        self.register_outputs({})


def queues(program: Callable[[], Any], *names: str) -> tuple[Recording, tuple[Registration, ...]]:
    plan = record_program(program)
    return plan, tuple(plan.named(QUEUE, name) for name in names)


def test_a_resource_keeps_its_provider_and_its_parent() -> None:
    def program() -> None:
        provider = aws.Provider("there", region="eu-central-1")
        Group("a", Options(providers=[provider]))
        aws.sqs.Queue("elsewhere")

    plan, (below, elsewhere) = queues(program, "a-queue", "elsewhere")
    (provider,) = plan.of_type("pulumi:providers:aws")
    (group,) = plan.of_type("t:index:Group")

    assert (below.parent, below.provider.rpartition("::")[0]) == (group.urn, provider.urn)
    assert elsewhere.provider == ""
    assert ":eu-central-1:" in below.outputs["arn"]
    assert plan.reaches(below, provider)
    assert not plan.reaches(elsewhere, provider)


def test_timeouts_and_the_order_of_a_replacement_are_kept() -> None:
    kept = Options(
        custom_timeouts=pulumi.CustomTimeouts(create="1m", update="2m", delete="1h"),
        delete_before_replace=True,
        replace_on_changes=["name"],
        import_="there",
    )
    _, (found,) = queues(lambda: aws.sqs.Queue("q", opts=kept), "q")

    assert dict(found.custom_timeouts) == {"create": "1m", "update": "2m", "delete": "1h"}
    assert (found.delete_before_replace, found.replace_on_changes, found.import_id) == (True, ("name",), "there")


def test_options_that_were_not_given_are_not_there() -> None:
    _, (plain,) = queues(lambda: aws.sqs.Queue("q"), "q")

    assert (plain.protect, plain.retain_on_delete, plain.delete_before_replace) == (False, False, False)
    assert (plain.aliases, plain.dependencies, plain.ignore_changes, plain.deleted_with) == ((), (), (), "")
    assert (dict(plain.custom_timeouts), dict(plain.property_dependencies)) == ({}, {})


def test_only_the_property_that_carries_a_value_depends_on_its_source() -> None:
    def program() -> None:
        first = aws.sqs.Queue("first")
        aws.sqs.Queue("second", name="second", tags={"after": first.name})

    _, (first, second) = queues(program, "first", "second")

    assert {key: urns for key, urns in second.property_dependencies.items() if urns} == {"tags": (first.urn,)}


def test_a_childs_alias_follows_its_parents() -> None:
    _, (below,) = queues(lambda: Group("a", Options(aliases=[pulumi.Alias(name="old")])), "a-queue")

    assert below.aliases == ("urn:pulumi:test::otel-on-spot::t:index:Group$aws:sqs/queue:Queue::old-queue",)


def test_a_chain_is_followed_to_its_end_and_never_backwards() -> None:
    def program() -> None:
        made: list[pulumi.Resource] = []
        for name in ("a", "b", "c"):
            made = [aws.sqs.Queue(name, opts=Options(depends_on=made))]
        aws.sqs.Queue("alone")

    plan, (a, b, c, alone) = queues(program, "a", "b", "c", "alone")

    assert plan.all_dependencies(c) == {a.urn, b.urn}
    assert plan.all_dependencies(alone) == set()
    assert (plan.reaches(c, a), plan.reaches(a, c), plan.reaches(a, a)) == (True, False, False)


def test_what_a_component_waits_for_its_children_wait_for() -> None:
    def program() -> None:
        first = aws.sqs.Queue("first")
        Group("a", Options(depends_on=[first]))
        aws.sqs.Queue("alone")

    plan, (first, below, alone) = queues(program, "first", "a-queue", "alone")

    assert plan.reaches(below, first)
    assert not plan.reaches(alone, first)


def test_an_edge_to_a_component_reaches_what_is_below_it_at_any_depth_but_not_what_came_later() -> None:
    """Built by hand: the SDK resolves such an edge itself, another language's component does not."""

    def made(name: str, parent: str = "", *after: str) -> Registration:
        kind = "t:index:Thing" if name.startswith("thing") else "t:index:Group"
        custom = name.startswith("thing")
        return Registration(urn=name, id="", type=kind, name=name, custom=custom, parent=parent, dependencies=after)

    outer, inner, deep = made("outer"), made("inner", "outer"), made("thing-deep", "inner")
    after, late = made("thing-after", "", "outer"), made("thing-late", "inner")
    plan = Recording(project="p", stack="s", preview=False, registrations=(outer, inner, deep, after, late), exports={})

    assert plan.reaches(after, deep)
    assert not plan.reaches(after, late)
    assert not plan.reaches(deep, after)


def test_what_is_deleted_with_another_comes_after_it() -> None:
    def program() -> None:
        first = aws.sqs.Queue("first")
        aws.sqs.Queue("second", opts=Options(deleted_with=first))

    plan, (first, second) = queues(program, "first", "second")

    assert plan.reaches(second, first)
