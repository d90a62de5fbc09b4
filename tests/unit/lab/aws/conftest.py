"""moto with the lab's patches, in a process of its own, once for all tests here: names are of one test each."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest

from otel_on_spot.lab.aws import moto_patches
from otel_on_spot.lab.aws.capacity import set_shortages
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.images import write_images
from otel_on_spot.lab.aws.token_review import ServiceAccount, TokenRefusedError
from otel_on_spot.simcloud.moto_process import MotoProcess

REGION = "eu-west-1"
CLUSTER = "otel-test"


@pytest.fixture(scope="session")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moto")
    write_images(folder / "images.json", ["1.35"], ["v20260715"])
    return folder


@pytest.fixture(scope="session")
def moto(switches: Path) -> Iterator[MotoProcess]:
    process = MotoProcess(switches / "unused", switches / "moto.log", forgetful=True, **moto_patches.options(switches))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def endpoint(moto: MotoProcess) -> Endpoint:
    """One for all: each client of EC2 reads its model of ten thousand shapes."""
    return Endpoint(moto.url, REGION)


@pytest.fixture
def aws(endpoint: Endpoint, switches: Path) -> Endpoint:
    set_shortages(switches, [])
    return endpoint


def session_of(aws: Endpoint, role_arn: str) -> boto3.Session:
    """Credentials of a role, as an SDK has them."""
    made = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
    keys = made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
    session = botocore.session.Session()
    session.register_component("data_loader", models())
    return boto3.Session(*keys, region_name=REGION, botocore_session=session)


@cache
def models() -> botocore.loaders.Loader:
    """The models of AWS's services, each read once."""
    return botocore.loaders.create_loader()


def role(aws: Endpoint, name: str, trust: dict[str, Any]) -> str:
    """A role that trusts as told: its ARN."""
    made = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return made["Role"]["Arn"]


class KnownTokens:
    """Stands for the API server's TokenReview: the tokens it knows, each for one audience."""

    server = "https://127.0.0.1:6443"

    def __init__(self, tokens: dict[tuple[str, str], ServiceAccount]) -> None:
        self.tokens = tokens

    def review(self, token: str, audience: str) -> ServiceAccount:
        found = self.tokens.get((token, audience))
        if found is None:
            raise TokenRefusedError("the API server does not know this token")
        return found
