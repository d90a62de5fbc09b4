"""``python -m otel_on_spot.lab.volumes``: the EBS CSI driver and the snapshot controller."""

import argparse
import time
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.volumes.driver import EbsDriver
from otel_on_spot.lab.volumes.snapshots import SnapshotController
from otel_on_spot.simcloud.tables import Tables

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0
"""Between two looks: where there are claims, and where there are none."""
ADD_ONS: Final = ("aws-ebs-csi-driver", "snapshot-controller")


def main() -> None:
    """Look until killed. Who is not installed as an add-on does nothing."""
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.volumes")
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--moto", required=True, help="URL of the simulated AWS")
    parser.add_argument("--tables", type=Path, required=True, help="tables of the simulated cloud")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the user ebs-csi-driver")
    parser.add_argument("--definitions", type=Path, required=True, help="folder of the CRDs of VolumeSnapshots")
    given = parser.parse_args()
    api, ec2 = Api.from_kubeconfig(given.kubeconfig), Endpoint(given.moto, given.region).client("ec2")
    tables = Tables(given.tables)
    controllers = dict(
        zip(
            ADD_ONS,
            (
                EbsDriver(api, ec2, given.cluster, _print),
                SnapshotController(api, ec2, given.cluster, given.definitions, _print),
            ),
            strict=True,
        )
    )
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
