"""Names and rules that a stack's program declares, as plain values: what checks and drills compare with.

They come out of the recorded plan, so a renamed rule, tag or policy is renamed here too. Ids and account numbers of
a plan are made up: only names, actions and patterns are taken from it. What was read out of a plan is kept in the
user's cache, as long as the program, the stack's file, the recorder and the SDKs are what they were.
"""

import contextlib
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs
import yaml

from infra import demo_chart, names
from otel_on_spot.files import write_text
from otel_on_spot.kubernetes.names import APPLICATION, CAPACITY_TYPE, NODE_POOL, POOL_LABEL, cluster_tag
from otel_on_spot.program.resource_types import RELEASE

if TYPE_CHECKING:
    from otel_on_spot.plan.workloads import Workload
    from otel_on_spot.program.recording import Recording, Registration

DEMO: Final = "gitops/charts/otel-demo"
SDKS: Final = ("pulumi", "pulumi-aws", "pulumi-eks", "pulumi-kubernetes", "pydantic")
RECORDERS: Final = ("declared.py", "plan", "program", "kubernetes")
"""Modules of this package that take part in what is read out of a plan."""


@dataclass(frozen=True, kw_only=True)
class DeclaredPool:
    """A NodePool: the capacity types that it may launch, and whether its taint keeps others out."""

    capacity_types: tuple[str, ...]
    tainted: bool


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Names and rules of one stack.

    ``node_access``: aws-auth, access-entry, or both. ``controller_policies``: actions by policy name. ``rules``: event
    pattern by rule name. ``stateful``: (kind, name) of the workloads that keep data, in ``stateful_namespace``.
    ``experiment``: id of the FIS template, known from the stack's outputs alone. ``associated``: the controller's
    service account has a Pod Identity association. ``replicas``: of the demo's workloads, as Git declares them for the
    stack's environment. ``spot_requests``: (CPU in thousandths, memory in MiB) that all replicas of a workload ask
    for, of those that nothing holds to a pool or to On-Demand.
    """

    stack: str
    source: str
    cluster: str
    region: str
    node_role: str
    instance_profile: str
    node_policies: tuple[str, ...]
    node_access: tuple[str, ...]
    controller_role: str
    controller_policies: Mapping[str, tuple[str, ...]]
    identity: str
    karpenter_namespace: str
    karpenter_service_account: str
    karpenter_version: str
    interruption_queue: str
    rules: Mapping[str, Mapping[str, Any]]
    discovery_tags: Mapping[str, str]
    node_classes: tuple[str, ...]
    pools: Mapping[str, DeclaredPool]
    argocd_namespace: str
    project: str
    root_application: str
    stateful_namespace: str
    stateful: tuple[tuple[str, str], ...]
    experiment: str = ""
    associated: bool = False
    replicas: Mapping[str, int] = field(default_factory=dict)
    spot_requests: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def owned_tag(self) -> str:
        """Key of the tag that says that a resource belongs to the cluster."""
        return cluster_tag(self.cluster)


def of_stack(stack: str, root: Path) -> Declared:
    """Names and rules of a stack: kept ones where nothing changed that they come from, else out of its plan.

    Raises:
        program.stack_file.StackFileError: there is no such stack.
        plan.record.ProgramError, plan.record.PlanError: the stack's file does not make a plan.
    """
    from pydantic import TypeAdapter, ValidationError

    sources = _digest(stack, root)
    name = f"{stack}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}.json"
    file = platformdirs.user_cache_path("otel-on-spot") / "declared" / name
    adapter = TypeAdapter(tuple[str, Declared])
    try:
        kept_of, kept = adapter.validate_json(file.read_bytes())
        if kept_of == sources:
            return kept
    except (OSError, ValidationError):
        pass  # nothing is kept yet, or by another version
    from otel_on_spot.plan.record import record

    found = from_recording(record(stack, root=root), root=root)
    with contextlib.suppress(OSError):  # a home that cannot be written to costs time only
        write_text(file, adapter.dump_json((sources, found)).decode())
    return found


def _digest(stack: str, root: Path) -> str:
    """Digest of everything that the plan of a stack is made of."""
    digest = hashlib.sha256(f"{sys.version} {[metadata.version(sdk) for sdk in SDKS]}".encode())
    for file in _sources(stack, root):
        content = file.read_bytes() if file.is_file() else b""
        digest.update(f"{file} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _sources(stack: str, root: Path) -> Iterator[Path]:
    yield from (root / name for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml", "__main__.py"))
    yield from (*sorted((root / DEMO).glob("values*.yaml")), root / demo_chart.APPS)
    for part in (root / "infra", *(Path(__file__).parent / name for name in RECORDERS)):
        yield from sorted(part.rglob("*.py")) if part.is_dir() else (part,)


def from_recording(recording: "Recording", *, root: Path) -> Declared:
    """Names and rules of a recorded plan; the databases are those of the wrapper chart's values under ``root``."""
    exports = recording.exports
    stack_names = names.StackNames(cluster=exports["clusterName"], region=exports["region"])
    cluster = recording.of_type("eks:index:Cluster")[0].inputs
    mapped = [row["roleArn"].rpartition("/")[2] for row in cluster.get("roleMappings") or []]
    node_role = stack_names.role("karpenter-node")
    ways = ("aws-auth",) if node_role in mapped else ()
    if any(entry.get("type") == "EC2_LINUX" for entry in (cluster.get("accessEntries") or {}).values()):
        ways = (*ways, "access-entry")
    demo = _workloads(recording, root)
    release = next(resource.inputs for resource in _releases(recording) if resource.inputs["name"] == "karpenter")
    return Declared(
        stack=recording.stack,
        source="the plan of the stack's file",
        cluster=stack_names.cluster,
        region=stack_names.region,
        node_role=node_role,
        instance_profile=recording.of_type("aws:iam/instanceProfile:InstanceProfile")[0].inputs["name"],
        node_policies=_attached(recording, node_role),
        node_access=ways,
        controller_role=stack_names.role("karpenter-controller"),
        controller_policies={
            resource.inputs["name"]: actions(json.loads(resource.inputs["policy"]))
            for resource in recording.of_type("aws:iam/policy:Policy")
            if resource.inputs["name"].startswith(stack_names.controller_policy(""))
        },
        identity="irsa" if (release["values"]["serviceAccount"].get("annotations")) else "pod-identity",
        karpenter_namespace=release["namespace"],
        karpenter_service_account=release["values"]["serviceAccount"]["name"],
        karpenter_version=release["version"],
        interruption_queue=recording.of_type("aws:sqs/queue:Queue")[0].inputs["name"],
        rules={
            resource.inputs["name"]: json.loads(resource.inputs["eventPattern"])
            for resource in recording.of_type("aws:cloudwatch/eventRule:EventRule")
        },
        discovery_tags=stack_names.discovery_tags,
        node_classes=tuple(_object_names(recording, "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")),
        pools={
            resource.inputs["metadata"]["name"]: _pool(resource.inputs["spec"])
            for resource in recording.of_type(NODE_POOL.token)
        },
        argocd_namespace=names.ARGOCD_NAMESPACE,
        project=names.PROJECT,
        root_application=exports["rootApplication"],
        stateful_namespace=names.DEMO_NAMESPACE,
        stateful=stateful_workloads(root),
        associated=any(
            resource.inputs["serviceAccount"] == release["values"]["serviceAccount"]["name"]
            for resource in recording.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        ),
        replicas=_replicas(demo),
        spot_requests=_spot_requests(demo),
    )


def _workloads(recording: "Recording", root: Path) -> "tuple[Workload, ...]":
    """The demo's workloads by what the root Application passes to its child, over the chart's values."""
    from otel_on_spot.plan.workloads import workloads

    (root_application,) = (
        application.inputs
        for application in recording.of_type(APPLICATION.token)
        if application.inputs["metadata"]["name"] == names.PROJECT
    )
    told = yaml.safe_load(root_application["spec"]["source"]["helm"]["values"])
    child = told["applications"].get("otel-demo") or {}
    return workloads(root, told["clusterMetadata"]["environment"], child.get("values") or {})


def _replicas(found: "Iterable[Workload]") -> dict[str, int]:
    """Replicas by name. Those that run On-Demand beside others count among them: they answer the same Service."""
    counted: Counter[str] = Counter()
    for workload in found:
        counted[workload.behind or workload.name] += workload.replicas
    return dict(counted)


def _spot_requests(found: "Iterable[Workload]") -> dict[str, tuple[int, int]]:
    return {
        workload.name: (workload.replicas * workload.cpu_millis, workload.replicas * workload.memory_mib)
        for workload in found
        if not workload.node_selector.keys() & {CAPACITY_TYPE, POOL_LABEL}
    }


def _releases(recording: "Recording") -> "tuple[Registration, ...]":
    return recording.of_type(RELEASE)


def _object_names(recording: "Recording", token: str) -> list[str]:
    return [resource.inputs["metadata"]["name"] for resource in recording.of_type(token)]


def _attached(recording: "Recording", role: str) -> tuple[str, ...]:
    """Names of the policies that the program attaches to a role."""
    return tuple(
        sorted(
            resource.inputs["policyArn"].rpartition("/")[2]
            for resource in recording.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if resource.inputs["role"] == role
        )
    )


def _pool(spec: Mapping[str, Any]) -> DeclaredPool:
    template = spec["template"]["spec"]
    wanted = next(
        (requirement["values"] for requirement in template["requirements"] if requirement["key"] == CAPACITY_TYPE), ()
    )
    return DeclaredPool(capacity_types=tuple(wanted), tainted=bool(template.get("taints")))


def stateful_workloads(root: Path) -> tuple[tuple[str, str], ...]:
    """(kind, name) of the databases that the wrapper chart lists, for the demo chart that it depends on."""
    listed = demo_chart.values(root).get("stateful") or []
    return tuple((workload["kind"], workload["name"]) for workload in listed)


def actions(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Every action that the statements of a policy allow, in order."""
    found = set()
    statements = document.get("Statement") or []
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        if statement.get("Effect") == "Allow":
            given = statement.get("Action") or []
            found |= {given} if isinstance(given, str) else set(given)
    return tuple(sorted(found))
