"""Tags that AWS refuses though its models take them, wherever in a request they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.service_model import model_of
from otel_on_spot.simcloud.tag_rules import tag_refusal
from tests.simcloud.conftest import Maker


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


PLACES: dict[str, tuple[str, str, Any]] = {
    "role": ("iam", "CreateRole", lambda tags: {"RoleName": "one", "Tags": listed(tags)}),
    "vpc": ("ec2", "CreateVpc", lambda tags: {"TagSpecifications": [{"ResourceType": "vpc", "Tags": listed(tags)}]}),
    "launched": (
        "ec2",
        "CreateLaunchTemplate",
        lambda tags: {
            "LaunchTemplateData": {"TagSpecifications": [{"ResourceType": "volume", "Tags": listed(tags)}]},
        },
    ),
    "retagged": ("ec2", "CreateTags", lambda tags: {"Resources": ["vpc-1"], "Tags": listed(tags)}),
    "key": ("kms", "CreateKey", lambda tags: {"Tags": [{"TagKey": k, "TagValue": v} for k, v in tags.items()]}),
    "queue": ("sqs", "CreateQueue", lambda tags: {"QueueName": "one", "tags": tags}),
    "rule": ("events", "PutRule", lambda tags: {"Name": "one", "Tags": listed(tags)}),
    "log group": ("logs", "CreateLogGroup", lambda tags: {"logGroupName": "one", "tags": tags}),
    "cluster": ("eks", "CreateCluster", lambda tags: {"name": "one", "tags": tags}),
    "experiment": ("fis", "CreateExperimentTemplate", lambda tags: {"tags": tags}),
}
FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "reserved": ({"aws:x": "y"}, "reserved for AWS"),
    "reserved in capitals": ({"AWS:x": "y"}, "reserved for AWS"),
    "many": ({f"k{n}": "v" for n in range(51)}, "maximum number of tags"),
    "long key": ({"k" * 129: "v"}, "1 to 128"),
    "no key": ({"": "v"}, "1 to 128"),
    "long value": ({"k": "v" * 257}, "at most 256"),
}


def refused(place: str, tags: dict[str, str]) -> str:
    service, operation, request = PLACES[place]
    return str(tag_refusal(model_of(service).operation_model(operation), request(tags)) or "")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_tags_that_every_service_refuses(place: str, fault: str) -> None:
    tags, told = FAULTS[fault]
    assert told in refused(place, tags)


@pytest.mark.parametrize("place", PLACES)
def test_tags_at_the_limits_are_taken(place: str) -> None:
    assert refused(place, {}) == ""
    assert refused(place, {"k" * 128: "v" * 256, "law:s": "", **{f"k{n}": "v" for n in range(48)}}) == ""


def test_keys_ignore_case_in_iam_alone_and_values_may_not_be_awss_own_in_eks_alone() -> None:
    assert "case insensitive" in refused("role", {"Team": "a", "team": "b"})
    assert refused("vpc", {"Team": "a", "team": "b"}) == ""
    assert "EKS takes no value" in refused("cluster", {"Team": "aws:a"})
    assert refused("role", {"Team": "aws:a"}) == ""


@given(st.dictionaries(st.text(max_size=130), st.text(max_size=258), max_size=4))
def test_what_is_within_the_rules_is_taken_and_nothing_else(tags: dict[str, str]) -> None:
    fine = all(1 <= len(k) <= 128 and len(v) <= 256 and not k.casefold().startswith("aws:") for k, v in tags.items())
    assert (refused("vpc", tags) == "") is fine


def test_a_resource_with_a_reserved_tag_is_not_made(aws: Maker) -> None:
    with pytest.raises(ApiError, match=r"InvalidParameterValue: Tag key 'aws:made'"):
        aws.make("aws:ec2/vpc:Vpc", "tagged", cidrBlock="10.99.0.0/16", tags={"aws:made": "us"})
    vpcs = aws.site.client("ec2").describe_vpcs()["Vpcs"]
    assert "10.99.0.0/16" not in {vpc["CidrBlock"] for vpc in vpcs}
