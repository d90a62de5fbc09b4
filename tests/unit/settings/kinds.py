"""Settings that used to be accepted and that AWS, EKS or Karpenter refuses, by kind: inputs made in number.

Each row is (stack, dotted path, value, the key that must be named). ``SOUND`` has their counterparts, which must pass.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from infra.regions import NOT_SUPPORTED, REGIONS
from tests.engine.changes import AUTHORITY
from tests.unit.settings.test_settings import committed

Row = tuple[str, str, Any, str]
STATEFUL_TAINT = {"key": "dedicated", "value": "data", "effect": "NoSchedule"}


def rows(stack: str, path: str, values: Iterable[Any], key: str = "") -> Iterator[Row]:
    """A setting with each of these values; what must be named is the setting itself where no key is said."""
    return ((stack, path, value, key or path) for value in values)


def arn(account: str, role: str, partition: str = "aws") -> str:
    return f"arn:{partition}:iam::{account}:role/{role}"


def tags() -> Iterator[Row]:
    for key in ("environment", "cluster", "managed-by", "Name"):
        yield from rows("dev", "tags", ({spelt: "x"} for spelt in (key, key.upper(), key.title(), key.swapcase())))
    for key in (
        *(
            "kubernetes.io/cluster/x",
            "kubernetes.io/cluster/otel-dev",
            "kubernetes.io/cluster/",
            "karpenter.sh/nodepool",
        ),
        *("kubernetes.io/role/elb", "kubernetes.io/created-for/pvc/name", "Kubernetes.io/Cluster/x"),
        *("karpenter.sh/nodeclaim", "karpenter.sh/discovery", "karpenter.k8s.aws/ec2nodeclass", "eks:eks-cluster-name"),
        *("eks:cluster-name", "eks:nodegroup-name", "aws:x", "AWS:x", "Aws:cloudformation:stack-name"),
        *("k8s.io/cluster-autoscaler/enabled", "ebs.csi.aws.com/cluster-name", "ebs.csi.aws.com/cluster"),
        *("otel-on-spot/node-access", "otel-on-spot/drill", "otel-on-spot/x", "CSIVolumeName", "KubernetesCluster"),
        *("node.k8s.amazonaws.com/instance_id", "cluster.k8s.amazonaws.com/name", "node.k8s.aws/no_manage"),
        *("ingress.k8s.aws/stack", "service.k8s.aws/resource", "elbv2.k8s.aws/cluster", "Gateway.K8s.AWS/x"),
        *("", "k" * 129, " padded", "padded ", "tab\tkey", "new\nline"),
    ):
        yield "staging", "tags", {key: "x"}, "tags"
    for bad in "!\"#$%&'()*,;<>?[\\]^`{|}~\u20ac\u00a7\u2713\0\x7f\u200b\U0001f600":
        yield "dev", "tags", {f"cost{bad}centre": "x"}, "tags"
        yield "prod", "tags", {"cost-centre": f"a{bad}b"}, "tags.cost-centre"
    yield from rows("dev", "tags", ({"cost-centre": bad} for bad in ("x" * 257, "aws:x", "AWS:x")), "tags.cost-centre")
    same = (("team", "Team"), ("cost-centre", "Cost-Centre"), ("a/b", "A/B"), ("x", "X"), ("\u00e9", "\u00c9"))
    yield from rows("dev", "tags", (dict.fromkeys(pair, "1") for pair in same))
    yield from rows("prod", "tags", ({f"tag-{index}": "x" for index in range(many)} for many in (40, 45, 50, 51, 200)))


def schedules() -> Iterator[Row]:
    spot, data = "pools.spot.budgets", "pools.data.budgets"
    for text in (
        *("30 10 * * 1-7", "0 7 * * 7", "0 7 * * 0-7", "0 7 * * 6-1", "0 7 * * fri-mon", "0 7 * * monday"),
        *("0 24 * * *", "0 7 0 * *", "0 7 32 * *", "0 7 * 0 *", "0 7 * 13 *", "0 7 * january *", "*/0 * * * *"),
        *("0 7 * * 1#2", "0 7 L * *", "0 7 15W * *", "0 7 * * 5L", "-1 7 * * *", "0 7-5 * * *", "1.5 7 * * *"),
        *("0 7 * *", "0 7 * * * *", "0 0 7 * * mon-fri", "0 7 * * mon fri", "a b c d e", "60 7 * * *"),
        *("0 7 * * */8/2", "1-2-3 * * * *", "@every 1h", "@reboot", "@Daily", "@dailyx", "@", "daily", "every day"),
        *("TZ=Europe/Berlin 0 7 * * *", "CRON_TZ=UTC 0 7 * * *", "0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"),
        *(", * * * *", "", " ", "@daily ", "0 7 * * mon-", "0 7 * * -fri", "0:30 7 * * *", "0 7 ** * *"),
        *("H 7 * * *", "07:00", "0 7 * * mo", "0 7 * * 1-5-"),
    ):
        yield "dev", spot, [{"nodes": "0", "schedule": text, "duration": "1h"}], f"{spot}[0].schedule"
        budgets = [{"nodes": "1"}, {"nodes": "0", "schedule": text, "duration": "11h"}]
        yield "prod", data, budgets, f"{data}[1].schedule"
    for text in (
        *("0h", "0m", "0h0m", "90s", "30m1h", "1d", "1.5h", "-1h", "", "1H", "11", "Never", "9999999h", "1h 30m", "1w"),
    ):
        yield "dev", spot, [{"nodes": "0", "schedule": "@daily", "duration": text}], f"{spot}[0].duration"
    durations = ("14d", "1.5h", "-1h", "", "5", "5 m", "1h 30m", "2562048h", "never", "5ms", "1w", "h", "5M", "NEVER")
    for key in ("consolidateAfter", "expireAfter", "terminationGracePeriod"):
        yield from rows("dev", f"pools.spot.{key}", durations)
    yield from rows("dev", "pools.spot.expireAfter", ("0s", "0m", "0h0m0s"))
    yield from rows("dev", "pools.spot.terminationGracePeriod", ("Never",))


def newer_fields() -> Iterator[Row]:
    for path, value, key, versions in (
        ("pools.spot.consolidationPolicy", "Balanced", "", ("1.9.0", "1.9.1", "1.10.0", "1.12.3", "1.13.0", "1.13.9")),
        *(
            ("pools.data.budgets", [{"nodes": "1", "reasons": reasons}], "pools.data.budgets[0].reasons", versions)
            for versions in (("1.9.0", "1.13.0", "1.14.0", "1.14.1", "1.14.3"),)
            for reasons in (["Unhealthy"], ["Drifted", "Unhealthy"])
        ),
        ("karpenter.headroom", {"cpu": "2", "memory": "4Gi"}, "", ("1.9.0", "1.12.0", "1.13.0", "1.13.9")),
        (
            "pools.spot.limits",
            {"cpu": "100", "memory": "400Gi", "nodes": 10},
            "pools.spot.limits.nodes",
            ("1.9.0", "1.9.3", "1.10.0", "1.10.9"),
        ),
    ):
        yield from rows("dev", f"karpenter.version+{path}", ((version, value) for version in versions), key or path)
    for version in ("1.2.0", "1.3.0", "1.5.9"):
        old = (version, "1.32", {"kubeProxy": "v1.32.1-eksbuild.1"})
        before = "karpenter.version+cluster.kubernetesVersion+cluster.addons"
        yield "dev", f"{before}+karpenter.minValuesPolicy", (*old, "BestEffort"), "karpenter.minValuesPolicy"
        yield "dev", f"{before}+pools.data.capacityTypes", (*old, ["reserved"]), "pools.data.capacityTypes"
    for reasons in (["Drifted", "Drifted"], ["Empty"] * 51, ["Expired"]):
        key = "pools.data.budgets[0].reasons" + ("[0]" if reasons == ["Expired"] else "")
        yield "dev", "pools.data.budgets", [{"nodes": "1", "reasons": reasons}], key
    addons = ("v01.14.6-eksbuild.4", "v1.14.06-eksbuild.4", "v1.14.6-eksbuild.04", "v1.14.6")
    yield from rows("dev", "cluster.addons", ({"coredns": addon} for addon in addons), "cluster.addons.coredns")
    for release in ("1.36.08-20260930", "01.36.8-20260930", "1.36.8"):
        yield "dev", "cluster.systemNodes", {"releaseVersion": release}, "cluster.systemNodes.releaseVersion"
    yield from rows("dev", "karpenter.version", ("2.0.0", "2.14.1", "10.0.0", "0.37.0"))


def batches() -> Iterator[Row]:
    idle, longest = "karpenter.batchIdleDuration", "karpenter.batchMaxDuration"
    yield from rows("dev", idle, ("0s", "0m", "10", "1.5s", "-1s", "Never", ""))
    yield from rows("dev", longest, ("0s", "31s", "1m", "2h", "10", "500ms", "Never"))
    yield "dev", f"{idle}+{longest}", ("5s", "4s"), longest
    yield "dev", idle, "11s", longest


def administrators() -> Iterator[Row]:
    key = "cluster.adminRoleArns"
    role = arn("111122223333", "platform-admin")
    yield "prod", key, [role, role], key
    yield "prod", key, [role, arn("111122223333", "Platform-Admin")], key
    for partition in ("aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-eusc"):
        yield "prod", key, [arn("111122223333", "platform-admin", partition)], key
        yield "staging", key, [role, arn("444455556666", "x/platform-admin", partition)], key
    for own in ("otel-prod-karpenter-node", "otel-prod-system-node", "team/otel-prod-karpenter-node"):
        yield "prod", key, [arn("123456789012", own)], key
    yield "prod", key, [arn("111122223333", "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot")], key
    for bad in (
        *("arn:aws:iam::111122223333:user/me", "arn:aws:iam::111122223333:root", "arn:aws:iam::1111:role/x"),
        *("arn:aws:sts::111122223333:assumed-role/x/me", "arn:aws:iam::111122223333:role/", "platform-admin"),
        *("arn:aws:iam::111122223333:role/x/", "arn:aws:iam::111122223333:role/" + "x" * 65),
        *(
            "arn:aws:iam::111122223333:role//x",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam:eu-west-1:111122223333:role/x",
        ),
    ):
        yield "prod", key, [bad], f"{key}[0]"


def viewers() -> Iterator[Row]:
    role, other = arn("111122223333", "drift"), arn("111122223333", "preview")
    for key in ("cluster.adminViewRoleArns", "cluster.viewRoleArns"):
        yield "dev", key, [role, role], key
        yield "dev", key, [role, arn("111122223333", "Drift")], key
        yield "dev", key, [arn("111122223333", "drift", "aws-cn")], key
        yield "dev", key, [arn("123456789012", "otel-dev-system-node")], key
        yield "dev", key, ["arn:aws:iam::111122223333:user/me"], f"{key}[0]"
        yield "dev", f"cluster.adminRoleArns+{key}", ([other, role], [role]), key
    both = ([role], [other, arn("111122223333", "DRIFT")])
    yield "dev", "cluster.adminViewRoleArns+cluster.viewRoleArns", both, "cluster.viewRoleArns"


def boundaries() -> Iterator[Row]:
    key = "iam.permissionsBoundary"
    own = "arn:aws:iam::123456789012:policy/boundary"
    for partition in ("aws-cn", "aws-us-gov", "aws-iso", "aws-eusc"):
        yield "prod", "iam", {"permissionsBoundary": own.replace("arn:aws:", f"arn:{partition}:")}, key
    yield "prod", "iam", {"permissionsBoundary": own.replace("123456789012", "444455556666")}, key
    for bad in (
        *("boundary", "arn:aws:iam::123456789012:role/boundary", "arn:aws:iam::1234:policy/boundary"),
        *("arn:aws:iam::123456789012:policy/", "arn:aws:iam::123456789012:policy//x", "arn:aws:iam::*:policy/x"),
        *("arn:aws:iam:eu-west-1:123456789012:policy/x", f"{own}é", own + "x" * 128),
    ):
        yield "prod", "iam", {"permissionsBoundary": bad}, key
    for path in ("platform", "/platform", "platform/", "", "//", "/a b/", "/a//b/", "/" + "x" * 400 + "/", "/é/"):
        yield "dev", "iam", {"path": path}, "iam.path"
    for identity in ("irsa", "both"):
        yield "dev", "karpenter.identity+iam", (identity, {"path": "/platform/"}), "iam.path"
    for path in ("/aws-service-role/x/", "/aws-reserved/", "/aws-reserved/sso.amazonaws.com/"):
        yield "dev", "iam", {"path": path}, "iam.path"


def capacity() -> Iterator[Row]:
    yield from rows(
        "dev", "pools.spot.instanceCategories", (["zz"], ["q"], ["c", "zz"], ["cmr"], ["mac"], ["spot", "m"])
    )
    yield from rows("dev", "pools.spot.instanceGenerationAbove", range(9, 21))
    kinds, above = "pools.spot.instanceCategories", "pools.spot.instanceGenerationAbove"
    for category, generation in (("t", 4), ("z", 1), ("x", 8), ("i", 8), ("d", 3), ("h", 1)):
        yield "dev", f"{kinds}+{above}", ([category], generation), above
    few = "pools.spot.instanceFamiliesAtLeast"
    for stack in ("dev", "staging", "prod"):
        chosen = itertools.product((["t"], ["h"], ["z"], ["c", "t"], ["r"]), (30, 40, 50), (1,))
        yield from rows(stack, f"{kinds}+{few}+{above}", chosen, few)
    for cpu, memory in (("999m", "400Gi"), ("500m", "400Gi"), ("0.5", "8Gi"), ("100m", "1Ti")):
        yield "dev", "pools.spot.limits", {"cpu": cpu, "memory": memory}, "pools.spot.limits.cpu"
    for cpu, memory in (("100", "400"), ("100", "400Mi"), ("100", "1Gi"), ("8", "1.5Gi"), ("100", "400k")):
        yield "dev", "pools.spot.limits", {"cpu": cpu, "memory": memory}, "pools.spot.limits.memory"
    for label, value in (
        *(("karpenter.k8s.aws/instance-family", "m7g"), ("karpenter.k8s.aws/instance-family", "nope")),
        *(("karpenter.k8s.aws/instance-category", "t"), ("karpenter.k8s.aws/instance-generation", "4")),
        *(("karpenter.k8s.aws/instance-size", "huge"), ("karpenter.k8s.aws/instance-cpu", "3")),
        *(("kubernetes.io/arch", "arm64"), ("kubernetes.io/os", "windows"), ("beta.kubernetes.io/arch", "arm64")),
        *(("node.kubernetes.io/instance-type", "t3.large"), ("topology.kubernetes.io/zone", "eu-west-1c")),
        *(("topology.kubernetes.io/region", "eu-west-2"), ("karpenter.sh/capacity-type", "on-demand")),
        *(("karpenter.k8s.aws/instance-local-nvme", "300"), ("karpenter.k8s.aws/instance-hypervisor", "xen")),
        *(("karpenter.k8s.aws/instance-cpu-manufacturer", "aws"), ("karpenter.k8s.aws/instance-gpu-count", "1")),
        *(("karpenter.k8s.aws/instance-gpu-name", "t4"), ("karpenter.k8s.aws/instance-accelerator-count", "1")),
        *(("karpenter.k8s.aws/instance-encryption-in-transit-supported", "yes"), ("kubernetes.io/os", "Linux")),
        *(("karpenter.k8s.aws/instance-tenancy", "host"), ("node.kubernetes.io/windows-build", "10.0.20348")),
    ):
        yield "dev", "pools.spot.labels", {label: value}, "pools.spot.labels"
    nodes = "cluster.systemNodes"
    for kind in ("m7i.huge", "m77i.large", "m7i.larg", "m7x.large", "t1.nano", "zz9.large"):
        yield "dev", nodes, {"instanceTypes": [kind]}, f"{nodes}.instanceTypes"
        yield "prod", nodes, {"size": 3, "instanceTypes": ["m7i.large", kind]}, f"{nodes}.instanceTypes"


def shapes() -> Iterator[Row]:
    """Bounds that leave nothing, or for prod's Spot too little; families and zones that are none."""
    for stack in ("dev", "lab", "staging", "prod"):
        for pool in ("spot", "data"):
            at = f"pools.{pool}"
            yield stack, f"{at}.minVcpus", 500, f"{at}.minVcpus"
            yield stack, f"{at}.maxMemoryGib", 1, f"{at}.maxMemoryGib"
            yield stack, f"{at}.minVcpus+{at}.maxVcpus", (49, 63), f"{at}.maxVcpus"
            unknown = (["m5n", family] for family in ("m77i", "c6inn", "zz9"))
            yield from rows(stack, f"{at}.excludedInstanceFamilies", unknown)
            yield from rows(stack, f"{at}.zones", (["eu-west-1f"], ["us-east-1a"], ["eu-west-1a", "eu-west-1z"]))
            few = f"{at}.instanceTypesAtLeast+{at}.maxVcpus+{at}.instanceCategories"
            yield stack, few, (50, 4, ["c"]), f"{at}.instanceTypesAtLeast"
    for stack in ("dev", "lab"):
        for cpu, memory in (("16", "4Gi"), ("8", "4Gi"), ("1", "128Gi")) if stack == "dev" else (("16", "4Gi"),):
            yield stack, "karpenter.headroom", {"cpu": cpu, "memory": memory}, "karpenter.headroom"
        yield stack, "karpenter.headroom", {"cpu": "0", "memory": "4Gi"}, "karpenter.headroom.cpu"
        yield stack, "karpenter.headroom", {"cpu": "1", "memory": "0"}, "karpenter.headroom.memory"
        yield stack, "karpenter.headroom", {"cpu": "1", "memory": "1Gi", "chunks": 0}, "karpenter.headroom.chunks"
    yield "dev", "karpenter.headroom", {"cpu": "7", "memory": "4Gi", "chunks": 15}, "karpenter.headroom.chunks"
    yield "dev", "karpenter.headroom", {"cpu": "1", "memory": "60Gi", "chunks": 7}, "karpenter.headroom.chunks"
    spot = "pools.spot"
    for value, key in (
        ({"instanceCategories": ["c"], "instanceGenerationAbove": 6}, "excludedInstanceFamilies"),
        ({"instanceGenerationAbove": 8}, "instanceGenerationAbove"),
        ({"maxMemoryGib": 8}, "localStorage"),
        ({"maxVcpus": 4, "instanceCategories": ["r"]}, "excludedInstanceFamilies"),
        ({"labels": {"karpenter.k8s.aws/instance-family": "m7i"}}, "labels"),
        ({"zones": ["eu-west-1b"]}, "zones"),
        ({"labels": {"topology.kubernetes.io/zone": "eu-west-1b"}}, "labels"),
    ):
        path = "+".join(f"{spot}.{name}" for name in value)
        yield "prod", path, tuple(value.values()) if len(value) > 1 else next(iter(value.values())), f"{spot}.{key}"


def node_classes() -> Iterator[Row]:
    """Node classes that EC2, the kubelet or Karpenter's CRD would refuse, or that would buy what nobody uses."""
    at = "nodeClass"
    for throughput in (751, 800, 1000):
        yield "dev", f"{at}.volumeThroughputMibps", throughput, f"{at}.volumeThroughputMibps"
        yield "prod", f"{at}.volumeThroughputMibps+{at}.volumeIops", (throughput, 3000), f"{at}.volumeThroughputMibps"
    yield from rows("dev", f"{at}.volumeThroughputMibps", (124, 1001))
    yield "dev", f"{at}.volumeIops+{at}.volumeGib", (10001, 20), f"{at}.volumeIops"
    yield "dev", f"{at}.parallelImagePulls", 1, f"{at}.parallelImagePulls"
    for high, low in ((80, 80), (85, 90), (50, 60)):
        given = {"imageGCHighThresholdPercent": high, "imageGCLowThresholdPercent": low}
        yield "dev", f"{at}.kubelet", given, f"{at}.kubelet.imageGCLowThresholdPercent"
    yield "dev", f"{at}.kubelet", {"imageGCLowThresholdPercent": 85}, f"{at}.kubelet.imageGCLowThresholdPercent"
    yield "dev", f"{at}.kubelet", {"systemReserved": {"gpu": "1"}}, f"{at}.kubelet.systemReserved.gpu"
    signal = {"evictionHard": {"memory.available": "110%"}}
    yield "dev", f"{at}.kubelet", signal, f"{at}.kubelet.evictionHard.memory.available"
    kept = (
        {"systemReserved": {"cpu": "8"}},
        {"systemReserved": {"cpu": "4500m"}, "kubeReserved": {"cpu": "3500m"}},
        {"kubeReserved": {"memory": "64Gi"}},
        {"systemReserved": {"memory": "40Gi"}, "kubeReserved": {"memory": "25Gi"}},
    )
    yield from rows("dev", f"{at}.kubelet", kept)
    for percent in ("5.125%", "0.0001%", "99.999%"):
        signal = {"evictionHard": {"nodefs.available": percent}}
        yield "dev", f"{at}.kubelet", signal, f"{at}.kubelet.evictionHard.nodefs.available"
    both = "pools.data.capacityTypes+nodeClass.capacityReservations"
    owned = {"ownerId": "444455556666"}
    for reservation in ({}, owned, {"id": "cr-1", "tags": {"a": "b"}}, {"id": "cr-1", **owned}):
        yield "dev", both, (["reserved"], [reservation]), f"{at}.capacityReservations[0]"
    yield "dev", "pools.data.capacityTypes", ["on-demand", "reserved"], "pools.data.capacityTypes"
    yield "prod", f"{at}.capacityReservations", [{"id": "cr-1"}], f"{at}.capacityReservations"


TOLERATED = {**STATEFUL_TAINT, "operator": "Equal"}


def placements() -> Iterator[Row]:
    for stack in ("dev", "staging", "prod", "lab"):
        for other in ({"value": "store"}, {"key": "stateful"}, {"effect": "NoExecute"}):
            yield stack, "pools.data.taints", [{**STATEFUL_TAINT, **other}], "pools.data.taints"
        more = [STATEFUL_TAINT, {"key": "example.com/more", "effect": "NoSchedule"}]
        yield stack, "pools.data.taints", more, "pools.data.taints"
        pools = committed(stack)["pools"]
        renamed = {("database" if name == "data" else name): pool for name, pool in pools.items()}
        yield stack, "pools", renamed, "pools"
    reserved = "pools.data.capacityTypes+nodeClass.capacityReservations"
    yield "dev", reserved, (["reserved"], [{"id": "cr-1"}]), "pools.data.capacityTypes"
    elsewhere = {"otel-demo": {"values": {"placement": {"nodeSelector": {"karpenter.sh/nodepool": "store"}}}}}
    yield "dev", "gitops.applications", elsewhere, "pools"
    told = "gitops.applications.otel-demo.values.placement.tolerations"
    for other in ({"key": "example.com/db"}, {"operator": "Exists"}, {"effect": "NoExecute"}):
        tolerated = {"otel-demo": {"values": {"placement": {"tolerations": [TOLERATED | other]}}}}
        yield "dev", "gitops.applications", tolerated, told


def expiry() -> Iterator[Row]:
    for stack in ("dev", "staging", "prod", "lab"):
        for age in ("720h", "24h", "1m"):
            yield stack, "pools.data.expireAfter", age, "pools.data.expireAfterReason"
        yield stack, "pools.data.expireAfterReason", "they may go at any hour", "pools.data.expireAfterReason"
    yield from rows("prod", "pools.spot.expireAfter", ("336h", "24h"), "pools.spot.expireAfterReason")
    yield from rows("prod", "pools.on-demand.expireAfterReason", ("short", None))
    yield "prod", "pools.on-demand.expireAfter", "Never", "pools.on-demand.expireAfterReason"


def labels() -> Iterator[Row]:
    for key in (
        *("karpenter.sh/nodepool", "karpenter.sh/initialized", "karpenter.sh/registered", "karpenter.sh/x"),
        *("x.karpenter.sh/y", "mykarpenter.sh/y", "karpenter.k8s.aws/ec2nodeclass", "karpenter.k8s.aws/x"),
        *("my.karpenter.k8s.aws/x", "karpenter.k8s.aws/tagged", "kubernetes.io/hostname"),
    ):
        yield "dev", "pools.spot.labels", {key: "x"}, "pools.spot.labels"
        yield "prod", "pools.data.labels", {key: "x"}, "pools.data.labels"
    yield "dev", "pools.spot.labels", {"node-role": "system"}, "pools.spot.labels"
    yield "dev", "pools.spot.labels", {f"example.com/l{index}": "x" for index in range(101)}, "pools.spot.labels"
    for key in ("a..b/x", "-a/x", "A.com/x", "a/b/c", "/x", "x" * 64, "a_b/x", "x-"):
        yield "dev", "pools.spot.labels", {key: "x"}, f"pools.spot.labels.{key}"
    yield "dev", "pools.data.taints", [STATEFUL_TAINT, {**STATEFUL_TAINT, "value": "other"}], "pools.data.taints"
    for key in ("karpenter.sh/disrupted", "karpenter.sh/unregistered", "karpenter.k8s.aws/x", "x.karpenter.sh/y"):
        for effect in ("NoSchedule", "NoExecute"):
            taint = {"key": key, "effect": effect}
            yield "dev", "pools.spot.startupTaints", [taint], "pools.spot.startupTaints"
            yield "prod", "pools.data.taints", [STATEFUL_TAINT, taint], "pools.data.taints"
    long = f"{'a.' * 126}bc/x"  # 254 characters before the slash
    yield "dev", "pools.spot.startupTaints", [{"key": long}], "pools.spot.startupTaints[0].key"
    yield "dev", "pools.spot.labels", {long: "x"}, f"pools.spot.labels.{long}"
    many = ([{"nodes": str(count)}] for count in (2**31, 2**32, 2**32 + 1, 10**12))
    yield from rows("dev", "pools.spot.budgets", many, "pools.spot.budgets[0].nodes")
    yield from rows("dev", "pools.spot.architectures", (["amd64", "amd64"],))


def reach() -> Iterator[Row]:
    reserved = (
        *("10.0.0.0/16", "172.16.5.0/24", "192.168.1.0/24", "127.0.0.1/32", "169.254.0.0/16", "100.64.0.0/16"),
        "224.0.0.0/8",
    )
    for stack in ("dev", "staging"):
        yield from rows(stack, "cluster.endpoint.publicCidrs", (["93.184.216.0/24", cidr] for cidr in reserved))
    yield from rows("dev", "cluster.endpoint.publicCidrs", ([f"93.184.{index}.0/24" for index in range(41)],))
    yield from rows("prod", "karpenter.identity", ("irsa",))
    subnets = ["subnet-0a1b2c3d4e5f60718", "subnet-1a1b2c3d4e5f60718", "subnet-2a1b2c3d4e5f60718"]
    existing = {"vpcId": "vpc-0f0e0d0c1a2b3c4d5", "privateSubnetIds": subnets, "wayOut": "endpoints"}
    enclosed = {"zones": committed("prod")["network"]["zones"], "existing": existing}
    for identity in ("irsa", "both"):
        yield "prod", "network+karpenter.identity", (enclosed, identity), "karpenter.identity"
    for date in ("20261301", "20260230", "00000000", "99999999", "20260931", "20991231"):
        yield "dev", "nodeClass.amiAlias", f"al2023@v{date}", "nodeClass.amiAlias"
        yield "dev", "cluster.systemNodes", {"releaseVersion": f"1.36.2-{date}"}, "cluster.systemNodes.releaseVersion"


def places() -> Iterator[Row]:
    for partition in NOT_SUPPORTED:
        for region in REGIONS[partition]:
            yield "dev", "region+network.zones", (region, [f"{region}a", f"{region}b"]), "region"
    for region in (
        *("eu-west-9", "us-east-3", "eu-east-1", "us-gov-north-1", "ap-southwest-1", "mars-west-1", "us-west-10"),
    ):
        yield "dev", "region+network.zones", (region, [f"{region}a", f"{region}b"]), "region"
    yield from rows("prod", "accountId", (None,))
    yield from rows("dev", "network.gatewayEndpoints", (["s3", "s3"], ["dynamodb", "s3", "dynamodb"]))
    services = (
        *(["ecr.api", "ecr-api"], ["sts", "sts"], ["ecr.dkr", "ecr-dkr", "s3"]),
        *(["com.amazonaws.eu-west-1.sts"], ["sts", "aws.sagemaker.eu-west-1.studio"], ["iam"], ["ec2", "route53"]),
    )
    yield from rows("dev", "network.interfaceEndpoints", services)
    days = (30.0, 0, 2, 10, 31, 364, 366, 730, 732, 1095, 1826, 3650, 3654, -1)
    yield from rows("prod", "cluster.logRetentionDays", days)
    yield from rows("prod", "network.flowLogRetentionDays", days)


def notices() -> Iterator[Row]:
    topic = "arn:aws:sns:eu-west-1:111122223333:on-call"
    key = "alarms.topicArn"
    for elsewhere in (
        topic.replace("eu-west-1", "us-east-1"),
        topic.replace("arn:aws:", "arn:aws-cn:"),
        topic.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1"),
        topic.replace("eu-west-1", "eu-west-9"),
    ):
        yield "dev", "alarms", {"topicArn": elsewhere}, key
    for bad in (
        *("on-call", "arn:aws:sqs:eu-west-1:111122223333:on-call", "arn:aws:sns:eu-west-1:1111:on-call"),
        *(f"{topic}.fifo", f"{topic}:0f0e0d0c-0000-0000-0000-000000000000", "arn:aws:sns:eu-west-1:111122223333:", ""),
        "arn:aws:sns:eu-west-1:111122223333:" + "x" * 257,
    ):
        yield "dev", "alarms", {"topicArn": bad}, key
    yield "dev", "alarms", {"topicArn": topic, "emails": ["a@b.org"]}, "alarms.emails"
    for bad in (
        *("on-call", "a@b", "@b.org", "a b@c.org", "a@b..org", "a@b.org,c@d.org", "", "a@" + "x" * 250 + ".org"),
        *("a..b@c.org", ".a@b.org", "a.@b.org", "a@-b.org", "a@b-.org", "a@b.-c.org", "a@.b.org"),
    ):
        yield "dev", "alarms", {"emails": [bad]}, "alarms.emails[0]"
        yield "dev", "costs", {"monthlyLimitUsd": 9, "budgetEmails": [bad]}, "costs.budgetEmails[0]"
    yield "dev", "alarms", {"emails": ["a@b.org", "a@b.org"]}, "alarms.emails"
    many = {"monthlyLimitUsd": 9, "budgetEmails": [f"a{n}@b.org" for n in range(11)]}
    yield from rows("dev", "costs", (many, {"budgetEmails": ["a@b.org"]}), "costs.budgetEmails")
    gov = ["us-gov-west-1a", "us-gov-west-1b"]
    of_gov = ("us-gov-west-1", gov, {"monthlyLimitUsd": 9, "budgetEmails": ["a@b.org"]})
    yield "dev", "region+network.zones+costs", of_gov, "costs.budgetEmails"


def given_keys() -> Iterator[Row]:
    name = "0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
    arn = f"arn:aws:kms:eu-west-1:111122223333:key/{name}"
    for bad in (
        *("", name, "alias/company", "arn:aws:kms:eu-west-1:111122223333:alias/company", f"{arn}/x", f" {arn}"),
        *(arn.replace("111122223333", "1111"), arn.replace(":kms:", ":s3:"), arn.upper(), arn.removesuffix("b")),
        *(arn.replace(name, "mrk-0123"), arn.replace("eu-west-1", "us-east-1"), arn.replace("eu-west-1", "")),
        *(arn.replace("arn:aws:", "arn:aws-us-gov:"), arn.replace("arn:aws:", "arn:aws-cn:")),
    ):
        yield "dev", "encryption", {"kmsKeyArn": bad}, "encryption.kmsKeyArn"


def foreign_digits() -> Iterator[Row]:
    """Digits and letters that a pattern of Unicode's takes for those of AWS."""
    digits = str.maketrans("0123456789", "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669")
    account = "444455556666".translate(digits)
    name = "0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
    yield "dev", "accountId", account, "accountId"
    for key in ("kmsKeyArn", "volumesKmsKeyArn"):
        yield "dev", "encryption", {key: f"arn:aws:kms:eu-west-1:{account}:key/{name}"}, f"encryption.{key}"
    for boundary in (f"arn:aws:iam::{account}:policy/x", "arn:aws:iam::444455556666:policy/\u00e9"):
        yield "dev", "iam", {"permissionsBoundary": boundary}, "iam.permissionsBoundary"
    too_long = "arn:aws:iam::444455556666:policy/" + "x" * 129
    yield "dev", "iam", {"permissionsBoundary": too_long}, "iam.permissionsBoundary"
    yield "dev", "iam", {"path": "/\u00e9/"}, "iam.path"
    yield "dev", "alarms", {"topicArn": f"arn:aws:sns:eu-west-1:{account}:on-call"}, "alarms.topicArn"
    yield "dev", "alarms", {"emails": ["\u00e9@b.org"]}, "alarms.emails[0]"
    yield "dev", "karpenter.version", "1.14.3".translate(digits), "karpenter.version"
    yield "dev", "nodeClass.amiAlias", "al2023@v" + "20260930".translate(digits), "nodeClass.amiAlias"
    release = {"releaseVersion": "1.36.8-" + "20260930".translate(digits)}
    yield "dev", "cluster.systemNodes", release, "cluster.systemNodes.releaseVersion"


def projects() -> Iterator[Row]:
    """Bounds of the AppProject: whole names and addresses, compared as Argo CD compares them."""
    for bad in ("*", "kube-*", "Kube", "a_b", "-x", "x" * 64, "", "a.b", "!x", "[ab]", "?", "a b"):
        yield "dev", "gitops.namespaces", [bad], "gitops.namespaces[0]"
    for bad in (
        *("*", "**", "https://*", "!https://github.com/x", "", "https://github.com/acme/*", "[a-z]*", " https://a.b"),
    ):
        yield "dev", "gitops.sourceRepositories", [bad], "gitops.sourceRepositories[0]"
    for bad in ("*", "*.example.com", "Cert-Manager.io", "a b", "-a"):
        yield "dev", "gitops.clusterKinds", [{"group": bad, "kind": "ClusterIssuer"}], "gitops.clusterKinds[0].group"
    for admitted in ("https://github.com/acme/sho", "https://github.com/acme", "https://github.com/acme/shop/more"):
        child = {"repoURL": "https://github.com/acme/shop", "path": "x", "targetRevision": "v1.0.0", "namespace": "x"}
        both = ([admitted], {"shop": child}, ["x"])
        where = "gitops.sourceRepositories+gitops.applications+gitops.namespaces"
        yield "dev", where, both, "gitops.applications.shop.repoURL"


def never_met() -> Iterator[Row]:
    """Labels that no node can have, or that the pinned Karpenter does not know; reserves that leave no room."""
    prefix, at = "karpenter.k8s.aws", "pools.spot.labels"
    for label, value in (
        *((f"{prefix}/instance-network-bandwidth", "fast"), (f"{prefix}/instance-ebs-bandwidth", "high")),
        *((f"{prefix}/instance-cpu-sustained-clock-speed-mhz", "3.1GHz"), (f"{prefix}/placement-group-id", "pg-01")),
        *((f"{prefix}/placement-group-partition", "1"), (f"{prefix}/capacity-reservation-id", "cr-01")),
        *((f"{prefix}/capacity-reservation-type", "other"), (f"{prefix}/capacity-reservation-interruptible", "yes")),
        *(("topology.k8s.aws/zone-id", "eu-west-1a"), ("topology.k8s.aws/zone-id", "use1-az1")),
    ):
        yield "dev", at, {label: value}, at
    for key, value in (("topology.ebs.csi.aws.com/zone", "eu-west-1c"), ("topology.ebs.csi.aws.com/zone", "x")):
        yield "dev", at, {key: value}, at
    for one, other, values in (
        ("kubernetes.io/arch", "beta.kubernetes.io/arch", ("amd64", "arm64")),
        ("topology.kubernetes.io/zone", "topology.ebs.csi.aws.com/zone", ("eu-west-1a", "eu-west-1b")),
        ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", ("m7i.xlarge", "m7i.2xlarge")),
    ):
        yield "dev", at, {one: values[0], other: values[1]}, at
    later = {
        "placement-group-id": "1.10.0",
        "capacity-reservation-interruptible": "1.9.0",
        "placement-group-partition": "1.9.2",
    }
    for label, version in later.items():
        yield "dev", f"karpenter.version+{at}", (version, {f"{prefix}/{label}": "x"}), at
    old = "karpenter.version+cluster.kubernetesVersion+cluster.addons"
    for label in ("kubernetes.io/team", "x.k8s.io/team", f"{prefix}/instance-tenancy"):
        given = ("1.8.8", "1.34", {"kubeProxy": "v1.34.3-eksbuild.1"}, {label: "default"})
        yield "dev", f"{old}+{at}", given, at
    kept = ({"evictionHard": {"memory.available": "64Gi"}}, {"kubeReserved": {"ephemeral-storage": "60Gi"}})
    yield from rows("dev", "nodeClass.kubelet", kept)
    for snapshot in ("postgresql-data", "opensearch-data"):
        volumes = {"kafka": {"restoreFrom": snapshot}}
        yield "staging", "persistence.volumes", volumes, "persistence.volumes.kafka.restoreFrom"


def system_types() -> Iterator[Row]:
    at = "cluster.systemNodes.instanceTypes"
    for kind in (
        *("a1.large", "t3.nano", "t3.micro", "t2.small", "m1.small", "c1.xlarge", "m2.xlarge", "c6g.large"),
        *("cc2.8xlarge", "cr1.8xlarge", "hs1.8xlarge", "hi1.4xlarge", "cg1.4xlarge", "g2.2xlarge", "g3.4xlarge"),
        *("p2.xlarge", "i3p.16xlarge", "u-12tb1.112xlarge", "t1.micro", "mac2.metal"),
        *("d3.xlarge", "d3en.xlarge", "g4ad.xlarge", "g4ad.2xlarge"),
    ):
        yield "dev", "cluster.systemNodes", {"instanceTypes": ["m7i.large", kind]}, at
    yield from rows("dev", "pools.spot.instanceCategories", (["cc"], ["cr"], ["hs"], ["m", "cg"]))
    yield from rows("dev", "pools.spot.excludedInstanceFamilies", (["cc2"], ["g2"], ["p2"], ["g3s"]))
    for kind in ("a1.large", "t4g.nano", "t4g.small", "m7i.large"):
        given = {"amiType": "AL2023_ARM_64_STANDARD", "instanceTypes": ["m7g.large", kind]}
        yield "dev", "cluster.systemNodes", given, at
    for minor in ("1.29", "1.30", "1.31", "1.38"):
        given = (minor, {"kubeProxy": f"v{minor}.1-eksbuild.1"})
        yield "dev", "cluster.kubernetesVersion+cluster.addons", given, "cluster.kubernetesVersion"
    yield "prod", "cluster.upgradePolicy", None, "cluster.upgradePolicy"


def doors() -> Iterator[Row]:
    """Networks that EKS does not take, endpoints of services that are none, and tags that volumes would not have."""
    at = "cluster.endpoint.publicCidrs"
    reserved = ("172.0.0.0/8", "192.0.0.0/8", "100.0.0.0/8", "192.168.0.0/15", "192.0.0.0/24", "192.88.99.0/25")
    yield from rows("dev", at, (*([cidr] for cidr in reserved), ["8.8.8.0/24", "8.8.8.0/24"]))
    yield from rows("prod", "cluster.endpoint.runnerCidrs", (["10.30.0.0/16", "10.30.0.0/16"],))
    for service in (
        *("ecr", "ecr.apis", "ecr.drk", "sqss", "ec2-messages", "sts.amazonaws.com", "eksauth", "cloudwatch", "waf"),
        *("elb", "elasticloadbalancingv2", "sso", "health", "dynamo", "ecr.public", "s3-control", "sts-fipss"),
    ):
        yield "dev", "network.interfaceEndpoints", ["sts", service], "network.interfaceEndpoints"
    yield from rows("dev", "tags", ({"a=b": "v"}, {"x=": "v"}, {"=x": "v"}))
    yield from rows("dev", "tags", ({"team": " lead"}, {"team": "trail "}), "tags.team")


def backends() -> Iterator[Row]:
    def told(key: str, values: Iterable[dict[str, Any]], stack: str = "dev") -> Iterator[Row]:
        return rows(stack, "monitoring", ({"otlp": value} for value in values), f"monitoring.otlp.{key}")

    at, secret = "https://otlp.example.com:4317", {"headersSecret": "otlp", "headers": {"api-key": "API_KEY"}}
    addresses = (
        *("", "otlp.example.com:4317", "grpc://otlp.example.com:4317", "https://", "https://otlp.example.com:0"),
        *("https://key@otlp.example.com", "https://otlp.example.com?key=x", "https://otlp..example.com"),
        *("https://otlp.example.com:65536", "https://otlp.example.com:99999", "https://-a.com", "https://a_b.com"),
        *("http://otlp.example.com:4317", "http://backend:4317", "http://otlp.svc:4317", "http://10.0.0.1:4317"),
        *("http://backend.team.svc.example.com:4317", "https://otlp.example.com/v1/traces", "https://a b.com"),
    )
    yield from told("endpoint", ({"endpoint": bad} for bad in addresses))
    halves = ("headersSecret", "headers")
    yield from told("headersSecret", ({"endpoint": at, half: secret[half]} for half in halves), "prod")
    yield from told(
        "headersSecret", ({"endpoint": at, **secret, "headersSecret": bad} for bad in ("Otlp", "otlp/key", "", "-otlp"))
    )
    own = ("Host", "content-length", "Content-Type", "te", "grpc-timeout", "Connection")
    for header, key in (
        *(("api-key", "api-key"), ("api-key", "sk-0123"), ("a", "")),
        *((header, "API_KEY") for header in ("api key", "", *own)),
    ):
        yield from told(f"headers.{header}", ({"endpoint": at, "headersSecret": "otlp", "headers": {header: key}},))
    twice = {"endpoint": at, "headersSecret": "otlp", "headers": {"api-key": "API_KEY", "API-Key": "OTHER"}}
    yield from told("headers.API-Key", (twice,))
    certificates = (
        *("ca.pem", "", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", AUTHORITY.replace("MII", "AAA", 1)),
        *(AUTHORITY + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", AUTHORITY[:-30]),
    )
    yield from told("caCertificate", ({"endpoint": at, "caCertificate": bad} for bad in certificates))
    hosts = ("localhost", "127.0.0.1", "127.1.2.3", "169.254.169.254")
    yield from told("endpoint", ({"endpoint": f"https://{host}:4317"} for host in hosts), "prod")
    for label in ("a/b/c", "x" * 64, "a.b/" + "x" * 64, "/a", "a/", "A.b/c", "x" * 254 + "/a"):
        given = {"alerts": "operator", "operatorLabels": {label: "x"}}
        yield "dev", "monitoring", given, f"monitoring.operatorLabels.{label}"
    for bad in ("https://git.example.com/a?path=", "https://git.example.com/a#b", "git.example.com", "https://a b"):
        yield "dev", "monitoring", {"alerts": "demo", "runbookBaseUrl": bad}, "monitoring.runbookBaseUrl"
    yield from told("caCertificate", ({"endpoint": "http://backend.team.svc:4317", "caCertificate": AUTHORITY},))
    yield from told("protocol", ({"endpoint": at, "protocol": "zipkin"},))
    yield from told("endpoint", ({},))


KINDS = {
    kind.__name__: list(kind())
    for kind in (
        tags,
        schedules,
        newer_fields,
        administrators,
        batches,
        viewers,
        boundaries,
        capacity,
        shapes,
        node_classes,
        expiry,
        placements,
        labels,
        reach,
        places,
        notices,
        given_keys,
        foreign_digits,
        projects,
        never_met,
        system_types,
        doors,
        backends,
    )
}

SOUND: list[tuple[str, str, Any]] = [
    ("dev", "tags", {"k8s.aws": "x", "mink8s.aws/x": "y", "x.karpenter.sh/y": "z", "nk8s.amazonaws.com/x": "y"}),
    ("dev", "pools.spot.labels", {"kubernetes.io/arch": "amd64", "beta.kubernetes.io/arch": "amd64"}),
    ("dev", "tags", {"CSIVolumeNames": "a=b", "contact": "me@acme.io: 24x7"}),
    ("dev", "nodeClass.volumeThroughputMibps+nodeClass.volumeIops+nodeClass.volumeGib", (2000, 20000, 2000)),
    ("staging", "persistence.volumes", {"kafka": {"gib": 20000, "restoreFrom": "kafka-data-x7k2p"}}),
    ("dev", "cluster.endpoint.publicCidrs", ["3.0.0.0/8", "8.8.8.8/32"]),
    ("dev", "network.interfaceEndpoints", ["kms-fips", "elasticloadbalancing", "guardduty-data", "account"]),
    ("dev", "gitops.clusterKinds", [{"kind": "PersistentVolume"}, {"group": "cert-manager.io", "kind": "Issuer"}]),
    *(("dev", "gitops.sourceRepositories+gitops.applications", ([admitted], {"shop": {
        "repoURL": "https://github.com/acme/shop", "path": "x", "targetRevision": "v1.0.0", "namespace": "otel-demo",
    }})) for admitted in ("https://github.com/Acme/shop.git", "https://github.com/acme/shop")),
    ("dev", "cluster.systemNodes", {"instanceTypes": ["t3.medium", "m7i-flex.large", "m4.large"]}),
    ("dev", "cluster.systemNodes", {"instanceTypes": ["u7i-6tb.112xlarge", "p6-b200.48xlarge", "c8i.metal-48xl"]}),
    ("dev", "pools.spot.excludedInstanceFamilies", ["u-3tb1", "u7i-6tb", "p6-b200", "m7i-flex"]),
    ("dev", "cluster.systemNodes", {"instanceTypes": ["m3.large", "c3.xlarge", "r3.large", "i2.xlarge", "d3.2xlarge"]}),
    ("dev", "cluster.systemNodes", {
        "amiType": "AL2023_ARM_64_STANDARD", "instanceTypes": ["im4gn.large", "t4g.medium"],
    }),
    ("dev", "nodeClass.kubelet", {"evictionHard": {"memory.available": "5%"}, "systemReserved": {"cpu": "0.1"}}),
    *(("dev", "pools.spot.labels", {key: value}) for key, value in (
        ("topology.k8s.aws/zone-id", "euw1-az1"), ("karpenter.k8s.aws/instance-network-bandwidth", "12500"),
        ("a" * 253 + "/" + "b" * 63, "x"),
    )),
    *(("dev", "monitoring", {"otlp": given}) for given in (
        {"endpoint": "https://otlp.example.com"}, {"endpoint": "https://otlp.example.com:65535"},
        {"endpoint": "https://otlp.example.com/otlp/v1", "protocol": "http"}, {"endpoint": "https://10.0.0.1:4317"},
        {"endpoint": "http://backend.team.svc:4317"}, {"endpoint": "http://b.t.svc.cluster.local", "protocol": "http"},
        {"endpoint": "https://a.b", "headersSecret": "otlp", "headers": {"Authorization": "TOKEN", "x-team": "TEAM_2"}},
        {"endpoint": "https://backend.team.svc:4317", "caCertificate": AUTHORITY},
    )),
    *(("prod", "encryption", {"kmsKeyArn": f"arn:aws:kms:eu-west-1:{rest}"}) for rest in (
        "444455556666:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab", "123456789012:key/mrk-" + "0123456789abcdef" * 2,
    )),
    *(("dev", "alarms", {"topicArn": f"arn:aws:sns:eu-west-1:{account}:on-call"}) for account in (
        "111122223333", "444455556666",
    )),
    ("prod", "alarms", {"emails": ["on-call@example.com", "a.b+c_d-e@sub.example.co"]}),
    ("dev", "costs", {"monthlyLimitUsd": 9, "budgetEmails": [f"a{n}@b.org" for n in range(10)]}),
    *(("prod", "iam", {"permissionsBoundary": f"arn:aws:iam::{text}"}) for text in (
        "123456789012:policy/boundary", "123456789012:policy/teams/a/boundary", "aws:policy/PowerUserAccess",
    )),
    ("dev", "iam", {"permissionsBoundary": "arn:aws:iam::444455556666:policy/boundary"}),
    *(("dev", "iam", {"path": text}) for text in ("/", "/platform/", "/teams/a_b+c=d,e.f@g-h/")),
    *(("dev", "tags", {key: value}) for key, value in (
        ("cost-centre", ""), ("Cost Centre", "a b"), ("k" * 128, "v" * 256), ("app.kubernetes.io/name", "x"),
        ("\u00e9quipe", "plate-forme"), ("a.b:c/d+e-f@g_1", "x:y/z=@"), ("environments", "x"), ("owner", "me@team"),
    )),
    ("dev", "tags", {f"tag-{index}": "x" for index in range(39)}),
    *(("dev", "pools.spot.budgets", [{"nodes": "0", "schedule": text, "duration": "1h30m"}]) for text in (
        "@daily", "@hourly", "0 7 * * mon-fri", "0 7 * * MON,Wed", "*/15 9-17 1 jan-mar 0-6", "0 0 29 2 *", "? ? ? ? ?",
        "5/10 * * * 6", "0 0 31 2 1", "0\t7 * * *",
    )),
    *(("dev", "pools.spot.expireAfter", text) for text in ("Never", "90s", "1h30m", "336h", "720h0m0s")),
    ("dev", "karpenter.version+pools.spot.consolidationPolicy", ("1.14.0", "Balanced")),
    (
        "dev",
        "karpenter.version+cluster.kubernetesVersion+cluster.addons+pools.spot.limits",
        ("1.11.0", "1.35", {"kubeProxy": "v1.35.3-eksbuild.29"}, {"cpu": "100", "memory": "400Gi", "nodes": 10}),
    ),
    ("prod", "pools.data.expireAfter+pools.data.expireAfterReason", ("720h", "they are replicas of another region")),
    ("dev", "pools.spot.expireAfterReason", "they may go at any hour"),
    ("dev", "pools.spot.zones", ["eu-west-1b"]),
    ("dev", "karpenter.headroom", {"cpu": "7", "memory": "4Gi", "chunks": 14}),
    ("prod", "karpenter.headroom", {"cpu": "7", "memory": "32Gi"}),
    ("prod", "pools.spot.zones", ["eu-west-1a", "eu-west-1c"]),
    ("prod", "pools.spot.instanceTypesAtLeast", 50),
    ("prod", "pools.on-demand.instanceCategories+pools.on-demand.maxVcpus", (["c"], 2)),
    ("dev", "nodeClass.volumeThroughputMibps", 750),
    ("dev", "nodeClass.volumeThroughputMibps+nodeClass.volumeIops", (1000, 4000)),
    ("dev", "nodeClass.kubelet", {"imageGCHighThresholdPercent": 60, "imageGCLowThresholdPercent": 0}),
    ("dev", "nodeClass.kubelet", {"systemReserved": {"cpu": "7"}, "kubeReserved": {"cpu": "900m", "memory": "63Gi"}}),
    ("dev", "nodeClass.kubelet", {"evictionHard": {"memory.available": "0.25%", "nodefs.available": "99.9%"}}),
    ("dev", "pools.spot.budgets", [{"nodes": str(2**31 - 1)}]),
    ("dev", "pools.spot.startupTaints", [{"key": f"{'a.' * 126}b/x"}, {"key": "node.cilium.io/agent-not-ready"}]),
    (
        "dev",
        "pools.data.capacityTypes+nodeClass.capacityReservations+gitops.applications",
        (["reserved"], [{"id": "cr-1"}], {"otel-demo": {"enabled": False}}),
    ),
    ("dev", "pools.data.taints+gitops.applications", ([{**STATEFUL_TAINT, "value": "store"}], {"otel-demo": {
        "values": {"placement": {"tolerations": [{**STATEFUL_TAINT, "operator": "Equal", "value": "store"}]}}
    }})),
    ("dev", "karpenter.version+pools.spot.budgets", ("1.15.1", [{"nodes": "1", "reasons": ["Unhealthy"]}])),
    ("prod", "cluster.adminRoleArns", [
        arn("111122223333", "platform-admin"), arn("444455556666", "platform-admin"),
        arn("111122223333", "team/platform-admin"),
        arn("444455556666", "aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_admin_0123456789abcdef"),
    ]),
    ("dev", "cluster.adminRoleArns+cluster.adminViewRoleArns+cluster.viewRoleArns", (
        [arn("111122223333", "deploys")], [arn("111122223333", "drift")], [arn("111122223333", "ci/drift")],
    )),
    *(("dev", "pools.spot.labels", {key: value}) for key, value in (
        ("node.kubernetes.io/exclude-from-external-load-balancers", "true"), ("node-role.kubernetes.io/spot", ""),
        ("topology.kubernetes.io/zone", "eu-west-1a"), ("karpenter.k8s.aws/instance-family", "m7i"),
        ("topology.ebs.csi.aws.com/zone", "eu-west-1b"), ("topology.ebs.csi.aws.com/region", "x"),
        ("karpenter.sh/capacity-type", "spot"), ("kubernetes.io/team", "x"),
        ("node-restriction.kubernetes.io/team", "x"),
        ("karpenter.k8s.aws/instance-hypervisor", "nitro"), ("karpenter.k8s.aws/instance-tenancy", "default"),
        ("karpenter.k8s.aws/instance-cpu-manufacturer", "amd"), ("example.com/tier", "spot"), ("node-role", "spot"),
        ("karpenter.k8s.aws/instance-encryption-in-transit-supported", "true"),
    )),
    (
        "dev",
        "pools.spot.localStorage+pools.spot.labels",
        ("required", {"karpenter.k8s.aws/instance-local-nvme": "237"}),
    ),
    ("dev", "pools.data.instanceCategories+pools.data.labels", (["g"], {"karpenter.k8s.aws/instance-gpu-count": "1"})),
    *(("dev", "pools.spot.instanceGenerationAbove", generation) for generation in range(1, 8)),
    ("dev", "pools.spot.architectures+pools.spot.instanceGenerationAbove", (["arm64"], 8)),
    ("dev", "pools.data.limits", {"cpu": "2", "memory": "16Gi"}),
    ("dev", "pools.spot.limits", {"cpu": "0", "memory": "0"}),
    ("prod", "pools.spot.instanceFamiliesAtLeast", 20),
    ("dev", "network.interfaceEndpoints", ["s3", "dynamodb", "sts"]),
    *(("prod", "cluster.logRetentionDays", days) for days in (1, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)),
    *(("dev", "region+network.zones", (region, [f"{region}a", f"{region}b"]))
      for partition in ("aws", "aws-us-gov") for region in REGIONS[partition]),
]  # fmt: skip
