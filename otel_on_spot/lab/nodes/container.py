"""One container of a pod, run for real: kubectl with the container's arguments."""

import re
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otel_on_spot.processes import end_group

MESSAGE_BYTES = 2048
"""Source: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ (fallback to logs)"""
VOLUMES = "volumes"
"""Folder of a pod's mounted ConfigMaps, in its own."""
CANNOT_RUN = 128
"""Exit code of a container that could not be started, as containerd reports it."""


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_command(image: str) -> str:
    """Last part of an image's name, without tag and digest: of ``registry.k8s.io/kubectl:v1.36.3``, kubectl."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0]


def cannot_run(spec: dict[str, Any]) -> str:
    """Reason why a container cannot be run here; empty where it can."""
    if image_command(spec["image"]) != "kubectl":
        return f"image {spec['image']}: the lab runs pods of Jobs for real, and knows no program but kubectl"
    if (spec.get("command") or ["kubectl"]) != ["kubectl"]:
        return f"command {spec['command']}: the image has kubectl alone, no shell"
    if spec.get("restartPolicy") == "Always":
        return "a sidecar container is not run here"
    strange = [variable["name"] for variable in spec.get("env") or [] if "valueFrom" in variable]
    if strange or spec.get("envFrom"):
        return f"environment from elsewhere is not known here: {', '.join(strange) or 'envFrom'}"
    return ""


@dataclass
class Container:
    """A container and how it ended. ``state`` is its ContainerState."""

    spec: dict[str, Any]
    log: Path
    restarts: int = 0
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    _process: "subprocess.Popen[bytes] | None" = None
    _started: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: bool = False

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it has none."""
        return self.state.get("terminated", {}).get("exitCode")

    def start(self, kubectl: Path, environment: dict[str, str], folder: Path) -> None:
        """Start it; one that cannot be run ends at once."""
        why = cannot_run(self.spec)
        self._started = now()
        if why:
            self._ended(CANNOT_RUN, why, "ContainerCannotRun")
            return
        own = {
            variable["name"]: variable.get("value") or ""
            for variable in self.spec.get("env") or []
            if variable["name"] != "HOME"
        }
        with self._lock:
            if self._stopping:
                self._ended(128 + signal.SIGTERM)
                return
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [str(kubectl), *(self._here(argument, folder) for argument in self.spec.get("args") or [])],
                    env={**own, **environment},
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self.state = {"running": {"startedAt": self._started}}

    def _here(self, argument: str, folder: Path) -> str:
        """The argument with paths of mounted ConfigMaps as they are on this machine."""
        for mount in self.spec.get("volumeMounts") or []:
            files = folder / VOLUMES / mount["name"]
            if files.is_dir():
                argument = argument.replace(f"{mount['mountPath'].rstrip('/')}/", f"{files}/")
        return argument

    def wait(self) -> int:
        """Wait for its end: its exit code."""
        if self._process is not None and self.exit_code is None:
            code = self._process.wait()
            self._ended(code if code >= 0 else 128 - code)
        return self.exit_code or 0

    def stop(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL after the grace period; harmless where it does not run."""
        with self._lock:
            self._stopping = True
            process = self._process
        if process is None or process.poll() is not None:
            return
        end_group(process, seconds)

    def _ended(self, code: int, message: str = "", reason: str = "") -> None:
        tail = message or (self.log.read_bytes()[-MESSAGE_BYTES:].decode(errors="replace") if self.log.exists() else "")
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason or ("Error" if code else "Completed"),
                "message": tail.strip(),
                "startedAt": self._started or now(),
                "finishedAt": now(),
            }
        }

    @property
    def status(self) -> dict[str, Any]:
        """Its ContainerStatus."""
        running = "running" in self.state
        return {
            "name": self.spec["name"],
            "image": self.spec["image"],
            "imageID": "",
            "ready": running or self.exit_code == 0,
            "started": running,
            "restartCount": self.restarts,
            "state": self.state,
        }
