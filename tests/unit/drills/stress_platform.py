"""A platform in memory with a scheduler and an Argo CD that do as told, for tests of the stress drill."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from otel_on_spot.drills import lease
from otel_on_spot.drills.drill import start
from otel_on_spot.drills.stress import preconditions, prices, run, verification
from otel_on_spot.drills.stress.run import Options
from otel_on_spot.drills.stress.watch import Sample
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import FRONT_PATH
from otel_on_spot.report import Moment, Report
from tests.unit.drills.cluster import Cluster, cluster
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
            objects.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": f"p{number}", "namespace": "otel-demo", "labels": {"app": "frontend"}},
                    "status": {"phase": phase},
                }
            )
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

        with start(there.target, there.api, "stress", why="", seconds=60, log=there.told.append) as running:
            return run.run(running, options, log=there.told.append, on_sample=self.samples.append, keep=keep)

    def put_back(self) -> None:
        assert self.there.replicas == 1
        assert self.there.windows == []
        assert self.there.lease is None


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    for module, name, seconds in (
        (run, "EVERY_SECONDS", 0.02),
        (run, "TRIAL_SECONDS", 0.1),
        (run, "NOTICED_SECONDS", 0.2),
        (verification, "EVERY_SECONDS", 0.02),
        (verification, "STAYS_SECONDS", 0.05),
        (verification, "SYNCED_SECONDS", 0.2),
        (preconditions, "SYNCED_SECONDS", 0.0),
        (lease, "RENEW_SECONDS", 0.05),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(prices.Prices, "of", lambda _self, kind, *_: {"spot": 0.03}.get(kind))
    with cluster() as there:
        container = {"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
        there.front.find("Deployment", "frontend")["spec"] |= {
            "selector": {"matchLabels": {"app": "frontend"}},
            "template": {"spec": {"containers": [container]}},
        }
        labels = {
            "karpenter.sh/nodepool": "spot",
            "karpenter.sh/capacity-type": "spot",
            "node.kubernetes.io/instance-type": "m7i.large",
            "topology.kubernetes.io/zone": "eu-west-1a",
        }
        pool = {"template": {"spec": {}}, "limits": {"cpu": "4"}, "disruption": {"consolidateAfter": "30s"}}
        karpenter = {"apiVersion": "karpenter.sh/v1"}
        there.front.objects += [
            {**APPLICATION, "status": {**APPLICATION["status"], "sync": {"status": "Synced"}}},  # ty: ignore[invalid-argument-type]
            {**karpenter, "kind": "NodePool", "metadata": {"name": "spot"}, "spec": pool},
            {
                **karpenter,
                "kind": "NodeClaim",
                "metadata": {"name": "spot-a", "labels": labels},
                "status": {"providerID": "aws:///eu-west-1a/i-1"},
            },
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "n", "labels": labels},
                "status": {"allocatable": SIZE},
            },
        ]
        made = Platform(there)
        made.scaled(1)
        there.front.meddle = made.react
        yield made
