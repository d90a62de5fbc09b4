"""Holding the lease: renewed while a drill runs, each change written into it before it is made, all taken back at the end.

So whatever a drill left, however it died, the next command finds it in the lease.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from drills.kubernetes_api import Api
from drills.lease import DURATION_SECONDS, Record, document, myself, path, read
from drills.target import Target
from drills.timeline import Tell
from drills.undo import CONFLICT, Step, take_back

RENEW_SECONDS: Final = 5
PATIENCE_SECONDS: Final = 120
"""How long taking back is tried again while nobody answers."""
CONNECTION: Final = (HTTPError, OSError)


class LeaseHeld(Exception):  # noqa: N818
    """Somebody else's drill is under way. The message says whose, why, until when, and what to do."""


class NotRestored(Exception):  # noqa: N818
    """Something could not be taken back. The message says what and why, when it ends by itself, and what to do."""


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


class Hold:
    """A lease that this process holds.

    ``lost`` is set when somebody else took it: then nothing more may be changed.
    """

    def __init__(self, target: Target, api: Api, record: Record, tell: Tell) -> None:
        self._target, self._api, self._tell = target, api, tell
        self._record = record
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self.lost = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def record(self) -> Record:
        """The lease as it was last written."""
        return self._record

    def start(self) -> None:
        """Renew from now on."""
        self._renewing.start()

    def will(self, step: Step) -> None:
        """Write down a change that is about to be made.

        Raises:
            LeaseHeld: the lease is not this process's any more.
            ApiException, urllib3.exceptions.HTTPError: it could not be written down, so it must not be made.
        """
        with self._writing:
            self._write(replace(self._record, steps=(*self._record.steps, step)))

    def restore(self, patience: float = PATIENCE_SECONDS) -> list[str]:
        """Take every change back, the last one first, and give the lease up: a line a change.

        Raises:
            NotRestored: it could not be done in ``patience`` seconds.
        """
        told, end = [], time.monotonic() + patience
        try:
            while self._record.steps:
                step = self._record.steps[-1]
                done = _patiently(
                    lambda step=step: take_back(self._target, self._api, step), end, self._tell, step.what
                )
                told.append(f"{step.what}: {done}")
                with self._writing:
                    left = replace(self._record, steps=self._record.steps[:-1])
                    _patiently(lambda left=left: self._write(left), end, self._tell, "writing down what is left")
            _patiently(self._give_up, end, self._tell, "giving the lease up")
        except (ApiException, *CONNECTION, LeaseHeld) as problem:
            left_over = "; ".join(step.what for step in reversed(self._record.steps)) or "the lease itself"
            raise NotRestored(
                f"not taken back: {left_over}. Reason: {problem}. Run `otel-on-spot resume --stack "
                f"{self._target.declared.stack}` when the cluster answers; a suspension ends by itself at "
                f"{self._record.until:%H:%M:%S} UTC"
            ) from problem
        finally:
            self._ended.set()
        return told

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._writing:
                    if not self._ended.is_set():
                        self._write(self._record)
            except LeaseHeld:
                self.lost.set()
                return
            except (ApiException, *CONNECTION):
                continue  # silence, until somebody answers again

    def _write(self, wanted: Record) -> None:
        """Under ``_writing``. Somebody else's write shows as a conflict; then it is theirs, or it was ours, unheard."""
        where = path(self._target)
        try:
            written = self._api.replace(where, document(self._target, wanted, wanted.version))
        except ApiException as refused:
            if refused.status not in (CONFLICT, 404):
                raise
            now = read(self._target, self._api)
            if now is None or now.holder != wanted.holder or now.since != wanted.since:
                raise LeaseHeld(f"the lease was taken over: {now.told if now else 'it is gone'}") from None
            written = self._api.replace(where, document(self._target, wanted, now.version))
        self._record = replace(wanted, version=written["metadata"]["resourceVersion"])

    def _give_up(self) -> None:
        now = read(self._target, self._api)
        if now is not None and now.holder == self._record.holder and now.since == self._record.since:
            self._api.delete(path(self._target))


def acquire(target: Target, api: Api, *, drill: str, why: str, seconds: float, tell: Tell) -> Hold:
    """Hold the lease for a drill. What an earlier drill left is taken back first.

    Args:
        seconds: how long the drill may take; the lease's promise to everybody else.

    Raises:
        LeaseHeld: somebody's drill is under way.
        NotRestored: what an earlier drill left could not be taken back.
    """
    left = read(target, api)
    if left is not None:
        put_back(target, api, left, tell)
    now = datetime.now(UTC).replace(microsecond=0)
    wanted = Record(
        drill=drill,
        holder=myself(),
        why=why,
        since=now,
        until=now + timedelta(seconds=seconds),
        steps=(),
        version="",
    )
    try:
        made = api.create(path(target).rpartition("/")[0], document(target, wanted, ""))
    except ApiException as refused:
        if refused.status != CONFLICT:
            raise
        other = read(target, api)
        raise LeaseHeld(_held(target, other) if other else "somebody was faster: try again") from None
    hold = Hold(target, api, replace(wanted, version=made["metadata"]["resourceVersion"]), tell)
    hold.start()
    return hold


def put_back(target: Target, api: Api, left: Record, tell: Tell, *, force: bool = False) -> list[str]:
    """Take back what a drill left whose holder is gone: a line a change.

    Args:
        force: without looking whether the holder is alive.

    Raises:
        LeaseHeld: its holder is alive.
        NotRestored: it could not be done.
    """
    if not force and not abandoned(target, api, left, tell):
        raise LeaseHeld(_held(target, left))
    tell(f"putting back what was left by {left.told}")
    # From here on it is this process's: the dead holder's lease under a living one's name.
    hold = Hold(target, api, left, tell)
    with hold._writing:
        taken = replace(left, holder=myself())
        now = api.replace(path(target), document(target, taken, left.version))
        hold._record = replace(taken, version=now["metadata"]["resourceVersion"])
    hold.start()
    return hold.restore()


@contextmanager
def held(target: Target, api: Api, *, drill: str, why: str, seconds: float, tell: Tell) -> Generator[Hold]:
    """Hold the lease while a drill runs; afterwards everything is taken back, whatever happened.

    Raises:
        LeaseHeld, NotRestored: as ``acquire`` and ``Hold.restore``.
    """
    hold = acquire(target, api, drill=drill, why=why, seconds=seconds, tell=tell)
    try:
        yield hold
    finally:
        with undisturbed(tell):
            for line in hold.restore():
                tell(f"taken back: {line}")


@contextmanager
def undisturbed(tell: Tell) -> Generator[None]:
    """Ctrl-C and SIGTERM wait: a drill that is putting things back is nearly done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(_number: int, _frame: object) -> None:
        tell("putting back what the drill changed: a moment (kill -9 ends it; `resume` then does the rest)")

    before = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _patiently(act: Callable[[], Any], end: float, tell: Tell, what: str) -> Any:
    """Try again while nobody answers, or the server is not itself (status 5xx, or too many requests)."""
    waited = False
    while True:
        try:
            return act()
        except ApiException as refused:
            if not (refused.status in (0, 429) or (refused.status or 0) >= 500) or time.monotonic() > end:
                raise
            reason = f"{refused.status} {refused.reason}"
        except CONNECTION as problem:
            if time.monotonic() > end:
                raise
            reason = type(problem).__name__
        if not waited:
            tell(f"{what}: no answer ({reason}), trying again for {max(0.0, end - time.monotonic()):.0f} s")
            waited = True
        time.sleep(1.0)


def _held(target: Target, record: Record) -> str:
    return (
        f"a drill is under way: {record.told}. One drill at a time. Wait for its end, or, when you know that it is dead, run "
        f"`otel-on-spot resume --stack {target.declared.stack} --force`"
    )
