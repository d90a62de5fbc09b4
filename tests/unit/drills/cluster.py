"""A cluster in memory for tests of drills: the platform's AppProject, a Deployment, and the lease as it stands."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import boto3

from otel_on_spot.drills import lease
from otel_on_spot.drills.drill import Drill, start
from otel_on_spot.kubernetes import names
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import Kind
from otel_on_spot.target import Target
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.kubernetes_front import KubernetesFront

DEPLOYMENT = names.DEPLOYMENT.path("otel-demo", "frontend")
DEAD = "2147483646"
"""A process id that no machine has."""


def made(kind: Kind, name: str, **metadata: Any) -> Object:
    """An object of a kind."""
    return {"apiVersion": kind.version, "kind": kind.kind, "metadata": {"name": name, **metadata}}


class Cluster:
    """An API server with a platform, and how the tests look at it."""

    def __init__(self) -> None:
        self.front = KubernetesFront()
        spec = {"description": "The platform's own Applications"}
        self.front.add(names.PROJECT, "platform", metadata={"namespace": "argocd"}, spec=spec)
        self.front.add(names.DEPLOYMENT, "frontend", spec={"replicas": 1})
        self.told: list[str] = []
        session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
        declared = replace(HEALTHY.declared, stack="lab")
        self.target = Target(declared=declared, session=session, cluster_api=self.front.client, context="here")
        self.api = Api(self.front.client)

    @property
    def replicas(self) -> int:
        """What the Deployment is scaled to."""
        return self.front.find("Deployment", "frontend")["spec"]["replicas"]

    @property
    def windows(self) -> list[dict[str, Any]]:
        """The project's sync windows."""
        return self.front.find("AppProject", "platform")["spec"].get("syncWindows") or []

    @property
    def lease(self) -> lease.Lease | None:
        """The lease as it stands in the cluster."""
        return lease.read(self.target, self.api)

    def drill(self, name: str, seconds: float = 60) -> AbstractContextManager[Drill]:
        """A drill under way."""
        return start(self.target, self.api, name, why="", seconds=seconds, log=self.told.append)

    def held_by(self, holder: str) -> None:
        """The lease is somebody's from now on."""
        thing = self.front.find("Lease", lease.NAME)
        thing["spec"]["holderIdentity"] = holder
        thing["metadata"]["resourceVersion"] += "x"


@contextmanager
def cluster() -> Generator[Cluster]:
    """A cluster for the while."""
    made = Cluster()
    try:
        yield made
    finally:
        made.front.close()
