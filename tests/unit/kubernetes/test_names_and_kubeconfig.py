"""Names and kubeconfigs of the tools agree with the program's, and a kubeconfig is readable by its owner alone."""

import stat
from pathlib import Path

import pytest

from infra import node_access
from otel_on_spot.kubernetes import kubeconfig, names


def test_the_tools_name_nodes_as_the_program_does() -> None:
    assert (names.NODE_USERNAME, names.NODE_GROUPS) == (node_access.NODE_USERNAME, node_access.NODE_GROUPS)


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (names.NODE.path(name="n"), "/api/v1/nodes/n"),
        (names.POD.path("default"), "/api/v1/namespaces/default/pods"),
        (names.APPLICATION.path(), "/apis/argoproj.io/v1alpha1/applications"),
        (names.LEASE.path("argocd", "drill"), "/apis/coordination.k8s.io/v1/namespaces/argocd/leases/drill"),
    ],
)
def test_paths_are_the_api_servers(found: str, path: str) -> None:
    assert found == path


def test_what_is_written_is_read_again_by_its_owner_alone(tmp_path: Path) -> None:
    content = kubeconfig.kubeconfig("https://127.0.0.1:6443", tmp_path / "ca.crt", "admin", {"token": "t"})
    file = kubeconfig.write(tmp_path / "new" / "kubeconfig", content)
    assert kubeconfig.read(file) == kubeconfig.Kubeconfig("https://127.0.0.1:6443", tmp_path / "ca.crt", "t")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_no_kubeconfig_of_the_lab_says_what_is_missing(tmp_path: Path) -> None:
    content = kubeconfig.kubeconfig("https://127.0.0.1:6443", "Y2E=", "admin", {"token": "t"})
    file = kubeconfig.write(tmp_path / "kubeconfig", content)
    with pytest.raises(ValueError, match="certificate-authority"):
        kubeconfig.read(file)
