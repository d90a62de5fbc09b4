import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from access.scope import Scope
from otel_on_spot import project
from otel_on_spot.kubernetes.names import Kind
from otel_on_spot.preflight import access
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program.recording import Recording
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Attempt, Handler, Site
from otel_on_spot.simcloud.kubernetes.helm import Release
from otel_on_spot.simcloud.kubernetes.objects import KubernetesObject
from otel_on_spot.simcloud.operations import Subject

REGION = "eu-west-1"


@dataclass
class Maker:
    """Makes single resources, as an engine would."""

    site: Site

    def handler(self, token: str) -> Handler:
        if token == Release.token:
            return Release()
        return KubernetesObject(token) if token.startswith("kubernetes:") else registry.handler(token)

    def make(self, token: str, logical: str, /, **inputs: Any) -> "Made":
        handler = self.handler(token)
        checked, failures = handler.check(logical, {}, inputs, logical.encode())
        assert not failures
        identity, outputs = handler.do_create(Attempt(self.site, Subject(token, logical)), checked)
        return Made(self.site, handler, logical, identity, outputs)

    def object(self, kind: Kind, name: str, namespace: str = "", **more: Any) -> "Made":
        """Make an object of a cluster; an object that is not namespaced has no namespace."""
        about = {"name": name, **({"namespace": namespace or "default"} if kind.namespaced else {})}
        return self.make(kind.token, name, **{"apiVersion": kind.version, "kind": kind.kind, "metadata": about} | more)

    def chart(self, chart: str, name: str = "", **more: Any) -> "Made":
        """Install a chart in kube-system, by its own name where no other is given."""
        told = {"name": name or chart, "chart": f"oci://x/{chart}", "namespace": "kube-system"}
        return self.make(Release.token, chart, **told | more)


@dataclass
class Made:
    site: Site
    handler: Handler
    name: str
    id: str
    outputs: dict[str, Any]

    def attempt(self, timeout: float = 0) -> Attempt:
        return Attempt(self.site, Subject(self.handler.token, self.name), timeout)

    def read(self) -> dict[str, Any] | None:
        return self.handler.do_read(self.attempt(), self.id, self.outputs)

    def change(self, **inputs: Any) -> dict[str, Any]:
        checked, failures = self.handler.check(self.name, self.outputs, inputs, self.name.encode())
        assert not failures
        return self.handler.do_update(self.attempt(), self.id, self.outputs, self.outputs, checked)

    def delete(self, timeout: float = 0) -> None:
        self.handler.do_delete(self.attempt(timeout), self.id, self.outputs)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud"), patience=0.3, forgetful=True, quotas={"vpcs": 99}) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def aws(cloud: Cloud) -> Maker:
    return Maker(Site(cloud, region=REGION, default_tags={"stack": "test"}))


@pytest.fixture
def cluster(cloud: Cloud, request: pytest.FixtureRequest) -> Maker:
    """A cluster's API with nothing in it but the system namespaces; only its row exists, no control plane behind it."""
    name = request.node.name[:40].replace("[", "-").replace("]", "")
    network = {"endpointPublicAccess": True, "subnetIds": []}
    row = {
        "status": "ACTIVE",
        "region": REGION,
        "inputs": {"vpcConfig": network},
        "selfManagedAddons": False,
        "roleArn": "",
    }
    cloud.tables.put("clusters", name, row)
    site = Site(cloud, region=REGION, cluster=name)
    for namespace in ("default", "kube-system"):
        thing = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        cloud.kubernetes(name).apply(thing, "eks")
    return Maker(site)


def trust(service: str, *actions: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions or ("sts:AssumeRole",))}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def scope_of(stack: str, cluster: str, region: str, vpc_id: str | None = None) -> Scope:
    """What the bootstrap's roles of a stack may touch."""
    return Scope(
        stack=stack,
        cluster=cluster,
        region=region,
        partition="aws",
        account_id="123456789012",
        iam_path="/",
        service_role=None,
        vpc_id=vpc_id,
    )


def situation_of(cloud: Cloud, recording: Recording, region: str = REGION, **more: Any) -> Situation:
    """What preflight looks at: a plan, and the account of a cloud."""
    client = partial(cloud.client, region=region)
    identity, root = access.identity(client), project.root()
    return Situation(recording=recording, root=root, client=client, elsewhere=cloud.client, identity=identity, **more)
