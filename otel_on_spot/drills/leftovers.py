"""What interrupted drills left: the lease with everything in it, and windows whose lease is gone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from otel_on_spot.drills.holding import put_back
from otel_on_spot.drills.kubernetes_api import Api
from otel_on_spot.drills.lease import read
from otel_on_spot.drills.stress.window import ended
from otel_on_spot.drills.timeline import Tell
from otel_on_spot.drills.undo import change_windows
from otel_on_spot.kubernetes.names import PROJECT
from otel_on_spot.target import Target


def clean_up(target: Target, api: Api, tell: Tell, *, force: bool = False) -> list[str]:
    """Put back what is left: a line a thing; none where nothing was.

    A Deployment that is still scaled up though nothing says so is Argo CD's to put back: automatic sync is on again.

    Args:
        force: without looking whether the drill's holder is alive.

    Raises:
        LeaseHeld: a drill is under way.
        NotRestored: something could not be put back.
        ApiException, urllib3.exceptions.HTTPError: the windows could not be read or written.
    """
    left = read(target, api)
    told = [] if left is None else [*put_back(target, api, left, tell, force=force), f"the lease of {left.told}: gone"]
    return [*told, *remove_ended_windows(target, api)]


def remove_ended_windows(target: Target, api: Api) -> list[str]:
    """Remove windows of drills that are over: a line each. Theirs is a minute of one day, which comes again next year.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: they could not be read or written.
    """
    now = datetime.now(UTC)
    over: list[Mapping[str, Any]] = []

    def without(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        over[:] = [one for one in windows if ended(one, now)]
        return [one for one in windows if not ended(one, now)]

    place = PROJECT.path(target.declared.argocd_namespace, target.declared.project)
    change_windows(api, place, without)
    return [f"deny window {one['schedule']} for {one['duration']} of an earlier drill: removed" for one in over]
