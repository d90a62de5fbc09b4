"""Runs one pod as its kubelet would.

Init containers in order, then the others together, as the pod's own service account.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes.client.exceptions import ApiException

from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.kubeconfig import Kubeconfig, kubeconfig, write
from otel_on_spot.kubernetes.names import CONFIG_MAP, POD, SERVICE_ACCOUNT
from otel_on_spot.lab.nodes.container import VOLUMES, Container, now

TOKEN_SECONDS = 3607
"""Life of a projected token.

Source: https://kubernetes.io/docs/concepts/configuration/secret/#service-account-token-secrets
"""
BACKOFF_SECONDS = (10, 20, 40, 80, 160, 300)
"""Between restarts of a container.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
"""


class PodRun:
    """One pod under way.

    Args:
        node: gives the API as the pod's node, or None when its instance has ended.
        config: address and authority of the API server, for the pod's own kubeconfig.
        folder: the pod's own: its HOME, its token, and a log a container.
    """

    def __init__(
        self, pod: dict[str, Any], node: Callable[[], Api | None], config: Kubeconfig, kubectl: Path, folder: Path
    ) -> None:
        self.pod = pod
        self.node = node
        self.config = config
        self.kubectl = kubectl
        self.folder = folder
        self.cancelled = threading.Event()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spec = pod["spec"]
        self.inits = [
            Container(container, folder / f"{container['name']}.log") for container in spec.get("initContainers") or []
        ]
        self.mains = [Container(container, folder / f"{container['name']}.log") for container in spec["containers"]]
        self.started = now()

    @property
    def _path(self) -> str:
        about = self.pod["metadata"]
        return POD.path(about["namespace"], about["name"])

    def run(self) -> str:
        """Run it to its end: the pod's last phase.

        Raises:
            ApiException: the API server does not let the node do it.
        """
        for container in (*self.inits, *self.mains):
            container.state = {"waiting": {"reason": "PodInitializing" if self.inits else "ContainerCreating"}}
        self._write_status("Pending")
        environment = self._environment()
        self._mount_config_maps()
        for container in self.inits:
            if self._to_the_end(container, environment, "Pending") != 0:
                return self._over("Failed")
        threads = [
            threading.Thread(target=self._to_the_end, args=(container, environment, "Running"))
            for container in self.mains
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._over("Failed" if any(container.exit_code for container in self.mains) else "Succeeded")

    def cancel(self) -> None:
        """The pod is to go: stop its containers, within its grace period."""
        self.cancelled.set()
        grace = float(self.pod["spec"].get("terminationGracePeriodSeconds") or 30)
        for container in (*self.inits, *self.mains):
            container.stop(grace)

    def remove(self) -> None:
        """Tell the API server that nothing of the pod is left, as a kubelet does at the end of a deletion.

        Raises:
            ApiException: the API server refused for another reason than that another pod has the name.
        """
        node = self.node()
        if node is None:
            return
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod["metadata"]["uid"]}}
        try:
            node.delete(self._path, body)
        except ApiException as refused:
            if refused.status != 409:
                raise

    def _to_the_end(self, container: Container, environment: dict[str, str], phase: str) -> int:
        while True:
            container.start(self.kubectl, environment, self.folder)
            self._write_status(phase)
            code = container.wait()
            again = (
                code != 0
                and self.pod["spec"].get("restartPolicy") == "OnFailure"
                and "ContainerCannotRun" not in str(container.state)
            )
            self._write_status(phase)
            if not again or self.cancelled.is_set():
                return code
            pause = BACKOFF_SECONDS[min(container.restarts, len(BACKOFF_SECONDS) - 1)]
            if self.cancelled.wait(pause):
                return code
            container.restarts += 1

    def _over(self, phase: str) -> str:
        self._write_status(phase)
        return phase

    def _environment(self) -> dict[str, str]:
        server = urlsplit(self.config.server)
        found = {
            "HOME": str(self.folder),
            "PATH": "/usr/bin:/bin",
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        if self.pod["spec"].get("automountServiceAccountToken") is False:
            return found
        return found | {"KUBECONFIG": str(self._kubeconfig())}

    def _mount_config_maps(self) -> None:
        """Files of the pod's ConfigMaps, read as its node. One that is missing mounts nothing: kubectl says so."""
        node, namespace = self.node(), self.pod["metadata"]["namespace"]
        for volume in self.pod["spec"].get("volumes") or []:
            named = (volume.get("configMap") or {}).get("name")
            found = node.get(CONFIG_MAP.path(namespace, named)) if named and node is not None else None
            if found is not None:
                files = self.folder / VOLUMES / volume["name"]
                files.mkdir(parents=True, exist_ok=True)
                for key, text in (found.get("data") or {}).items():
                    (files / key).write_text(text)

    def _kubeconfig(self) -> Path:
        node, about = self.node(), self.pod["metadata"]
        if node is None:
            raise ApiException(status=0, reason=f"the node of pod {about['name']} is gone")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": about["name"], "uid": about["uid"]}
        account = self.pod["spec"].get("serviceAccountName") or "default"
        path = f"{SERVICE_ACCOUNT.path(about['namespace'], account)}/token"
        request: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        request |= {"spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound, "audiences": None}}
        token = node.create(path, request)["status"]["token"]
        content = kubeconfig(
            self.config.server,
            self.config.authority,
            account,
            {"token": token},
            cluster="in-cluster",
            namespace=about["namespace"],
        )
        return write(self.folder / "kubeconfig", content)

    def _write_status(self, phase: str) -> None:
        """Write the pod's status as its node; a pod that is gone needs none.

        Raises:
            ApiException: the API server refused for another reason than that the pod is gone or has ended.
        """
        node = self.node()
        if node is None:
            return
        ready = phase == "Running" and all("running" in container.state for container in self.mains)
        initialized = all(container.exit_code == 0 for container in self.inits)
        conditions = {"Initialized": initialized, "ContainersReady": ready, "Ready": ready, "PodScheduled": True}
        status = {
            "phase": phase,
            "startTime": self.started,
            "hostIP": None,
            "initContainerStatuses": [container.status for container in self.inits],
            "containerStatuses": [container.status for container in self.mains],
            "conditions": [
                {"type": kind, "status": str(value), "lastTransitionTime": now()} for kind, value in conditions.items()
            ],
        }
        body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
        try:
            node.merge(f"{self._path}/status", body)
        except ApiException as refused:
            if refused.status not in (404, 409, 422):
                raise
