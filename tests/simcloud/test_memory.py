"""A cloud outlives its process."""

import json
from pathlib import Path

import pytest

from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from tests.simcloud.conftest import Maker, trust


def test_a_later_process_sees_the_same_cloud_and_only_one_may_run_it_at_a_time(tmp_path: Path) -> None:
    with Cloud(tmp_path) as first:
        maker = Maker(Site(first, region="eu-west-1"))
        vpc = maker.make("aws:ec2/vpc:Vpc", "kept", cidrBlock="10.9.0.0/16", tags={"Name": "kept"})
        key = maker.make("aws:kms/key:Key", "kept", description="kept", enableKeyRotation=True)
        queue = maker.make("aws:sqs/queue:Queue", "kept", name="kept")
        role = maker.make("aws:iam/role:Role", "kept", name="kept", assumeRolePolicy=trust("ec2.amazonaws.com"))
        arn = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
        attached = maker.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "kept", role="kept", policyArn=arn)
        sealed = first.client("kms", "eu-west-1").encrypt(KeyId=key.id, Plaintext=b"hush")["CiphertextBlob"]
        with pytest.raises(RuntimeError, match="another process runs this simulated cloud"):
            Cloud(tmp_path)
        first.tables.put("things", "a", {"b": [1]})
        port = first.api_port
    with Cloud(tmp_path) as second:
        for made in (vpc, key, queue, role, attached):
            made.site = Site(second, region="eu-west-1")
            found = made.read()
            assert found is not None, made.handler.token
            assert json.dumps(found, sort_keys=True) == json.dumps({**made.outputs, **found}, sort_keys=True)
        assert second.client("kms", "eu-west-1").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"hush"
        assert second.tables.get("things", "a") == {"b": [1]}
        assert second.api_port == port
        attached.delete()
        role.delete()
        assert role.read() is None
