"""Karpenter's identity is what EKS would give its pod, and its objects are its chart's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otel_on_spot.lab.releases.karpenter import identity_environment
from otel_on_spot.lab.releases.objects import owned

ROLE = "arn:aws:iam::123456789012:role/karpenter"


class Files:
    """Names of token files instead of tokens."""

    def file(self, api: Any, namespace: str, account: str, audience: str = "") -> Path:
        return Path(f"/tokens/{account}.{audience or 'kubernetes'}")


def identity(annotations: dict[str, str], association: bool) -> dict[str, str]:
    tables = SimpleNamespace(
        get=lambda table, key: {"roleArn": ROLE} if association and key == "c/kube-system/karpenter" else None
    )
    account = {"metadata": {"annotations": annotations}}
    installation: Any = SimpleNamespace(
        api=SimpleNamespace(get=lambda *_: account),
        cloud=SimpleNamespace(tables=tables),
        cluster="c",
        namespace="kube-system",
        region="eu-west-1",
    )
    context: Any = SimpleNamespace(tokens=Files(), authority=Path("/ca.crt"))
    return identity_environment(context, installation, "karpenter")


BY_ANNOTATION = {"eks.amazonaws.com/role-arn": ROLE}
POD_IDENTITY = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/tokens/karpenter.pods.eks.amazonaws.com",
}
WEB_IDENTITY = {
    "AWS_ROLE_ARN": ROLE,
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/tokens/karpenter.sts.amazonaws.com",
    "AWS_CA_BUNDLE": "/ca.crt",
}
WHERE = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_STS_REGIONAL_ENDPOINTS": "regional"}


@pytest.mark.parametrize(
    ("annotations", "association", "variables"),
    [
        ({}, True, WHERE | POD_IDENTITY),
        (BY_ANNOTATION, True, WHERE | POD_IDENTITY),
        (BY_ANNOTATION, False, WHERE | WEB_IDENTITY),
        ({}, False, {}),
    ],
    ids=["association", "both", "annotation", "neither"],
)
def test_an_association_gives_pod_identity_and_an_annotation_alone_a_web_identity(
    annotations: dict[str, str], association: bool, variables: dict[str, str]
) -> None:
    assert identity(annotations, association) == variables


@pytest.mark.parametrize("namespaced", [True, False])
def test_what_a_release_makes_carries_helms_marks(namespaced: bool) -> None:
    thing = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "labels": {"a": "b"}}}

    seen = owned(thing, "karpenter", "kube-system", namespaced=namespaced)["metadata"]

    assert seen["labels"] == {"a": "b", "app.kubernetes.io/managed-by": "Helm"}
    assert seen["annotations"]["meta.helm.sh/release-name"] == "karpenter"
    assert seen.get("namespace") == ("kube-system" if namespaced else None)
