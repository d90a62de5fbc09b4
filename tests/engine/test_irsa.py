"""``karpenter.identity: irsa`` under the engine: the controller's role trusts the cluster's issuer, there and back."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from otel_on_spot.simcloud.session import EKS_PLUGIN
from tests.engine.workbench import Workbench, workbench

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


def test_back_to_pod_identity_leaves_no_provider_and_destroy_nothing(bench: Workbench) -> None:
    bench.up()
    assert providers(bench) == []
    assert trusted(bench)["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    bench.destroy()
    assert bench.left() == []
