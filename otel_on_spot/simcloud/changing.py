"""An update through the second door: what is there already is read, compared with what is wanted, and changed in place."""

import threading
from collections.abc import Iterable, Mapping

from otel_on_spot.simcloud.handler import Handler, Site
from otel_on_spot.simcloud.operations import Subject
from otel_on_spot.simcloud.properties import DEFAULTS, Properties
from otel_on_spot.simcloud.refusal import Refusal


def ignoring(paths: Iterable[str], old: Properties, new: Properties) -> Properties:
    """The inputs wanted, with the old value (or none) under each path of ``ignoreChanges``."""
    kept = dict(new)
    for path in paths:
        key, _, rest = path.partition(".")
        if not rest:
            kept.pop(key, None)
            kept |= {key: old[key]} if key in old else {}
        elif isinstance(kept.get(key), Mapping):
            before = old.get(key)
            kept[key] = ignoring([rest], dict(before) if isinstance(before, Mapping) else {}, dict(kept[key]))
    return kept


def refreshed(handler: Handler, site: Site, subject: Subject, identity: str, state: Properties) -> Properties | None:
    """The resource as the cloud has it now; None where it is gone."""
    return handler.do_read(site, subject, identity, state, threading.Event())


def changed(
    handler: Handler,
    site: Site,
    subject: Subject,
    identity: str,
    state: Properties,
    old: Properties,
    new: Properties,
    timeout: float,
) -> Properties:
    """The resource as wanted: its outputs after an update in place, or as they are where nothing differs.

    Raises:
        Refusal: the change makes a new resource. The real engine plans what must go with the old one; this door does not.
    """
    difference = handler.difference(state, old, new, site)
    if difference.replaces:
        raise Refusal(
            "Replacement",
            f"{', '.join(difference.replaces)} cannot change in place, and replacing a resource needs the real engine: "
            "put the pulumi CLI on PATH, or destroy and apply anew",
        )
    if not difference.paths:
        return state
    outputs = handler.do_update(site, subject, identity, state, old, new, timeout, threading.Event())
    return {key: value for key, value in outputs.items() if key != DEFAULTS}
