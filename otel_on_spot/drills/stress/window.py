"""The deny window that suspends automatic sync: it begins now, and Argo CD itself ends it when the lease ends."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from otel_on_spot.drills.lease import Lease

SLACK: Final = timedelta(minutes=1)
"""Time by which the window begins before this minute: the clock of Argo CD's node may be behind ours."""
OURS: Final = "otel-on-spot drill "
"""Beginning of the description of a drill's window."""
UNTIL: Final = re.compile(r"\buntil=(\S+)")


def deny(lease: Lease, now: datetime) -> dict[str, Any]:
    """The entry of an AppProject's ``syncWindows``, for every Application of it; syncs by hand stay possible.

    Its schedule names one minute of one day, so it comes again next year: who makes it removes it. It begins now
    and ends when the lease does, to the second.
    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/
    """
    start = now.astimezone(UTC).replace(second=0, microsecond=0) - SLACK
    until = lease.until.astimezone(UTC)
    seconds = max(1, int((until - start).total_seconds()))
    why = f" ({lease.why})" if lease.why else ""
    return {
        "kind": "deny",
        "schedule": f"{start.minute} {start.hour} {start.day} {start.month} *",
        "duration": f"{seconds}s",
        "timeZone": "UTC",
        "applications": ["*"],
        "manualSync": True,
        "description": f"{OURS}{lease.drill} by {lease.holder}{why} until={until:%Y-%m-%dT%H:%M:%SZ}",
    }


def is_over(window: Mapping[str, Any], now: datetime) -> bool:
    """True for a window of a drill whose promised end is over."""
    description = str(window.get("description") or "")
    promised = UNTIL.search(description)
    if window.get("kind") != "deny" or not description.startswith(OURS) or promised is None:
        return False
    try:
        return datetime.fromisoformat(promised[1]) <= now
    except (ValueError, TypeError):
        return False
