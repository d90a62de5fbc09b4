"""Observation of a joining node: its NodeClaim, its Node, the pod and their events."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import conditions, moment
from otel_on_spot.doctor.facts_kubernetes import Condition
from otel_on_spot.drills.pods import NAMESPACE
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, EVENT, INSTANCE_TYPE, NODE, NODE_CLAIM, POD, ZONE

NOMINATED: Final = re.compile(r"nodeclaim/([a-z0-9.-]+)")
"""Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/provisioning/scheduling/events.go"""
LONGEST: Final = 300
CONSEQUENCES: Final = ("TerminationGracePeriodExpiring",)
"""Warnings that say that a NodeClaim goes, and not why."""
CLAIM_STEPS: Final = {"launched": "Launched", "registered": "Registered", "initialized": "Initialized"}


@dataclass(frozen=True, kw_only=True)
class Observation:
    """When each step was reached, by the objects' own clocks (to the second), and what they show."""

    at: Mapping[str, datetime]
    details: Mapping[str, str] = field(default_factory=dict)
    claim: str = ""
    instance: str = ""
    words: str = ""


def observe(api: Api, pod_name: str, claim_name: str) -> Observation:
    """Observe the pod's node.

    ``claim_name``: the NodeClaim that Karpenter made for the pod; empty where there is none yet.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: the server refused, or did not answer.
    """
    pod = api.get(POD.path(NAMESPACE, pod_name)) or {}
    claim = api.get(NODE_CLAIM.path(name=claim_name)) if claim_name else None
    node_name = ((claim or {}).get("status") or {}).get("nodeName") or (pod.get("spec") or {}).get("nodeName") or ""
    node = api.get(NODE.path(name=node_name)) if node_name else None
    return combine(pod, claim, node)


def combine(pod: Object, claim: Object | None, node: Object | None) -> Observation:
    """Combine what the objects show."""
    at: dict[str, datetime | None] = {}
    details: dict[str, str] = {}
    claimed = conditions(claim or {})
    if claim is not None:
        at["claimed"] = moment(claim["metadata"]["creationTimestamp"])
        details["claimed"] = claim["metadata"]["name"]
        at |= {step: _since(claimed, kind) for step, kind in CLAIM_STEPS.items()}
        details["launched"] = _instance(claim)
    if node is not None:
        at["authenticated"] = moment(node["metadata"]["creationTimestamp"])
        details["authenticated"] = node["metadata"]["name"]
        at["ready"] = _since(conditions(node), "Ready")
    if (pod.get("status") or {}).get("phase") == "Running":
        at["running"] = _since(conditions(pod), "Ready") or moment(pod["status"].get("startTime"))
        details["running"] = pod["metadata"]["name"]
    waiting = next(
        (condition for condition in claimed if condition.status != "True" and condition.type in CLAIM_STEPS.values()),
        None,
    )
    words = f"{waiting.type}={waiting.status} {waiting.reason} {waiting.message}" if waiting else ""
    return Observation(
        at={step: since for step, since in at.items() if since is not None},
        details=details,
        claim=claim["metadata"]["name"] if claim else "",
        instance=((claim or {}).get("status") or {}).get("providerID", "").rpartition("/")[2],
        words=" ".join(words.split())[:LONGEST],
    )


def _since(found: tuple[Condition, ...], kind: str) -> datetime | None:
    return next((condition.since for condition in found if condition.type == kind and condition.status == "True"), None)


def _instance(claim: Object) -> str:
    labels = claim["metadata"].get("labels") or {}
    wanted = (INSTANCE_TYPE, ZONE, CAPACITY_TYPE)
    identity = ((claim.get("status") or {}).get("providerID") or "").rpartition("/")[2]
    return " ".join(filter(None, [identity, *(labels.get(key, "") for key in wanted)]))


def nominated(api: Api, pod_uid: str, namespace: str = NAMESPACE) -> tuple[str, ...]:
    """NodeClaims that Karpenter's events name for the pod, the newest last: nobody else's claim is taken for it."""
    events = sorted(_events(api, namespace, involvedObject_uid=pod_uid), key=_when)
    names = [match[1] for event in events if (match := NOMINATED.search(event.get("message") or ""))]
    return tuple(dict.fromkeys(names))


def words(api: Api, uid: str, claims: tuple[str, ...], namespace: str = NAMESPACE) -> str:
    """The newest warning about the last NodeClaim, else about the pod, or another object; empty where there is none.

    Args:
        api: the API server.
        uid: of the pod or the object.
        claims: NodeClaims that were made for it.
        namespace: of the pod or the object; those of NodeClaims are in the default one.
    """
    looks = [(namespace, {"involvedObject_uid": uid})]
    for inside, selected in [(NAMESPACE, {"involvedObject_name": claims[-1]}), *looks] if claims else looks:
        warnings = [
            event
            for event in _events(api, inside, **selected)
            if event.get("type") == "Warning" and event["reason"] not in CONSEQUENCES
        ]
        if warnings:
            last = max(warnings, key=_when)
            return " ".join(f"{last['reason']}: {last.get('message', '')}".split())[:LONGEST]
    return ""


def _events(api: Api, namespace: str, **fields: str) -> list[Object]:
    selector = ",".join(f"{key.replace('_', '.')}={value}" for key, value in fields.items())
    return list(api.list(EVENT.path(namespace), fieldSelector=selector))


def _when(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
