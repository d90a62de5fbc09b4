"""``python -m otel_on_spot.lab.nodes``: the nodes process."""

import time
from concurrent.futures import ThreadPoolExecutor

from otel_on_spot.failures import UnreachableError
from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.lab import options
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.nodes.identity import Identities
from otel_on_spot.lab.nodes.journal import Journal
from otel_on_spot.lab.nodes.kubelets import Cluster, Kubelets
from otel_on_spot.lab.nodes.pods import Pods
from otel_on_spot.lab.nodes.state_changes import StateChanges, publish
from otel_on_spot.simcloud.tables import Tables
from otel_on_spot.waiting import Deadline, retry

THREADS = 16
POLL_SECONDS = 1.0


def _version(api: Api) -> str:
    return retry(
        api.require,
        Deadline(float("inf")),
        passing=lambda problem: isinstance(problem, UnreachableError),
        failed=lambda problem: print(f"waiting for the API server: {problem}", flush=True),
        every=POLL_SECONDS,
    )


def main() -> None:
    """Play nodes until killed."""
    given = options.given(
        "folder", "cluster", "region", "moto", "tables", "kubeconfig", "kubectl", "boot_seconds"
    )  # fmt: skip
    config, api = kubeconfig.read(given.kubeconfig), Api.from_kubeconfig(given.kubeconfig)
    aws = Endpoint(given.moto, given.region)
    cluster = Cluster(
        name=given.cluster,
        server=config.server,
        authority=config.authority,
        cloud_controller=api,
        kubernetes_version=_version(api),
        tables=Tables(given.tables),
        boot_seconds=given.boot_seconds,
    )
    journal = Journal(given.folder)
    pool = ThreadPoolExecutor(THREADS)
    kubelets = Kubelets(cluster, Identities(aws, given.cluster), journal, pool)
    Pods(kubelets, api, config, given.kubectl, given.folder / "pods", journal).start()
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
                pool.submit(publish, aws, given.region, changes)
            kubelets.look(rows, time.monotonic())
        time.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))


if __name__ == "__main__":
    main()
