"""Resources that live in a cluster beside the program: Karpenter's nodes, load balancers, volumes."""

import itertools
import uuid
from typing import Any

import yaml

from otel_on_spot.iam.decisions import Caller
from otel_on_spot.iam.roles import caller_of_role
from otel_on_spot.kubernetes.names import (
    APPLICATION,
    CLAIM_LABEL,
    CLAIM_NAME_TAG,
    DISCOVERY,
    INTERNAL_BALANCER_ROLE,
    NODE_CLASS,
    NODE_POOL,
    POOL_LABEL,
    PUBLIC_BALANCER_ROLE,
    cluster_tag,
)
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.eks_access import admitted_by
from otel_on_spot.simcloud.aws.eks_cluster import cluster_row
from otel_on_spot.simcloud.aws.eks_nodes import launch
from otel_on_spot.simcloud.aws.keys import why_no_volume
from otel_on_spot.simcloud.handler import Site, tag_list
from otel_on_spot.simcloud.kubernetes.controllers import role_of_karpenter, why_karpenter_is_dead
from otel_on_spot.simcloud.kubernetes_api import Object

NODE_TYPE = "m7i.large"
CSI_ACCOUNT = "ebs-csi-controller-sa"
"""Service account of the EBS CSI driver's controller."""


def cluster_site(cloud: Any, cluster: str) -> Site:
    """The site of a cluster of the cloud, in its region.

    Raises:
        NotFoundError: there is no such cluster.
    """
    return Site(cloud, region=cluster_row(Site(cloud), cluster)["region"], cluster=cluster)


def _discovered(site: Site, kind: str, member: str, key: str) -> list[str]:
    """Ids of what carries the tag by which Karpenter finds it.

    Raises:
        ApiError: nothing does.
    """
    selector = [{"Name": f"tag:{DISCOVERY}", "Values": [site.cluster]}]
    found = getattr(site.client("ec2"), f"describe_{kind}s")(Filters=selector)[member]
    if not found:
        raise ApiError(f"{member}NotFound", f"no {kind.replace('_', ' ')} carries {DISCOVERY}={site.cluster}")
    return sorted(row[key] for row in found)


def _private_subnets(site: Site) -> list[str]:
    return _discovered(site, "subnet", "Subnets", "SubnetId")


def launch_nodes(site: Site, pool: str, count: int = 1) -> list[Object]:
    """Launch nodes as Karpenter does: instance, NodeClaim, and a Node where the cluster admits the node's role.

    Returns the NodeClaims; ``status.registered`` says whether the node joined (the invisible node did not).

    Raises:
        ApiError: Karpenter is not alive, the NodePool, its class, subnets or security groups are missing, or it may
            not make the nodes' volumes with their key.
    """
    why = why_karpenter_is_dead(site)
    if why:
        raise ApiError("NotLaunched", f"Karpenter launches nothing: {why}")
    api = site.cloud.kubernetes(site.cluster)
    owner = api.get(*NODE_POOL.identity, pool)
    if owner is None:
        raise ApiError("NotFound", f"NodePool {pool!r} not found")
    reference = owner["spec"]["template"]["spec"]["nodeClassRef"]["name"]
    node_class = api.get(*NODE_CLASS.identity, reference)
    if node_class is None:
        raise ApiError("NodeClassNotReady", f"EC2NodeClass {reference!r} not found")
    for mapping in node_class["spec"].get("blockDeviceMappings") or ():
        key = mapping["ebs"].get("kmsKeyID")
        if key and (why := why_no_volume(site, key, _session_of(site, role_of_karpenter(site)))):
            raise ApiError("NotLaunched", f"the instance of a NodeClaim ends at once: {why}")
    profile = site.client("iam").get_instance_profile(InstanceProfileName=node_class["spec"]["instanceProfile"])
    role = profile["InstanceProfile"]["Roles"][0]["Arn"]
    return [
        _launch(site, owner, role, subnet)
        for _, subnet in zip(range(count), itertools.cycle(_private_subnets(site)), strict=False)
    ]


def _session_of(site: Site, role_arn: str) -> Caller:
    return caller_of_role(site.client("iam"), role_arn.rpartition("/")[2])


def _launch(site: Site, owner: Object, role: str, subnet: str) -> Object:
    api, pool = site.cloud.kubernetes(site.cluster), owner["metadata"]["name"]
    name = f"{pool}-{uuid.uuid4().hex[:5]}"
    # Source: https://karpenter.sh/docs/concepts/nodeclasses/#spectags
    tags = {
        "Name": name,
        POOL_LABEL: pool,
        CLAIM_LABEL: name,
        "eks:eks-cluster-name": site.cluster,
        cluster_tag(site.cluster): "owned",
    }
    instance = launch(site, subnet, _discovered(site, "security_group", "SecurityGroups", "GroupId"), NODE_TYPE, tags)
    joined = bool(admitted_by(site, site.cluster, role))
    about = {"name": name, "labels": {POOL_LABEL: pool}}
    by = {"kind": "NodePool", "name": pool, "uid": owner["metadata"]["uid"]}
    claim = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {**about, "ownerReferences": [{**by, "blockOwnerDeletion": True}]},
        "status": {"instanceID": instance, "registered": joined},
    }
    if joined:
        api.apply({"apiVersion": "v1", "kind": "Node", "metadata": about}, "kubelet")
    return api.apply(claim, "karpenter")


def expose(
    site: Site, application: str, name: str, scheme: str = "internet-facing", *, ingress: bool = False
) -> dict[str, Any]:
    """A load balancer that a Service of an Application asked for: network interfaces in the cluster's VPC.

    Args:
        site: the cluster.
        application: whose deletion removes it.
        name: the load balancer's.
        scheme: internet-facing or internal.
        ingress: an Ingress asked for it, which the AWS Load Balancer Controller serves, and nobody else.
    """
    ec2, cluster = site.client("ec2"), site.cloud.tables.get("clusters", site.cluster)
    assert cluster is not None
    role = PUBLIC_BALANCER_ROLE if scheme == "internet-facing" else INTERNAL_BALANCER_ROLE
    here = [{"Name": "vpc-id", "Values": [cluster["vpc"]]}, {"Name": f"tag:{role}", "Values": ["1"]}]
    interfaces = [
        ec2.create_network_interface(
            SubnetId=subnet["SubnetId"], Groups=[cluster["group"]], Description=f"ELB net/{name}"
        )["NetworkInterface"]["NetworkInterfaceId"]
        for subnet in ec2.describe_subnets(Filters=here)["Subnets"]
    ]
    row = {
        "cluster": site.cluster,
        "application": application,
        "vpc": cluster["vpc"],
        "scheme": scheme,
        "ingress": ingress,
        "interfaces": interfaces,
        "region": site.region,
    }
    site.cloud.tables.put("load-balancers", f"{site.cluster}/{name}", row)
    return row


def claim_volume(site: Site, application: str, name: str, gib: int = 10) -> str:
    """A volume that the EBS CSI driver made for a claim of an Application: its id.

    Args:
        site: the cluster.
        application: name of the Application that the claim is of.
        name: of the claim.
        gib: size of the volume.

    Raises:
        ApiError: the driver's add-on is missing, or it may not make volumes with the key of their class.
    """
    _require_csi(site)
    key = _key_of_volumes(site)
    if key:
        driver = site.cloud.tables.get("pod-identities", f"{site.cluster}/kube-system/{CSI_ACCOUNT}")
        assert driver is not None
        if why := why_no_volume(site, key, _session_of(site, driver["roleArn"])):
            raise ApiError("ProvisioningFailed", f"{name}: {why}")
    zone = site.client("ec2").describe_subnets(SubnetIds=_private_subnets(site)[:1])["Subnets"][0]["AvailabilityZone"]
    tags = tag_list({CLAIM_NAME_TAG: name, cluster_tag(site.cluster): "owned"})
    made = site.client("ec2").create_volume(
        AvailabilityZone=zone,
        Size=gib,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        **({"Encrypted": True, "KmsKeyId": key} if key else {}),
    )
    row = {"application": application, "volume": made["VolumeId"], "region": site.region}
    site.cloud.tables.put("volumes", f"{site.cluster}/{name}", row)
    return made["VolumeId"]


def _key_of_volumes(site: Site) -> str:
    """The key that the root Application's values give the StorageClass; empty for the account's key for EBS."""
    root = site.cloud.kubernetes(site.cluster).get(*APPLICATION.identity, "platform", "argocd")
    values = yaml.safe_load(root["spec"]["source"]["helm"]["values"]) if root else {}
    base = (values.get("applications") or {}).get("cluster-base") or {}
    return ((base.get("values") or {}).get("storageClass") or {}).get("kmsKeyId") or ""


def _require_csi(site: Site) -> None:
    if site.cloud.tables.get("addons", f"{site.cluster}/aws-ebs-csi-driver") is None:
        raise ApiError("ProvisioningFailed", "the aws-ebs-csi-driver add-on is missing")
