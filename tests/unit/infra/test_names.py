"""Physical names fit AWS's limits for every cluster name that the door lets in."""

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from infra import names, regions
from infra.alarms import signals
from infra.karpenter.controller_role import GROUPS
from infra.karpenter.interruption import EVENTS

cluster_names = st.from_regex(re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"), fullmatch=True)


@given(cluster_names)
def test_every_physical_name_fits_its_limit(cluster: str) -> None:
    stack_names = names.StackNames(cluster=cluster, region="eu-west-1")
    roles = stack_names.roles

    assert max(map(len, roles)) <= names.ROLE_NAME_LIMIT
    assert len(stack_names.interruption_queue) <= names.QUEUE_NAME_LIMIT
    assert max(len(stack_names.interruption_rule(event)) for event in EVENTS) <= names.RULE_NAME_LIMIT
    assert max(len(stack_names.controller_policy(group)) for group in GROUPS) <= names.POLICY_NAME_LIMIT
    assert len({*roles}) == len(roles)
    longest = max(len(signal.name) for signal in signals(stack_names, tuple(EVENTS)))
    assert len(stack_names.alarm("x" * longest)) <= names.ALARM_NAME_LIMIT
    assert len(stack_names.alarm_topic) <= names.TOPIC_NAME_LIMIT
    assert len(stack_names.budget) <= names.BUDGET_NAME_LIMIT


def test_a_longer_cluster_name_than_the_door_lets_in_would_not_fit() -> None:
    stack_names = names.StackNames(cluster="x" * (names.CLUSTER_NAME_LIMIT + 25), region="eu-west-1")

    assert len(stack_names.role("karpenter-controller")) > names.ROLE_NAME_LIMIT


def test_partitions_follow_the_region() -> None:
    found = {
        region: names.StackNames(cluster="x", region=region).partition
        for region in ("eu-west-1", "cn-north-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1")
    }

    assert found == {
        "eu-west-1": "aws",
        "cn-north-1": "aws-cn",
        "us-gov-west-1": "aws-us-gov",
        "us-isob-east-1": "aws-iso-b",
        "eusc-de-east-1": "aws-eusc",
    }


def test_the_table_of_regions_is_the_one_that_aws_publishes_in_its_sdk() -> None:
    import botocore

    published = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]

    assert {name: set(found) for name, found in regions.REGIONS.items()} == {
        row["id"]: {region for region in row["regions"] if "global" not in region} for row in published
    }
    assert set(regions.NOT_SUPPORTED) == set(regions.REGIONS) - {"aws", "aws-us-gov"}


def test_what_the_programs_selectors_rely_on_cannot_be_overridden_by_a_tag_of_the_stack() -> None:
    assert names.default_tags("dev", "otel-dev", {"environment": "sandbox"})["environment"] == "dev"
