"""Faults that drills leave when they die."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from otel_on_spot.drills.lease import NAME, PREFIX
from tests.lab.faults import Faults
from tests.lab.faults_cluster import made
from tests.lab.running import Lab, thing

FAULTS = Faults()


@FAULTS.named("suspensions", "has said nothing for 12 min: it died")
def a_drill_died_and_left_its_lease(lab: Lab) -> Iterator[None]:
    silent = (datetime.now(UTC) - timedelta(minutes=12)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    notes = {"drill": "stress", "why": "before the sale", "until": silent, "steps": "[]"}
    metadata = {"annotations": {f"{PREFIX}{key}": value for key, value in notes.items()}}
    spec = {
        "holderIdentity": "ada@laptop/4242",
        "leaseDurationSeconds": 15,
        "acquireTime": silent,
        "renewTime": silent,
    }
    yield from made(lab, thing("coordination.k8s.io/v1", "Lease", NAME, "argocd", metadata=metadata, spec=spec))
