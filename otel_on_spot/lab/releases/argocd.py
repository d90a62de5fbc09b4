"""Argo CD from its own manifests.

No registry of the lab has its chart, so its own manifests with the chart's configuration, and its real processes.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot.kubernetes.names import SECRET
from otel_on_spot.lab import addresses
from otel_on_spot.lab.releases import argocd_config
from otel_on_spot.lab.releases.argocd_processes import CONTROLLER, PARTS, programs
from otel_on_spot.lab.releases.installation import Installation, ReleaseContext, moved_to
from otel_on_spot.lab.releases.objects import KEEP, LOADER, ReleaseDeadline
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.lab.toolchain.modules import ARGOCD_NEXT, ARGOCD_NEXT_CHART
from otel_on_spot.simcloud.kubernetes_api import Object

SOURCE: Final = "https://argoproj.github.io/argo-helm"
KINDS: Final = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
"""Kinds that the lab takes of each part that it runs.

Deployments, Services and network policies are of pods, which it has none of.
"""
TLS_CERTIFICATES: Final = "argocd-tls-certs-cm"
KNOWN_HOSTS: Final = "argocd-ssh-known-hosts-cm"


def check(context: ReleaseContext, installation: Installation) -> None:
    """Say what this Argo CD does not know of the values.

    Raises:
        ApiError: the release wants the version that ``drill upgrade`` moves to, and that is not built.
    """
    context = _of_version(context, installation)
    upstream = Upstream(context.tools.files["argocd-manifests"])
    unknown = argocd_config.unknown_keys(installation.values, context.tools.path(CONTROLLER), upstream.params)
    for key in unknown:
        version = context.tools.version(CONTROLLER)
        context.log(
            f"release {installation.name}: {key} is not known to Argo CD {version}, "
            "which the lab runs: without effect here"
        )


def following(tools: Tools) -> tuple[str, str]:
    """(version, chart) of Argo CD that ``drill upgrade`` moves to.

    Raises:
        ApiError: it is not built.
    """
    return _next(tools).version(CONTROLLER), ARGOCD_NEXT_CHART


def _next(tools: Tools) -> Tools:
    return moved_to(tools, ARGOCD_NEXT, f"Argo CD {ARGOCD_NEXT.version}", "--argocd-next")


def _of_version(context: ReleaseContext, installation: Installation) -> ReleaseContext:
    """The context with the Argo CD that the release's chart brings, where that is the next one; else the lab's own.

    Raises:
        ApiError: it is the next one, which is not built.
    """
    if installation.inputs.get("version") != ARGOCD_NEXT_CHART:
        return context
    return replace(context, tools=_next(context.tools))


class Upstream:
    """Argo CD's own manifests.

    ``folder``: ``manifests`` of its source.
    """

    def __init__(self, folder: Path) -> None:
        self.crds = [yaml.load(file.read_text(), LOADER) for file in sorted((folder / "crds").glob("*-crd.yaml"))]  # noqa: S506 (a SafeLoader)
        self.objects: list[Object] = [
            thing for thing in yaml.load_all((folder / "install.yaml").read_text(), LOADER) if thing
        ]

    def of(self, kinds: Iterable[str], names: Iterable[str]) -> list[Object]:
        """The objects of these kinds and names."""
        kinds, names = tuple(kinds), tuple(names)
        return [thing for thing in self.objects if thing["kind"] in kinds and thing["metadata"]["name"] in names]

    def data(self, config_map: str) -> dict[str, str]:
        """Data of a ConfigMap."""
        return self.of(["ConfigMap"], [config_map])[0].get("data") or {}

    @property
    def params(self) -> frozenset[str]:
        """Keys of argocd-cmd-params-cm that some part reads."""
        workloads = [workload for workload in self.objects if workload["kind"] in ("Deployment", "StatefulSet")]
        variables = [
            variable
            for workload in workloads
            for container in workload["spec"]["template"]["spec"]["containers"]
            for variable in container.get("env") or []
        ]
        references = [(variable.get("valueFrom") or {}).get("configMapKeyRef") or {} for variable in variables]
        return frozenset(
            reference["key"] for reference in references if reference.get("name") == "argocd-cmd-params-cm"
        )


def installed(context: ReleaseContext, installation: Installation, deadline: ReleaseDeadline) -> None:
    """Apply the objects, and run Redis, the repo server and the application controller until they are ready.

    Raises:
        ApiError: the API server refuses, a process is not ready in time, or the next version is not built.
    """
    context = _of_version(context, installation)
    upstream = Upstream(context.tools.files["argocd-manifests"])
    installation.objects.apply(_objects(context, installation, upstream), deadline)
    for program in programs(context, installation, upstream.of(["Deployment", "StatefulSet"], PARTS)):
        context.processes.run(program, deadline, installation.name)


def _objects(context: ReleaseContext, installation: Installation, upstream: Upstream) -> list[Object]:
    values = installation.values
    there = installation.api.get(*SECRET.identity, "argocd-secret", installation.namespace)
    certificates = {addresses.GIT_HOST: context.authority.read_text()}
    return [
        *_crds(values, upstream),
        *(_in_namespace(thing, installation.namespace) for thing in upstream.of(KINDS, PARTS)),
        *argocd_config.config_maps(
            values,
            upstream.data("argocd-cm"),
            name=installation.name,
            version=context.tools.version(CONTROLLER),
        ),
        argocd_config.secret(values, there),
        *_certificates(upstream, certificates),
    ]


def _certificates(upstream: Upstream, certificates: dict[str, str]) -> list[Object]:
    given = upstream.of(["ConfigMap"], [TLS_CERTIFICATES, KNOWN_HOSTS])
    return [
        {**thing, "data": certificates} if thing["metadata"]["name"] == TLS_CERTIFICATES else thing for thing in given
    ]


def _crds(values: dict[str, Any], upstream: Upstream) -> list[Object]:
    """The CRDs as the chart's values want them: ``crds.install``, and ``crds.keep`` when the release goes."""
    wanted = values.get("crds") or {}
    if not wanted.get("install", True):
        return []
    annotations = {KEEP: "keep"} if wanted.get("keep", True) else {}
    return [
        {
            **crd,
            "metadata": {
                **crd["metadata"],
                "annotations": {**(crd["metadata"].get("annotations") or {}), **annotations},
            },
        }
        for crd in upstream.crds
    ]


def _in_namespace(thing: Object, namespace: str) -> Object:
    subjects = [{**subject, "namespace": namespace} for subject in thing.get("subjects") or []]
    return {**thing, "subjects": subjects} if subjects else thing


def removed(context: ReleaseContext, installation: Installation) -> None:
    """Stop the processes and remove the objects; the CRDs stay where the values said so."""
    for name in (*PARTS, "redis"):
        context.processes.stop(name)
    for part in PARTS:
        context.tokens.forget(installation.namespace, part)
    installation.objects.remove()
