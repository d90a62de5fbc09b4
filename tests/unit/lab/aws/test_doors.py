"""Pod Identity and IRSA give credentials to whom the program gave a role, and to nobody else."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from infra import documents
from otel_on_spot.kubernetes import names
from otel_on_spot.lab import certificates
from otel_on_spot.lab.aws import pod_identity, sts_front
from otel_on_spot.lab.aws.endpoint import DIRECT, Endpoint
from otel_on_spot.lab.aws.token_review import Reviewer, ServiceAccount
from otel_on_spot.lab.nodes.identity import cluster_token
from otel_on_spot.simcloud.tables import Tables
from tests.unit.lab.aws.conftest import CLUSTER, REGION, KnownTokens, role, session_of
from tests.unit.lab.conftest import serving

ISSUER = f"oidc.eks.{REGION}.amazonaws.com/id/ABC"
KARPENTER, OTHER = ServiceAccount("kube-system", "karpenter", "karpenter-0"), ServiceAccount("default", "default")


def jwt(issuer: str, name: str) -> str:
    import base64

    claims = base64.urlsafe_b64encode(json.dumps({"iss": f"https://{issuer}", "n": name}).encode()).decode().rstrip("=")
    return f"e30.{claims}.sig"


IRSA = jwt(ISSUER, "karpenter")
REVIEWER = cast(
    "Reviewer",
    KnownTokens(
        {
            ("karpenter-token", names.POD_IDENTITY): KARPENTER,
            ("other-token", names.POD_IDENTITY): OTHER,
            (IRSA, "sts.amazonaws.com"): KARPENTER,
            (jwt(ISSUER, "other"), "sts.amazonaws.com"): OTHER,
            (jwt("elsewhere.example", "karpenter"), "sts.amazonaws.com"): KARPENTER,
        }
    ),
)


@pytest.fixture
def agent(aws: Endpoint, tables: Tables) -> Iterator[str]:
    """The agent with its add-on and one association: its URL."""
    account = aws.client("sts").get_caller_identity()["Account"]
    scope = documents.Scope(cluster=CLUSTER, region=REGION, partition="aws", account_id=account)
    arn = role(aws, "pod-role", documents.pod_identity_trust(scope, "kube-system", "karpenter"))
    tables.put("addons", f"{CLUSTER}/{pod_identity.ADDON}", {"status": "ACTIVE"})
    tables.put("pod-identities", f"{CLUSTER}/kube-system/karpenter", {"roleArn": arn})
    server = pod_identity.server(
        ("127.0.0.1", 0), pod_identity.Associations(tables=tables, cluster=CLUSTER), aws, REVIEWER
    )
    with serving(server) as port:
        yield f"http://127.0.0.1:{port}/v1/credentials"
    aws.client("iam").delete_role(RoleName="pod-role")


def ask(url: str, token: str) -> dict[str, Any]:
    with DIRECT.open(urllib.request.Request(url, headers={"Authorization": token}), timeout=10) as answer:
        return json.load(answer)


def refusal(url: str, token: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, token)
    return caught.value.code, caught.value.read().decode()


def test_a_service_account_with_an_association_becomes_its_role(aws: Endpoint, agent: str) -> None:
    made = ask(agent, "karpenter-token")
    session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["Token"], region_name=REGION)
    arn = session.client("sts", endpoint_url=aws.url).get_caller_identity()["Arn"]
    assert arn.startswith(f"arn:aws:sts::123456789012:assumed-role/pod-role/eks-{CLUSTER}-karpenter")
    assert made["Expiration"].endswith("Z")


def test_without_an_association_there_are_no_credentials(agent: str, tables: Tables) -> None:
    status, text = refusal(agent, "other-token")
    assert (status, "default/default" in text, "ResourceNotFoundException" in text) == (404, True, True)
    tables.remove("pod-identities", f"{CLUSTER}/kube-system/karpenter")
    assert refusal(agent, "karpenter-token")[0] == 404


@pytest.mark.parametrize(("token", "code"), [("", "InvalidRequestException"), ("forged", "InvalidTokenException")])
def test_a_token_that_the_cluster_does_not_know_is_refused(agent: str, token: str, code: str) -> None:
    status, text = refusal(agent, token)
    assert (status, code in text) == (400, True)


def test_a_role_that_no_longer_trusts_pod_identity_is_refused(aws: Endpoint, agent: str) -> None:
    other = json.dumps(documents.service_trust("ec2.amazonaws.com"))
    aws.client("iam").update_assume_role_policy(RoleName="pod-role", PolicyDocument=other)
    status, text = refusal(agent, "karpenter-token")
    assert (status, "AccessDeniedException" in text) == (400, True)


def test_without_the_add_on_nobody_answers(agent: str, tables: Tables) -> None:
    tables.remove("addons", f"{CLUSTER}/{pod_identity.ADDON}")
    with pytest.raises(RemoteDisconnected):
        ask(agent, "karpenter-token")


@pytest.fixture
def front(aws: Endpoint, tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """The TLS front: its URL, and a context that trusts it."""
    authority = certificates.Authority(tmp_path)
    crt, key = authority.issue("sts", "sts.amazonaws.com", ("127.0.0.1",))
    server = sts_front.server(("127.0.0.1", 0), crt, key, aws, REVIEWER)
    with serving(server) as port:
        yield f"https://127.0.0.1:{port}/", ssl.create_default_context(cafile=str(authority.ca_file))


def through(front: tuple[str, ssl.SSLContext], query: str, **headers: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=front[1]))
    with opener.open(urllib.request.Request(front[0] + query, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def test_the_front_tells_the_authenticator_in_json_whose_presigned_url_it_is(
    aws: Endpoint, front: tuple[str, ssl.SSLContext]
) -> None:
    import base64

    arn = role(aws, "assumer", documents.service_trust("ec2.amazonaws.com"))
    token = cluster_token(session_of(aws, arn), REGION, CLUSTER)
    assert token.startswith("k8s-aws-v1.")
    encoded = token.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert url.startswith(f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity")
    told = json.loads(through(front, "?" + url.partition("?")[2], Accept="application/json"))
    who = told["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    identity = aws.client("iam").get_role(RoleName="assumer")["Role"]["RoleId"]
    assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/assumer/test"
    assert who["UserId"] == f"{identity}:test"


def test_the_front_refuses_a_key_that_nobody_was_given(front: tuple[str, ssl.SSLContext]) -> None:
    credential = "AKIAMADEUP%2F20260101%2Feu-west-1%2Fsts%2Faws4_request"
    made_up = f"?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential={credential}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        through(front, made_up, Accept="application/json")
    assert (caught.value.code, b"InvalidClientTokenId" in caught.value.read()) == (403, True)


@pytest.fixture
def irsa(aws: Endpoint) -> Iterator[str]:
    """A role for Karpenter's service account through the cluster's provider: its ARN."""
    iam = aws.client("iam")
    provider = iam.create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    yield role(aws, "irsa", documents.irsa_trust(provider, ISSUER, "kube-system", "karpenter"))
    iam.delete_role(RoleName="irsa")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)


def assume(arn: str, token: str) -> str:
    return (
        f"?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=karpenter"
        f"&RoleArn={urllib.parse.quote(arn)}&WebIdentityToken={token}"
    )


def test_irsa_gives_the_role_to_the_service_account_that_its_trust_names(
    front: tuple[str, ssl.SSLContext], irsa: str
) -> None:
    assert "assumed-role/irsa/karpenter" in through(front, assume(irsa, IRSA))


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (jwt(ISSUER, "other"), "AccessDenied"),
        (jwt("elsewhere.example", "karpenter"), "InvalidIdentityToken"),
        (jwt(ISSUER, "forged"), "InvalidIdentityToken"),
        ("no-token", "InvalidIdentityToken"),
    ],
)
def test_irsa_refuses_everybody_else(front: tuple[str, ssl.SSLContext], irsa: str, token: str, code: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        through(front, assume(irsa, token))
    assert f"<Code>{code}</Code>" in caught.value.read().decode()
