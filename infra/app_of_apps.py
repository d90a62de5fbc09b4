"""The app-of-apps: the AppProject that bounds it, and the root Application that deploys everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
import yaml
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import NamespacePatch, Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs, ObjectMetaPatchArgs
from pydantic import SecretStr

from infra import demo_chart, images, names, otlp, passwords
from infra import persistence as volumes
from infra.settings import models as settings
from infra.settings import placement

API_VERSION: Final = "argoproj.io/v1alpha1"
IN_CLUSTER: Final = "https://kubernetes.default.svc"
CASCADE: Final = "resources-finalizer.argocd.argoproj.io"
"""Deleting the Application deletes what it deployed.

Source: https://argo-cd.readthedocs.io/en/stable/user-guide/app_deletion/
"""
CASCADE_TIMEOUT: Final = "45m"

REVISION: Final = "$ARGOCD_APP_REVISION"
"""Commit that the root itself is at, filled in by Argo CD where it renders a Helm parameter.

Children follow it and not the branch: a new commit reaches them through the root, wave by wave.
Source: https://argo-cd.readthedocs.io/en/stable/user-guide/build-environment/
"""

CLUSTER_KINDS: Final = (
    ("", "Namespace"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
)
"""Cluster-scoped (group, kind) that the children render; a test compares this with the rendered charts."""

SNAPSHOT_CLASS: Final = ("snapshot.storage.k8s.io", "VolumeSnapshotClass")
"""What cluster-base renders besides with ``persistence.backup``."""

NO_PROJECTS: Final = ({"group": "argoproj.io", "kind": "AppProject"},)
"""An Application in Argo CD's own namespace must not widen the project that bounds it."""
CHILDREN_STAY_SUSPENDED: Final = (
    {"group": "argoproj.io", "kind": "Application", "jsonPointers": ["/spec/syncPolicy/automated"]},
)
"""A parent heals its children but leaves their ``automated`` alone: a person's own suspension survives (lesson 4)."""

BUILT_IN_NAMESPACES: Final = (names.DEMO_NAMESPACE, "cluster-base")
"""Namespaces that the built-in children name as their destination; the same test compares them."""


@dataclass(frozen=True, kw_only=True)
class AppOfAppsArgs:
    """Arguments: the Git source of the root Application, and the values that its children get.

    ``persistence``: the volumes of the demo's databases, which its chart makes. ``volumes_key_arn``: of the key of new
    volumes; None for the account's key for EBS.
    ``values_of_ingress``: values of children, by child, that let in what comes from load balancers.
    ``cluster_metadata``: plain facts of the stack that children use. ``protect``: Pulumi refuses to delete the root.
    ``after``: what children need while they live and while they go.
    """

    config: settings.GitOps
    persistence: settings.Persistence
    token: SecretStr | None
    ssh_key: SecretStr | None
    app_key: SecretStr | None
    cluster_metadata: Mapping[str, str]
    protect: bool
    after: tuple[pulumi.Resource, ...]
    volumes_key_arn: str | None = None
    monitoring: settings.Monitoring = field(default_factory=settings.Monitoring)
    front_path: settings.FrontPath = field(default_factory=settings.FrontPath)
    values_of_ingress: Mapping[str, dict[str, Any]] = field(default_factory=dict)


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
        credentials = repository_credentials(args)
        if credentials:
            before_root.append(
                Secret(
                    f"{name}-repository",
                    opts=first,
                    string_data={
                        "type": "git",
                        "url": args.config.repository,
                        **credentials,
                    },
                    metadata=ObjectMetaArgs(
                        name="platform-repository",
                        namespace=names.ARGOCD_NAMESPACE,
                        labels={"argocd.argoproj.io/secret-type": "repository"},
                    ),
                )
            )
        if not placement.demo_is_off(args.config):
            before_root.append(self._passwords(name, args, first))
        # The project outlives every Application, and both controllers the cascade; the root names them in plain text
        # only.
        self.root = CustomResource(
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

    def _passwords(self, name: str, args: AppOfAppsArgs, opts: pulumi.ResourceOptions) -> Secret:
        """The Secret of the demo's passwords, in its namespace.

        What is random is made anew by every run, and kept from the first one: the next version is another Secret. A
        patch makes the namespace where Argo CD has not yet, takes over one that is there, and deletes none.
        Source: https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/
        """
        namespace = NamespacePatch(
            f"{name}-demo-namespace", metadata=ObjectMetaPatchArgs(name=names.DEMO_NAMESPACE), opts=opts
        )
        version = args.config.demo_passwords_version
        return Secret(
            f"{name}-demo-passwords-{version}",
            metadata=ObjectMetaArgs(name=names.demo_passwords(version), namespace=names.DEMO_NAMESPACE),
            string_data=pulumi.Output.secret(passwords.content()),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*args.after, namespace], ignore_changes=["stringData", "data"]
            ),
        )


def repository_credentials(args: AppOfAppsArgs) -> dict[str, pulumi.Input[str]]:
    """Credentials of the repository as Argo CD reads them from a Secret; none for a public one.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
    """
    if args.token is not None:
        return {"username": "git", "password": pulumi.Output.secret(args.token.get_secret_value())}
    if args.ssh_key is not None:
        return {"sshPrivateKey": pulumi.Output.secret(args.ssh_key.get_secret_value())}
    if args.app_key is not None and args.config.github_app is not None:
        app = args.config.github_app
        enterprise = {"githubAppEnterpriseBaseUrl": app.enterprise_base_url} if app.enterprise_base_url else {}
        return {
            "githubAppID": str(app.app_id),
            "githubAppInstallationID": str(app.installation_id),
            "githubAppPrivateKey": pulumi.Output.secret(args.app_key.get_secret_value()),
            **enterprise,
        }
    return {}


def project_spec(args: AppOfAppsArgs) -> dict[str, Any]:
    """Spec of the AppProject: these repositories, these namespaces, these cluster-scoped kinds, nothing else.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/project-specification/
    """
    namespaces = dict.fromkeys((names.ARGOCD_NAMESPACE, *BUILT_IN_NAMESPACES, *args.config.namespaces))
    snapshots = (SNAPSHOT_CLASS,) if args.persistence.backup else ()
    kinds = (
        *CLUSTER_KINDS,
        *snapshots,
        *((cluster_kind.group, cluster_kind.kind) for cluster_kind in args.config.cluster_kinds),
    )
    return {
        "description": "The platform's own Applications",
        "sourceRepos": [args.config.repository, *args.config.source_repositories],
        "destinations": [{"server": IN_CLUSTER, "namespace": namespace} for namespace in namespaces],
        "clusterResourceWhitelist": [{"group": group, "kind": kind} for group, kind in dict.fromkeys(kinds)],
        "namespaceResourceBlacklist": [*NO_PROJECTS],
    }


def applications(args: AppOfAppsArgs) -> dict[str, dict[str, Any]]:
    """What children are told beside gitops/apps/values.yaml: the stack file's, over the volumes', over the mirrors'."""
    config, own = args.config, dict[str, dict[str, Any]]()
    mirrors = images.demo_values(config.image_registries, config.image_pull_secrets)
    for values in (
        {demo_chart.CHILD: mirrors} if mirrors else {},
        {demo_chart.CHILD: placed} if (placed := placement.values(config)) else {},
        volumes.values(args.persistence),
        {volumes.BASE: {"storageClass": {"kmsKeyId": args.volumes_key_arn}}} if args.volumes_key_arn else {},
        args.values_of_ingress,
    ):
        own = demo_chart.over(own, {name: {"values": below} for name, below in values.items()})
    if args.monitoring.alerts != "none":
        judged = {"monitoring": args.monitoring.model_dump(by_alias=True, exclude_defaults=True, exclude={"otlp"})}
        own = demo_chart.over(own, {demo_chart.CHILD: {"values": judged}})
    if args.monitoring.otlp is not None:
        own = demo_chart.over(own, {demo_chart.CHILD: {"values": otlp.values(args.monitoring)}})
    if args.front_path.on_demand_floor:
        floor = {"frontPath": {"onDemandFloor": args.front_path.on_demand_floor}}
        own = demo_chart.over(own, {demo_chart.CHILD: {"values": floor}})
    if not placement.demo_is_off(config):
        below = own.get(demo_chart.CHILD, {}).get("values", {})
        secret = names.demo_passwords(config.demo_passwords_version)
        own = own | {demo_chart.CHILD: {"values": passwords.laid_over(below, secret)}}
    told = {name: child.model_dump(by_alias=True, exclude_unset=True) for name, child in config.applications.items()}
    if config.image_registries and (written := told.get(demo_chart.CHILD, {}).get("values")):
        told[demo_chart.CHILD]["values"] = images.at_mirrors(written, config.image_registries)
    found = demo_chart.over(own, told)
    # A null takes a claim of the program's away; the chart has none below it that Helm could take away.
    claims = (found.get(demo_chart.CHILD, {}).get("values", {}).get("persistence") or {}).get("claims") or {}
    for name in [name for name, claim in claims.items() if claim is None]:
        del claims[name]
    return found


def root_spec(args: AppOfAppsArgs) -> dict[str, Any]:
    """Spec of the root Application.

    Its values are text, not ``valuesObject``: a server-side apply that empties a free-form map leaves ``null`` behind,
    which would take every child's defaults away (https://github.com/kubernetes/kubernetes/issues/117447).
    A retry looks at the newest commit of a branch: one that mends a bad one does not wait for ten tries of it. Of a tag
    or a commit there is no newer one: the tries of the old source go on until somebody gives them up.
    Source: https://github.com/argoproj/argo-cd/issues/28794
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
                        "applications": applications(args),
                    }
                ),
                "parameters": [{"name": "targetRevision", "value": REVISION, "forceString": True}],
            },
        },
        "destination": {"server": IN_CLUSTER, "namespace": names.ARGOCD_NAMESPACE},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["RespectIgnoreDifferences=true", "ServerSideApply=true"],
            "retry": {"limit": 10, "refresh": True, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"}},
        },
        "ignoreDifferences": [*CHILDREN_STAY_SUSPENDED],
    }
