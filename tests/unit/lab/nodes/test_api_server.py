"""What the nodes process writes, against the real API server with its node authorizer and NodeRestriction."""

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.kubeconfig import Kubeconfig
from otel_on_spot.kubernetes.names import POD_IDENTITY as AUDIENCE
from otel_on_spot.lab import certificates
from otel_on_spot.lab.aws.token_review import Reviewer, TokenRefusedError
from otel_on_spot.lab.nodes.node_config import parse
from otel_on_spot.lab.nodes.pod_run import PodRun
from otel_on_spot.lab.nodes.registration import KWOK_LABEL, node
from otel_on_spot.lab.rbac import manifests
from otel_on_spot.simcloud.moto_process import free_port
from otel_on_spot.waiting import wait_until
from tests.unit.lab.nodes.conftest import instance
from tests.unit.lab.nodes.test_pods import container, pod
from tests.unit.lab.nodes.test_registration import USER_DATA

TOOLS = ("etcd", "kube-apiserver", "kubectl")
NODE = instance()["privateDnsName"]
USERS = {
    "admin": ("admin", "system:masters"),
    "node": (f"system:node:{NODE}", "system:nodes"),
    "cloud_controller": ("kubelet-standin", ""),
    "doors": ("authenticator", ""),
}


@dataclass
class Server:
    client: Api
    folder: Path

    def ask(self, user: str, method: str, path: str, body: Any = None) -> Any:
        api = self.client.as_user(user)
        if method == "GET":
            return api.get(path)
        if method == "DELETE":
            return api.delete(path)
        return api.create(path, body) if method == "POST" else api.merge(path, body)

    def refusal(self, user: str, method: str, path: str, body: Any = None) -> int:
        try:
            found = self.ask(user, method, path, body)
        except ApiException as refused:
            return int(refused.status or 0)
        assert not found, f"{method} {path} was not refused"
        return 404


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} on PATH: build the lab's tools, with make tools")
    folder = tmp_path_factory.mktemp("api")
    certificates.make(folder, "eu-west-1")
    with (folder / "users.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerows(
            (name, user, name, groups) if groups else (name, user, name) for name, (user, groups) in USERS.items()
        )
    client_port, peer_port, port = free_port(), free_port(), free_port()
    etcd, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    commands = (
        [
            "etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ],
        [
            "kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
            "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", f"--cert-dir={folder}/made",
            f"--tls-cert-file={folder}/apiserver.crt", f"--tls-private-key-file={folder}/apiserver.key",
            f"--token-auth-file={folder}/users.csv", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/sa.pub", f"--service-account-signing-key-file={folder}/sa.key",
            "--service-cluster-ip-range=172.20.0.0/16", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
        ],
    )  # fmt: skip
    processes = []
    made = Server(Api.of(f"https://127.0.0.1:{port}", folder / "ca.crt"), folder)
    try:
        for command in commands:
            with (folder / f"{command[0]}.log").open("w") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        _until_ready(made)
        for manifest in manifests():
            _create(made, manifest)
        yield made
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def _until_ready(server: Server) -> None:
    def ready() -> bool:
        try:
            return all(
                server.ask("admin", "GET", path)
                for path in (
                    "/api/v1/namespaces/kube-system",
                    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
                )
            )
        except (ApiException, HTTPError, ValueError):
            return False

    log = server.folder / "kube-apiserver.log"
    assert wait_until(ready, 90, every=0.3), f"the API server is not ready: {log.read_text()[-800:]}"


def _create(server: Server, thing: dict[str, Any]) -> None:
    inside = f"/namespaces/{thing['metadata']['namespace']}" if "namespace" in thing["metadata"] else ""
    server.ask("admin", "POST", f"/apis/{thing['apiVersion']}{inside}/{thing['kind'].lower()}s", thing)


def wanted(row: dict[str, Any]) -> dict[str, Any]:
    return node(row, parse(USER_DATA), "v1.36.3")


@pytest.fixture
def joined(server: Server) -> Iterator[str]:
    server.ask("node", "POST", "/api/v1/nodes", wanted(instance()))
    yield f"/api/v1/nodes/{NODE}"
    server.ask("admin", "DELETE", f"/api/v1/nodes/{NODE}")


def test_a_node_registers_itself_with_all_that_it_offers(server: Server, joined: str) -> None:
    there = server.ask("admin", "GET", joined)
    assert there["status"]["capacity"]["pods"] == "29"
    assert there["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert there["spec"]["providerID"] == "aws:///eu-west-1b/i-1"
    assert {"key": "karpenter.sh/unregistered", "effect": "NoExecute"} in there["spec"]["taints"]


def test_a_node_registers_no_other(server: Server) -> None:
    assert server.refusal("node", "POST", "/api/v1/nodes", wanted(instance("i-2"))) == 403


def test_a_node_gives_itself_no_label_that_is_reserved(server: Server) -> None:
    body = wanted(instance())
    body["metadata"]["labels"]["node-restriction.kubernetes.io/team"] = "a"
    assert server.refusal("node", "POST", "/api/v1/nodes", body) == 403


def test_the_keeper_lets_go_of_a_node_and_may_do_little_else(server: Server, joined: str) -> None:
    server.ask("cloud_controller", "PATCH", joined, {"metadata": {"labels": {KWOK_LABEL[0]: None}}})
    assert KWOK_LABEL[0] not in server.ask("admin", "GET", joined)["metadata"]["labels"]
    assert server.refusal("cloud_controller", "GET", "/api/v1/namespaces/default/secrets") == 403
    assert server.refusal("cloud_controller", "PATCH", f"{joined}/status", {"status": {}}) == 403


@pytest.fixture
def account(server: Server) -> Iterator[str]:
    for kind, name in (("serviceaccounts", "placer"), ("configmaps", "mine")):
        server.ask("admin", "POST", f"/api/v1/namespaces/default/{kind}", {"metadata": {"name": name}})
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "patch"]}
    server.ask("admin", "POST", f"{rbac}/roles", {"metadata": {"name": "placer"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "placer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "placer"},
        "subjects": [{"kind": "ServiceAccount", "name": "placer", "namespace": "default"}],
    }
    server.ask("admin", "POST", f"{rbac}/rolebindings", binding)
    review = {
        "user": "system:serviceaccount:default:placer",
        "resourceAttributes": {"verb": "patch", "resource": "configmaps", "name": "mine", "namespace": "default"},
    }
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    allowed = wait_until(lambda: server.ask("admin", "POST", reviews, {"spec": review})["status"]["allowed"], 30)
    assert allowed, "the API server does not know the binding"
    yield "placer"
    for path in (f"{rbac}/rolebindings/placer", f"{rbac}/roles/placer"):
        server.ask("admin", "DELETE", path)
    for path in ("serviceaccounts/placer", "configmaps/mine"):
        server.ask("admin", "DELETE", f"/api/v1/namespaces/default/{path}")


def test_a_pod_runs_with_its_own_rights_and_its_node_reports_how_it_ended(
    server: Server, joined: str, account: str
) -> None:
    patch = ["patch", "configmap/mine", "--type=merge", '--patch={"data":{"hook":"ran"}}']
    told = pod(
        container("allowed", "get", "configmap/mine"),
        container("forbidden", "get", "secrets"),
        inits=(container("patch", *patch),),
    )
    told["metadata"] = {"name": "hook", "namespace": "default"}
    told["spec"]["nodeName"] = NODE
    made = server.ask("admin", "POST", "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", **told})
    kubectl = Path(str(shutil.which("kubectl")))
    config = Kubeconfig(server.client.server, server.folder / "ca.crt", "cloud_controller")
    run = PodRun(made, lambda: server.client.as_user("node"), config, kubectl, server.folder / "pod")
    assert run.run() == "Failed"
    status = server.ask("admin", "GET", "/api/v1/namespaces/default/pods/hook")["status"]
    ended = {
        container_status["name"]: container_status["state"]["terminated"]
        for container_status in status["containerStatuses"]
    }
    assert status["phase"] == "Failed"
    assert (ended["allowed"]["exitCode"], ended["forbidden"]["exitCode"]) == (0, 1)
    assert "system:serviceaccount:default:placer" in ended["forbidden"]["message"]
    assert server.ask("admin", "GET", "/api/v1/namespaces/default/configmaps/mine")["data"] == {"hook": "ran"}
    run.remove()
    assert server.refusal("admin", "GET", "/api/v1/namespaces/default/pods/hook") == 404


def test_a_service_account_token_is_known_for_its_own_audience_alone(server: Server, account: str) -> None:
    path = f"/api/v1/namespaces/default/serviceaccounts/{account}/token"
    token = server.ask("admin", "POST", path, {"spec": {"audiences": [AUDIENCE]}})["status"]["token"]
    file = server.folder / "doors.kubeconfig"
    cluster = {"server": server.client.server, "certificate-authority": str(server.folder / "ca.crt")}
    file.write_text(json.dumps({"clusters": [{"cluster": cluster}], "users": [{"user": {"token": "doors"}}]}))
    reviewer = Reviewer(file)
    found = reviewer.review(token, AUDIENCE)
    assert (found.namespace, found.name, found.subject) == ("default", "placer", "system:serviceaccount:default:placer")
    for wrong, audience in ((token, "sts.amazonaws.com"), ("forged", AUDIENCE), ("node", AUDIENCE)):
        with pytest.raises(TokenRefusedError):
            reviewer.review(wrong, audience)
