"""Clusters in memory for the tests of drills."""

from collections.abc import Iterator
from typing import Any, ClassVar

import boto3
import pytest
from botocore.stub import Stubber

from otel_on_spot.drills import diagnosis, front_path, lease, resilience
from otel_on_spot.drills.stress import preconditions, prices, run, verification
from otel_on_spot.kubernetes.names import NODE, NODE_CLAIM, NODE_POOL
from otel_on_spot.target import Target
from tests.unit.drills.cluster import Cluster, cluster
from tests.unit.drills.stress_platform import APPLICATION, SIZE, Platform


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster whose leases are short."""
    monkeypatch.setattr(lease, "DURATION_SECONDS", 0.3)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(resilience, "RETRY_SECONDS", 0.02)
    with cluster() as shown:
        yield shown


class Aws(Target):
    """A platform on AWS, whose clients answer what a test says."""

    simulated = False  # type: ignore[assignment]
    clients: ClassVar[dict[str, Any]] = {}

    def aws(self, service: str) -> Any:
        return self.clients[service]


@pytest.fixture
def answers() -> Iterator[dict[str, Stubber]]:
    """Answers of AWS by service, every one of which must be asked for."""
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
    Aws.clients.update({name: session.client(name) for name in ("ec2", "events", "fis", "sqs", "sts")})
    stubs = {name: Stubber(client) for name, client in Aws.clients.items()}
    for stub in stubs.values():
        stub.activate()
    yield stubs
    for stub in stubs.values():
        stub.assert_no_pending_responses()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front path answers every look, and nobody asks the doctor."""
    monkeypatch.setattr(front_path, "front_path", lambda *_: (lambda: 2, "the front path"))
    monkeypatch.setattr(diagnosis, "collect_facts", lambda _target: None)
    monkeypatch.setattr(diagnosis, "causes", lambda *_: ())


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
        application = {**APPLICATION, "status": {**APPLICATION["status"], "sync": {"status": "Synced"}}}  # ty: ignore[invalid-argument-type]
        there.front.objects.append(application)
        there.front.add(NODE_POOL, "spot", spec=pool)
        launched = {"providerID": "aws:///eu-west-1a/i-1"}
        there.front.add(NODE_CLAIM, "spot-a", metadata={"labels": labels}, status=launched)
        there.front.add(NODE, "n", metadata={"labels": labels}, status={"allocatable": SIZE})
        made = Platform(there)
        made.scaled(1)
        there.front.meddle = made.react
        yield made
