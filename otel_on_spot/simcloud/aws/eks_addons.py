"""EKS add-ons and pod identity associations. moto 5.2.5 has neither."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.kubernetes.names import POD_IDENTITY
from otel_on_spot.simcloud import eks_requests
from otel_on_spot.simcloud.api_errors import ApiError, refuse
from otel_on_spot.simcloud.aws import addon_configuration
from otel_on_spot.simcloud.aws.eks_cluster import active_cluster, cluster_row
from otel_on_spot.simcloud.aws.roles import trusts
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, own_tags
from otel_on_spot.simcloud.properties import Properties, declared

POD_IDENTITY_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SERVICE_ACCOUNT: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
NEED_NODES = ("coredns", "aws-ebs-csi-driver", "metrics-server", "snapshot-controller")
"""Add-ons with Deployments: they stay DEGRADED until there is a node for their pods."""


def nodes_ready(site: Site, cluster: str) -> bool:
    """Decide if a managed node group of the cluster has nodes that are Ready."""
    groups = site.cloud.tables.all("node-groups", f"{cluster}/").values()
    return any(group["status"] == "ACTIVE" and group["instances"] for group in groups)


def associate(
    site: Site,
    cluster: str,
    namespace: str,
    account: str,
    role_arn: str,
    by: str,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Bind a role to a service account: the association's id.

    Args:
        site: the cluster's account and region.
        cluster: its name.
        namespace: the service account's.
        account: name of the service account; it need not be there.
        role_arn: ARN of the role.
        by: who made it: ``user``, or ``addon/`` and the add-on's name.
        tags: of the association.

    Raises:
        ApiError: the names are none of Kubernetes', the service account has a role already, or the role does not trust
            EKS Pod Identity.
    """
    key = f"{cluster}/{namespace}/{account}"
    for what, name, form in (("namespace", namespace, NAMESPACE), ("serviceAccount", account, SERVICE_ACCOUNT)):
        refuse((not form.fullmatch(name), f"The {what} {name} is no name that Kubernetes takes"))
    if site.cloud.tables.get("pod-identities", key):
        raise ApiError(
            "ResourceInUseException", f"Association already exists: {namespace}/{account} in cluster {cluster}"
        )
    refuse_role(site, role_arn)
    identity = f"a-{hashlib.sha256(key.encode()).hexdigest()[:17]}"
    row = {"id": identity, "roleArn": role_arn, "by": by, "tags": dict(tags or {})}
    site.cloud.tables.put("pod-identities", key, row)
    return identity


def refuse_role(site: Site, role_arn: str) -> None:
    """Refuse a role that EKS Pod Identity may not hand out.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html
    """
    abroad = f":{site.cloud.account}:role/" not in role_arn
    refuse((abroad, f"The role {role_arn} is not of the cluster's account: that one is a targetRoleArn"))
    rule = f"{POD_IDENTITY} must be allowed sts:AssumeRole and sts:TagSession"
    trusted = trusts(site, role_arn, {"Service": POD_IDENTITY}, *POD_IDENTITY_ACTIONS)
    refuse((not trusted, f"Trust policy of role {role_arn} is invalid: {rule}"))


ADDONS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *("coredns", "kube-proxy", "eks-pod-identity-agent", "eks-node-monitoring-agent", "metrics-server"),
            *("snapshot-controller", "kube-state-metrics", "prometheus-node-exporter", "fluent-bit"),
            *(
                "amazon-sagemaker-hyperpod-training-operator",
                "aws-guardduty-agent",
                "aws-secrets-store-csi-driver-provider",
            ),
        ),
        (),
    ),
    "vpc-cni": ("aws-node",),
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa",),
    "aws-efs-csi-driver": ("efs-csi-controller-sa",),
    "aws-fsx-csi-driver": ("fsx-csi-controller-sa",),
    "aws-mountpoint-s3-csi-driver": ("s3-csi-driver-sa",),
    "aws-network-flow-monitoring-agent": ("aws-network-flow-monitor-agent-service-account",),
    "aws-privateca-connector-for-kubernetes": ("aws-privateca-issuer",),
    "amazon-cloudwatch-observability": ("cloudwatch-agent",),
    "adot": ("adot-col-prom-metrics", "adot-col-otlp-ingest", "adot-col-container-logs"),
    "cert-manager": ("cert-manager",),
    "external-dns": ("external-dns",),
}
"""Add-on of AWS's or the community's -> its service accounts that take a role. Vendors' have an underscore in the name.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html,
https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html,
https://docs.aws.amazon.com/eks/latest/userguide/add-ons-iam.html
"""
VERSION: Final = re.compile(r"v(?P<minor>[0-9]+\.[0-9]+)\.[0-9]+-eksbuild\.[0-9]+")


def _refuse_addon(cluster: str, row: Mapping[str, Any], inputs: Properties) -> None:
    """Refuse an add-on that EKS has not, a version that is none of it, and roles for accounts that it has not."""
    name, version = inputs["addonName"], inputs.get("addonVersion") or ""
    if "_" in name:
        return
    found, minor, accounts = VERSION.fullmatch(version), row["inputs"].get("version"), ADDONS.get(name, ())
    # An add-on may be behind its control plane, as it is between the two steps of an upgrade.
    ahead = name == "kube-proxy" and found and minor and _parts(found["minor"]) > _parts(minor)
    told = f"{name} {version} for Kubernetes {minor} of cluster {cluster}"
    refuse(
        (name not in ADDONS, f"Addon {name} specified is not supported"),
        (version and (not found or ahead), f"Addon version specified is not supported: {told}"),
        *(
            (
                bound["serviceAccount"] not in accounts,
                f"Service account {bound['serviceAccount']} is not supported by add-on {name}: "
                f"{', '.join(accounts) or 'it takes no role'}",
            )
            for bound in inputs.get("podIdentityAssociations") or ()
        ),
    )


def _parts(minor: str) -> list[int]:
    return [int(part) for part in minor.split(".")]


class Addon(Handler):
    """An add-on."""

    token = "aws:eks/addon:Addon"
    taggable = True
    seconds = Seconds(20, 20, 15)
    timeouts = Seconds(1200, 1200, 2400)

    @override
    def failures(self, inputs: Properties) -> list[tuple[str, str]]:
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/addon.go
        if inputs.get("resolveConflictsOnCreate") == "PRESERVE":
            return [("resolveConflictsOnCreate", 'expected to be one of ["NONE" "OVERWRITE"], got PRESERVE')]
        return []

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, cluster, name = call.site, inputs["clusterName"], inputs["addonName"]
        active_cluster(site, cluster)
        key = f"{cluster}/{name}"
        if site.cloud.tables.get("addons", key):
            raise ApiError("ResourceInUseException", f"Addon already exists: {name}")
        site.hold("eks", "CreateAddon", eks_requests.request("CreateAddon", inputs, all_tags(site, inputs)))
        addon_configuration.check(name, inputs.get("configurationValues"))
        _refuse_addon(cluster, active_cluster(site, cluster), inputs)
        self._associate(site, cluster, name, inputs)
        row = {"status": "CREATING", "inputs": declared(inputs), "tags": all_tags(site, inputs)}
        site.cloud.tables.put("addons", key, row)
        return self.identity(site, inputs), {
            "arn": self.arn(site, "", inputs, hashlib.sha256(key.encode()).hexdigest()[:12]),
            "createdAt": "2026-01-01T00:00:00Z",
            "modifiedAt": "2026-01-01T00:00:00Z",
        }

    @override
    def ready(self, call: Call, identity: str, outputs: Properties) -> Properties:
        cluster, _, name = identity.partition(":")
        if name in NEED_NODES and call.site.cloud.tables.get("clusters", cluster):
            call.until(
                lambda: nodes_ready(call.site, cluster),
                f"add-on {name} is DEGRADED (InsufficientNumberOfReplicas: no nodes), waiting for it to be ACTIVE",
            )
        row = self._row(call.site, cluster, name)
        call.site.cloud.tables.put("addons", f"{cluster}/{name}", {**row, "status": "ACTIVE"})
        return outputs

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        cluster, _, name = identity.partition(":")
        row = call.site.cloud.tables.get("addons", f"{cluster}/{name}")
        if row is None:
            return None
        seen = {
            key: row["inputs"].get(key) for key in ("addonVersion", "configurationValues") if row["inputs"].get(key)
        }
        return {**seen, **own_tags(call.site, state, row["tags"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        cluster, _, name = identity.partition(":")
        row = self._row(call.site, cluster, name)
        call.site.hold("eks", "UpdateAddon", eks_requests.update_addon(new))
        addon_configuration.check(name, new.get("configurationValues"))
        _refuse_addon(cluster, active_cluster(call.site, cluster), new)
        for association in new.get("podIdentityAssociations") or []:
            refuse_role(call.site, association["roleArn"])
        self._release(call.site, cluster, name)
        self._associate(call.site, cluster, name, new)
        told = {"inputs": declared(new), "tags": all_tags(call.site, new)}
        call.site.cloud.tables.put("addons", f"{cluster}/{name}", {**row, **told})

    @staticmethod
    def _row(site: Site, cluster: str, name: str) -> dict[str, Any]:
        return site.row("addons", f"{cluster}/{name}", f"No addon: {name}")

    @staticmethod
    def _associate(site: Site, cluster: str, name: str, inputs: Properties) -> None:
        for bound in inputs.get("podIdentityAssociations") or []:
            associate(site, cluster, "kube-system", bound["serviceAccount"], bound["roleArn"], by=f"addon/{name}")

    @staticmethod
    def _release(site: Site, cluster: str, name: str) -> None:
        for key, row in site.cloud.tables.all("pod-identities", f"{cluster}/").items():
            if row["by"] == f"addon/{name}":
                site.cloud.tables.remove("pod-identities", key)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        cluster, _, name = identity.partition(":")
        cluster_row(call.site, cluster)
        self._row(call.site, cluster, name)
        call.site.cloud.tables.remove("addons", f"{cluster}/{name}")
        self._release(call.site, cluster, name)


class PodIdentityAssociation(Handler):
    """A role for a service account."""

    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    taggable = True
    seconds = Seconds(2, 2, 2)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, cluster = call.site, inputs["clusterName"]
        active_cluster(site, cluster)
        tags, operation = all_tags(site, inputs), "CreatePodIdentityAssociation"
        site.hold("eks", operation, eks_requests.request(operation, inputs, tags))
        what = (inputs["namespace"], inputs["serviceAccount"], inputs["roleArn"])
        identity = associate(site, cluster, *what, by="user", tags=tags)
        arn = self.arn(site, identity, inputs)
        return identity, {"associationId": identity, "associationArn": arn, "externalId": ""}

    @staticmethod
    def _key(state: Properties) -> str:
        return f"{state['clusterName']}/{state['namespace']}/{state['serviceAccount']}"

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = call.site.cloud.tables.get("pod-identities", self._key(state))
        if row is None or row["id"] != identity:
            return None
        return {"roleArn": row["roleArn"], **own_tags(call.site, state, row.get("tags") or {})}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        row = call.site.row("pod-identities", self._key(state), f"No pod identity association {identity}")
        asked = {"clusterName": new["clusterName"], "associationId": identity, "roleArn": new["roleArn"]}
        call.site.hold("eks", "UpdatePodIdentityAssociation", asked)
        refuse_role(call.site, new["roleArn"])
        told = {"roleArn": new["roleArn"], "tags": all_tags(call.site, new)}
        call.site.cloud.tables.put("pod-identities", self._key(state), {**row, **told})

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.cloud.tables.remove("pod-identities", self._key(state))
