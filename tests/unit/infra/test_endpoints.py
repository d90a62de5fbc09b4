"""VPC endpoints: S3 and DynamoDB through a gateway and an interface, each with a name of its own."""

import pytest

from otel_on_spot.plan.record import record
from tests.unit.settings.test_settings import committed

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


@pytest.mark.parametrize("gateways", [["s3"], ["s3", "dynamodb"], []])
def test_a_service_may_have_endpoints_of_both_kinds(gateways: list[str]) -> None:
    network = committed("dev")["network"] | {
        "gatewayEndpoints": gateways,
        "interfaceEndpoints": ["s3", "dynamodb", "ecr.api"],
    }
    made = {found.name: found for found in record("dev", config_overrides={"network": network}).of_type(ENDPOINT)}

    names = {f"network-{service}" for service in gateways}
    assert set(made) == names | {"network-s3-interface", "network-dynamodb-interface", "network-ecr-api"}
    for service in ("s3", "dynamodb"):
        found = made[f"network-{service}-interface"]
        assert found.inputs["privateDnsEnabled"] == (service == "s3")
        # What had the name alone keeps its resource; where the gateway has it, there was no interface.
        assert bool(found.aliases) == (service not in gateways)
    options = made["network-s3-interface"].inputs["dnsOptions"]
    assert options["privateDnsOnlyForInboundResolverEndpoint"] == ("s3" in gateways)
