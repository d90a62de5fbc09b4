"""A platform in memory with a scheduler and an Argo CD that do as told, for tests of the stress drill."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from otel_on_spot.drills.stress import run
from otel_on_spot.drills.stress.run import Options
from otel_on_spot.drills.stress.watch import Sample
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import FRONT_PATH, POD
from otel_on_spot.report import Moment, Report
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.kubernetes_front import Answer

SIZE = {"cpu": "2", "memory": "8Gi", "pods": "29"}
APPLICATION = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "otel-demo", "namespace": "argocd"},
    "spec": {"project": "platform"},
    "status": {
        "sync": {"status": "Synced"},
        "resources": [{"kind": "Deployment", "namespace": "otel-demo", "name": "frontend"}],
    },
}


@dataclass
class Platform:
    """A cluster in memory with a scheduler and an Argo CD that do as told.

    ``stuck``: no pod goes any more. ``heals``: Argo CD undoes a scale in spite of any window. ``sees``: it notices.
    ``runs``: how many pods may run at most.
    """

    there: Cluster
    heals: bool = False
    sees: bool = True
    runs: int = 1000
    stuck: bool = False
    samples: list[Sample] = field(default_factory=list)
    moments: Sequence[Moment] = ()

    def react(self, _verb: str, path: str, body: Object) -> Answer | None:
        if path.endswith("/scale"):
            self.scaled(body["spec"]["replicas"])
            if self.heals and body["spec"]["replicas"] > 1:
                return 200, {}  # undone before anybody looks
        return None

    def scaled(self, replicas: int) -> None:
        def ours(thing: Object) -> bool:
            return thing["kind"] == "Pod" and FRONT_PATH not in thing["metadata"]["labels"]

        objects = self.there.front.objects
        there = sum(map(ours, objects))
        objects[:] = [thing for thing in objects if not ours(thing)]
        for number in range(max(replicas, there) if self.stuck else replicas):
            phase = "Running" if number < self.runs else "Pending"
            labels = {"app": "frontend"}
            self.there.front.add(POD, f"p{number}", metadata={"labels": labels}, status={"phase": phase})
        synced = replicas == 1 or not self.sees
        self.there.front.find("Application", "otel-demo")["status"]["sync"]["status"] = (
            "Synced" if synced else "OutOfSync"
        )

    def drill(self, **more: Any) -> Report:
        given = {"replicas": 5, "hold": 0.1, "max_wait": 0.3, "deployment": "frontend", **more}
        options = Options(namespace="otel-demo", **given)
        there = self.there

        def keep(samples: Sequence[Sample], moments: Sequence[Moment]) -> None:
            self.moments = moments

        with there.drill("stress") as running:
            return run.run(running, options, log=there.told.append, on_sample=self.samples.append, keep=keep)

    def put_back(self) -> None:
        assert self.there.replicas == 1
        assert self.there.windows == []
        assert self.there.lease is None
