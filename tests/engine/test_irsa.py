"""``karpenter.identity: irsa`` under the engine: the controller's role trusts the cluster's issuer, there and back."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from otel_on_spot.simcloud.kubernetes.controllers import why_karpenter_is_dead
from otel_on_spot.simcloud.live import cluster_site
from otel_on_spot.simcloud.session import EKS_PLUGIN
from tests.engine.workbench import Workbench, position, workbench

IRSA = {"karpenter.identity": "irsa"}
ROLE = "otel-dev-karpenter-controller"
STAND_INS = [
    pytest.param(True, id="stand-in"),
    pytest.param(
        False,
        id="pulumi-eks",
        marks=pytest.mark.skipif(shutil.which(EKS_PLUGIN) is None, reason=f"no {EKS_PLUGIN} on PATH"),
    ),
]


@pytest.fixture(scope="module", params=STAND_INS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with workbench(tmp_path_factory.mktemp("irsa"), "dev", stand_in=request.param) as bench:
        with bench.settings(IRSA) as file:
            bench.up("--config-file", str(file))
        yield bench


def trusted(bench: Workbench) -> dict[str, Any]:
    """The principal that may assume the controller's role."""
    role = bench.cloud.client("iam", "eu-west-1").get_role(RoleName=ROLE)["Role"]
    document = role["AssumeRolePolicyDocument"]
    return (json.loads(document) if isinstance(document, str) else document)["Statement"][0]


def providers(bench: Workbench) -> list[str]:
    return [name for kind, name in bench.left() if kind == "oidc-provider"]


def test_the_role_trusts_the_clusters_issuer_and_no_other_service_account(bench: Workbench) -> None:
    statement, (provider,) = trusted(bench), providers(bench)
    assert statement["Principal"] == {"Federated": provider}
    issuer = provider.partition(":oidc-provider/")[2]
    assert issuer.startswith("oidc.eks.eu-west-1.amazonaws.com/id/")
    assert statement["Condition"]["StringEquals"][f"{issuer}:sub"] == "system:serviceaccount:kube-system:karpenter"
    thumbprints = bench.cloud.client("iam", "eu-west-1").get_open_id_connect_provider(
        OpenIDConnectProviderArn=provider
    )["ThumbprintList"]
    assert [len(thumbprint) for thumbprint in thumbprints] == [40]


def test_a_second_preview_finds_nothing_to_do(bench: Workbench) -> None:
    with bench.settings(IRSA) as file:
        bench.run("preview", "--expect-no-changes", "--non-interactive", "--config-file", str(file))


ASSOCIATION = "PodIdentityAssociation:karpenter-controller-association"
RELEASE = "Release:karpenter-controller"
RECORD = "Tag:karpenter-identity"
GUARD = "refuse_direct_jump(IDENTITY"


def dead(bench: Workbench) -> str:
    return why_karpenter_is_dead(cluster_site(bench.cloud, "otel-dev"))


@pytest.mark.parametrize("command", ["preview", "up"])
def test_the_jump_from_irsa_to_pod_identity_is_refused_before_anything_changes(bench: Workbench, command: str) -> None:
    since = bench.mark()
    code, told = bench.attempt_with({"karpenter.identity": "pod-identity"}, command)
    assert code != 0
    assert "pod-identity, and the cluster otel-dev is at irsa" in told
    assert "set karpenter.identity: both, run pulumi up, then set pod-identity" in told
    assert bench.operations(since) == []


def test_there_and_back_through_both_the_controller_has_its_role_after_every_update(bench: Workbench) -> None:
    rollouts = 0
    for identity in ("both", "pod-identity", "both", "irsa", "both", "pod-identity"):
        since = bench.mark()
        code, told = bench.attempt_with({"karpenter.identity": identity}, "up")
        assert code == 0, told[-2000:]
        assert dead(bench) == ""
        done = bench.operations(since)
        written = [operation for operation in done if operation.operation != "delete"]
        assert position(written, "update", RECORD) == len(written) - 1, "the record is written before what it records"
        if any(f"{entry.token.rpartition(':')[2]}:{entry.name}" == RELEASE for entry in done):
            rollouts += 1
            # What EKS would give the new pods is decided before there are any.
            assert position(done, "delete", ASSOCIATION) < position(done, "update", RELEASE)
            assert position(done, "create", ASSOCIATION) < position(done, "update", RELEASE)
    assert rollouts == 3


def test_without_the_guard_the_jump_to_irsa_cannot_end(bench: Workbench) -> None:
    program = bench.program / "__main__.py"
    whole = program.read_text()
    assert dead(bench) == ""
    lines = [line for line in whole.splitlines(keepends=True) if GUARD not in line]
    program.write_text("".join(lines))
    bench.cool()
    try:
        code, told = bench.attempt_with({"karpenter.identity": "irsa"}, "up")
    finally:
        program.write_text(whole)
        bench.cool()
    assert code != 0
    assert "does not trust pods.eks.amazonaws.com, whose association its pods have" in told
    bench.up()


def test_pod_identity_again_leaves_no_provider_and_destroy_nothing(bench: Workbench) -> None:
    assert providers(bench) == []
    assert trusted(bench)["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    bench.destroy()
    assert bench.left() == []
