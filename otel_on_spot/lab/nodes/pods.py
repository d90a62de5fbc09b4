"""The pods that are run for real: those of Jobs. KWOK leaves them alone, because it would call every one a success.

A Job's pod whose image is kubectl is run; any other ends as failed, with the reason in its status.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.kubeconfig import Kubeconfig
from otel_on_spot.kubernetes.names import POD
from otel_on_spot.lab.nodes.identity import NodeCredentialsError
from otel_on_spot.lab.nodes.journal import Journal
from otel_on_spot.lab.nodes.kubelets import Kubelets
from otel_on_spot.lab.nodes.pod_run import PodRun

OF_JOBS = "batch.kubernetes.io/job-name"
"""Label of the pods of Jobs."""
WATCH_SECONDS = 240
RETRY_SECONDS = 1.0


def of_a_job(pod: dict[str, Any]) -> bool:
    """True where a Job made the pod."""
    return any(owner.get("kind") == "Job" for owner in pod["metadata"].get("ownerReferences") or [])


@dataclass
class Pods:
    """Watches the pods of Jobs, and runs each in a thread of its own."""

    kubelets: Kubelets
    api: Api
    config: Kubeconfig
    kubectl: Path
    folder: Path
    journal: Journal
    running: dict[str, PodRun] = field(default_factory=dict)
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self) -> None:
        """Watch in the background."""
        threading.Thread(target=self._watch, daemon=True).start()
        threading.Thread(target=self._retry, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                listed = self.api.get(POD.path(), labelSelector=OF_JOBS) or {"items": [], "metadata": {}}
                present = {pod["metadata"]["uid"] for pod in listed["items"]}
                for identity in set(self.running) - present:
                    self._gone(identity)
                with self._lock:
                    self.waiting = {key: pod for key, pod in self.waiting.items() if key in present}
                for pod in listed["items"]:
                    self.see(pod)
                version = listed["metadata"]["resourceVersion"]
                for event in self.api.watch(POD.path(), WATCH_SECONDS, labelSelector=OF_JOBS, resourceVersion=version):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] == "DELETED":
                        self._gone(event["object"]["metadata"]["uid"])
                    else:
                        self.see(event["object"])
            except (ApiException, HTTPError) as problem:
                print(f"pods of Jobs: {reason(problem)}", flush=True)
                time.sleep(RETRY_SECONDS)

    def _retry(self) -> None:
        """Pods whose node had not joined when they were seen."""
        while True:
            time.sleep(RETRY_SECONDS)
            with self._lock:
                again = list(self.waiting.values())
            for pod in again:
                self.see(pod)

    def see(self, pod: dict[str, Any]) -> None:
        """Do what a pod in this state needs: start it, stop it, or nothing."""
        identity, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        if not of_a_job(pod) or not node:
            return
        with self._lock:
            run = self.running.get(identity)
            if run is not None:
                if pod["metadata"].get("deletionTimestamp"):
                    _cancel(run)
                return
            if identity in self._done or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            if self._node(node) is None:
                self.waiting[identity] = pod
                return
            self.waiting.pop(identity, None)
            self._done.add(identity)
            about = pod["metadata"]
            run = PodRun(
                pod,
                lambda: self._node(node),
                self.config,
                self.kubectl,
                self.folder / about["namespace"] / about["name"],
            )
            self.running[identity] = run
        threading.Thread(target=self._run, args=(run, node), daemon=True).start()

    def _node(self, name: str) -> Api | None:
        try:
            return self.kubelets.api_of(name)
        except NodeCredentialsError as problem:
            print(f"node {name}: {problem}", flush=True)
            return None

    def _run(self, run: PodRun, node: str) -> None:
        about = run.pod["metadata"]
        facts = {"node": node, "namespace": about["namespace"], "pod": about["name"]}
        try:
            if about.get("deletionTimestamp"):
                run.remove()
                return
            if run.pod.get("status", {}).get("phase") == "Running":
                self._lost(run)
                return
            phase = run.run()
            codes = {container.spec["name"]: container.exit_code for container in (*run.inits, *run.mains)}
            self.journal.write("ran", **facts, phase=phase, exit_codes=codes)
        except (ApiException, HTTPError) as problem:
            print(f"pod {about['namespace']}/{about['name']}: {reason(problem)}", flush=True)
            with self._lock:
                self._done.discard(about["uid"])
                self.waiting[about["uid"]] = run.pod
        finally:
            with self._lock:
                self.running.pop(about["uid"], None)
            if run.cancelled.is_set():
                run.remove()

    def _lost(self, run: PodRun) -> None:
        """A pod that ran when this process was started: its containers are gone, as after a node's restart."""
        node = run.node()
        if node is None:
            return
        lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "the nodes process was started anew"}
        statuses = [
            {**container.status, "ready": False, "started": False, "state": {"terminated": lost}}
            for container in run.mains
        ]
        about = run.pod["metadata"]
        path = f"{POD.path(about['namespace'], about['name'])}/status"
        node.merge(path, {"status": {"phase": "Failed", "containerStatuses": statuses}})

    def _gone(self, identity: str) -> None:
        with self._lock:
            self.waiting.pop(identity, None)
            run = self.running.get(identity)
        if run is not None:
            _cancel(run)


def _cancel(run: PodRun) -> None:
    """Stop a pod's containers, in the background."""
    if not run.cancelled.is_set():
        run.cancelled.set()
        threading.Thread(target=run.cancel, daemon=True).start()
