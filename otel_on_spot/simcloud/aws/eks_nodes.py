"""EKS managed node groups: over moto, with their instances, and the reasons for which nodes do not join."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, Final

from typing_extensions import override

from infra.settings import instance_types
from otel_on_spot.kubernetes.names import cluster_tag
from otel_on_spot.simcloud import eks_requests
from otel_on_spot.simcloud.api_errors import ApiError, refuse
from otel_on_spot.simcloud.aws.ec2 import refuse_other_networks
from otel_on_spot.simcloud.aws.eks_access import forget_entry, map_node_role, remember_entry, unmap_node_role
from otel_on_spot.simcloud.aws.eks_cluster import DEFAULT_MINOR, active_cluster, minor_of
from otel_on_spot.simcloud.aws.keys import auto_scaling, why_no_volume
from otel_on_spot.simcloud.aws.network import name_servers
from otel_on_spot.simcloud.aws.network_acls import stopped, subnets_of
from otel_on_spot.simcloud.aws.roles import trusts
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties, declared

IMAGE = "ami-12c6146b"
"""An image that moto launches without knowing it."""
WORKER_POLICIES = ("AmazonEKSWorkerNodePolicy",)
CNI_POLICY = "AmazonEKS_CNI_Policy"
"""The network plugin has it from a role of its own by Pod Identity, or from the node's.

Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html
"""
DAY = "20260901"
OF_A_NODE = {"ec2", "ecr.api", "ecr.dkr", "eks", "s3", "sts"}
"""Services whose endpoints let a node join where there is no way out.

Source: https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
"""


def routed(site: Site, subnet: str) -> bool:
    """Decide if the subnet's route table leads to the Internet, or its VPC's endpoints to what a node asks of AWS."""
    ec2 = site.client("ec2")
    (vpc,) = {found["VpcId"] for found in ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]}
    own, main = {"association.subnet-id": subnet}, {"vpc-id": vpc, "association.main": "true"}
    tables = _with(ec2, "route_tables", own) or _with(ec2, "route_tables", main)
    if any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0"
        and (
            any(route.get(key) for key in ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId"))
            or str(route.get("GatewayId", "")).startswith(("igw-", "vgw-", "vpce-"))
        )
        for table in tables
        for route in table["Routes"]
    ):
        return True
    there = {
        endpoint["ServiceName"].rpartition(f"{site.region}.")[2]
        for endpoint in _with(ec2, "vpc_endpoints", {"vpc-id": vpc})
    }
    return there >= OF_A_NODE


def cut_off(site: Site, subnets: Sequence[str]) -> str:
    """What keeps nodes in the subnets from names, or from each other and AWS by a network ACL; empty where nothing."""
    ec2 = site.client("ec2")
    found = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets(SubnetIds=list(subnets))["Subnets"]}
    (vpc,) = ec2.describe_vpcs(VpcIds=[next(iter(found.values()))["VpcId"]])["Vpcs"]
    servers = name_servers(ec2, vpc["DhcpOptionsId"])
    resolver = str(IPv4Network(vpc["CidrBlock"]).network_address + 2)
    if {"AmazonProvidedDNS", "169.254.169.253", resolver}.isdisjoint(servers):
        return f"the cluster's endpoint has no name at the VPC's name servers: {', '.join(servers) or 'none'}"
    ranges = {subnet: IPv4Network(row["CidrBlock"]) for subnet, row in found.items()}
    for acl in _with(ec2, "network_acls", {"vpc-id": vpc["VpcId"]}):
        own, peers = subnets_of(acl, ranges)
        if own and (what := next(stopped(acl["Entries"], peers, outside=_by_route(ec2, vpc["VpcId"])), "")):
            return f"the network ACL {acl['NetworkAclId']} of {', '.join(own)} stops {what}"
    return ""


def _by_route(ec2: Any, vpc: str) -> bool:
    """Decide if the VPC has no endpoints for nodes, which reach AWS by a route then."""
    there = _with(ec2, "vpc_endpoints", {"vpc-id": vpc})
    return not {endpoint["ServiceName"].rpartition(".")[2] for endpoint in there} >= {"sts", "ec2"}


def _with(ec2: Any, what: str, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """What EC2 describes with these properties."""
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    answer = getattr(ec2, f"describe_{what}")(Filters=filters)
    return next(found for found in answer.values() if isinstance(found, list))


def launch(
    site: Site,
    subnet: str,
    groups: list[str],
    instance_type: str,
    tags: dict[str, str],
    more: Mapping[str, Any] | None = None,
) -> str:
    """Launch one instance in moto: its id.

    Args:
        site: where.
        subnet: its subnet.
        groups: its security groups.
        instance_type: its type.
        tags: of the instance and its volumes.
        more: members of RunInstances beside these.
    """
    listed = tag_list(tags)
    made = site.client("ec2").run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType=instance_type,
        SubnetId=subnet,
        SecurityGroupIds=groups,
        TagSpecifications=[{"ResourceType": "instance", "Tags": listed}, {"ResourceType": "volume", "Tags": listed}],
        **(more or {}),
    )
    return made["Instances"][0]["InstanceId"]


def _template_data(site: Site, inputs: Properties) -> dict[str, Any]:
    """What a group's launch template says of its instances; nothing where it has none."""
    template = inputs.get("launchTemplate")
    if not template:
        return {}
    asked = {"LaunchTemplateId": template["id"], "Versions": [str(template.get("version") or "$Default")]}
    found = site.client("ec2").describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
    return found[0]["LaunchTemplateData"]


def _scaled(site: Site, inputs: Properties, group: str, had: list[str]) -> list[str]:
    """A group's instances, as many as are wanted: launched as its launch template and its node role say, or ended.

    Args:
        site: where.
        inputs: the group's.
        group: the cluster's security group.
        had: ids of the instances that it has.
    """
    data, wanted = _template_data(site, inputs), int(inputs["scalingConfig"]["desiredSize"])
    more = {key: data[key] for key in ("BlockDeviceMappings", "MetadataOptions") if data.get(key)}
    cluster, tags = inputs["clusterName"], dict[str, str]()
    for specification in data.get("TagSpecifications") or []:
        if specification["ResourceType"] == "instance":
            tags |= tags_of(specification["Tags"])
    tags |= {"eks:cluster-name": cluster, "eks:nodegroup-name": inputs["nodeGroupName"], cluster_tag(cluster): "owned"}
    subnets, kind = inputs["subnetIds"], (inputs.get("instanceTypes") or ["t3.medium"])[0]
    profile = {"IamInstanceProfile": {"Name": _profile(inputs)}}
    terminate(site, had[wanted:])
    return had[:wanted] + [
        launch(site, subnets[number % len(subnets)], [group], kind, tags, profile | more)
        for number in range(len(had), wanted)
    ]


def _refuse_types(inputs: Properties) -> None:
    """Refuse instance types that EC2 does not describe, or that do not boot the group's image.

    Sources: https://github.com/eksctl-io/eksctl/issues/4544,
    https://github.com/terraform-aws-modules/terraform-aws-eks/issues/1494
    """
    image, asked = inputs.get("amiType") or "AL2023_x86_64_STANDARD", inputs.get("instanceTypes") or ()
    known = {kind.name: kind.arch for kind, _ in instance_types.catalogue()}
    unknown = ((name not in known, f"The specified instance type {name} is not valid") for name in asked)
    refuse(*unknown, code="Ec2LaunchTemplateInvalidConfiguration")
    other = [name for name in asked if known[name] != ("arm64" if "ARM_64" in image else "amd64")]
    refuse((other, f"[{', '.join(other)}] is not a valid instance type for requested amiType {image}"))


GROUP_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-_]{0,62}")
"""Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html"""
OLDER: Final = 3
"""Minors that a node may be behind its control plane.

Source: https://kubernetes.io/releases/version-skew-policy/#kubelet
"""
OF_KUBERNETES: Final = ("kubernetes.io", "k8s.io")
EKS_DOMAIN: Final = "eks.amazonaws.com"
OF_NODES: Final = ("node.kubernetes.io", "kubelet.kubernetes.io")


def _refuse_group(inputs: Properties, cluster: Mapping[str, Any]) -> None:
    """Refuse names, sizes, labels, updates and minors that EKS refuses beyond its model; moto takes any.

    Sources: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html,
    https://docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupUpdateConfig.html, for labels
    https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
    """
    size = {key: int(inputs["scalingConfig"][key]) for key in ("minSize", "desiredSize", "maxSize")}
    domains = {label: label.rpartition("/")[0] for label in inputs.get("labels") or {}}
    control_plane, minor = cluster["inputs"].get("version"), inputs.get("version")
    behind = int(control_plane.split(".")[1]) - int(minor.split(".")[1]) if control_plane and minor else 0
    refuse(
        (
            not GROUP_NAME.fullmatch(inputs["nodeGroupName"]),
            "The nodegroup name is 1 to 63 letters, digits, hyphens and underscores, and begins with a letter or digit",
        ),
        (size["minSize"] > size["desiredSize"], "Minimum capacity can't be greater than desired size"),
        (size["desiredSize"] > size["maxSize"], "Desired capacity can't be greater than max size"),
        *(
            (
                (domain.endswith(OF_KUBERNETES) and not domain.endswith(OF_NODES)) or domain.endswith(EKS_DOMAIN),
                f"Label cannot contain reserved prefixes [{domain}/]: {label}",
            )
            for label, domain in domains.items()
        ),
        (
            len(inputs.get("updateConfig") or {}) > 1,
            "Only one of maxUnavailable and maxUnavailablePercentage can be specified",
        ),
        (behind > OLDER, f"Requested Nodegroup version {minor} is more than {OLDER} minors behind {control_plane}"),
    )


def _refuse_template(site: Site, inputs: Properties) -> None:
    """Refuse what is said in the launch template and in the request.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
    """
    data = _template_data(site, inputs)
    twice = "Cannot specify instance types in launch template and API request"
    refuse((data.get("InstanceType") and inputs.get("instanceTypes"), twice), code="InvalidRequestException")
    said = [key for key in ("amiType", "releaseVersion", "version") if inputs.get(key)]
    rule = "when you specify an image id within the launch template."
    refuse((data.get("ImageId") and said, f"You cannot specify {', '.join(said)} {rule}"))


def _refuse_volumes(site: Site, inputs: Properties) -> None:
    """Refuse instances whose volumes Auto Scaling cannot make.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Issue.html
    """
    caller = auto_scaling(site.scope.partition, site.cloud.account)
    opening = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason"
    for mapping in _template_data(site, inputs).get("BlockDeviceMappings") or ():
        if key := (mapping.get("Ebs") or {}).get("KmsKeyId"):
            why = why_no_volume(site, key, caller)
            refuse((why, f"{opening}: {why}"), code="AsgInstanceLaunchFailures")


def _unique(inputs: Properties) -> str:
    return hashlib.sha256(f"{inputs['clusterName']}/{inputs['nodeGroupName']}".encode()).hexdigest()[:12]


def _profile(inputs: Properties) -> str:
    """The name of the instance profile that EKS makes for a group's node role."""
    return f"eks-{_unique(inputs)}"


def _make_profile(site: Site, inputs: Properties) -> None:
    iam, name = site.client("iam"), _profile(inputs)
    role = inputs["nodeRoleArn"].rpartition("/")[2]
    if any(profile["InstanceProfileName"] == name for profile in iam.list_instance_profiles()["InstanceProfiles"]):
        return
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)


def _remove_profile(site: Site, inputs: Properties) -> None:
    iam, name = site.client("iam"), _profile(inputs)
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        if profile["InstanceProfileName"] == name:
            for role in profile["Roles"]:
                iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])
            iam.delete_instance_profile(InstanceProfileName=name)


def terminate(site: Site, instances: list[str]) -> None:
    """Terminate instances, and take their network interfaces away, which moto leaves."""
    ec2 = site.client("ec2")
    if not instances:
        return
    attached = [{"Name": "attachment.instance-id", "Values": instances}]
    interfaces = ec2.describe_network_interfaces(Filters=attached)["NetworkInterfaces"]
    ec2.terminate_instances(InstanceIds=instances)
    left = {row["NetworkInterfaceId"] for row in ec2.describe_network_interfaces()["NetworkInterfaces"]}
    for interface in interfaces:
        if interface["NetworkInterfaceId"] in left:
            ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


def _row(site: Site, cluster: str, name: str) -> dict[str, Any]:
    return site.row("node-groups", f"{cluster}/{name}", f"No node group found for name: {name}.")


class NodeGroup(Handler):
    """A managed node group. Its nodes join only with a network plugin, a route, and their role's policies."""

    token = "aws:eks/nodeGroup:NodeGroup"
    taggable = True
    seconds = Seconds(115, 300, 150)
    timeouts = Seconds(3600, 3600, 3600)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, cluster, name = call.site, inputs["clusterName"], inputs["nodeGroupName"]
        row = active_cluster(site, cluster)
        refuse((not inputs["subnetIds"], "Subnet Ids cannot be empty"))
        key = f"{cluster}/{name}"
        taken = f"NodeGroup already exists with name {name} and cluster name {cluster}"
        refuse((site.cloud.tables.get("node-groups", key), taken), code="ResourceInUseException")
        _refuse_types(inputs)
        _refuse_group(inputs, row)
        refuse_other_networks(site, row["vpc"], inputs["subnetIds"], "InvalidParameterException", f"Cluster {cluster}")
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html
        lacks = "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of"
        trusted = trusts(site, inputs["nodeRoleArn"], {"Service": "ec2.amazonaws.com"})
        refuse((not trusted, f"{lacks} nodeRole {inputs['nodeRoleArn']}"))
        template = inputs.get("launchTemplate")
        if template and not template.get("id"):
            raise ApiError("NotSimulated", "a launchTemplate by its name: the simulated cloud knows one by its id")
        if template:
            found = site.client("ec2").describe_launch_templates(LaunchTemplateIds=[template["id"]])["LaunchTemplates"]
            told = f"You do not have a launch template with id {template['id']}"
            refuse((not found, told), code="InvalidRequestException")
        _refuse_template(site, inputs)
        site.client("eks").create_nodegroup(**eks_requests.request("CreateNodegroup", inputs, all_tags(site, inputs)))
        _make_profile(site, inputs)
        instances, release = _scaled(site, inputs, row["group"], []), _release(row, inputs, "")
        told = {"inputs": declared(inputs), "tags": all_tags(site, inputs)}
        made = {"status": "CREATING", "instances": instances, "release": release}
        site.cloud.tables.put("node-groups", key, {**made, **told})
        remember_entry(site, cluster, inputs["nodeRoleArn"], "EC2_LINUX", by="eks")
        map_node_role(site, cluster, inputs["nodeRoleArn"])
        return self.identity(site, inputs), self._known(site, inputs, release, "CREATING")

    def _known(self, site: Site, inputs: Properties, release: str, status: str) -> Properties:
        name = inputs["nodeGroupName"]
        unique = _unique(inputs)
        return {
            "arn": self.arn(site, "", inputs, unique),
            "status": status,
            "version": minor_of(release),
            "releaseVersion": release,
            "resources": [{"autoscalingGroups": [{"name": f"eks-{name}-{unique}"}], "remoteAccessSecurityGroupId": ""}],
            "amiType": inputs.get("amiType") or "AL2023_x86_64_STANDARD",
            "capacityType": inputs.get("capacityType") or "ON_DEMAND",
            "instanceTypes": inputs.get("instanceTypes") or ["t3.medium"],
            "diskSize": int(inputs.get("diskSize") or 0),
        }

    @override
    def ready(self, call: Call, identity: str, outputs: Properties) -> Properties:
        site = call.site
        cluster, _, name = identity.partition(":")
        row = _row(site, cluster, name)
        try:
            _refuse_volumes(site, row["inputs"])
        except ApiError:
            site.cloud.tables.put("node-groups", f"{cluster}/{name}", row | {"status": "CREATE_FAILED"})
            raise
        why = self._why_not(site, cluster, row["inputs"])
        row["status"] = "CREATE_FAILED" if why else "ACTIVE"
        site.cloud.tables.put("node-groups", f"{cluster}/{name}", row)
        if why:
            raise ApiError("NodeCreationFailure", f"Instances failed to join the kubernetes cluster: {why}")
        return {**outputs, "status": "ACTIVE"}

    @staticmethod
    def _why_not(site: Site, cluster: str, inputs: Properties) -> str:
        """The reason for which the nodes of the group do not become Ready; empty where they do.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html (NodeCreationFailure)
        """
        row = active_cluster(site, cluster)
        if not row["selfManagedAddons"] and not site.cloud.tables.get("addons", f"{cluster}/vpc-cni"):
            return "no network plugin: the vpc-cni add-on is missing"
        if not row["selfManagedAddons"] and not site.cloud.tables.get("addons", f"{cluster}/kube-proxy"):
            return "the kube-proxy add-on is missing"
        unrouted = [subnet for subnet in inputs["subnetIds"] if not routed(site, subnet)]
        if unrouted:
            return f"no route to the Internet from {', '.join(sorted(unrouted))}"
        if cut := cut_off(site, inputs["subnetIds"]):
            return cut
        role = inputs["nodeRoleArn"].rpartition("/")[2]
        policies = site.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        attached = {policy["PolicyName"] for policy in policies}
        missing = [policy for policy in WORKER_POLICIES if policy not in attached]
        own = site.cloud.tables.get("pod-identities", f"{cluster}/kube-system/aws-node")
        agent = site.cloud.tables.get("addons", f"{cluster}/eks-pod-identity-agent")
        if CNI_POLICY not in attached and not row["selfManagedAddons"] and not (own and agent):
            return f"the network plugin has no credentials: {CNI_POLICY} is neither on {role} nor on a role of its own"
        return f"role {role} lacks {', '.join(missing)}" if missing else ""

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        cluster, _, name = identity.partition(":")
        row = call.site.cloud.tables.get("node-groups", f"{cluster}/{name}")
        if row is None:
            return None
        known = self._known(call.site, row["inputs"], row["release"], row["status"])
        seen = {
            key: row["inputs"][key]
            for key in ("scalingConfig", "labels", "taints", "launchTemplate", "updateConfig", "nodeRepairConfig")
            if key in row["inputs"]
        }
        return {**seen, **known, **own_tags(call.site, state, row["tags"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        cluster, _, name = identity.partition(":")
        key, site = f"{cluster}/{name}", call.site
        row = _row(site, cluster, name)
        for operation, request in eks_requests.update_nodegroup(row["inputs"], new):
            site.hold("eks", operation, request)
        _refuse_group(new, active_cluster(site, cluster))
        _refuse_template(site, new)
        cluster_row = active_cluster(site, cluster)
        if new.get("launchTemplate") != row["inputs"].get("launchTemplate"):
            _refuse_volumes(site, new)
        row = {
            **row,
            "instances": _scaled(site, new, cluster_row["group"], row["instances"]),
            "inputs": declared(new),
            "tags": all_tags(site, new),
            "release": _release(cluster_row, new, row["release"]),
        }
        site.cloud.tables.put("node-groups", key, row)
        return self._known(site, new, str(row["release"]), str(row["status"]))

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        cluster, _, name = identity.partition(":")
        site = call.site
        row = _row(site, cluster, name)
        site.client("eks").delete_nodegroup(clusterName=cluster, nodegroupName=name)
        terminate(site, row["instances"])
        _remove_profile(site, row["inputs"])
        site.cloud.tables.remove("node-groups", f"{cluster}/{name}")
        role = row["inputs"]["nodeRoleArn"]
        others = site.cloud.tables.all("node-groups", f"{cluster}/").values()
        if all(other["inputs"]["nodeRoleArn"] != role for other in others):
            forget_entry(site, cluster, role, by="eks")
            unmap_node_role(site, cluster, role)


def _release(cluster: dict[str, Any], inputs: Properties, had: str) -> str:
    """AMI release of a group: the one asked for, or the one that it has, or the newest of its minor.

    Sources: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html,
    https://docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html (no way back)
    """
    control_plane = cluster["inputs"].get("version") or DEFAULT_MINOR
    minor = inputs.get("version") or (minor_of(had) if had else control_plane)
    release = inputs.get("releaseVersion") or (had if minor_of(had) == minor else f"{minor}.2-{DAY}")
    asked = f"Requested release version {release} is"
    refuse(
        (
            float(minor) > float(control_plane),
            f"Requested Nodegroup version {minor} is newer than the cluster version {control_plane}",
        ),
        (minor_of(release) != minor, f"{asked} not valid for kubernetes version {minor}"),
    )
    refuse((had and _order(release) < _order(had), f"{asked} older than {had}: a node group is not rolled back"))
    return release


def _order(release: str) -> tuple[int, str]:
    """What a release is newer by: its minor and its day."""
    return int(release.split(".")[1]), release.rpartition("-")[2]
