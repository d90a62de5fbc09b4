"""``python -m otel_on_spot.lab.nodes``: the nodes process."""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.nodes.identity import Identities
from otel_on_spot.lab.nodes.journal import Journal
from otel_on_spot.lab.nodes.kubelets import Cluster, Kubelets
from otel_on_spot.lab.nodes.kubernetes_http import KubernetesHttp, Refused
from otel_on_spot.lab.nodes.pods import Pods
from otel_on_spot.lab.nodes.state_changes import StateChanges, tell
from otel_on_spot.simcloud.tables import Tables

THREADS = 16
POLL_SECONDS = 1.0


def _version(client: KubernetesHttp, token: str) -> str:
    while True:
        try:
            return client.ask(token, "GET", "/version")["gitVersion"]
        except Refused as refused:
            print(f"waiting for the API server: {refused}", flush=True)
            time.sleep(POLL_SECONDS)


def main() -> None:
    """Play nodes until killed."""
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.nodes")
    parser.add_argument("--folder", type=Path, required=True, help="nodes.jsonl and what containers write go here")
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--moto", required=True, help="URL of the simulated AWS")
    parser.add_argument("--tables", type=Path, required=True, help="tables of the simulated cloud")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the user kubelet-standin")
    parser.add_argument("--kubectl", type=Path, required=True)
    parser.add_argument("--boot-seconds", type=float, default=5.0)
    given = parser.parse_args()
    told = kubeconfig.read(given.kubeconfig)
    cloud_controller, aws = KubernetesHttp(told.server, told.authority), Endpoint(given.moto, given.region)
    cluster = Cluster(
        name=given.cluster,
        server=told.server,
        authority=told.authority,
        cloud_controller=(cloud_controller, told.token),
        kubernetes_version=_version(cloud_controller, told.token),
        tables=Tables(given.tables),
        boot_seconds=given.boot_seconds,
    )
    journal = Journal(given.folder)
    pool = ThreadPoolExecutor(THREADS)
    kubelets = Kubelets(cluster, Identities(aws, given.cluster), journal, pool)
    Pods(kubelets, told, given.kubectl, given.folder / "pods", journal).start()
    states = StateChanges()
    while True:
        started = time.monotonic()
        try:
            rows = aws.instances(given.cluster)
        except (OSError, ValueError) as problem:
            print(f"the simulated AWS does not answer: {problem}", flush=True)
        else:
            changes = states.changes(rows)
            if changes:
                pool.submit(tell, aws, given.region, changes)
            kubelets.look(rows, time.monotonic())
        time.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))


if __name__ == "__main__":
    main()
