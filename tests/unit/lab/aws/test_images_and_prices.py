"""The images that Karpenter asks for are there, and prices order offerings the same way everywhere."""

import json
import urllib.request
from typing import Any

import pytest

from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.images import image
from otel_on_spot.lab.aws.moto_patches.prices import on_demand_price, spot_price

TREE = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023"


def parameter(aws: Endpoint, path: str) -> str:
    return aws.client("ssm").get_parameter(Name=f"{TREE}/{path}/image_id")["Parameter"]["Value"]


def described(aws: Endpoint, identity: str) -> dict[str, Any]:
    return aws.client("ec2").describe_images(ImageIds=[identity])["Images"][0]


@pytest.mark.parametrize(
    "family", ["x86_64/standard", "x86_64/nvidia", "x86_64/neuron", "arm64/standard", "arm64/nvidia"]
)
def test_the_latest_image_of_every_family_that_karpenter_asks_for_is_the_newest_of_its_architecture(
    aws: Endpoint, family: str
) -> None:
    found = described(aws, parameter(aws, f"{family}/recommended"))
    assert found["Architecture"] == family.partition("/")[0]
    assert found["CreationDate"].startswith("2026-09-01")


def test_a_pinned_alias_leads_to_the_release_that_it_pins(aws: Endpoint) -> None:
    name = "amazon-eks-node-al2023-x86_64-standard-1.35-v20260715"
    assert described(aws, parameter(aws, f"x86_64/standard/{name}"))["Name"] == name


def test_a_release_that_nobody_published_has_no_parameter(aws: Endpoint) -> None:
    client = aws.client("ssm")
    with pytest.raises(client.exceptions.ParameterNotFound):
        parameter(aws, "x86_64/standard/amazon-eks-node-al2023-x86_64-standard-1.35-v20200101")


def test_a_release_in_another_form_is_refused_with_the_form_to_use() -> None:
    with pytest.raises(ValueError, match=r"AMI release '20260715'.*v20260901"):
        image("x86_64", "standard", "1.35", "20260715")


def test_images_leave_no_volume_that_a_teardown_would_count(aws: Endpoint) -> None:
    held = [volume for volume in aws.client("ec2").describe_volumes()["Volumes"] if not volume["Attachments"]]
    assert held == []


def test_spot_is_below_on_demand_for_every_type_and_the_same_twice() -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    for name in INSTANCE_TYPES:
        assert 0 < spot_price(name, "eu-west-1a") < on_demand_price(name)
    assert spot_price("m5.large", "eu-west-1a") != spot_price("m5.large", "eu-west-1b")


def test_ec2_tells_the_spot_prices_by_which_fleets_are_launched(aws: Endpoint) -> None:
    rows = aws.client("ec2").describe_spot_price_history(InstanceTypes=["m5.large"])["SpotPriceHistory"]
    assert {row["AvailabilityZone"] for row in rows} >= {"eu-west-1a", "eu-west-1b"}
    for row in rows:
        assert float(row["SpotPrice"]) == pytest.approx(spot_price("m5.large", row["AvailabilityZone"]), abs=1e-6)


@pytest.mark.parametrize(("family", "metal"), [("Compute Instance", False), ("Compute Instance (bare metal)", True)])
def test_the_price_list_has_every_type_of_the_family_with_its_price(aws: Endpoint, family: str, metal: bool) -> None:
    body = json.dumps({"Filters": [{"Field": "productFamily", "Value": family}]}).encode()
    request = urllib.request.Request(aws.url, body, {"X-Amz-Target": "AWSPriceListService.GetProducts"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        products = [json.loads(entry) for entry in json.load(answer)["PriceList"]]
    names = [product["product"]["attributes"]["instanceType"] for product in products]
    assert names
    assert all((".metal" in name) == metal for name in names)
    price = products[0]["terms"]["OnDemand"]["lab"]["priceDimensions"]["lab.hour"]["pricePerUnit"]["USD"]
    assert float(price) == pytest.approx(on_demand_price(names[0]), abs=1e-6)
