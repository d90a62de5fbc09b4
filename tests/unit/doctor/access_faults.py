"""Faults of access and controller: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta

from otel_on_spot.doctor.facts_aws import AccessEntry, HealthIssue, PodIdentity
from tests.unit.doctor.changes import (
    HEALTHY,
    Change,
    added,
    all_of,
    changed,
    declares,
    given,
    named,
    of_kinds,
    one_of,
    role_arn,
    without,
)

NOW = HEALTHY.taken_at
LONG_AGO = NOW - timedelta(hours=3)
NODE_ROLE, CONTROLLER_ROLE = "otel-lab-karpenter-node", "otel-lab-karpenter-controller"
ENTRY = AccessEntry(principal_arn=role_arn(NODE_ROLE), type="EC2_LINUX", created_at=NOW)
BY_ENTRY = all_of(declares(node_access=("access-entry",)), without("aws_auth"), given("access_entries", ENTRY))
"""The healthy lab, had it been declared with an access entry."""


def controller_role(**values: object) -> Change:
    return changed("roles", named(CONTROLLER_ROLE), **values)


def associated(role: str) -> Change:
    """Pod Identity gives Karpenter this role."""
    found = PodIdentity(namespace="kube-system", service_account="karpenter", role_arn=role_arn(role))
    return given("pod_identities", found)


IRSA = all_of(
    declares(identity="irsa"),
    without("pod_identities"),
    changed("controllers", service_account_role=role_arn(CONTROLLER_ROLE)),
    controller_role(
        trust={
            "Statement": [
                {
                    "Condition": "oidc.eks.eu-west-1.amazonaws.com/id/41F2C5798AC6718B3308203CC1EBD6A0:sub "
                    "system:serviceaccount:kube-system:karpenter"
                }
            ]
        },
    ),
)
ISSUE = HealthIssue(code="InternalFailure", message="told by EKS")
MAPPED = one_of("aws_auth").mappings[0]


def minor(days: int) -> Change:
    """Standard support of the cluster's minor ends in so many days, extended support a year later."""
    standard = NOW + timedelta(days=days)
    return changed("kubernetes_versions", standard_until=standard, extended_until=standard + timedelta(days=365))


def mapped(**values: object) -> Change:
    return changed("aws_auth", mappings=(replace(MAPPED, **values),))


def addon(name: str, **values: object) -> Change:
    return changed("addons", named(name), **values)


FAULTS: dict[str, tuple[str, Change, str]] = {
    "no cluster status": ("cluster", changed("clusters", status="FAILED"), "status FAILED"),
    "a control plane without addresses": (
        "cluster",
        changed("clusters", issues=(replace(ISSUE, code="InsufficientFreeAddresses", resources=("subnet-1",)),)),
        "InsufficientFreeAddresses: told by EKS (subnet-1)",
    ),
    "an add-on that does not get ready": (
        "add-ons",
        addon("coredns", status="DEGRADED", issues=(replace(ISSUE, code="InsufficientNumberOfReplicas"),)),
        "status DEGRADED: InsufficientNumberOfReplicas: told by EKS",
    ),
    "an add-on that is not made": ("add-ons", addon("vpc-cni", status="CREATE_FAILED"), "status CREATE_FAILED"),
    "an add-on with an issue": (
        "add-ons",
        addon("coredns", issues=(replace(ISSUE, code="ConfigurationConflict"),)),
        "ConfigurationConflict: told by EKS",
    ),
    "an add-on of a version that is known to be bad": (
        "add-ons",
        addon("vpc-cni", version="v1.21.1-eksbuild.8"),
        "v1.21.1-eksbuild.8 is older than 1.21.2: pods that no policy selects lose all traffic",
    ),
    "standard support that ends": ("kubernetes-support", minor(days=30), "ends on 2026-12-23, in 30 d 0 h; extended"),
    "standard support that ends, and no other": (
        "kubernetes-support",
        all_of(minor(days=30), changed("clusters", support_type="STANDARD")),
        "EKS then moves it to the next minor by itself",
    ),
    "extended support": (
        "kubernetes-support",
        minor(days=-30),
        "standard support ended on 2026-10-24: $0.60 an hour in place of $0.10, about $365 a month more",
    ),
    "extended support that ends": ("kubernetes-support", minor(days=-330), "EKS moves it by itself after 2026-12-28"),
    "no aws-auth": ("node-role", without("aws_auth"), "no ConfigMap aws-auth"),
    "role not mapped": ("node-role", changed("aws_auth", mappings=()), "does not list"),
    "another account's role mapped": (
        "node-role",
        mapped(role_arn=f"arn:aws:iam::999999999999:role/{NODE_ROLE}"),
        "another ARN",
    ),
    "role mapped without nodes": ("node-role", mapped(groups=("system:bootstrappers",)), "lacks system:nodes"),
    "role mapped to one name": ("node-role", mapped(username="node"), "names 'node'"),
    "mapRoles broken": ("node-role", changed("aws_auth", mappings=(), problem="ScannerError"), "cannot be read"),
    "an entry before the mapping": (
        "node-role",
        added("access_entries", replace(ENTRY, type="STANDARD")),
        "goes before the mapping",
    ),
    "no access entry": ("node-role", all_of(BY_ENTRY, without("access_entries")), "no access entry"),
    "entry of the wrong type": (
        "node-role",
        all_of(BY_ENTRY, changed("access_entries", type="STANDARD")),
        "type STANDARD",
    ),
    "entry of an earlier role": (
        "node-role",
        all_of(BY_ENTRY, changed("access_entries", created_at=LONG_AGO)),
        "earlier role",
    ),
    "entries are not looked at": (
        "node-role",
        all_of(BY_ENTRY, changed("clusters", authentication_mode="CONFIG_MAP")),
        "CONFIG_MAP ignores it",
    ),
    "profile without role": ("instance-profile", changed("instance_profiles", role_arn=""), "holds no role"),
    "profile gone": ("instance-profile", without("instance_profiles"), "does not exist"),
    "profile holds an earlier role": (
        "instance-profile",
        changed("instance_profiles", role_unique_id="AROAFORMER"),
        "a role that is gone",
    ),
    "node role lost a policy": (
        "instance-profile",
        changed("roles", named(NODE_ROLE), policies={}),
        "lacks AmazonEC2ContainerRegistryPullOnly",
    ),
    "EC2 not trusted": ("instance-profile", changed("roles", named(NODE_ROLE), trust={}), "ec2.amazonaws.com"),
    "policy detached": (
        "controller-permissions",
        controller_role(
            policies=lambda had: {key: one for key, one in had.items() if "interruption" not in key},
        ),
        "interruption is not attached",
    ),
    "PassRole to another role": (
        "controller-permissions",
        controller_role(
            policies=lambda had: {
                key: one
                if "iam-integration" not in key
                else {"Statement": [{**s, "Resource": role_arn("other")} for s in (one or {})["Statement"]]}
                for key, one in had.items()
            },
        ),
        "iam:PassRole",
    ),
    "no association": ("controller-identity", without("pod_identities"), "no Pod Identity association"),
    "association of another role": ("controller-identity", associated(NODE_ROLE), f"gets {NODE_ROLE}"),
    "no agent": ("controller-identity", without("addons", lambda one: "agent" in one.name), "add-on"),
    "role does not trust Pod Identity": (
        "controller-identity",
        controller_role(trust={}),
        "does not allow pods.eks.amazonaws.com",
    ),
    "no IRSA annotation": (
        "controller-identity",
        all_of(IRSA, changed("controllers", service_account_role="")),
        "no annotation",
    ),
    "a leftover association goes before IRSA": (
        "controller-identity",
        all_of(
            IRSA,
            associated(CONTROLLER_ROLE),
        ),
        "is left, and goes before IRSA",
    ),
    "IRSA of another cluster": (
        "controller-identity",
        all_of(IRSA, changed("clusters", issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER")),
        "another cluster's issuer",
    ),
    "no replica": ("karpenter-running", changed("controllers", available=0), "0 of 2 replicas"),
    "no replica for long": (
        "karpenter-running",
        changed("controllers", available=0, available_since=NOW - timedelta(minutes=3)),
        "0 of 2 replicas",
    ),
    "scaled to nothing": (
        "karpenter-running",
        changed("controllers", replicas=0, available=0, available_since=NOW),
        "0 of 0 replicas",
    ),
    "another cluster's name": (
        "karpenter-running",
        changed("controllers", environment=lambda had: {**had, "CLUSTER_NAME": "other"}),
        "'other'",
    ),
    "another controller": ("karpenter-versions", changed("controllers", version_label="1.8.0"), "version 1.8.0"),
    "older CRDs": (
        "karpenter-versions",
        of_kinds(chart_versions={"kube-system/karpenter-crd": "1.8.0"}),
        "kube-system/karpenter-crd version 1.8.0",
    ),
    "CRD missing": ("karpenter-versions", of_kinds(established={}), "nodepools.karpenter.sh is not there"),
}
SOUND: dict[str, Change] = {
    "a cluster that is being updated": changed("clusters", status="UPDATING"),
    "an add-on that is being updated": addon("coredns", status="UPDATING"),
    "an add-on of the version with the mend": addon("vpc-cni", version="v1.23.0-eksbuild.1"),
    "a minor with two months left": minor(days=61),
    "a minor of which AWS tells nothing": without("kubernetes_versions"),
    "an association that the program declares beside IRSA": all_of(
        IRSA, declares(associated=True), associated(CONTROLLER_ROLE)
    ),
    "a controller whose node was drained just now": changed(
        "controllers", available=0, available_since=NOW - timedelta(seconds=40)
    ),
    "by an access entry": BY_ENTRY,
    "by IRSA": IRSA,
    "mapped, beside the entry of an earlier role": added(
        "access_entries", replace(ENTRY, type="STANDARD", created_at=LONG_AGO)
    ),
}
