"""The commands of Argo CD's own command line that the pages have, run on the lab as they are written there.

``argocd --core`` forwards ports to the pods of Argo CD's Redis and repo server. The lab runs both as processes, so the
tests give it pods of those names, whose kubelet is a KWOK of their own that leads to the processes.
Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/cmd/argocd/commands/headless/headless.go
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from otel_on_spot.lab import addresses, isolation
from otel_on_spot.lab.control_plane import STAGES
from otel_on_spot.lab.toolchain.modules import ARGOCD_CLI
from tests.built import built
from tests.lab.running import ROOT, Lab, condition, thing, until

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbooks" / "database-on-spot.md").read_text()
NODE = "argocd-core"
KUBELET, REPO_SERVER, REPO_SERVER_METRICS = 10350, 18081, 18084
PODS = {"argocd-redis": (6379, addresses.REDIS), "argocd-repo-server": (8081, REPO_SERVER)}
"""Name -> (the port that ``argocd --core`` asks for, the port that it is led to)."""


@pytest.fixture
def variables(lab: Lab, tmp_path: Path) -> Mapping[str, str]:
    """The environment of a person who has the command line: a home and a kubeconfig of their own, which it changes."""
    tool = built(ARGOCD_CLI, "Argo CD's command line", 'make tools ARGS="--argocd-cli"')
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(lab.folder.kubeconfig().read_text())
    given = isolation.environment(lab.stack, lab.folder, lab.tools)
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return {**given, **home, "KUBECONFIG": str(kubeconfig), "PATH": f"{tool}{os.pathsep}{given['PATH']}"}


@pytest.fixture
def core_pods(lab: Lab, variables: Mapping[str, str], tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment, with pods of Redis and the repo server, on their own node, that ports can be forwarded to."""
    told = lab.inside("cat", f"/proc/{lab.process('argocd-repo-server')['pid']}/environ").rstrip("\0").split("\0")
    as_the_labs = dict(line.split("=", 1) for line in told)
    tls = [str(lab.tools.path("argocd-repo-server")), "--address", addresses.LOOPBACK, "--port", str(REPO_SERVER)]
    tls += ["--metrics-address", addresses.LOOPBACK, "--metrics-port", str(REPO_SERVER_METRICS)]
    tls += ["--redis", f"{addresses.LOOPBACK}:{addresses.REDIS}"]
    forwards = [
        thing("kwok.x-k8s.io/v1alpha1", "PortForward", name, "argocd", spec={"forwards": [forward]})
        for name, (asked, led_to) in PODS.items()
        for forward in [{"ports": [asked], "target": {"address": addresses.LOOPBACK, "port": led_to}}]
    ]
    config = tmp_path / "kwok.yaml"
    config.write_text(yaml.safe_dump_all(forwards))
    kwok = [
        str(lab.tools.path("kwok")),
        f"--kubeconfig={lab.folder.kubeconfig('kwok')}",
        f"--config={STAGES}",
        f"--config={config}",
        "--manage-all-nodes=false",
        f"--manage-single-node={NODE}",
        f"--node-ip={addresses.LOOPBACK}",
        f"--node-port={KUBELET}",
        "--node-lease-duration-seconds=40",
        f"--server-address={addresses.LOOPBACK}:{KUBELET}",
    ]
    with ExitStack() as running:
        running.enter_context(lab.beside(tls, tmp_path / "repo-server.log", as_the_labs))
        running.enter_context(lab.beside(kwok, tmp_path / "kwok.log", {"HOME": str(tmp_path)}))
        try:
            lab.put(*objects())
            status = {
                "addresses": [{"type": "InternalIP", "address": addresses.LOOPBACK}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET}},
            }
            lab.kubectl("patch", "node", NODE, "--subresource=status", f"--patch={json.dumps({'status': status})}")
            until("the pods are Ready", lambda: all(ready(lab, name) for name in PODS))
            yield variables
        finally:
            lab.kubectl("delete", "pods", "--namespace=argocd", *PODS, "--ignore-not-found", "--force")
            lab.kubectl("delete", "node", NODE, "--ignore-not-found")


def ready(lab: Lab, name: str) -> bool:
    """Whether a pod of Argo CD's is Ready."""
    return condition(lab.get("pod", name, "argocd"), "Ready") == "True"


def objects() -> list[dict[str, object]]:
    """The node, which nothing else is scheduled on, and its pods."""
    taints = [{"key": "lab.otel-on-spot/argocd-core", "effect": effect} for effect in ("NoSchedule", "NoExecute")]
    container = {"name": "c", "image": "pause"}
    spec = {"nodeName": NODE, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    labelled = {name: {"labels": {"app.kubernetes.io/name": name}} for name in PODS}
    pods = [thing("v1", "Pod", name, "argocd", metadata=labels, spec=spec) for name, labels in labelled.items()]
    return [thing("v1", "Node", NODE, spec={"taints": taints}), *pods]


def shell(lab: Lab, variables: Mapping[str, str], script: str) -> str:
    """What a script prints in the lab."""
    line = isolation.inside(lab.folder, ["bash", "-ec", script])
    ended = subprocess.run(line, env=dict(variables), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr[-2000:]
    return ended.stdout


def block(page: str, word: str) -> str:
    """The one code block of a page that has a word."""
    (found,) = (block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if word in block)
    return found


def test_argo_cds_command_line_reads_applications_without_its_api_server(
    lab: Lab, core_pods: Mapping[str, str]
) -> None:
    commands = block(OPERATIONS, "argocd app list --core")
    assert "argocd app get otel-demo --core" in commands

    told = shell(lab, core_pods, commands)

    rows = [line.split() for line in told.splitlines()]
    for application in lab.get("application.argoproj.io"):
        name = f"argocd/{application['metadata']['name']}"
        assert any(row and row[0] == name and {"Synced", "Healthy"} <= set(row) for row in rows), told
    assert re.search(r"^Health Status: +Healthy", told, re.MULTILINE), told
    assert re.search(r"^apps +Deployment +otel-demo +frontend +Synced", told, re.MULTILINE), told


def test_the_runbooks_sync_runs_the_guard_of_placement_again(lab: Lab, core_pods: Mapping[str, str]) -> None:
    jobs = ("stateful-placement-sync", "stateful-placement-postsync")
    before = {job: lab.get("job", job, "otel-demo")["metadata"]["uid"] for job in jobs}

    told = shell(lab, core_pods, block(RUNBOOK, "argocd app sync otel-demo --core"))

    assert re.search(r"^Phase: +Succeeded", told, re.MULTILINE), told
    for job in jobs:
        after = lab.get("job", job, "otel-demo")
        assert after["metadata"]["uid"] != before[job], told
        assert condition(after, "Complete") == "True", told
