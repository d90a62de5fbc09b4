"""The app-of-apps: the AppProject that bounds it, and the root Application that deploys everything else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pydantic import SecretStr

from infra import names
from infra.settings import models as settings

API_VERSION: Final = "argoproj.io/v1alpha1"
IN_CLUSTER: Final = "https://kubernetes.default.svc"
CASCADE: Final = "resources-finalizer.argocd.argoproj.io"
"""Deleting the Application deletes what it deployed.

Source: https://argo-cd.readthedocs.io/en/stable/user-guide/app_deletion/
"""
CASCADE_TIMEOUT: Final = "45m"

CLUSTER_KINDS: Final = (
    ("", "Namespace"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
)
"""Cluster-scoped (group, kind) that the children render; a test compares this with the rendered charts."""

BUILT_IN_NAMESPACES: Final = (names.DEMO_NAMESPACE, "cluster-base")
"""Namespaces that the built-in children name as their destination; the same test compares them."""


@dataclass(frozen=True, kw_only=True)
class AppOfAppsArgs:
    """Arguments: the Git source of the root Application, and the values that its children get.

    ``cluster_metadata``: plain facts of the stack that children use. ``protect``: Pulumi refuses to delete the root.
    ``after``: what children need while they live and while they go.
    """

    config: settings.GitOps
    token: SecretStr | None
    cluster_metadata: Mapping[str, str]
    protect: bool
    after: tuple[pulumi.Resource, ...]


class AppOfApps(pulumi.ComponentResource):
    """The AppProject, the repository's credentials where it needs them, and the root Application."""

    application: pulumi.Output[str]
    """Name of the root Application."""

    def __init__(self, name: str, args: AppOfAppsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:AppOfApps", name, None, opts)
        first = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        # A deny sync window is a drill's lease on this project, written by its own field manager: Pulumi leaves that
        # field alone.
        project = CustomResource(
            f"{name}-project",
            api_version=API_VERSION,
            kind="AppProject",
            metadata=ObjectMetaArgs(name=names.PROJECT, namespace=names.ARGOCD_NAMESPACE),
            spec=project_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after), ignore_changes=["spec.syncWindows"]),
        )
        before_root: list[pulumi.Resource] = [project, *args.after]
        if args.token is not None:
            before_root.append(
                Secret(
                    f"{name}-repository",
                    opts=first,
                    string_data={
                        "type": "git",
                        "url": args.config.repository,
                        "username": "git",
                        "password": pulumi.Output.secret(args.token.get_secret_value()),
                    },
                    metadata=ObjectMetaArgs(
                        name="platform-repository",
                        namespace=names.ARGOCD_NAMESPACE,
                        labels={"argocd.argoproj.io/secret-type": "repository"},
                    ),
                )
            )
        # The project outlives every Application, and both controllers the cascade; the root names them in plain text
        # only.
        CustomResource(
            f"{name}-root",
            api_version=API_VERSION,
            kind="Application",
            metadata=ObjectMetaArgs(name=names.PROJECT, namespace=names.ARGOCD_NAMESPACE, finalizers=[CASCADE]),
            spec=root_spec(args),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=before_root,
                protect=args.protect,
                custom_timeouts=pulumi.CustomTimeouts(delete=CASCADE_TIMEOUT),
            ),
        )
        self.application = pulumi.Output.from_input(names.PROJECT)
        self.register_outputs({"application": self.application})


def project_spec(args: AppOfAppsArgs) -> dict[str, Any]:
    """Spec of the AppProject: these repositories, these namespaces, these cluster-scoped kinds, nothing else.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/project-specification/
    """
    namespaces = dict.fromkeys((names.ARGOCD_NAMESPACE, *BUILT_IN_NAMESPACES, *args.config.namespaces))
    return {
        "description": "The platform's own Applications",
        "sourceRepos": [args.config.repository, *args.config.source_repositories],
        "destinations": [{"server": IN_CLUSTER, "namespace": namespace} for namespace in namespaces],
        "clusterResourceWhitelist": [{"group": group, "kind": kind} for group, kind in CLUSTER_KINDS],
        # An Application in Argo CD's own namespace must not widen the project that bounds it.
        "namespaceResourceBlacklist": [{"group": "argoproj.io", "kind": "AppProject"}],
    }


def root_spec(args: AppOfAppsArgs) -> dict[str, Any]:
    """Spec of the root Application.

    It heals its children but leaves their ``automated`` alone: a person's own suspension survives (lesson 4).
    Its values are text, not ``valuesObject``: a server-side apply that empties a free-form map leaves ``null`` behind,
    which would take every child's defaults away (https://github.com/kubernetes/kubernetes/issues/117447).
    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/cluster-bootstrapping/#ignoring-differences-in-child-applications
    """
    return {
        "project": names.PROJECT,
        "source": {
            "repoURL": args.config.repository,
            "targetRevision": args.config.revision,
            "path": "gitops/apps",
            "helm": {
                "values": yaml.safe_dump(
                    {
                        "clusterMetadata": dict(args.cluster_metadata),
                        "project": names.PROJECT,
                        "repoURL": args.config.repository,
                        "targetRevision": args.config.revision,
                        "destinationServer": IN_CLUSTER,
                        "applications": {name: dict(values) for name, values in args.config.applications.items()},
                    }
                )
            },
        },
        "destination": {"server": IN_CLUSTER, "namespace": names.ARGOCD_NAMESPACE},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["RespectIgnoreDifferences=true", "ServerSideApply=true"],
            "retry": {"limit": 10, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"}},
        },
        "ignoreDifferences": [
            {"group": "argoproj.io", "kind": "Application", "jsonPointers": ["/spec/syncPolicy/automated"]}
        ],
    }
