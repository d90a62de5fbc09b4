"""The watch over Applications while Argo CD's version changes: what each said, and whether it was synced."""

from typing import Any, Final

from otel_on_spot.drills.stress.preconditions import sync_of
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.drills.upgrade.argocd_verdicts import Astray
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import APPLICATION, APPLICATION_SET, CONFIG_MAP, PROJECT

KINDS: Final = (APPLICATION, APPLICATION_SET, PROJECT)
"""Kinds that Argo CD brings the CRDs of."""
MARKER: Final = "argocd-cm"
"""ConfigMap that the chart labels with Argo CD's version.

Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.9.5/charts/argo-cd/templates/_common.tpl (argo-cd.labels)
"""
BROKEN: Final = ("Degraded", "Missing", "Suspended")
"""States of health in which an Application is not whole.

Progressing is not: a pod of it may boot elsewhere. Nor is Unknown: nobody has looked yet.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
"""


def marker_path(namespace: str) -> str:
    """API path of the object that says Argo CD's version."""
    return CONFIG_MAP.path(namespace, MARKER)


def specs(api: Api, namespace: str) -> dict[str, Any]:
    """Spec of each Application and AppProject, by its name in words; a drill's deny window is no part of it."""
    found = {}
    for kind in (APPLICATION, PROJECT):
        for thing in api.list(kind.path(namespace)):
            spec = {key: value for key, value in thing["spec"].items() if key != "syncWindows"}
            found[f"{kind.kind} {thing['metadata']['name']}"] = spec
    return found


def health_of(application: Object) -> str:
    """``Healthy``, ``Progressing``, ``Degraded``, ...; ``Unknown`` where it does not say."""
    return str((_status(application).get("health") or {}).get("status") or "Unknown")


def _status(application: Object) -> dict[str, Any]:
    return application.get("status") or {}


def _operation(application: Object) -> str:
    """What tells one sync from another: when the last one began."""
    return str((_status(application).get("operationState") or {}).get("startedAt") or "")


class ApplicationWatch:
    """Applications, each time they are looked at.

    ``namespace``: Argo CD's.

    Attributes:
        during: what happens at the moment, as in ``v3.5.3 to v3.6.1``.
        moving: the next version is not ready yet: what is said and done is the one's that is left.
        held: Application that differs from Git by the drill's own doing; empty where there is none.
        astray: Applications that were not Synced or not whole, each state of each move once.
        syncs: syncs that began.
    """

    def __init__(self, api: Api, namespace: str, timeline: Timeline) -> None:
        self._api, self._namespace, self._timeline = api, namespace, timeline
        self.during = ""
        self.moving = False
        self.held = ""
        self.astray: list[Astray] = []
        self.syncs: list[Astray] = []
        self._there = self._list()
        self._operations = {name: _operation(thing) for name, thing in self._there.items()}
        self._compared: dict[str, str] = {}
        self.count = len(self._there)

    def _list(self) -> dict[str, Object]:
        return {thing["metadata"]["name"]: thing for thing in self._api.list(APPLICATION.path(self._namespace))}

    def look(self) -> None:
        """Look once."""
        now = self._list()
        for name in self._operations.keys() - now.keys():
            self._note(name, "it is gone", early=False)
        for name, application in now.items():
            sync, health, operation = sync_of(application), health_of(application), _operation(application)
            if name != self.held:
                early = self.moving or self._compared.get(name) == _moment(application)
                if sync == "OutOfSync":
                    self._note(name, f"OutOfSync{_differing(application)}", early=early)
                if health in BROKEN:
                    self._note(name, health, early=early)
            if operation != self._operations.get(name, ""):
                self._operations[name] = operation
                seen = f"a sync began at {operation}"
                self.syncs.append(Astray(application=name, seen=seen, during=self.during, early=self.moving))
                self._timeline.add("synced", f"Application {name}")
        self._there = now

    def _note(self, name: str, seen: str, *, early: bool) -> None:
        astray = Astray(application=name, seen=seen, during=self.during, early=early)
        if astray not in self.astray:
            self.astray.append(astray)
            self._timeline.add("astray", f"Application {name}: {seen}")

    def expect(self) -> None:
        """From now on, wait for comparisons with Git that are newer than those that are there."""
        self._there = self._list()
        self._compared = {name: _moment(thing) for name, thing in self._there.items()}

    @property
    def behind(self) -> tuple[str, ...]:
        """Applications that were not compared since, or are not Synced and Healthy yet, at the last look."""
        return tuple(
            name
            for name, before in sorted(self._compared.items())
            if name not in self._there or _moment(self._there[name]) == before or not self._is_well(self._there[name])
        )

    def _is_well(self, application: Object) -> bool:
        """Synced and Healthy; the one that the drill changed is OutOfSync."""
        if application["metadata"]["name"] == self.held:
            return sync_of(application) == "OutOfSync"
        return (sync_of(application), health_of(application)) == ("Synced", "Healthy")


def _moment(application: Object) -> str:
    return str(_status(application).get("reconciledAt") or "")


def _differing(application: Object) -> str:
    """What of it differs, in words."""
    resources = [
        f"{resource.get('kind')} {resource.get('namespace', '')}/{resource.get('name')}"
        for resource in _status(application).get("resources") or ()
        if resource.get("status") == "OutOfSync"
    ]
    return f" by {', '.join(resources)}" if resources else ""
