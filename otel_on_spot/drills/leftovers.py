"""Leftovers of interrupted drills: the lease with everything in it, and windows whose lease is gone."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_on_spot.drills.lease import put_back, read
from otel_on_spot.drills.stress.window import is_over
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import change_windows
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import PROJECT
from otel_on_spot.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping


def clean_up(target: Target, api: Api, log: Log, *, force: bool = False) -> list[str]:
    """Put back what is left: a line a thing; none where nothing was.

    A Deployment that is still scaled up though nothing says so is Argo CD's to put back: automatic sync is on again.

    Args:
        target: the platform.
        api: its API server.
        log: gets a line for each thing that happens.
        force: without looking whether the drill's holder is alive.

    Raises:
        LeaseHeldError: a drill is under way.
        NotRestoredError: something could not be put back.
        ApiException, urllib3.exceptions.HTTPError: the windows could not be read or written.
    """
    left = read(target, api)
    if left is None:
        return remove_ended_windows(target, api)
    lines = put_back(target, api, left, log, force=force)
    return [*lines, f"the lease of {left.summary}: gone", *remove_ended_windows(target, api)]


def remove_ended_windows(target: Target, api: Api) -> list[str]:
    """Remove windows of drills that are over: a line each. Theirs is a minute of one day, which comes again next year.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: they could not be read or written.
    """
    now = datetime.now(UTC)
    over: list[Mapping[str, Any]] = []

    def without(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        over[:] = [window for window in windows if is_over(window, now)]
        return [window for window in windows if not is_over(window, now)]

    path = PROJECT.path(target.declared.argocd_namespace, target.declared.project)
    change_windows(api, path, without)
    return [
        f"deny window {window['schedule']} for {window['duration']} of an earlier drill: removed" for window in over
    ]
