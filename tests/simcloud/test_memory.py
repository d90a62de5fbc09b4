"""A cloud outlives its process, however that ends."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.waiting import wait_until
from tests.simcloud.conftest import Maker, trust

KILLED = """
import sys
import time
from pathlib import Path
from otel_on_spot.simcloud.cloud import Cloud
with Cloud(Path(sys.argv[1])) as cloud:
    cloud.client("sqs", "eu-west-1").create_queue(QueueName="of-a-killed-process")
    print("on", flush=True)
    time.sleep(60)
"""


def moto_of(pid: int) -> psutil.Process:
    """The moto of a process that runs a cloud."""
    children = psutil.Process(pid).children()
    return next(child for child in children if "otel_on_spot.simcloud.moto_main" in child.cmdline())


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; in a container that reaps no orphans it stays a zombie."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def be_killed_while_it_runs(folder: Path) -> None:
    """Open the cloud in another process, change it and kill that: its moto ends too."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "on\n"
        moto = moto_of(process.pid)
        process.kill()
        process.wait()
    assert wait_until(lambda: has_ended(moto), 15, every=0.1)


def test_later_processes_see_the_same_cloud_and_only_one_may_run_it_at_a_time(tmp_path: Path) -> None:
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
    be_killed_while_it_runs(tmp_path)
    with Cloud(tmp_path) as second:
        urls = second.client("sqs", "eu-west-1").list_queues()["QueueUrls"]
        assert {url.rpartition("/")[2] for url in urls} == {"kept", "of-a-killed-process"}
        for made in (vpc, key, queue, role, attached):
            made.site = Site(second, region="eu-west-1")
            found = made.read()
            assert found is not None, made.handler.token
            assert json.dumps(found, sort_keys=True) == json.dumps({**made.outputs, **found}, sort_keys=True)
        assert second.client("kms", "eu-west-1").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"hush"
        assert second.tables.get("things", "a") == {"b": [1]}
        assert second.api_port == port
        managed = second.client("iam", "eu-west-1").list_policies(Scope="AWS", OnlyAttached=True)["Policies"]
        assert [(policy["Arn"], policy["AttachmentCount"]) for policy in managed] == [(arn, 1)]
        attached.delete()
        role.delete()
        assert role.read() is None
