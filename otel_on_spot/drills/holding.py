"""Holding the lease: renewed while a drill runs, each change written into it before it is made, all taken back at the end.

So whatever a drill left, however it died, the next command finds it in the lease.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.kubernetes_api import Api
from otel_on_spot.drills.lease import Record, abandoned, document, myself, path, read
from otel_on_spot.drills.patience import CONNECTION, REFUSED, in_words, patiently, undisturbed, whoever_listens
from otel_on_spot.drills.timeline import Tell
from otel_on_spot.drills.undo import CONFLICT, Step, take_back
from otel_on_spot.errors import EXIT_FINDINGS, ToolError
from otel_on_spot.target import Target

RENEW_SECONDS: Final = 5
PATIENCE_SECONDS: Final = 120
"""How long taking back is tried again while nobody answers."""


class LeaseHeld(ToolError):  # noqa: N818
    """Somebody else's drill is under way. The message says whose, why, until when, and what to do."""


class NotRestored(ToolError):  # noqa: N818
    """Something could not be taken back. The message says what and why, when it ends by itself, and what to do."""

    exit_code = EXIT_FINDINGS


class Hold:
    """A lease that this process holds.

    ``lost`` is set when somebody else took it: then nothing more may be changed.
    """

    def __init__(self, target: Target, api: Api, record: Record, tell: Tell) -> None:
        self._target, self._api, self._tell = target, api, whoever_listens(tell)
        self._record = record
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self.lost = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def record(self) -> Record:
        """The lease as it was last written."""
        return self._record

    @property
    def restored(self) -> bool:
        """Whether nothing is left to take back."""
        return not self._record.steps

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
        """Take every change back, the last one first, and give the lease up: a line a change, told as it is done.

        What somebody refuses is left in the lease, and the changes before it are taken back all the same: Argo CD undoes a scale
        as soon as it may. Where the lease is somebody else's by now, that one puts things back, and nothing is touched here.

        Raises:
            NotRestored: it could not be done in ``patience`` seconds, or was refused.
        """
        told, end = [], time.monotonic() + patience
        refused: list[tuple[Step, Exception]] = []
        try:
            for step in reversed(self._record.steps):
                patiently(self._mine, end, self._tell, "asking whose the lease is")
                try:
                    done = patiently(
                        lambda step=step: take_back(self._target, self._api, step), end, self._tell, step.what
                    )
                except REFUSED as problem:
                    refused.append((step, problem))
                    continue
                told.append(f"{step.what}: {done}")
                self._tell(f"taken back: {told[-1]}")
                patiently(lambda step=step: self._without(step), end, self._tell, "writing down what is left")
            if refused:
                raise self._not_restored(refused[0][1]) from refused[0][1]
            patiently(self._give_up, end, self._tell, "giving the lease up")
        except LeaseHeld as problem:
            raise NotRestored(f"{problem}. It puts back what is left: {self._left()}") from problem
        except (*REFUSED, *CONNECTION) as problem:
            raise self._not_restored(problem) from problem
        finally:
            self._ended.set()
        return told

    def _not_restored(self, problem: Exception) -> NotRestored:
        return NotRestored(
            f"not taken back: {self._left()}. Reason: {in_words(problem)}. Run `otel-on-spot drill restore --stack "
            f"{self._target.declared.stack}` when the cluster answers; a suspension ends by itself at "
            f"{self._record.until:%H:%M:%S} UTC"
        )

    def _left(self) -> str:
        return "; ".join(step.what for step in reversed(self._record.steps)) or "the lease itself"

    def _mine(self) -> None:
        with self._writing:
            self._write(self._record)

    def _without(self, step: Step) -> None:
        with self._writing:
            self._write(replace(self._record, steps=tuple(one for one in self._record.steps if one != step)))

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._writing:
                    if not self._ended.is_set():
                        self._write(self._record)
            except LeaseHeld:
                self.lost.set()
                return
            except (*REFUSED, *CONNECTION):
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
    tell(f"lease held: {hold.record.told}")
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
        try:
            now = api.replace(path(target), document(target, taken, left.version))
        except ApiException as refused:
            if refused.status not in (CONFLICT, 404):
                raise
            other = read(target, api)
            raise LeaseHeld(_held(target, other) if other else "somebody else put it back: try again") from None
        hold._record = replace(taken, version=now["metadata"]["resourceVersion"])
    hold.start()
    with undisturbed(tell):
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
        with undisturbed(whoever_listens(tell)):
            hold.restore()


def _held(target: Target, record: Record) -> str:
    return (
        f"a drill is under way: {record.told}. One drill at a time. Wait for its end, or, when you know that it is dead, run "
        f"`otel-on-spot drill restore --stack {target.declared.stack} --force`"
    )
