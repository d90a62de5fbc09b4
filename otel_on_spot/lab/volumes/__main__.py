"""``python -m otel_on_spot.lab.volumes``: the EBS CSI driver and the snapshot controller."""

import time

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.lab import options
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.volumes.driver import EbsDriver
from otel_on_spot.lab.volumes.snapshots import SnapshotController
from otel_on_spot.simcloud.tables import Tables

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0
"""Between two looks: where there are claims, and where there are none."""


def main() -> None:
    """Look until killed. Who is not installed as an add-on does nothing."""
    given = options.given("cluster", "region", "moto", "tables", "kubeconfig", "definitions")
    api, ec2 = Api.from_kubeconfig(given.kubeconfig), Endpoint(given.moto, given.region).client("ec2")
    tables = Tables(given.tables)
    controllers = {
        "aws-ebs-csi-driver": EbsDriver(api, ec2, given.cluster, _print),
        "snapshot-controller": SnapshotController(api, ec2, given.cluster, given.definitions, _print),
    }
    while True:
        busy = False
        try:
            for add_on, controller in controllers.items():
                if tables.get("addons", f"{given.cluster}/{add_on}") is not None:
                    busy = controller.look() or busy
        except (ApiException, HTTPError, ClientError, BotoCoreError) as problem:
            _print(reason(problem))
        time.sleep(BUSY_SECONDS if busy else IDLE_SECONDS)


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
