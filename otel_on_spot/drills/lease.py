"""One drill at a time: a Kubernetes Lease says who, why and until when, and carries what has to be taken back.

Source of its fields: https://kubernetes.io/docs/concepts/architecture/leases/
"""

import getpass
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from otel_on_spot.drill_lease import DURATION_SECONDS, NAME, PREFIX, lease_path
from otel_on_spot.drills.kubernetes_api import Api, Object
from otel_on_spot.drills.timeline import Tell
from otel_on_spot.drills.undo import Step
from otel_on_spot.target import Target


@dataclass(frozen=True, kw_only=True)
class Record:
    """A Lease as it is in the cluster. ``holder``: user@host/process id. ``version``: the object's ``resourceVersion``."""

    drill: str
    holder: str
    why: str
    since: datetime
    until: datetime
    steps: tuple[Step, ...]
    version: str

    @property
    def told(self) -> str:
        """For people, on one line."""
        why = f" ({self.why})" if self.why else ""
        return f"drill {self.drill} of {self.holder}{why}, since {self.since:%Y-%m-%d %H:%M:%S}, until {self.until:%H:%M:%S} UTC"


def myself() -> str:
    """This process, as a holder."""
    return f"{getpass.getuser()}@{socket.gethostname()}/{os.getpid()}"


def read(target: Target, api: Api) -> Record | None:
    """The lease that is held or was left behind; None where there is none."""
    found = api.get(path(target))
    return None if found is None else _record(found)


def path(target: Target) -> str:
    """Of the Lease in the API."""
    return lease_path(target.declared.argocd_namespace)


def document(target: Target, record: Record, version: str) -> Object:
    """The Lease as it is written now, renewed. ``version``: only this one is written over; empty for a new one."""
    notes = {
        "drill": record.drill,
        "why": record.why,
        "until": record.until.isoformat(),
        "steps": json.dumps([asdict(step) for step in record.steps]),
    }
    metadata: Object = {
        "name": NAME,
        "namespace": target.declared.argocd_namespace,
        "annotations": {f"{PREFIX}{key}": value for key, value in notes.items()},
    }
    if version:
        metadata["resourceVersion"] = version
    spec = {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": record.since.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _record(found: Object) -> Record:
    metadata, spec = found["metadata"], found.get("spec") or {}
    notes = metadata.get("annotations") or {}
    since = datetime.fromisoformat(spec.get("acquireTime") or metadata["creationTimestamp"])
    return Record(
        drill=notes.get(f"{PREFIX}drill", "?"),
        holder=spec.get("holderIdentity", "?"),
        why=notes.get(f"{PREFIX}why", ""),
        since=since,
        until=datetime.fromisoformat(notes.get(f"{PREFIX}until") or since.isoformat()),
        steps=tuple(Step(**step) for step in json.loads(notes.get(f"{PREFIX}steps") or "[]")),
        version=metadata["resourceVersion"],
    )


def abandoned(target: Target, api: Api, record: Record, tell: Tell) -> bool:
    """Whether its holder is gone: dead on this machine, or silent for as long as a lease lasts.

    Clocks of two machines may differ, so silence is watched, as client-go's leader election does.
    """
    user_and_host, _, process = record.holder.rpartition("/")
    if user_and_host.rpartition("@")[2] == socket.gethostname() and not _alive(process):
        return True
    tell(f"a lease is held: {record.told}. Watching for {DURATION_SECONDS} s whether its holder is alive")
    end = time.monotonic() + DURATION_SECONDS
    while time.monotonic() < end:
        time.sleep(min(1.0, DURATION_SECONDS))
        now = read(target, api)
        if now is None or now.version != record.version:
            return False
    return True


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
