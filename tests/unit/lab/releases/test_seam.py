"""Where the simulated cloud hands a release, and the cluster's address, over to the lab."""

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.kubernetes.kubeconfig import cluster_of, eks_kubeconfig
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.eks_cluster import Cluster
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Call, Site
from otel_on_spot.simcloud.kubernetes.helm import Release

INPUTS = {
    "name": "argocd",
    "namespace": "argocd",
    "chart": "argo-cd",
    "atomic": True,
    "createNamespace": True,
    "timeout": 30,
}


class Runner:
    """Writes down what it is asked; refuses the values ``bad``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def check(self, inputs: dict[str, Any]) -> None:
        self.calls.append(("check", inputs.get("values")))

    def installed(
        self, cloud: Cloud, cluster: str, inputs: dict[str, Any], *, seconds: float, cancelled: threading.Event
    ) -> None:
        self.calls.append(("installed", inputs.get("values")))
        if inputs.get("values") == "bad":
            raise ApiError("Timeout", "not ready")

    def deleted(self, cloud: Cloud, cluster: str, inputs: dict[str, Any]) -> None:
        self.calls.append(("deleted", inputs["name"]))


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def call(tmp_path: Path, runner: Runner):
    cloud = Cloud(tmp_path, releases=runner)
    cloud.tables.put("clusters", "c", {"status": "ACTIVE", "region": "eu-west-1", "inputs": {"vpcConfig": {}}})
    cloud.tables.put("node-groups", "c/system", {"status": "ACTIVE", "instances": ["i-1"]})
    yield Call(Site(cloud, cluster="c"), lambda _: None, 30, threading.Event())
    cloud.close()


def test_a_release_is_installed_by_the_runner_and_brings_no_pretended_kinds(call: Call, runner: Runner) -> None:
    identity, outputs = Release().create(call, INPUTS)

    assert identity == "argocd/argocd"
    assert outputs["status"]["status"] == "deployed"
    assert [one for one, _ in runner.calls] == ["check", "installed"]
    assert not call.site.cloud.kubernetes("c").knows("argoproj.io/v1alpha1", "Application")


def test_an_atomic_first_installation_that_fails_leaves_nothing(call: Call, runner: Runner) -> None:
    with pytest.raises(ApiError, match="not ready"):
        Release().create(call, {**INPUTS, "values": "bad"})

    assert [one for one, _ in runner.calls] == ["check", "installed", "deleted"]
    assert call.site.cloud.tables.all("releases") == {}


def test_an_atomic_upgrade_that_fails_goes_back_to_what_was_there(call: Call, runner: Runner) -> None:
    Release().create(call, {**INPUTS, "values": "good"})

    with pytest.raises(ApiError, match="not ready"):
        Release().update(call, "argocd/argocd", {}, {}, {**INPUTS, "values": "bad"})

    assert runner.calls[-2:] == [("installed", "bad"), ("installed", "good")]
    assert call.site.cloud.tables.all("releases")["c|argocd|argocd"]["inputs"]["values"] == "good"


def test_a_deleted_release_is_removed_by_the_runner(call: Call, runner: Runner) -> None:
    Release().create(call, INPUTS)

    Release().delete(call, "argocd/argocd", {})

    assert runner.calls[-1] == ("deleted", "argocd")
    assert call.site.cloud.tables.all("releases") == {}


def test_a_release_with_pods_waits_for_the_nodes_first(call: Call, runner: Runner) -> None:
    call.site.cloud.tables.remove("node-groups", "c/system")
    call.site.cloud.clock.patience = 0.1

    with pytest.raises(ApiError, match="waiting for a node of a managed node group"):
        Release().create(call, INPUTS)

    assert "installed" not in [one for one, _ in runner.calls]


def test_the_clusters_address_is_the_labs(tmp_path: Path) -> None:
    url, authority = "https://127.0.0.1:6443", "-----BEGIN CERTIFICATE-----"
    cloud = Cloud(tmp_path, api_url=url, certificate_authority=authority, service_cidr="172.20.0.0/16")
    row = {"status": "ACTIVE", "group": "sg", "vpc": "vpc"}

    seen = Cluster()._known(Site(cloud, region="eu-west-1"), "otel-lab", {"vpcConfig": {}}, row)

    cloud.close()
    assert seen["endpoint"] == url
    assert base64.b64decode(seen["certificateAuthority"]["data"]).decode() == authority
    assert seen["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16"


def test_a_service_range_that_the_api_server_does_not_serve_is_refused(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, service_cidr="172.20.0.0/16")
    call = Call(Site(cloud, region="eu-west-1"), lambda _: None, 30, threading.Event())
    inputs = {"name": "c", "vpcConfig": {}, "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16"}}

    with pytest.raises(ApiError, match=r"10\.100\.0\.0/16: the API server .* 172\.20\.0\.0/16"):
        Cluster().create(call, inputs)
    cloud.close()


def test_a_kubeconfig_leads_to_its_cluster_whatever_the_servers_url() -> None:
    written = json.dumps(eks_kubeconfig("otel-lab", "https://127.0.0.1:6443", "Y2E=", "eu-west-1"))

    assert cluster_of(written) == "otel-lab"
    assert cluster_of(json.dumps({"clusters": [{"cluster": {"server": "https://127.0.0.1:1/other"}}]})) == "other"
    assert cluster_of(None) == ""
