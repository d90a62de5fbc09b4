"""Facts of Karpenter: its controller, its CRDs, node classes, pools and claims."""

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors.cluster_facts import conditions, moment
from otel_on_spot.doctor.facts_kubernetes import Controller, CustomKinds, NodeClaim, NodeClass, NodePool
from otel_on_spot.drills.kubernetes_api import METADATA_ONLY, Api, Object
from otel_on_spot.kubernetes.names import (
    APP_NAME,
    APP_VERSION,
    CAPACITY_TYPE,
    DEFINITION,
    DEPLOYMENT,
    KARPENTER_KINDS,
    POOL_LABEL,
    ROLE_ANNOTATION,
    SECRET,
    SERVICE_ACCOUNT,
)

KARPENTER_CRDS: Final = frozenset(kind.crd for kind in KARPENTER_KINDS)
RELEASE_NAME: Final = "meta.helm.sh/release-name"


def controllers(api: Api, declared: Declared) -> tuple[Controller, ...]:
    """Karpenter's Deployment, by the chart's label."""
    found = api.list(
        DEPLOYMENT.path(declared.karpenter_namespace),
        labelSelector=f"{APP_NAME}=karpenter",
    )
    return tuple(_controller(api, one) for one in found)


def _controller(api: Api, thing: Object) -> Controller:
    metadata, spec = thing["metadata"], thing["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    account_name = pod.get("serviceAccountName") or "default"
    account = api.get(SERVICE_ACCOUNT.path(metadata["namespace"], account_name)) or {}
    annotations = (account.get("metadata") or {}).get("annotations") or {}
    return Controller(
        namespace=metadata["namespace"],
        name=metadata["name"],
        image=container["image"],
        version_label=(metadata.get("labels") or {}).get(APP_VERSION) or "",
        replicas=spec.get("replicas", 1),
        available=(thing.get("status") or {}).get("availableReplicas") or 0,
        environment={one["name"]: one["value"] for one in container.get("env") or [] if "value" in one},
        service_account=account_name,
        service_account_role=annotations.get(ROLE_ANNOTATION) or "",
    )


def custom_kinds(api: Api) -> CustomKinds:
    """Karpenter's CRDs, and the chart versions of the releases that own them.

    A chart version is in the record that Helm keeps of a release, in a Secret.
    Source: https://helm.sh/docs/topics/advanced/#storage-backends
    """
    path = DEFINITION.path()
    found = {
        one["metadata"]["name"]: one["metadata"]
        for one in api.list(path, METADATA_ONLY)
        if one["metadata"]["name"] in KARPENTER_CRDS
    }
    release_of = {
        name: f"{notes.get('meta.helm.sh/release-namespace', '')}/{notes[RELEASE_NAME]}"
        for name, metadata in found.items()
        if RELEASE_NAME in (notes := metadata.get("annotations") or {})
    }
    versions = {release: _chart_version(api, *release.split("/", 1)) for release in sorted(set(release_of.values()))}
    return CustomKinds(
        established={name: _served(api, name) for name in found},
        release_of=release_of,
        chart_versions={release: version for release, version in versions.items() if version},
    )


def _served(api: Api, name: str) -> bool:
    plural, _, group = name.partition(".")
    resources = (api.get(f"/apis/{group}/v1") or {}).get("resources") or []
    return any(one["name"] == plural for one in resources)


def _chart_version(api: Api, namespace: str, release: str) -> str:
    selector = f"owner=helm,name={release},status=deployed"
    try:
        records = list(api.list(SECRET.path(namespace), labelSelector=selector))
    except ApiException as refused:
        if refused.status != 403:
            raise
        records = []  # who may not read Secrets does not learn the version; the verdict says so
    if not records:
        return ""
    newest = max(records, key=lambda one: int((one["metadata"].get("labels") or {}).get("version") or 0))
    packed = base64.b64decode(base64.b64decode(newest["data"]["release"]))
    return str(json.loads(gzip.decompress(packed))["chart"]["metadata"]["version"])


def node_classes(things: Iterable[Object]) -> tuple[NodeClass, ...]:
    """Every EC2NodeClass."""
    return tuple(
        NodeClass(
            name=one["metadata"]["name"],
            instance_profile=one["spec"].get("instanceProfile") or "",
            role=one["spec"].get("role") or "",
            subnet_terms=tuple(one["spec"].get("subnetSelectorTerms") or ()),
            group_terms=tuple(one["spec"].get("securityGroupSelectorTerms") or ()),
            conditions=conditions(one),
        )
        for one in things
    )


def node_pools(things: Iterable[Object]) -> tuple[NodePool, ...]:
    """Every NodePool."""

    def capacity_types(spec: Object) -> tuple[str, ...]:
        wanted = spec["template"]["spec"].get("requirements") or ()
        return next((tuple(one.get("values") or ()) for one in wanted if one["key"] == CAPACITY_TYPE), ())

    return tuple(
        NodePool(
            name=one["metadata"]["name"],
            limits={key: str(value) for key, value in (one["spec"].get("limits") or {}).items()},
            used={key: str(value) for key, value in ((one.get("status") or {}).get("resources") or {}).items()},
            capacity_types=capacity_types(one["spec"]),
            conditions=conditions(one),
        )
        for one in things
    )


def node_claims(things: Iterable[Object]) -> tuple[NodeClaim, ...]:
    """Every NodeClaim."""
    found = []
    for one in things:
        status, metadata = one.get("status") or {}, one["metadata"]
        created = moment(metadata["creationTimestamp"])
        assert created is not None
        found.append(
            NodeClaim(
                name=metadata["name"],
                pool=(metadata.get("labels") or {}).get(POOL_LABEL) or "",
                instance_id=(status.get("providerID") or "").rpartition("/")[2],
                node=status.get("nodeName") or "",
                created_at=created,
                conditions=conditions(one),
            )
        )
    return tuple(found)
