"""The API server, and an instance as the lab's own route tells it."""

from typing import Any

import pytest

from tests.unit.lab.conftest import ApiServer


@pytest.fixture
def api(api_server: ApiServer) -> ApiServer:
    return api_server


def instance(identity: str = "i-1", state: str = "running", **more: Any) -> dict[str, Any]:
    """A row of the lab's own route."""
    return {
        "id": identity,
        "state": state,
        "type": "c7i.large",
        "zone": "eu-west-1b",
        "privateIp": "10.10.16.4",
        "privateDnsName": f"{identity}.eu-west-1.compute.internal",
        "lifecycle": "spot",
        "launched": 0.0,
        "imageId": "ami-1",
        "profile": "arn:aws:iam::123456789012:instance-profile/p",
        "tags": {},
        "userData": "",
        "vcpus": 2,
        "memoryMib": 4096,
        "architecture": "x86_64",
        "interfaces": 3,
        "addresses": 10,
        **more,
    }
