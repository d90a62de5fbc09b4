"""The watch over NodeClaims and Karpenter's own objects while its version changes."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from otel_on_spot.doctor.collectors.kubernetes import conditions
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.drills.upgrade.verdicts import DRIFTED, Drifted, Gone
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    APP_NAME,
    APP_VERSION,
    DEFINITION,
    DEPLOYMENT,
    KARPENTER_KINDS,
    NODE_CLAIM,
    Kind,
)

HASH_VERSIONS: Final[Mapping[str, str]] = {
    "NodePool": "karpenter.sh/nodepool-hash-version",
    "EC2NodeClass": "karpenter.k8s.aws/ec2nodeclass-hash-version",
}
"""Kind -> annotation of a NodeClaim with the version of the hash that it was compared by.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/labels.go and
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/apis/v1/labels.go
"""
DISRUPTION_REASON: Final = "DisruptionReason"
"""Condition of a NodeClaim that Karpenter takes away by its own will.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodeclaim_status.go
"""


def controller(api: Api, namespace: str) -> Object | None:
    """Karpenter's Deployment; None where there is none."""
    return next(iter(api.list(DEPLOYMENT.path(namespace), labelSelector=f"{APP_NAME}=karpenter")), None)


def controller_version(api: Api, namespace: str) -> str:
    """Version on Karpenter's Deployment; empty where there is none."""
    found = controller(api, namespace)
    return str((found["metadata"].get("labels") or {}).get(APP_VERSION, "")) if found else ""


Definitions = Mapping[str, tuple[int, tuple[str, ...]]]
"""Name of a CRD -> its generation and stored versions."""


def definitions(api: Api, kinds: Collection[Kind] = KARPENTER_KINDS) -> Definitions:
    """Generation and stored versions of each CRD of these kinds that is there."""
    found = {kind.crd: api.get(DEFINITION.path(name=kind.crd)) for kind in kinds}
    return {
        name: (crd["metadata"].get("generation", 0), tuple((crd.get("status") or {}).get("storedVersions") or ()))
        for name, crd in found.items()
        if crd is not None
    }


def generations(api: Api, kinds: Collection[Kind] = KARPENTER_KINDS) -> dict[str, int]:
    """Generation of each CRD of these kinds that is there."""
    return {name: generation for name, (generation, _) in definitions(api, kinds).items()}


def newly_stored(before: Definitions, now: Definitions) -> tuple[str, ...]:
    """CRDs that keep objects in a version in which they did not before, each with it."""
    return tuple(
        f"{name} in {version}"
        for name, (_, versions) in sorted(now.items())
        for version in versions
        if name in before and version not in before[name][1]
    )


class ClaimWatch:
    """NodeClaims that were there at the start, and those that became Ready since, each time they are looked at.

    ``claims``: as they are now.
    """

    def __init__(self, api: Api, timeline: Timeline, claims: Collection[Object]) -> None:
        self._api, self._timeline = api, timeline
        self._last = {claim["metadata"]["uid"]: claim for claim in claims}
        self._drifted_before = {uid for uid, claim in self._last.items() if reason_of(claim, DRIFTED) is not None}
        self._gone: dict[str, Gone] = {}
        self._drifted: dict[str, Drifted] = {}
        self._hashes: dict[str, list[str]] = {kind: [] for kind in HASH_VERSIONS}
        self._note_hashes(claims)

    def look(self) -> Mapping[str, Object]:
        """Look once: the NodeClaims that are there now and wanted, by name."""
        now = {claim["metadata"]["uid"]: claim for claim in self._api.list(NODE_CLAIM.path())}
        for uid, claim in now.items():
            name = claim["metadata"]["name"]
            reason = reason_of(claim, DRIFTED)
            if reason is not None and uid not in self._drifted_before and uid not in self._drifted:
                self._drifted[uid] = Drifted(claim=name, reason=reason)
                self._timeline.add("drifted", f"NodeClaim {name}: {reason}")
        self._last |= {uid: claim for uid, claim in now.items() if uid not in self._last and is_ready(claim)}
        for uid, last in list(self._last.items()):
            claim = now.get(uid)
            self._last[uid] = claim or last
            if uid not in self._gone and (claim is None or claim["metadata"].get("deletionTimestamp")):
                self._gone[uid] = gone = _gone(claim or last)
                self._timeline.add("going", f"NodeClaim {gone.claim}" + (f": {gone.reason}" if gone.reason else ""))
        self._note_hashes(now.values())
        return {
            claim["metadata"]["name"]: claim for claim in now.values() if not claim["metadata"].get("deletionTimestamp")
        }

    def count(self, but: Collection[str]) -> int:
        """Number of those that were there, going or not. ``but``: names of NodeClaims that had to go."""
        return sum(claim["metadata"]["name"] not in but for claim in self._last.values())

    def gone(self, but: Collection[str]) -> tuple[Gone, ...]:
        """Those that went. ``but``: names of NodeClaims that had to."""
        return tuple(gone for gone in self._gone.values() if gone.claim not in but)

    @property
    def drifted(self) -> tuple[Drifted, ...]:
        """Those that became Drifted, whether or not they were there at the start."""
        return tuple(self._drifted.values())

    @property
    def hashes(self) -> dict[str, tuple[str, ...]]:
        """By kind, the hash versions in the order in which they came."""
        return {kind: tuple(versions) for kind, versions in self._hashes.items() if versions}

    def _note_hashes(self, claims: Collection[Object]) -> None:
        """Note a version once every NodeClaim has it."""
        for kind, annotation in HASH_VERSIONS.items():
            versions = {str((claim["metadata"].get("annotations") or {}).get(annotation, "")) for claim in claims}
            if len(versions) == 1 and "" not in versions and self._hashes[kind][-1:] != [*versions]:
                self._hashes[kind] += versions
                if len(self._hashes[kind]) > 1:
                    self._timeline.add("hashed", f"{kind} {self._hashes[kind][-2]} → {self._hashes[kind][-1]}")


def reason_of(thing: Object, condition: str) -> str | None:
    """Reason of a condition that is true; None where it is not."""
    return next(
        (found.reason for found in conditions(thing) if found.type == condition and found.status == "True"), None
    )


def is_ready(thing: Object) -> bool:
    """True where its condition Ready is."""
    return reason_of(thing, "Ready") is not None


def _gone(claim: Object) -> Gone:
    given = next((condition for condition in conditions(claim) if condition.type == DISRUPTION_REASON), None)
    return Gone(
        claim=claim["metadata"]["name"],
        node=str((claim.get("status") or {}).get("nodeName") or ""),
        reason=given.reason if given else "",
    )


def unready(api: Api) -> tuple[str, ...]:
    """NodePools and EC2NodeClasses whose condition Ready is not true."""
    return tuple(
        f"{kind.kind} {thing['metadata']['name']}"
        for kind in KARPENTER_KINDS
        if kind != NODE_CLAIM
        for thing in api.list(kind.path())
        if not is_ready(thing)
    )


def compare_pods(
    before: Collection[Object], now: Collection[Object], stays: Callable[[str], bool]
) -> tuple[int, tuple[str, ...]]:
    """Number of pods that had to stay as they were, and what became of those that did not.

    ``stays``: whether the node of this name was left alone.
    """
    later = {pod["metadata"]["uid"]: pod for pod in now}
    had_to = [pod for pod in before if _has_to_stay(pod) and stays(pod["spec"].get("nodeName", ""))]
    moved = []
    for pod in had_to:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        found = later.get(pod["metadata"]["uid"])
        if found is None or found["metadata"].get("deletionTimestamp"):
            moved.append(f"{name}: gone, or another pod is in its place")
        elif _restarts(found) > _restarts(pod):
            moved.append(f"{name}: restarted {_restarts(found) - _restarts(pod)} times")
    return len(had_to), tuple(moved)


def _has_to_stay(pod: Object) -> bool:
    """Not one that ends by itself, goes already, or is Karpenter's own."""
    owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences") or []}
    running = (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    return running and "Job" not in owners and (pod["metadata"].get("labels") or {}).get(APP_NAME) != "karpenter"


def _restarts(pod: Mapping[str, Any]) -> int:
    return sum(
        container.get("restartCount", 0) for container in (pod.get("status") or {}).get("containerStatuses") or []
    )
