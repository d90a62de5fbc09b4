"""The authenticator is told of access entries and of the authentication mode as EKS has them."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import yaml

from otel_on_spot.lab import certificates, rbac
from otel_on_spot.lab.aws import access_entries, authenticator
from otel_on_spot.simcloud.moto_process import free_port
from otel_on_spot.simcloud.tables import Tables
from tests.unit.lab.aws.conftest import CLUSTER

NODE = "arn:aws:iam::123456789012:role/node"
ADMIN = "arn:aws:iam::123456789012:role/admin"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"


def entry(tables: Tables, arn: str, kind: str, role_id: str = "AROA1", **more: object) -> None:
    tables.put("access-entries", f"{CLUSTER}/{arn}", {"type": kind, "by": "user", "roleId": role_id, **more})


def test_a_node_entry_maps_the_role_by_its_unique_id(tables: Tables) -> None:
    entry(tables, NODE, "EC2_LINUX", "AROANODE")
    assert access_entries.mappings(tables, CLUSTER)["mapRoles"] == [
        {
            "rolearn": NODE,
            "userid": "AROANODE",
            "username": "system:node:{{EC2PrivateDNSName}}",
            "groups": ["system:nodes"],
        }
    ]


def test_a_standard_entry_maps_to_its_own_groups_and_to_no_node(tables: Tables) -> None:
    entry(tables, ADMIN, "STANDARD", groups=["viewers"])
    found = access_entries.mappings(tables, CLUSTER)["mapRoles"][0]
    assert found["groups"] == ["viewers"]
    assert found["username"] == "arn:aws:sts::123456789012:assumed-role/admin/{{SessionName}}"


def test_an_access_policy_is_a_group_that_has_its_rules_and_one_of_a_namespace_is_none(tables: Tables) -> None:
    entry(tables, ADMIN, "STANDARD", groups=["viewers"])
    for arn, kind in ((ADMIN, "cluster"), (f"{ADMIN}/2", "cluster")):
        tables.put("access-policies", f"{CLUSTER}/{arn}/{POLICY}AmazonEKSAdminViewPolicy", {"scope": {"type": kind}})
    tables.put(
        "access-policies", f"{CLUSTER}/{ADMIN}/{POLICY}AmazonEKSClusterAdminPolicy", {"scope": {"type": "namespace"}}
    )
    found = access_entries.mappings(tables, CLUSTER)["mapRoles"][0]
    assert found["groups"] == ["viewers", "lab:access-policy:AmazonEKSAdminViewPolicy"]
    bound = {
        item["subjects"][0]["name"]: item["roleRef"]["name"] for item in rbac.access_policies() if "subjects" in item
    }
    roles = {item["metadata"]["name"]: item["rules"] for item in rbac.access_policies() if "rules" in item}
    assert roles[bound[found["groups"][1]]] == [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    ]


def test_entries_of_other_clusters_and_without_a_role_of_this_account_are_left_out(tables: Tables) -> None:
    entry(tables, NODE, "EC2_LINUX", "")
    tables.put("access-entries", f"another/{ADMIN}", {"type": "STANDARD", "by": "user", "roleId": "AROA2"})
    assert access_entries.mappings(tables, CLUSTER)["mapRoles"] == []


@pytest.mark.parametrize(
    ("mode", "backends"),
    [
        ("API", "DynamicFile"),
        ("API_AND_CONFIG_MAP", "DynamicFile EKSConfigMap"),
        ("CONFIG_MAP", "EKSConfigMap"),
        (None, "EKSConfigMap"),
    ],
)
def test_the_clusters_mode_decides_which_records_count(tables: Tables, mode: str | None, backends: str) -> None:
    access = {"accessConfig": {"authenticationMode": mode}} if mode else {}
    tables.put("clusters", CLUSTER, {"inputs": access})
    assert access_entries.backend_mode(tables, CLUSTER) == {"backendMode": backends}


def test_before_the_cluster_is_there_nobody_is_admitted(tables: Tables, tmp_path: Path) -> None:
    entries, mode = tmp_path / "entries.json", tmp_path / "mode.json"
    assert access_entries.refresh(tables, CLUSTER, entries, mode)
    assert json.loads(entries.read_text())["mapRoles"] == []
    assert json.loads(mode.read_text()) == {"backendMode": "DynamicFile"}


def test_files_are_written_only_where_something_changed(tables: Tables, tmp_path: Path) -> None:
    files = tmp_path / "entries.json", tmp_path / "mode.json"
    assert access_entries.refresh(tables, CLUSTER, *files)
    assert not access_entries.refresh(tables, CLUSTER, *files)
    entry(tables, NODE, "EC2_LINUX")
    assert access_entries.refresh(tables, CLUSTER, *files)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the lab's certificates and kubeconfigs."""
    certificates.make(tmp_path, "eu-west-1")
    return tmp_path


def prepared(keys: Path, port: int) -> Path:
    """The authenticator's folder."""
    return authenticator.prepare(keys / "home", port, keys).parent


def test_the_api_servers_webhook_trusts_the_labs_authority_and_asks_the_authenticators_port(keys: Path) -> None:
    told = yaml.safe_load((prepared(keys, 21362) / "webhook.kubeconfig").read_text())
    cluster = told["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:21362/authenticate"
    assert Path(cluster["certificate-authority"]) == keys / "ca.crt"


def test_keys_and_settings_are_read_by_their_owner_alone(keys: Path) -> None:
    home = prepared(keys, 21362)
    authenticator.command(Path("server"), home, 21362, CLUSTER, keys / "authenticator.kubeconfig")
    files = list(home.iterdir())
    assert {file.name for file in files} == {"cert.pem", "key.pem", "webhook.kubeconfig", "config.yaml"}
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_tokens_carry_the_issuer_that_the_simulated_cloud_gives_the_cluster() -> None:
    """One digest in two places: what the program's OIDC provider is made from, and what the API server signs as."""
    from otel_on_spot.simcloud.aws.eks_cluster import Cluster
    from otel_on_spot.simcloud.handler import Site

    row = {"status": "ACTIVE", "group": "sg-1", "vpc": "vpc-1"}
    cloud = MagicMock(account="1", certificate_authority="ca")
    known = Cluster()._known(Site(cloud, region="eu-west-1"), CLUSTER, {"vpcConfig": {}}, row)
    assert known["identities"][0]["oidcs"][0]["issuer"] == authenticator.issuer("eu-west-1", CLUSTER)


def test_the_real_authenticator_reads_the_settings(keys: Path) -> None:
    binary = shutil.which(authenticator.NAME)
    if binary is None:
        pytest.skip("no aws-iam-authenticator on PATH: build the lab's tools, with make tools")
    port = free_port()
    home, kubeconfig = prepared(keys, port), keys / "authenticator.kubeconfig"
    command = authenticator.command(Path(binary), home, port, CLUSTER, kubeconfig)
    environment = authenticator.environment("eu-west-1", keys / "ca.crt")
    log = keys / "authenticator.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 30
        while "listening on" not in log.read_text() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.1)
        said = log.read_text()
    finally:
        process.kill()
        process.wait()
    for backend in ("DynamicFile", "EKSConfigMap"):
        assert f'starting mapper \\"{backend}\\"' in said
    assert f"listening on 127.0.0.1:{port}" in said


def test_the_doors_may_review_tokens_and_read_aws_auth_and_nothing_else() -> None:
    rules = [rule for item in rbac.authenticator() for rule in item.get("rules", [])]
    assert [(rule["resources"], rule.get("resourceNames")) for rule in rules] == [
        (["tokenreviews"], None),
        (["configmaps"], ["aws-auth"]),
    ]
