"""What the objects on a node's way say: NodeClaim, Node, pod and their events."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import conditions, moment
from otel_on_spot.doctor.facts_kubernetes import Condition
from otel_on_spot.drills.kubernetes_api import Api, Object
from otel_on_spot.drills.node_join.pod import NAMESPACE
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, EVENT, INSTANCE_TYPE, NODE, NODE_CLAIM, POD, ZONE

NOMINATED: Final = re.compile(r"nodeclaim/([a-z0-9.-]+)")
"""Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.1/pkg/controllers/provisioning/scheduling/events.go"""
LONGEST: Final = 300
CONSEQUENCES: Final = ("TerminationGracePeriodExpiring",)
"""Warnings that say that a NodeClaim goes, and not why."""
CLAIM_STEPS: Final = {"launched": "Launched", "registered": "Registered", "initialized": "Initialized"}


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One look: when each step was reached, by the objects' own clocks (to the second), and what they show."""

    at: Mapping[str, datetime]
    details: Mapping[str, str] = field(default_factory=dict)
    claim: str = ""
    instance: str = ""
    words: str = ""


def look(api: Api, pod_name: str, claim_name: str) -> CheckResult:
    """How far the pod's node is.

    Args:
        claim_name: the NodeClaim that Karpenter made for the pod; empty where there is none yet.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: the server refused, or did not answer.
    """
    pod = api.get(POD.path(NAMESPACE, pod_name)) or {}
    claim = api.get(NODE_CLAIM.path(name=claim_name)) if claim_name else None
    node_name = ((claim or {}).get("status") or {}).get("nodeName") or (pod.get("spec") or {}).get("nodeName") or ""
    node = api.get(NODE.path(name=node_name)) if node_name else None
    return judge(pod, claim, node)


def judge(pod: Object, claim: Object | None, node: Object | None) -> CheckResult:
    """What the objects say together."""
    at: dict[str, datetime | None] = {}
    details: dict[str, str] = {}
    told = conditions(claim or {})
    if claim is not None:
        at["claimed"] = moment(claim["metadata"]["creationTimestamp"])
        details["claimed"] = claim["metadata"]["name"]
        at |= {step: _since(told, kind) for step, kind in CLAIM_STEPS.items()}
        details["launched"] = _instance(claim)
    if node is not None:
        at["authenticated"] = moment(node["metadata"]["creationTimestamp"])
        details["authenticated"] = node["metadata"]["name"]
        at["ready"] = _since(conditions(node), "Ready")
    if (pod.get("status") or {}).get("phase") == "Running":
        at["running"] = _since(conditions(pod), "Ready") or moment(pod["status"].get("startTime"))
        details["running"] = pod["metadata"]["name"]
    waiting = next((one for one in told if one.status != "True" and one.type in CLAIM_STEPS.values()), None)
    words = f"{waiting.type}={waiting.status} {waiting.reason} {waiting.message}" if waiting else ""
    return CheckResult(
        at={step: since for step, since in at.items() if since is not None},
        details=details,
        claim=claim["metadata"]["name"] if claim else "",
        instance=((claim or {}).get("status") or {}).get("providerID", "").rpartition("/")[2],
        words=" ".join(words.split())[:LONGEST],
    )


def _since(told: tuple[Condition, ...], kind: str) -> datetime | None:
    return next((one.since for one in told if one.type == kind and one.status == "True"), None)


def _instance(claim: Object) -> str:
    labels = claim["metadata"].get("labels") or {}
    wanted = (INSTANCE_TYPE, ZONE, CAPACITY_TYPE)
    identity = ((claim.get("status") or {}).get("providerID") or "").rpartition("/")[2]
    return " ".join(filter(None, [identity, *(labels.get(key, "") for key in wanted)]))


def nominated(api: Api, pod_uid: str) -> tuple[str, ...]:
    """NodeClaims that Karpenter said it made for the pod, the newest last: by its events, so nobody else's claim is taken for it."""
    found = sorted(_events(api, involvedObject_uid=pod_uid), key=_when)
    names = [match[1] for one in found if (match := NOMINATED.search(one.get("message") or ""))]
    return tuple(dict.fromkeys(names))


def words(api: Api, pod_uid: str, claims: tuple[str, ...]) -> str:
    """What the events of the last NodeClaim say, else those of the pod: the newest warning; empty where there is none."""
    for given in ({"involvedObject_name": claims[-1]} if claims else {}, {"involvedObject_uid": pod_uid}):
        found = (
            [one for one in _events(api, **given) if one.get("type") == "Warning" and one["reason"] not in CONSEQUENCES]
            if given
            else []
        )
        if found:
            last = max(found, key=_when)
            return " ".join(f"{last['reason']}: {last.get('message', '')}".split())[:LONGEST]
    return ""


def _events(api: Api, **given: str) -> list[Object]:
    selector = ",".join(f"{key.replace('_', '.')}={value}" for key, value in given.items())
    return list(api.list(EVENT.path(NAMESPACE), fieldSelector=selector))


def _when(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
