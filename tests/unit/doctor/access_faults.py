"""Faults of access and controller: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta

from otel_on_spot.doctor.facts_aws import AccessEntry, PodIdentity
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
IRSA = all_of(
    declares(identity="irsa"),
    without("pod_identities"),
    changed("controllers", service_account_role=role_arn(CONTROLLER_ROLE)),
    changed(
        "roles",
        named(CONTROLLER_ROLE),
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
MAPPED = one_of("aws_auth").mappings[0]


def mapped(**values: object) -> Change:
    return changed("aws_auth", mappings=(replace(MAPPED, **values),))


FAULTS: dict[str, tuple[str, Change, str]] = {
    "no cluster status": ("cluster", changed("clusters", status="FAILED"), "status FAILED"),
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
        changed(
            "roles",
            named(CONTROLLER_ROLE),
            policies=lambda had: {key: one for key, one in had.items() if "interruption" not in key},
        ),
        "interruption is not attached",
    ),
    "PassRole to another role": (
        "controller-permissions",
        changed(
            "roles",
            named(CONTROLLER_ROLE),
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
    "association of another role": (
        "controller-identity",
        given(
            "pod_identities",
            PodIdentity(namespace="kube-system", service_account="karpenter", role_arn=role_arn(NODE_ROLE)),
        ),
        f"gets {NODE_ROLE}",
    ),
    "no agent": ("controller-identity", without("addons", lambda one: "agent" in one), "add-on"),
    "role does not trust Pod Identity": (
        "controller-identity",
        changed("roles", named(CONTROLLER_ROLE), trust={}),
        "does not allow pods.eks.amazonaws.com",
    ),
    "no IRSA annotation": (
        "controller-identity",
        all_of(IRSA, changed("controllers", service_account_role="")),
        "no annotation",
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
    "CRD missing": (
        "karpenter-versions",
        of_kinds(established={}),
        "nodepools.karpenter.sh is not there",
    ),
}
SOUND: dict[str, Change] = {
    "a cluster that is being updated": changed("clusters", status="UPDATING"),
    "a controller whose node was drained just now": changed(
        "controllers", available=0, available_since=NOW - timedelta(seconds=40)
    ),
    "by an access entry": BY_ENTRY,
    "by IRSA": IRSA,
    "mapped, beside the entry of an earlier role": added(
        "access_entries", replace(ENTRY, type="STANDARD", created_at=LONG_AGO)
    ),
}
