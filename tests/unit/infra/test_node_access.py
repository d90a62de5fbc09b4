"""Only a role that a cluster admitted can be given to an EC2NodeClass: the type checker says so."""

import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
import yaml

from infra.node_access import NODE_GROUPS, NODE_USERNAME, NodeAccess, NodeRole, access_entries, role_mappings
from otel_on_spot.plan.record import record, record_program
from tests.unit.settings.test_settings import committed

ROOT = Path(__file__).parents[3]
TY = Path(sys.executable).parent / "ty"
PROGRAM = """
from infra.karpenter.capacity import CapacityArgs
from infra.names import StackNames
from infra.node_access import AdmittedNodeRole, NodeRole
from infra.settings.models import NodeClass


def capacity(role: {role}) -> CapacityArgs:
    return CapacityArgs(
        stack_names=StackNames(cluster="x", region="eu-west-1"), config=NodeClass(ami_alias="al2023@latest"),
        tags={{}}, pools={{}}, after=(), node_role=role, security_group_id="sg-1",
        tagged_for_volumes=False
    )
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the type checker says of a program with either kind of role, each in a file of its name."""
    folder = tmp_path_factory.mktemp("programs")
    for role in ("AdmittedNodeRole", "NodeRole"):
        (folder / f"with_{role}.py").write_text(PROGRAM.format(role=role))
    paths = ("--project", str(ROOT), "--python", sys.executable, "--extra-search-path", str(ROOT), str(folder))
    ended = subprocess.run([str(TY), "check", *paths], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 1, ended
    return ended.stdout


def test_lesson_1_an_admitted_role_type_checks(checked: str) -> None:
    assert "with_AdmittedNodeRole.py" not in checked


def test_lesson_1_a_role_that_no_cluster_admitted_does_not_type_check(checked: str) -> None:
    assert "Expected `AdmittedNodeRole`, found `NodeRole`" in checked
    assert "with_NodeRole.py" in checked
    assert "Found 1 diagnostic" in checked


def test_lesson_1_only_the_cluster_hands_out_admitted_roles() -> None:
    makers = [path.name for path in (ROOT / "infra").rglob("*.py") if "AdmittedNodeRole(" in path.read_text()]

    assert makers == ["cluster.py"]


def test_nodes_are_mapped_to_the_groups_that_let_them_bootstrap_and_be_nodes() -> None:
    """Source: https://karpenter.sh/docs/getting-started/migrating-from-cas/"""
    assert (NODE_USERNAME, NODE_GROUPS) == (
        "system:node:{{EC2PrivateDNSName}}",
        ("system:bootstrappers", "system:nodes"),
    )


@pytest.mark.parametrize("access", ["aws-auth", "both", "access-entry"])
def test_the_row_that_eks_writes_for_its_own_group_is_declared_in_every_mode(access: str) -> None:
    plan = record("dev", config_overrides={"cluster": committed("dev")["cluster"] | {"nodeAccess": access}})
    (group,) = plan.of_type("aws:eks/nodeGroup:NodeGroup")
    (config_map,) = [r for r in plan.of_type("kubernetes:core/v1:ConfigMap") if "nodeAccess" in r.name]

    rows = yaml.safe_load(config_map.inputs["data"]["mapRoles"])
    assert {
        "rolearn": group.inputs["nodeRoleArn"],
        "username": NODE_USERNAME,
        "groups": list(NODE_GROUPS),
    } in rows
    assert len(rows) == (1 if access == "access-entry" else 2)


@pytest.mark.parametrize(("access", "mapped", "entries"), [("aws-auth", 1, 0), ("both", 1, 1), ("access-entry", 0, 1)])
def test_each_mode_admits_by_its_own_means(access: NodeAccess, mapped: int, entries: int) -> None:
    found: list[int] = []

    def program() -> None:
        role = NodeRole(
            key="nodes", arn=pulumi.Output.from_input("arn"), instance_profile_name=pulumi.Output.from_input("p")
        )
        found.extend((len(role_mappings(access, (role,))), len(access_entries(access, (role,)))))

    record_program(program)

    assert found == [mapped, entries]
