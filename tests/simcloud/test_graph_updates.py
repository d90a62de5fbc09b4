"""The second apply of a graph: nothing to do, a change in place, drift put right, what is declared no more is gone."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pulumi
import pulumi_aws as aws
import pytest
import yaml

from otel_on_spot.program.recording import Recording
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.inventory import shape
from otel_on_spot.simcloud.live import cluster_site, launch_nodes
from otel_on_spot.simcloud.operations import Operation
from tests.simcloud.conftest import Maker

CLUSTER, REGION = "otel-dev", "eu-west-1"
A_MINOR_BEHIND = {"kubernetesVersion": "1.35", "addons": {"kubeProxy": "v1.35.3-eksbuild.29"}}


class Stack:
    """dev, a minor behind its stack file, applied again and again on one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.recording: Recording = graph.apply("dev", cloud, config_overrides={"cluster": settings("cluster")})

    def writes(self, **overrides: object) -> list[tuple[str, str]]:
        """(operation, type and name) of every write of one more apply."""
        before = len(self.cloud.operations.read())
        try:
            changed = {"cluster": settings("cluster"), **overrides}
            self.recording = graph.apply("dev", self.cloud, previous=self.recording, config_overrides=changed)
        except graph.ApplyError as failed:
            self.recording = failed.recording
            raise
        return [
            (operation.operation, named(operation))
            for operation in self.cloud.operations.read()[before:]
            if operation.operation != "read"
        ]


def named(one: Operation) -> str:
    return f"{one.token.rpartition(':')[2]}:{one.name}"


def settings(section: str) -> dict[str, object]:
    found = yaml.safe_load(Path("Pulumi.dev.yaml").read_text())["config"][f"otel-on-spot:{section}"]
    return {**found, **A_MINOR_BEHIND} if section == "cluster" else found


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Cloud(tmp_path_factory.mktemp("dev"), patience=20, forgetful=True) as cloud:
        yield Stack(cloud)


def test_a_second_apply_writes_nothing_and_leaves_a_field_alone_that_the_program_does(dev: Stack) -> None:
    api = dev.cloud.kubernetes(CLUSTER)
    project = api.get("argoproj.io/v1alpha1", "AppProject", "platform", "argocd")
    assert project is not None
    leased = {**project, "spec": {**project["spec"], "syncWindows": [{"kind": "deny", "schedule": "* * * * *"}]}}
    api.replace(leased)
    assert dev.writes() == []
    now = api.get("argoproj.io/v1alpha1", "AppProject", "platform", "argocd")
    assert now is not None
    assert now["spec"]["syncWindows"] == leased["spec"]["syncWindows"]


def test_what_eks_wrote_into_aws_auth_for_its_own_group_is_declared_too(dev: Stack) -> None:
    (group,) = dev.recording.of_type("aws:eks/nodeGroup:NodeGroup")
    (declared,) = [r for r in dev.recording.of_type("kubernetes:core/v1:ConfigMap") if "nodeAccess" in r.name]
    live = dev.cloud.kubernetes(CLUSTER).get("v1", "ConfigMap", "aws-auth", "kube-system")
    assert live is not None

    rows = yaml.safe_load(live["data"]["mapRoles"])
    assert group.inputs["nodeRoleArn"] in [row["rolearn"] for row in rows]
    assert live["data"]["mapRoles"] == declared.inputs["data"]["mapRoles"]


def test_changed_tags_of_the_stack_are_written_once_and_read_back_by_every_type(dev: Stack) -> None:
    wanted = {**settings("tags"), "owner": "checkout"}
    changed = {registration for operation, registration in dev.writes(tags=wanted) if operation == "update"}
    told = [message for message in dev.recording.messages if message.startswith("tags: ")]
    tagged = {f"{r.type.rpartition(':')[2]}:{r.name}" for r in dev.recording if "tagsAll" in r.outputs}

    assert len(tagged) > 30
    assert tagged <= changed
    assert told == [
        "tags: owner: nodes have the stack's tags from their class, so Karpenter replaces all of its nodes (0 now), "
        "within the pools' budgets, and EKS the system nodes"
    ]
    assert dev.writes(tags=wanted) == []
    assert not any(message.startswith("tags: ") for message in dev.recording.messages)
    assert tagged == {registration for operation, registration in dev.writes() if operation == "update"} & tagged


def test_a_changed_setting_changes_what_it_is_about_and_what_is_declared_no_more_is_deleted(dev: Stack) -> None:
    """A value, one more pool, and alerts that the demo judges, which take one Service more: changed and taken back."""
    pools = settings("pools")
    changed = {"nodeClass": {**settings("nodeClass"), "volumeGib": 77}, "pools": {**pools, "batch": pools["spot"]}}
    api, more = dev.cloud.kubernetes(CLUSTER), {"NodePool:capacity-batch", "Service:karpenter-metrics"}
    told = {"EC2NodeClass:capacity-node-class", "Application:platform-root", "Release:argocd-release"}

    def there() -> list[bool]:
        kinds = (("karpenter.sh/v1", "NodePool", "batch"), ("v1", "Service", "karpenter-metrics", "kube-system"))
        return [api.get(*kind) is not None for kind in kinds]

    written = dev.writes(monitoring={"alerts": "demo"}, **changed)
    assert {what for operation, what in written if operation == "create"} == more
    assert {what for operation, what in written if operation != "create"} == told
    node_class = api.get("karpenter.k8s.aws/v1", "EC2NodeClass", "default")
    assert node_class is not None
    assert node_class["spec"]["blockDeviceMappings"][0]["ebs"]["volumeSize"] == "77Gi"
    assert there() == [True, True]
    back = dev.writes()
    assert {what for operation, what in back if operation == "delete"} == more
    assert {what for operation, what in back if operation != "delete"} == told
    assert there() == [False, False]


def test_a_mapping_removed_by_hand_is_put_back_and_a_deleted_queue_made_again(dev: Stack) -> None:
    before = shape(dev.cloud, REGION)
    api = dev.cloud.kubernetes(CLUSTER)
    aws_auth = api.get("v1", "ConfigMap", "aws-auth", "kube-system")
    assert aws_auth is not None
    api.replace({**aws_auth, "data": {"mapRoles": "[]"}})
    sqs = dev.cloud.client("sqs", REGION)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="otel-dev-interruption")["QueueUrl"])
    assert {("update", "ConfigMap:cluster-eks-nodeAccess"), ("create", "Queue:interruption-queue")} <= set(dev.writes())
    healed = api.get("v1", "ConfigMap", "aws-auth", "kube-system")
    assert healed is not None
    assert healed["data"] == aws_auth["data"]
    assert shape(dev.cloud, REGION) == before


def test_a_change_that_makes_a_new_resource_is_refused_and_the_rest_is_kept(dev: Stack) -> None:
    with pytest.raises(graph.ApplyError, match=r"nodes-group: Replacement.*instanceTypes.*pulumi CLI"):
        writes_with(dev, "cluster", systemNodes={"instanceTypes": ["m7i.xlarge"]})
    assert dev.writes() == []


def test_what_was_there_before_a_failed_apply_is_still_known(cloud: Cloud) -> None:
    def program(*, broken: bool) -> None:
        opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region=REGION))
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        inside = "10.0.0.0/24"
        first = aws.ec2.Subnet("first", vpc_id=vpc.id, cidr_block="10.9.0.0/24" if broken else "10.0.1.0/24", opts=opts)
        aws.ec2.Subnet("second", vpc_id=first.vpc_id, cidr_block=inside, opts=opts)

    made = graph.apply_program(lambda: program(broken=False), cloud)
    with pytest.raises(graph.ApplyError) as failed:
        graph.apply_program(lambda: program(broken=True), cloud, previous=made)
    kept = {r.name: r.id for r in failed.value.recording if graph.is_made(r)}
    assert kept == {r.name: r.id for r in made if graph.is_made(r)}
    graph.destroy(failed.value.recording, cloud)


ELSEWHERE = {"region": "eu-west-2", "network": {**settings("network"), "zones": ["eu-west-2a", "eu-west-2b"]}}


def test_karpenters_identity_does_not_jump_and_without_the_guard_the_rollout_cannot_end(dev: Stack) -> None:
    irsa = {"karpenter": {**settings("karpenter"), "identity": "irsa"}}
    before = len(dev.cloud.operations.read())
    with pytest.raises(ProgramError, match=r"set karpenter\.identity: both, run pulumi up, then set irsa"):
        dev.writes(**irsa)
    assert len(dev.cloud.operations.read()) == before
    with mock.patch("infra.living.refuse_direct_jump"), pytest.raises(graph.ApplyError) as stuck:
        dev.writes(**irsa)
    assert "does not trust pods.eks.amazonaws.com, whose association its pods have" in str(stuck.value)
    assert ("update", "Role:karpenter-controller-role") in dev.writes()


def roles(dev: Stack) -> list[str]:
    """Names of the roles whose names are the program's."""
    found = [role.inputs.get("name", "") for role in dev.recording.of_type("aws:iam/role:Role")]
    assert len(found) >= 5
    return [name for name in found if CLUSTER in name]


def test_the_cluster_name_of_another_stack_of_the_account_is_refused_before_anything_is_made(dev: Stack) -> None:
    """IAM's names are the account's. Its roles are told all at once, in another region and in the same one."""
    same_region = {"cluster": {**settings("cluster"), "name": CLUSTER}}
    for stack, overrides in (("dev", ELSEWHERE), ("staging", same_region)):
        before = len(dev.cloud.operations.read())
        with pytest.raises(ProgramError) as refused:
            graph.apply(stack, dev.cloud, config_overrides=overrides)
        told = str(refused.value)
        assert len(dev.cloud.operations.read()) == before
        for part in (*roles(dev), "1 problem", "cluster.name", "of the stack eu-west-1/dev", "nothing was created"):
            assert part in told, part


def test_roles_from_before_the_owners_tag_are_this_stacks_where_the_cluster_is_in_its_region(dev: Stack) -> None:
    iam = dev.cloud.client("iam", REGION)
    for role in roles(dev):
        iam.untag_role(RoleName=role, TagKeys=["otel-on-spot/stack"])
    with pytest.raises(ProgramError, match="are there already, without the tag otel-on-spot/stack"):
        graph.apply("dev", dev.cloud, config_overrides=ELSEWHERE)
    assert {operation for operation, name in dev.writes() if name.startswith("Role:")} == {"update"}


@pytest.mark.parametrize(
    "token", ["aws:iam/role:Role", "aws:iam/policy:Policy", "aws:iam/instanceProfile:InstanceProfile"]
)
def test_without_the_look_iam_refuses_each_name_in_a_second_region(dev: Stack, token: str) -> None:
    elsewhere = Maker(Site(dev.cloud, region="eu-west-2"))
    taken = next(r for r in dev.recording.of_type(token) if CLUSTER in r.inputs["name"])
    with pytest.raises(ApiError, match="EntityAlreadyExists"):
        elsewhere.make(token, "again", **{k: v for k, v in taken.inputs.items() if k != "role"})


def writes_with(dev: Stack, section: str, **more: object) -> list[tuple[str, str]]:
    return dev.writes(**{section: {**settings(section), **more}})


def test_a_zone_is_added_for_nodes_and_taken_away_again_and_nothing_that_lives_is_replaced(dev: Stack) -> None:
    added = writes_with(dev, "network", zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"])
    assert ("create", "Subnet:network-private-c") in added
    assert [what for operation, what in added if operation != "create"] == ["VpcEndpoint:network-s3"]
    cluster, group = (
        dev.recording.of_type(f"aws:eks/{kind}")[0] for kind in ("cluster:Cluster", "nodeGroup:NodeGroup")
    )
    assert len(cluster.inputs["vpcConfig"]["subnetIds"]) == len(group.inputs["subnetIds"]) == 2

    removed = dev.writes()
    assert ("delete", "Subnet:network-private-c") in removed
    assert {operation for operation, what in removed if "VpcEndpoint" not in what} == {"delete"}


@pytest.mark.parametrize(
    ("zones", "words"), [("ac", "EKS moves it to no other set of zones"), ("ba", "keep the zones that live")]
)
def test_a_change_of_living_zones_is_refused_before_anything_changes(dev: Stack, zones: str, words: str) -> None:
    before = len(dev.cloud.operations.read())
    with pytest.raises(ProgramError, match=words):
        writes_with(dev, "network", zones=[f"eu-west-1{zone}" for zone in zones])
    assert len(dev.cloud.operations.read()) == before


def test_without_the_guard_eks_itself_refuses_a_zone_that_is_not_of_its_creation(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.living.control_plane_zones", lambda all_settings, *rest: all_settings.network.zones)
    with pytest.raises(graph.ApplyError, match=r"exact set of AZs 'eu-west-1a,eu-west-1b' in which"):
        writes_with(dev, "network", zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"])
    monkeypatch.undo()
    dev.writes()


def test_the_control_plane_goes_up_by_one_minor_with_its_system_nodes_and_an_update_does_not_take_it_back(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_minor = {"kubernetesVersion": "1.36", "addons": {"kubeProxy": "v1.36.0-eksbuild.14"}}
    pinned = {**settings("nodeClass"), "amiAlias": "al2023@v20260930"}
    skipped = {"kubernetesVersion": "1.37", "addons": {"kubeProxy": "v1.37.0-eksbuild.1"}}
    karpenter = {**settings("karpenter"), "version": "1.15.1"}
    with pytest.raises(ProgramError, match="one minor at a time"):
        dev.writes(cluster={**settings("cluster"), **skipped}, karpenter=karpenter)
    with pytest.raises(ProgramError, match="moved before the minor, in an update of its own"):
        dev.writes(cluster={**settings("cluster"), **next_minor}, nodeClass=pinned)
    assert [what for _, what in dev.writes(nodeClass=pinned)] == [
        "EC2NodeClass:capacity-node-class",
        "Tag:capacity-ami-alias",
    ]
    assert [what for _, what in dev.writes(cluster={**settings("cluster"), **next_minor}, nodeClass=pinned)] == [
        "Cluster:cluster-eks-eksCluster",
        "Addon:cluster-before-nodes-kube-proxy",
        "NodeGroup:cluster-system-nodes-group",
    ]
    (group,) = dev.recording.of_type("aws:eks/nodeGroup:NodeGroup")
    assert str(group.outputs["releaseVersion"]).startswith("1.36.")
    with pytest.raises(ProgramError, match="nodes go it before the control plane"):
        dev.writes()

    monkeypatch.setattr("infra.living.version_problems", lambda cluster, living: [])
    with pytest.raises(graph.ApplyError, match="kubelet version skew"):
        dev.writes()


def test_the_driver_is_not_held_to_its_clusters_volumes_while_a_node_has_no_tag(dev: Stack) -> None:
    launch_nodes(cluster_site(dev.cloud, CLUSTER), "spot")
    living = {"kubernetesVersion": "1.36", "addons": {"kubeProxy": "v1.36.0-eksbuild.14"}, "volumeAccess": "cluster"}
    pinned = {**settings("nodeClass"), "amiAlias": "al2023@v20260930"}
    with pytest.raises(ProgramError, match="1 nodes without the tag"):
        dev.writes(cluster={**settings("cluster"), **living}, nodeClass=pinned)
