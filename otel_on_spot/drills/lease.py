"""One drill at a time: a Kubernetes Lease says who, why and until when, and carries what has to be taken back.

It is renewed while a drill runs, each change is written into it before it is made, and all of them are taken back at
the end. So whatever a drill left, however it died, the next command finds it in the lease.

Source of its fields: https://kubernetes.io/docs/concepts/architecture/leases/
"""

import getpass
import json
import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drill_lease import DURATION_SECONDS, NAME, PREFIX, lease_path
from otel_on_spot.drills.resilience import (
    CONNECTION_ERRORS,
    REFUSALS,
    describe,
    retry_outages,
    safe_log,
    signals_deferred,
)
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import CONFLICT, Step, take_back
from otel_on_spot.errors import EXIT_FINDINGS, ToolError
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.target import Target
from otel_on_spot.waiting import Deadline, wait_until

RENEW_SECONDS: Final = 5
RESTORE_SECONDS: Final = 120
"""Seconds for which taking back is tried again while nobody answers."""


class LeaseHeldError(ToolError):
    """Somebody else's drill is under way. The message says whose, why, until when, and what to do."""


class NotRestoredError(ToolError):
    """Something could not be taken back. The message says what and why, when it ends by itself, and what to do."""

    exit_code = EXIT_FINDINGS


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A Lease as it is in the cluster.

    ``holder``: user@host/process id. ``steps``: changes that are not taken back. ``version``: its ``resourceVersion``.
    """

    drill: str
    holder: str
    why: str
    since: datetime
    until: datetime
    steps: tuple[Step, ...]
    version: str

    @property
    def summary(self) -> str:
        """The drill, its holder, its reason and its end, on one line."""
        why = f" ({self.why})" if self.why else ""
        times = f"since {self.since:%Y-%m-%d %H:%M:%S}, until {self.until:%H:%M:%S} UTC"
        return f"drill {self.drill} of {self.holder}{why}, {times}"


def own_identity() -> str:
    """Identity of this process as a holder."""
    return f"{getpass.getuser()}@{socket.gethostname()}/{os.getpid()}"


def read(target: Target, api: Api) -> Lease | None:
    """Read the lease that is held or was left behind; None where there is none."""
    thing = api.get(lease_path(target.declared.argocd_namespace))
    return None if thing is None else _parse(thing)


def manifest(target: Target, lease: Lease, version: str) -> Object:
    """The Lease as it is written now, renewed. ``version``: only this one is written over; empty for a new one."""
    notes = {
        "drill": lease.drill,
        "why": lease.why,
        "until": lease.until.isoformat(),
        "steps": json.dumps([asdict(step) for step in lease.steps]),
    }
    metadata: Object = {
        "name": NAME,
        "namespace": target.declared.argocd_namespace,
        "annotations": {f"{PREFIX}{key}": value for key, value in notes.items()},
    }
    if version:
        metadata["resourceVersion"] = version
    spec = {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": lease.since.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _parse(thing: Object) -> Lease:
    metadata, spec = thing["metadata"], thing.get("spec") or {}
    notes = metadata.get("annotations") or {}
    since = datetime.fromisoformat(spec.get("acquireTime") or metadata["creationTimestamp"])
    return Lease(
        drill=notes.get(f"{PREFIX}drill", "?"),
        holder=spec.get("holderIdentity", "?"),
        why=notes.get(f"{PREFIX}why", ""),
        since=since,
        until=datetime.fromisoformat(notes.get(f"{PREFIX}until") or since.isoformat()),
        steps=tuple(map(_step, json.loads(notes.get(f"{PREFIX}steps") or "[]"))),
        version=metadata["resourceVersion"],
    )


def _step(written: dict[str, Any]) -> Step:
    """A change as a lease has it; a lease of an earlier version says ``given`` for its arguments."""
    return Step(kind=written["kind"], what=written["what"], arguments=written.get("arguments") or written["given"])


def is_abandoned(target: Target, api: Api, lease: Lease, log: Log) -> bool:
    """True where the holder is dead on this machine, or silent for as long as a lease lasts.

    Clocks of two machines may differ, so silence is watched, as client-go's leader election does.

    Args:
        target: the platform.
        api: its API server.
        lease: the lease as it was read.
        log: gets a line before the watching begins.
    """
    user_and_host, _, process = lease.holder.rpartition("/")
    if user_and_host.rpartition("@")[2] == socket.gethostname() and not _alive(process):
        return True
    log(f"a lease is held: {lease.summary}. Watching for {DURATION_SECONDS} s whether its holder is alive")

    def renewed() -> bool:
        now = read(target, api)
        return now is None or now.version != lease.version

    return not wait_until(renewed, DURATION_SECONDS, every=1.0)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


class HeldLease:
    """A lease that this process holds.

    ``lost`` is set when somebody else took it: then nothing more may be changed.
    """

    def __init__(self, target: Target, api: Api, lease: Lease, log: Log) -> None:
        self._target, self._api, self._log = target, api, safe_log(log)
        self._lease = lease
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self.lost = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def written(self) -> Lease:
        """The lease as it was last written."""
        return self._lease

    def start(self) -> None:
        """Renew from now on."""
        self._renewing.start()

    def record_undo(self, step: Step) -> None:
        """Write down how a change that is about to be made is taken back.

        Raises:
            LeaseHeldError: the lease is not this process's any more.
            ApiException, urllib3.exceptions.HTTPError: it could not be written down, so it must not be made.
        """
        with self._writing:
            self._write(replace(self._lease, steps=(*self._lease.steps, step)))

    def restore(self, timeout: float = RESTORE_SECONDS) -> list[str]:
        """Take every change back, the last one first, and give the lease up: a line a change, logged as it is done.

        What somebody refuses is left in the lease, and the changes before it are taken back all the same: Argo CD
        undoes a scale as soon as it may. Where the lease is somebody else's by now, that one puts things back, and
        nothing is touched here.

        Raises:
            NotRestoredError: it could not be done in ``timeout`` seconds, or was refused.
        """
        lines, deadline = [], Deadline(timeout)
        refused: list[Exception] = []
        try:
            for step in reversed(self._lease.steps):
                retry_outages(self._renew_once, deadline, self._log, "asking whose the lease is")
                try:
                    done = retry_outages(
                        lambda step=step: take_back(self._target, self._api, step), deadline, self._log, step.what
                    )
                except REFUSALS as problem:
                    refused.append(problem)
                    continue
                lines.append(f"{step.what}: {done}")
                self._log(f"taken back: {lines[-1]}")
                retry_outages(lambda step=step: self._remove(step), deadline, self._log, "writing down what is left")
            if refused:
                raise self._not_restored(refused[0]) from refused[0]
            retry_outages(self._give_up, deadline, self._log, "giving the lease up")
        except LeaseHeldError as problem:
            raise NotRestoredError(f"{problem}. It puts back what is left: {self._left()}") from problem
        except (*REFUSALS, *CONNECTION_ERRORS) as problem:
            raise self._not_restored(problem) from problem
        finally:
            self._ended.set()
        return lines

    def _not_restored(self, problem: Exception) -> NotRestoredError:
        return NotRestoredError(
            f"not taken back: {self._left()}. Reason: {describe(problem)}. Run `otel-on-spot drill restore --stack "
            f"{self._target.declared.stack}` when the cluster answers; a suspension ends by itself at "
            f"{self._lease.until:%H:%M:%S} UTC"
        )

    def _left(self) -> str:
        return "; ".join(step.what for step in reversed(self._lease.steps)) or "the lease itself"

    def _renew_once(self) -> None:
        with self._writing:
            self._write(self._lease)

    def _remove(self, done: Step) -> None:
        with self._writing:
            self._write(replace(self._lease, steps=tuple(step for step in self._lease.steps if step != done)))

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._writing:
                    if not self._ended.is_set():
                        self._write(self._lease)
            except LeaseHeldError:
                self.lost.set()
                return
            except (*REFUSALS, *CONNECTION_ERRORS):
                continue  # silence, until somebody answers again

    def take_over(self) -> None:
        """Put this process's name into a dead holder's lease.

        Raises:
            ApiException: the server refused; status 404 or 409 where somebody else was faster.
        """
        with self._writing:
            taken = replace(self._lease, holder=own_identity())
            self._replace(taken, taken.version)

    def _write(self, lease: Lease) -> None:
        """Under ``_writing``. Somebody else's write is a conflict; then it is theirs, or it was ours, unheard.

        Raises:
            LeaseHeldError: somebody else holds the lease by now.
            ApiException: the server refused for another reason.
        """
        try:
            self._replace(lease, lease.version)
        except ApiException as refused:
            if refused.status not in (CONFLICT, 404):
                raise
            now = read(self._target, self._api)
            if now is None or now.holder != lease.holder or now.since != lease.since:
                raise LeaseHeldError(f"the lease was taken over: {now.summary if now else 'it is gone'}") from None
            self._replace(lease, now.version)

    def _replace(self, lease: Lease, version: str) -> None:
        path = lease_path(self._target.declared.argocd_namespace)
        written = self._api.replace(path, manifest(self._target, lease, version))
        self._lease = replace(lease, version=written["metadata"]["resourceVersion"])

    def _give_up(self) -> None:
        now = read(self._target, self._api)
        if now is not None and now.holder == self._lease.holder and now.since == self._lease.since:
            self._api.delete(lease_path(self._target.declared.argocd_namespace))


def acquire(target: Target, api: Api, *, drill: str, why: str, seconds: float, log: Log) -> HeldLease:
    """Hold the lease for a drill. What an earlier drill left is taken back first.

    Args:
        target: the platform.
        api: its API server.
        drill: name of the drill.
        why: for whoever meets the lease.
        seconds: how long the drill may take; the lease's promise to everybody else.
        log: gets a line for each thing that happens.

    Raises:
        ApiException: the server refused to read or make the lease.
        LeaseHeldError: somebody's drill is under way.
        NotRestoredError: what an earlier drill left could not be taken back.
    """
    left = read(target, api)
    if left is not None:
        put_back(target, api, left, log)
    now = datetime.now(UTC).replace(microsecond=0)
    until = now + timedelta(seconds=seconds)
    lease = Lease(drill=drill, holder=own_identity(), why=why, since=now, until=until, steps=(), version="")
    path = lease_path(target.declared.argocd_namespace)
    try:
        created = api.create(path.rpartition("/")[0], manifest(target, lease, ""))
    except ApiException as refused:
        if refused.status != CONFLICT:
            raise
        other = read(target, api)
        message = _held(target, other) if other else "the lease was taken concurrently: try again"
        raise LeaseHeldError(message) from None
    held = HeldLease(target, api, replace(lease, version=created["metadata"]["resourceVersion"]), log)
    held.start()
    log(f"lease held: {held.written.summary}")
    return held


def put_back(target: Target, api: Api, left: Lease, log: Log, *, force: bool = False) -> list[str]:
    """Take back what a drill left whose holder is gone: a line a change.

    Args:
        target: the platform.
        api: its API server.
        left: the lease that was left.
        log: gets a line for each thing that happens.
        force: do not check whether the holder is alive.

    Raises:
        ApiException: the server refused to put this process's name into the lease.
        LeaseHeldError: its holder is alive.
        NotRestoredError: it could not be done.
    """
    if not force and not is_abandoned(target, api, left, log):
        raise LeaseHeldError(_held(target, left))
    log(f"putting back what was left by {left.summary}")
    held = HeldLease(target, api, left, log)
    try:
        held.take_over()
    except ApiException as refused:
        if refused.status not in (CONFLICT, 404):
            raise
        other = read(target, api)
        message = _held(target, other) if other else "somebody else put it back: try again"
        raise LeaseHeldError(message) from None
    held.start()
    with signals_deferred(log):
        return held.restore()


@contextmanager
def hold_lease(target: Target, api: Api, *, drill: str, why: str, seconds: float, log: Log) -> Generator[HeldLease]:
    """Hold the lease while a drill runs; afterwards everything is taken back, whatever happened.

    Args:
        target: the platform.
        api: its API server.
        drill: name of the drill.
        why: for whoever meets the lease.
        seconds: how long the drill may take.
        log: gets a line for each thing that happens.

    Raises:
        LeaseHeldError, NotRestoredError: as ``acquire`` and ``HeldLease.restore``.
    """
    held = acquire(target, api, drill=drill, why=why, seconds=seconds, log=log)
    try:
        yield held
    finally:
        with signals_deferred(safe_log(log)):
            held.restore()


def _held(target: Target, lease: Lease) -> str:
    return (
        f"a drill is under way: {lease.summary}. One drill at a time. Wait for its end, or, when you know that it is "
        f"dead, run `otel-on-spot drill restore --stack {target.declared.stack} --force`"
    )
