"""One change for each setting of a stack file, on dev: what is given instead, and what that may not leave in place.

A new setting without a change here fails ``test_settings_changes.py``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.settings.table import rows

BASE: Final[Mapping[str, Any]] = {
    "network.flowLogs": True,
    "cluster.kubernetesVersion": "1.35",
    "cluster.addons.kubeProxy": "v1.35.3-eksbuild.29",
}
"""What dev gets beside its stack file: something for a dependent setting to change, and a minor to go up from."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting with another value.

    ``key``: as ``infra.settings.table`` writes it. ``to``: values by dotted path; the first is the setting's own, the
    others are what the rules ask to go along. ``replaces``: ``Type:name`` of what is replaced, all of it.
    ``untouched``: the setting is for the rules alone. ``refused``: words of the rule that refuses every other value.
    """

    key: str
    to: Mapping[str, Any]
    replaces: tuple[str, ...] = ()
    untouched: bool = False
    refused: str = ""

    @property
    def path(self) -> str:
        """Where in the stack file the value is."""
        return next(iter(self.to))


@dataclass(frozen=True, kw_only=True)
class Nature:
    """A setting that AWS cannot change on what is there: why, and the beginnings of what is replaced of the kept."""

    reason: str
    kinds: tuple[str, ...]


KEPT: Final = ("Cluster:", "Vpc:", "Subnet:", "ConfigMap:cluster-eks-nodeAccess", "Queue:")
"""Beginnings of what no change may replace unasked."""

BY_NATURE: Final[Mapping[str, Nature]] = {
    "cluster.name": Nature(reason="EKS cannot rename a cluster; queue and roles carry its name", kinds=KEPT),
}  # fmt: skip
"""The settings that replace what is kept, because AWS has no other way: they mean a new environment."""

OLD_TAINT: Final = {"key": "dedicated", "value": "data", "effect": "NoSchedule"}
WHICH: Final[Mapping[str, Any]] = {
    "network.existing.vpcId": "vpc-0f0e0d0c1a2b3c4d5",
    "network.existing.privateSubnetIds": ["subnet-0a1b2c3d4e5f60718", "subnet-1a1b2c3d4e5f60718"],
}
HOW: Final[Mapping[str, Any]] = {
    "network.existing.privateSubnetTags": {"tier": "private"},
    "network.existing.publicSubnetIds": ["subnet-2a1b2c3d4e5f60718"],
    "network.existing.publicSubnetTags": {"tier": "public"},
    "network.existing.wayOut": "endpoints",
}
AUTHORITY: Final = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjjCCATWgAwIBAgIUGPREJjIj1eFiAk8rISWFEUC3DLkwCgYIKoZIzj0EAwIw\n"
    "HDEaMBgGA1UEAwwRRXhhbXBsZSBhdXRob3JpdHkwIBcNMjYxMTI2MTEzNjQxWhgP\n"
    "MjEyNjExMDIxMTM2NDFaMBwxGjAYBgNVBAMMEUV4YW1wbGUgYXV0aG9yaXR5MFkw\n"
    "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+53fDSH3bx1C+ufUnvTpymZzGr7Qb6rF\n"
    "GqZp9XY7CCUpiqUhzTGnYMQpwLO1bbrn/J7r+txhdby3gsjcNikl+aNTMFEwHQYD\n"
    "VR0OBBYEFEa/EQZSUcv9IpMZ3KZyXQOEyCxYMB8GA1UdIwQYMBaAFEa/EQZSUcv9\n"
    "IpMZ3KZyXQOEyCxYMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIg\n"
    "JPd9WEiOY8TgBWEqqbLWWumfx/lGvTRUiy4em4oA10cCIFr+EJFrA4SH808OlGr3\n"
    "nNN2PUoB4DOijBBnKevqnufB\n"
    "-----END CERTIFICATE-----\n"
)
"""Certificate of an authority that nobody has: it ends in 2126, and its key is thrown away."""
STARTUP_TAINT: Final = {"key": "example.com/agent-not-ready", "effect": "NoSchedule"}
RESERVED: Final[Mapping[str, Any]] = {"pools.data.capacityTypes": ["on-demand", "reserved"]}
SIGN_ON: Final[Mapping[str, Any]] = {
    "argocd.domain": "cd.example.com",
    "argocd.oidc.issuer": "https://login.acme.io",
    "argocd.oidc.clientId": "argocd",
    "argocd.oidc.clientSecret": "$argocd-oidc:clientSecret",
    "argocd.rbac.policy": ["g, platform-team, role:admin"],
}
PEM: Final = "-----BEGIN RSA PRIVATE KEY-----\na-key\n-----END RSA PRIVATE KEY-----"
BY_APP: Final[Mapping[str, Any]] = {
    "gitops.githubApp.appId": 123456,
    "gitops.githubApp.installationId": 7654321,
    "githubAppPrivateKey": PEM,
}
BY_ENTERPRISE: Final[Mapping[str, Any]] = {
    **BY_APP,
    "gitops.githubApp.enterpriseBaseUrl": "https://github.acme.io/api/v3",
    "gitops.repository": "https://github.acme.io/platform/otel-on-spot.git",
}
RUNNER: Final[Mapping[str, Any]] = {
    "cluster.endpoint.reachedFrom": "runner-in-vpc",
    "cluster.endpoint.runnerCidrs": ["10.10.0.0/16"],
}
NO_DEMO: Final[Mapping[str, Any]] = {"gitops.applications": {"otel-demo": {"enabled": False}}}
"""The demo's databases tolerate the taint that Git names."""
NO_HOME: Final[Mapping[str, Any]] = {
    "pools.data.stateful": False,
    "pools.spot.spotOnlyReason": "nothing in this environment is worth keeping",
}
REASON_FIRST: Final = dict(reversed(NO_HOME.items()))


def one_of(key: str, together: Mapping[str, Any], value: Any = None) -> Change:
    """A change of settings that go together only, as the change of one of them."""
    first = together[key] if value is None else value
    return Change(key=key, to={key: first} | {path: other for path, other in together.items() if path != key})


def change(key: str, value: Any, *replaces: str, path: str = "", **more: Any) -> Change:
    """A change of one setting; ``more`` has what goes along under its dotted path, or ``untouched`` and ``refused``."""
    told: dict[str, Any] = {name: more.pop(name) for name in ("untouched", "refused") if name in more}
    to = {path or key.replace("<name>", "spot"): value, **more}
    return Change(key=key, to=to, replaces=replaces, **told)


def addon(name: str, version: str) -> Change:
    """Another version of an add-on."""
    return change(f"cluster.addons.{name}", version)


CHILD: Final = "gitops.applications.<name>."
REPLICAS: Final = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
CHART: Final[Mapping[str, Any]] = {
    "gitops.applications.reloader.chart": "reloader",
    "gitops.applications.reloader.repoURL": "https://charts.example.com",
    "gitops.applications.reloader.targetRevision": "2.2.3",
    "gitops.applications.reloader.namespace": "reloader",
    "gitops.namespaces": ["reloader"],
    "gitops.sourceRepositories": ["https://charts.example.com"],
}


LENT: Final[Mapping[str, Any]] = {"ref": "values"}
OF_CHART: Final[Mapping[str, Any]] = {
    "repoURL": "https://charts.example.com",
    "chart": "reloader",
    "targetRevision": "2.2.3",
}


def of_sources(key: str, *sources: Mapping[str, Any]) -> Change:
    """A child with several sources, the first of which has a key of a source."""
    reloader = "gitops.applications.reloader."
    return Change(
        key=f"{CHILD}sources[].{key}",
        to={f"{reloader}sources": [dict(source) for source in sources], f"{reloader}namespace": "reloader"}
        | {name: CHART[name] for name in ("gitops.namespaces", "gitops.sourceRepositories")},
    )


def of_demo(key: str, value: Any, **more: Any) -> Change:
    """A change of a child of the app-of-apps, the demo; ``more`` goes along, under its key in the child."""
    demo = "gitops.applications.otel-demo."
    along = {(name if name.startswith("gitops.") else f"{demo}{name}"): given for name, given in more.items()}
    return Change(key=f"{CHILD}{key}", to={f"{demo}{key.partition('[]')[0]}": value, **along})


def of_volumes(key: str, value: Any) -> Change:
    """A change of the volumes of databases, which are off in dev."""
    named = f"persistence.{key}".replace("<name>", "kafka")
    return Change(key=f"persistence.{key}", to={named: value, "persistence.enabled": True})


UUID: Final = "0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
SHOP: Final[Mapping[str, Any]] = {
    "ingress.shop.host": "shop.acme.io",
    "ingress.shop.scheme": "internet-facing",
    "ingress.shop.inboundCidrs": ["0.0.0.0/0"],
    "ingress.shop.certificateArn": f"arn:aws:acm:eu-west-1:123456789012:certificate/{UUID}",
}
ARGOCD: Final[Mapping[str, Any]] = {
    "ingress.argocd.scheme": "internal",
    "ingress.argocd.inboundCidrs": ["10.0.0.0/8"],
    "ingress.argocd.certificateArn": SHOP["ingress.shop.certificateArn"],
    **SIGN_ON,
    "argocd.adminEnabled": False,
}
WEB_ACL: Final = f"arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/{UUID}"


def of_ingress(key: str, value: Any = None) -> Change:
    """A change of a load balancer, of which dev has none: the whole of it comes along."""
    whole, named = (ARGOCD if key.startswith("argocd.") else SHOP), f"ingress.{key}"
    given = {named: value} if value else {named: whole[named]}
    return Change(key=named, to=given | {other: whole[other] for other in whole if other != named})


def of_backend(key: str, value: Any, **more: Any) -> Change:
    """A change that names a backend, which dev has none of."""
    given = {key: value, **more} | ({} if key == "endpoint" else {"endpoint": "https://otlp.example.com:4317"})
    return Change(key=f"monitoring.otlp.{key}", to={f"monitoring.otlp.{name}": what for name, what in given.items()})


KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/"
MIRROR: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
NODE_GROUP: Final = "NodeGroup:cluster-system-nodes-group"
POOL: Final = "pools.<name>."
CHANGES: Final[tuple[Change, ...]] = (
    change("environment", "staging"),
    change("region", "eu-west-2", refused="names of IAM are the account's",
        **{"network.zones": ["eu-west-2a", "eu-west-2b"]}),
    change("accountId", "123456789012"),
    change("tags", {"cost-centre": "other"}),
    change("iam.permissionsBoundary", "arn:aws:iam::aws:policy/PowerUserAccess"),
    change("iam.path", "/platform/", untouched=True),
    change("encryption.kmsKeyArn", f"{KEY}0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab",
        refused="EKS gives its secrets no other key"),
    change("encryption.volumesKmsKeyArn", f"{KEY}1f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"),
    change("network.cidr", "10.99.0.0/16", refused="a VPC keeps its range"),
    *(
        Change(key=path, to={path: value, **WHICH}, refused="it is of a VPC that the stack makes")
        for path, value in {**WHICH, **HOW}.items()
    ),
    change("network.zones", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    change("network.privatePrefix", 21, refused="a subnet keeps its range"),
    change("network.publicPrefix", 25, refused="a subnet keeps its range"),
    change("network.nat", "per-zone"),
    change("network.flowLogs", False),
    change("network.flowLogRetentionDays", 30),
    change("network.gatewayEndpoints", ["s3", "dynamodb"]),
    change("network.interfaceEndpoints", ["sts"]),
    change("network.proxy.url", "http://proxy.acme.io:3128"),
    change("network.proxy.noProxy", [".corp.acme.io"], **{"network.proxy.url": "http://proxy.acme.io:3128"}),
    change("network.caBundle", AUTHORITY),
    change("network.caBundleHosts", ["github.com"], **{"network.caBundle": AUTHORITY}),
    change("cluster.name", "otel-next"),
    change("cluster.kubernetesVersion", "1.36", **{"cluster.addons.kubeProxy": "v1.36.0-eksbuild.45"}),
    change("cluster.endpoint.public", False, path="cluster.endpoint.public",
        **{**RUNNER, "cluster.endpoint.publicCidrs": []}),
    change("cluster.endpoint.private", False, refused="nodes in private subnets"),
    change("cluster.endpoint.publicCidrs", ["203.0.113.0/24"]),
    change("cluster.endpoint.reachedFrom", "runner-in-vpc", **{"cluster.endpoint.runnerCidrs": ["10.10.0.0/16"]}),
    change("cluster.endpoint.runnerCidrs", ["10.10.0.0/20"], **{"cluster.endpoint.reachedFrom": "runner-in-vpc"}),
    change("cluster.adminRoleArns", ["arn:aws:iam::111122223333:role/platform-admin"]),
    change("cluster.adminViewRoleArns", ["arn:aws:iam::111122223333:role/otel-on-spot-bootstrap-dev-drift"]),
    change("cluster.viewRoleArns", ["arn:aws:iam::111122223333:role/otel-on-spot-bootstrap-dev-preview"]),
    change("cluster.nodeAccess", "both"),
    change("cluster.logTypes", ["audit"]),
    change("cluster.logRetentionDays", 60),
    change("cluster.deletionProtection", True),
    change("cluster.volumeAccess", "both"),
    change("cluster.upgradePolicy", "EXTENDED"),
    change("cluster.systemNodes.instanceTypes", ["m7i.xlarge"], NODE_GROUP),
    change("cluster.systemNodes.size", 3),
    change("cluster.systemNodes.volumeGib", 60),
    change("cluster.systemNodes.amiType", "AL2023_ARM_64_STANDARD", NODE_GROUP,
        **{"cluster.systemNodes.instanceTypes": ["m7g.large"]}),
    change("cluster.systemNodes.releaseVersion", "1.35.8-20260930"),
    change("cluster.systemNodes.kubernetesVersion", "1.34"),
    addon("vpcCni", "v1.23.3-eksbuild.1"),
    addon("kubeProxy", "v1.35.4-eksbuild.1"),
    addon("eksPodIdentityAgent", "v1.4.1-eksbuild.1"),
    addon("coredns", "v1.14.8-eksbuild.1"),
    addon("awsEbsCsiDriver", "v1.67.0-eksbuild.1"),
    addon("eksNodeMonitoringAgent", "v1.6.8-eksbuild.1"),
    addon("metricsServer", "v0.9.1-eksbuild.1"),
    change("cluster.addons.snapshotController", "v8.6.1-eksbuild.1",
        **{"persistence.enabled": True, "persistence.backup.keep": 7}),
    change("karpenter.version", "1.15.0"),
    change("karpenter.chartRepository", f"oci://{MIRROR}/karpenter"),
    change("karpenter.imageRepository", f"{MIRROR}/karpenter/controller"),
    change("karpenter.identity", "both", "PodIdentityAssociation:karpenter-controller-association"),
    change("karpenter.nodeRepair", False),
    change("karpenter.spotToSpotConsolidation", True),
    change("karpenter.minValuesPolicy", "BestEffort"),
    change("karpenter.batchMaxDuration", "5s"),
    change("karpenter.batchIdleDuration", "2s"),
    change("karpenter.headroom.cpu", "2", **{"karpenter.headroom.memory": "4Gi"}),
    change("karpenter.headroom.memory", "4Gi", **{"karpenter.headroom.cpu": "2"}),
    change("karpenter.headroom.chunks", 2, **{"karpenter.headroom.cpu": "2", "karpenter.headroom.memory": "4Gi"}),
    change("karpenter.spotServiceLinkedRole", True),
    change("karpenter.interruptionExperiments", True),
    change("nodeClass.amiAlias", "al2023@v20260930"),
    change("nodeClass.volumeGib", 70),
    change("nodeClass.volumeThroughputMibps", 250),
    change("nodeClass.volumeIops", 4000),
    change("nodeClass.parallelImagePulls", 5),
    change("nodeClass.kubelet.maxPods", 110),
    change("nodeClass.kubelet.podsPerCore", 20),
    change("nodeClass.kubelet.systemReserved", {"cpu": "100m", "memory": "200Mi"}),
    change("nodeClass.kubelet.kubeReserved", {"cpu": "100m", "memory": "500Mi"}),
    change("nodeClass.kubelet.evictionHard", {"memory.available": "5%"}),
    change("nodeClass.kubelet.imageGCHighThresholdPercent", 90),
    change("nodeClass.kubelet.imageGCLowThresholdPercent", 70),
    change("nodeClass.capacityReservations[].id", [{"id": "cr-0123456789abcdef0"}],
        path="nodeClass.capacityReservations", **RESERVED),
    change("nodeClass.capacityReservations[].tags", [{"tags": {"team": "shop"}}],
        path="nodeClass.capacityReservations", **RESERVED),
    change("nodeClass.capacityReservations[].ownerId", [{"tags": {"team": "shop"}, "ownerId": "444455556666"}],
        path="nodeClass.capacityReservations", **RESERVED),
    change(f"{POOL}capacityTypes", ["spot", "on-demand"]),
    Change(key=f"{POOL}stateful", to=NO_HOME, untouched=True),
    change(f"{POOL}taints[].key", [{**OLD_TAINT, "key": "stateful"}], path="pools.data.taints", **NO_DEMO),
    change(f"{POOL}taints[].value", [{**OLD_TAINT, "value": "store"}], path="pools.data.taints", **NO_DEMO),
    change(f"{POOL}taints[].effect", [{**OLD_TAINT, "effect": "NoExecute"}], path="pools.data.taints", **NO_DEMO),
    change(f"{POOL}startupTaints[].key", [STARTUP_TAINT], path="pools.spot.startupTaints"),
    change(f"{POOL}startupTaints[].value", [{**STARTUP_TAINT, "value": "wait"}], path="pools.spot.startupTaints"),
    change(f"{POOL}startupTaints[].effect", [{**STARTUP_TAINT, "effect": "NoExecute"}],
        path="pools.spot.startupTaints"),
    change(f"{POOL}labels", {"example.com/tier": "spot"}),
    change(f"{POOL}weight", 60),
    change(f"{POOL}architectures", ["amd64", "arm64"]),
    change(f"{POOL}instanceCategories", ["c", "m"]),
    change(f"{POOL}instanceGenerationAbove", 5),
    change(f"{POOL}instanceFamiliesAtLeast", 3),
    change(f"{POOL}instanceTypesAtLeast", 15),
    change(f"{POOL}excludedInstanceFamilies", ["c6in", "r6i"]),
    change(f"{POOL}minVcpus", 2),
    change(f"{POOL}maxVcpus", 16),
    change(f"{POOL}maxMemoryGib", 64),
    change(f"{POOL}bareMetal", False),
    change(f"{POOL}localStorage", "any"),
    change(f"{POOL}zones", ["eu-west-1a"]),
    change(f"{POOL}limits.cpu", "200"),
    change(f"{POOL}limits.memory", "800Gi"),
    change(f"{POOL}limits.nodes", 20),
    change(f"{POOL}budgets[].nodes", [{"nodes": "20%"}], path="pools.spot.budgets"),
    change(f"{POOL}budgets[].reasons", [{"nodes": "10%", "reasons": ["Drifted"]}], path="pools.spot.budgets"),
    change(f"{POOL}budgets[].schedule", [{"nodes": "10%", "schedule": "0 7 * * mon-fri", "duration": "11h"}],
        path="pools.spot.budgets"),
    change(f"{POOL}budgets[].duration", [{"nodes": "10%", "schedule": "0 7 * * mon-fri", "duration": "9h"}],
        path="pools.spot.budgets"),
    change(f"{POOL}consolidationPolicy", "WhenEmpty"),
    change(f"{POOL}consolidateAfter", "5m"),
    change(f"{POOL}expireAfter", "72h"),
    change(f"{POOL}expireAfterReason", "stateless pods may go at any hour", untouched=True),
    change(f"{POOL}terminationGracePeriod", "2h"),
    Change(key=f"{POOL}spotOnlyReason", to=REASON_FIRST, untouched=True),
    change("argocd.chartVersion", "10.1.2"),
    change("argocd.chartRepository", f"oci://{MIRROR}/argo"),
    change("argocd.imageRepository", f"{MIRROR}/argoproj/argocd"),
    change("argocd.redisImageRepository", f"{MIRROR}/docker/library/redis"),
    change("argocd.adminEnabled", False),
    change("argocd.highAvailability", True),
    change("argocd.domain", "cd.example.com"),
    one_of("argocd.oidc.name", SIGN_ON, "Company"),
    one_of("argocd.oidc.issuer", SIGN_ON),
    one_of("argocd.oidc.clientId", SIGN_ON),
    one_of("argocd.oidc.clientSecret", SIGN_ON),
    one_of("argocd.oidc.cliClientId", SIGN_ON, "argocd-cli"),
    one_of("argocd.oidc.pkce", SIGN_ON, True),
    one_of("argocd.oidc.requestedScopes", SIGN_ON, ["openid", "email"]),
    one_of("argocd.rbac.defaultRole", SIGN_ON, "role:readonly"),
    one_of("argocd.rbac.policy", SIGN_ON),
    one_of("argocd.rbac.scopes", SIGN_ON, ["email"]),
    change("gitops.repository", "https://github.com/other-org/otel-on-spot.git"),
    change("gitops.revision", "v2"),
    one_of("gitops.githubApp.appId", BY_APP),
    one_of("gitops.githubApp.installationId", BY_APP),
    one_of("gitops.githubApp.enterpriseBaseUrl", BY_ENTERPRISE),
    of_demo("enabled", False),
    of_demo("wave", 2),
    of_demo("repoURL", "https://git.example.com/shop.git", targetRevision="v1.0.0",
        **{"gitops.sourceRepositories": ["https://git.example.com/shop.git"]}),
    of_demo("path", "gitops/charts/cluster-base"),
    Change(key=f"{CHILD}chart", to=CHART),
    change(f"{CHILD}sourceType", "Kustomize", path="gitops.applications.shop.sourceType",
        **{"gitops.applications.shop.path": "gitops/shop", "gitops.applications.shop.namespace": "otel-demo"}),
    of_sources("repoURL", OF_CHART),
    of_sources("path", {"path": "gitops/reloader"}),
    of_sources("chart", OF_CHART),
    of_sources("targetRevision", {"path": "gitops/reloader", "targetRevision": "v1.0.0"}),
    of_sources("ref", LENT, OF_CHART),
    of_sources("valueFiles", {**OF_CHART, "valueFiles": ["$values/reloader.yaml"]}, LENT),
    of_sources("values", {**OF_CHART, "values": {"reloader": {"reloadOnCreate": True}}}),
    of_demo("targetRevision", "v1.0.0"),
    change(f"{CHILD}variant", "large", path="gitops.applications.cluster-base.variant"),
    change(f"{CHILD}namespace", "shop", path="gitops.applications.shop.namespace",
        **{"gitops.applications.shop.path": "gitops/charts/shop", "gitops.namespaces": ["shop"]}),
    change(f"{CHILD}createNamespace", False, path="gitops.applications.cluster-base.createNamespace"),
    of_demo("serverSideApply", False),
    of_demo("podSecurity.enforce", "privileged"),
    of_demo("podSecurity.audit", "baseline", **{"podSecurity.enforce": "baseline"}),
    of_demo("podSecurity.warn", "baseline", **{"podSecurity.enforce": "baseline"}),
    of_demo("namespaceLabels", {"example.com/team": "shop"}),
    of_demo("clusterMetadata", ["clusterName", "environment"]),
    of_demo("syncOptions", ["PruneLast=true"]),
    of_demo("ignoreDifferences[].group", [{**REPLICAS, "group": "argoproj.io"}]),
    of_demo("ignoreDifferences[].kind", [{**REPLICAS, "kind": "StatefulSet"}]),
    of_demo("ignoreDifferences[].name", [{**REPLICAS, "name": "frontend"}]),
    of_demo("ignoreDifferences[].namespace", [{**REPLICAS, "namespace": "otel-demo"}]),
    of_demo("ignoreDifferences[].jsonPointers", [{**REPLICAS, "jsonPointers": ["/spec/paused"]}]),
    of_demo("ignoreDifferences[].jqPathExpressions", [{**REPLICAS, "jqPathExpressions": [".spec.paused"]}]),
    of_demo("ignoreDifferences[].managedFieldsManagers", [{**REPLICAS, "managedFieldsManagers": ["autoscaler"]}]),
    of_demo("values", {"disruptionBudgets": {"workloads": []}}),
    change("gitops.namespaces", ["team-a"]),
    change("gitops.sourceRepositories", ["https://charts.example.com"]),
    change("gitops.imageRegistries", {"docker.io": "mirror.example.com/docker-hub"}),
    change("gitops.imagePullSecrets", ["mirror"]),
    change("gitops.clusterKinds[].group", [{"group": "example.com", "kind": "Shop"}], path="gitops.clusterKinds"),
    change("gitops.clusterKinds[].kind", [{"kind": "PersistentVolume"}], path="gitops.clusterKinds"),
    change("gitops.demoPasswordsVersion", 2),
    change("alarms.topicArn", "arn:aws:sns:eu-west-1:123456789012:on-call"),
    change("alarms.emails", ["on-call@example.org"]),
    change("persistence.enabled", True),
    of_volumes("storageClass", "io2"),
    of_volumes("volumes.<name>.gib", 50),
    of_volumes("volumes.<name>.restoreFrom", "kafka-data-x7k2p"),
    of_volumes("backup.schedule", "0 4 * * *"),
    of_volumes("backup.keep", 3),
    change("frontPath.onDemandFloor", 1, **{"pools.spot.capacityTypes": ["spot", "on-demand"]}),
    change("monitoring.alerts", "demo"),
    change("monitoring.operatorLabels", {"release": "prometheus"}, **{"monitoring.alerts": "operator"}),
    change("monitoring.runbookBaseUrl", "https://git.example.com/main", **{"monitoring.alerts": "operator"}),
    of_backend("endpoint", "https://otlp.example.com:4317"),
    of_backend("protocol", "http"),
    of_backend("headersSecret", "otlp", headers={"api-key": "API_KEY"}),
    of_backend("headers", {"api-key": "API_KEY"}, headersSecret="otlp"),
    of_backend("caCertificate", AUTHORITY),
    *map(of_ingress, ("shop.scheme", "shop.inboundCidrs", "shop.certificateArn")),
    of_ingress("shop.webAclArn", WEB_ACL),
    of_ingress("shop.host"),
    *map(of_ingress, ("argocd.scheme", "argocd.inboundCidrs", "argocd.certificateArn")),
    of_ingress("argocd.webAclArn", WEB_ACL),
    of_ingress("tlsPolicy", "ELBSecurityPolicy-TLS13-1-3-2021-06"),
    of_ingress("controller.chartVersion", "3.4.3"),
    of_ingress("controller.chartRepository", "https://charts.acme.io/eks"),
    of_ingress("controller.imageRepository", f"{MIRROR}/eks/aws-load-balancer-controller"),
    change("costs.monthlyLimitUsd", 600, untouched=True),
    change("costs.budgetEmails", ["on-call@example.org"], **{"costs.monthlyLimitUsd": 600}),
    change("gitToken", "a-token"),
    change("gitSshKey", PEM, **{"gitops.repository": "git@github.com:other-org/otel-on-spot.git"}),
    one_of("githubAppPrivateKey", BY_APP),
)  # fmt: skip


def leaves() -> Iterator[str]:
    """Every setting that holds a value, as ``infra.settings.table`` writes it."""
    keys = [key for key, _, _ in rows()]
    for key in keys:
        if not any(other.startswith((f"{key}.", f"{key}[].")) for other in keys):
            yield key
