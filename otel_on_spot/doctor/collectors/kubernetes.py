"""Facts of the cluster: what its API server answers, each kind asked for once."""

import base64
import gzip
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import yaml
from kubernetes.client.exceptions import ApiException
from pydantic import ValidationError

from otel_on_spot.declared import Declared
from otel_on_spot.doctor import facts_kubernetes as facts
from otel_on_spot.doctor.fact import parse, parse_all
from otel_on_spot.drill_lease import lease_path
from otel_on_spot.errors import first_problem
from otel_on_spot.kubernetes.client import METADATA_ONLY, Api, Object
from otel_on_spot.kubernetes.names import (
    APP_NAME,
    APPLICATION,
    CONFIG_MAP,
    DEFINITION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    EVENT,
    KARPENTER_KINDS,
    MUTATING_WEBHOOKS,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_CLASS,
    NODE_POOL,
    PERSISTENT_VOLUME,
    POD,
    PROJECT,
    ROLE_ANNOTATION,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_NAME,
    VALIDATING_WEBHOOKS,
    Kind,
)

FACTS: Final = {
    NODE_POOL: facts.NodePool,
    NODE_CLAIM: facts.NodeClaim,
    NODE_CLASS: facts.NodeClass,
    PROJECT: facts.Project,
    NODE: facts.Node,
    PERSISTENT_VOLUME: facts.PersistentVolume,
}
"""Facts of the kinds that are asked for once, whole."""
SHARED: Final = (*FACTS, APPLICATION, NAMESPACE)
ENDED: Final = ("Succeeded", "Failed")
KARPENTER_CRDS: Final = frozenset(kind.crd for kind in KARPENTER_KINDS)
RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"
LAST_CHANGE: Final = "endpoints.kubernetes.io/last-change-trigger-time"
"""Annotation of an EndpointSlice: when the pod or Service changed that it was last written for.

Source: https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/api/core/v1/annotation_key_constants.go
"""
SELF_HEAL_SECONDS: Final = 5.0
"""Argo CD waits that long before it heals again.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-application-controller/
"""


class SharedLists:
    """The objects of a kind; whoever asks second waits for the first one's answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._locks: defaultdict[Kind, threading.Lock] = defaultdict(threading.Lock)
        self._known: dict[Kind, list[Object]] = {}

    def of(self, kind: Kind, *, again: bool = False) -> list[Object]:
        """Objects of a kind; none where the API server does not serve it. ``again``: as they are now, for all."""
        with self._locks[kind]:
            if again or kind not in self._known:
                self._known[kind] = list(self._api.list(kind.path()))
            return self._known[kind]

    def parsed(self, kind: Kind) -> tuple[Any, ...]:
        """Facts of a kind of ``FACTS``."""
        return parse_all(FACTS[kind], self.of(kind))

    def terminating(self) -> tuple[facts.Terminating, ...]:
        """Objects of the shared kinds whose deletion was asked for."""
        return tuple(
            terminating(thing, kind.kind)
            for kind in SHARED
            for thing in self.of(kind)
            if thing["metadata"].get("deletionTimestamp")
        )


def moment(text: str | None) -> datetime | None:
    """A time of the Kubernetes API."""
    return datetime.fromisoformat(text) if text else None


def conditions(thing: Object) -> tuple[facts.Condition, ...]:
    """Status conditions of an object."""
    return parse_all(facts.Condition, (thing.get("status") or {}).get("conditions") or ())


def terminating(thing: Object, kind: str) -> facts.Terminating:
    """An object whose deletion was asked for. A namespace's own finalizers are in its spec."""
    found = parse(facts.Terminating, {"kind": kind, **thing})
    own = (thing.get("spec") or {}).get("finalizers") or () if kind == NAMESPACE.kind else ()
    return replace(found, finalizers=(*found.finalizers, *own))


def aws_auth(api: Api) -> tuple[facts.AwsAuth, ...]:
    """The ``aws-auth`` ConfigMap, where there is one."""
    found = api.get(CONFIG_MAP.path("kube-system", "aws-auth"))
    return () if found is None else (_aws_auth((found.get("data") or {}).get("mapRoles") or ""),)


def _aws_auth(text: str) -> facts.AwsAuth:
    try:
        return facts.AwsAuth(mappings=parse_all(facts.RoleMapping, yaml.safe_load(text) or ()))
    except ValidationError as problem:
        return facts.AwsAuth(mappings=(), problem=first_problem(problem, "an entry")[:160])
    except (yaml.YAMLError, TypeError) as problem:
        return facts.AwsAuth(mappings=(), problem=" ".join(f"{type(problem).__name__}: {problem}".split())[:160])


def pods(api: Api, **query: str) -> tuple[facts.Pod, ...]:
    """Every pod that has not ended. ``query``: ``fieldSelector`` and the like."""
    found = api.list(POD.path(), **query)
    return parse_all(facts.Pod, (pod for pod in found if (pod.get("status") or {}).get("phase") not in ENDED))


def budgets(api: Api) -> tuple[facts.Budget, ...]:
    """Every PodDisruptionBudget."""
    return parse_all(facts.Budget, api.list(DISRUPTION_BUDGET.path()))


def services(api: Api) -> tuple[facts.Service, ...]:
    """Every Service."""
    return parse_all(facts.Service, api.list(SERVICE.path()))


def webhooks(api: Api) -> tuple[facts.Webhook, ...]:
    """Webhooks that refuse what they do not answer, with the endpoints of their Services."""
    called = [
        (configuration["metadata"]["name"], webhook["name"], webhook["clientConfig"]["service"])
        for kind in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS)
        for configuration in api.list(kind.path())
        for webhook in configuration.get("webhooks") or ()
        if webhook.get("failurePolicy", "Fail") == "Fail" and webhook["clientConfig"].get("service")
    ]
    asked = {(service["namespace"], service["name"]) for _, _, service in called}
    known = {who: _endpoints(api, *who) for who in sorted(asked)}
    return tuple(
        facts.Webhook(
            configuration=configuration,
            name=name,
            namespace=service["namespace"],
            service=service["name"],
            endpoints=known[service["namespace"], service["name"]][0],
            changed_at=known[service["namespace"], service["name"]][1],
        )
        for configuration, name, service in called
    )


def _endpoints(api: Api, namespace: str, service: str) -> tuple[int | None, datetime | None]:
    """Number of a Service's ready endpoints, and when they last changed; None where there is no such Service."""
    found = api.get(SERVICE.path(namespace, service))
    if found is None:
        return None, None
    slices = list(api.list(ENDPOINT_SLICE.path(namespace), labelSelector=f"{SERVICE_NAME}={service}"))
    ready = [
        endpoint
        for part in slices
        for endpoint in part.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
    ]
    times = [(part["metadata"].get("annotations") or {}).get(LAST_CHANGE) for part in slices]
    return len(ready), moment(max(filter(None, times), default=found["metadata"].get("creationTimestamp")))


def claim_events(api: Api) -> tuple[facts.ClaimEvent, ...]:
    """Events of NodeClaims, also of those that are gone."""
    return parse_all(facts.ClaimEvent, api.list(EVENT.path(), fieldSelector=f"involvedObject.kind={NODE_CLAIM.kind}"))


def controllers(api: Api, declared: Declared) -> tuple[facts.Controller, ...]:
    """Karpenter's Deployment, by the chart's label."""
    found = api.list(
        DEPLOYMENT.path(declared.karpenter_namespace),
        labelSelector=f"{APP_NAME}=karpenter",
    )

    def with_role(controller: facts.Controller) -> facts.Controller:
        path = SERVICE_ACCOUNT.path(controller.namespace, controller.service_account)
        annotations = ((api.get(path) or {}).get("metadata") or {}).get("annotations") or {}
        return replace(controller, service_account_role=annotations.get(ROLE_ANNOTATION) or "")

    return tuple(map(with_role, parse_all(facts.Controller, found)))


def custom_kinds(api: Api) -> facts.CustomKinds:
    """Karpenter's CRDs, and the chart versions of the releases that own them.

    A chart version is in the record that Helm keeps of a release, in a Secret.
    Source: https://helm.sh/docs/topics/advanced/#storage-backends
    """
    listed = api.list(DEFINITION.path(), METADATA_ONLY)
    annotations = {
        definition["metadata"]["name"]: definition["metadata"].get("annotations") or {}
        for definition in listed
        if definition["metadata"]["name"] in KARPENTER_CRDS
    }
    release_of = {
        name: f"{notes.get(RELEASE_NAMESPACE, '')}/{notes[RELEASE_NAME]}"
        for name, notes in annotations.items()
        if RELEASE_NAME in notes
    }
    versions = {release: _chart_version(api, *release.split("/", 1)) for release in sorted(set(release_of.values()))}
    return facts.CustomKinds(
        established={name: _served(api, name) for name in annotations},
        release_of=release_of,
        chart_versions={release: version for release, version in versions.items() if version},
    )


def _served(api: Api, name: str) -> bool:
    plural, _, group = name.partition(".")
    resources = (api.get(f"/apis/{group}/v1") or {}).get("resources") or []
    return any(resource["name"] == plural for resource in resources)


def _chart_version(api: Api, namespace: str, release: str) -> str:
    selector = f"owner=helm,name={release},status=deployed"
    try:
        records = list(api.list(SECRET.path(namespace), labelSelector=selector))
    except ApiException as refused:
        if refused.status != 403:
            raise
        records = []  # who may not read Secrets does not learn the version; the check says so
    if not records:
        return ""
    newest = max(records, key=lambda secret: int((secret["metadata"].get("labels") or {}).get("version") or 0))
    packed = base64.b64decode(base64.b64decode(newest["data"]["release"]))
    return str(json.loads(gzip.decompress(packed))["chart"]["metadata"]["version"])


def applications(
    list_again: Callable[[], Iterable[Object]], sleep: Callable[[float], None] = time.sleep
) -> tuple[facts.Application, ...]:
    """Every Application; where one differs from Git and nothing syncs it, it gets the time of a self-heal."""
    found = parse_all(facts.Application, list_again())
    if any(
        application.automated and application.sync != "Synced" and application.operation != "Running"
        for application in found
    ):
        sleep(SELF_HEAL_SECONDS)
        return parse_all(facts.Application, list_again())
    return found


def drill_leases(api: Api, declared: Declared) -> tuple[facts.DrillLease, ...]:
    """The Lease of a drill, where there is one."""
    found = api.get(lease_path(declared.argocd_namespace))
    return () if found is None else (parse(facts.DrillLease, found),)
