"""A proxy, and authorities of the company's: what nodes and Argo CD are told of them, and what is refused."""

import base64
import datetime
import email
from functools import cache
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.node_config import ANCHOR, archive, node_config
from infra.settings import parse
from infra.settings.rules import LARGEST_BUNDLE
from otel_on_spot.lab.nodes.node_config import _documents
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from policy.guardrails import violations
from tests.unit.settings.test_settings import committed

URL = "http://proxy.acme.io:3128"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
FOR_EVER = datetime.datetime(2126, 1, 1, tzinfo=datetime.UTC)
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@cache
def certificate(*, authority: bool = True, ends: datetime.datetime = FOR_EVER) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME authority")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@cache
def private_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@cache
def given() -> Recording:
    network = committed("dev")["network"] | {
        "proxy": {"url": URL, "noProxy": [".corp.acme.io"]},
        "caBundle": certificate(),
        "caBundleHosts": ["github.com"],
    }
    return record("dev", config_overrides={"network": network})


def user_data(recording: Recording) -> tuple[str, str]:
    """Of Karpenter's nodes, and of the system nodes."""
    (node_class,), (template,) = recording.of_type(NODE_CLASS), recording.of_type(TEMPLATE)
    system = template.inputs.get("userData")
    return node_class.inputs["spec"].get("userData") or "", base64.b64decode(system).decode() if system else ""


def test_both_kinds_of_nodes_are_told_the_proxy_and_trust_the_authorities() -> None:
    for told in user_data(given()):
        (spec,) = [document["spec"] for document in _documents(told)]
        default = spec["instance"]["environment"]["default"]
        direct = default["NO_PROXY"].split(",")
        kinds = {part.get_content_type(): str(part.get_payload()) for part in email.message_from_string(told).walk()}

        assert default["HTTP_PROXY"] == default["HTTPS_PROXY"] == default["https_proxy"] == URL
        assert default["no_proxy"] == default["NO_PROXY"]
        assert {"169.254.169.254", "169.254.170.23", "172.20.0.0/16", "10.100.0.0/16", ".svc"} <= set(direct)
        assert {"10.10.0.0/16", ".amazonaws.com", ".corp.acme.io", "localhost", ".cluster.local"} <= set(direct)
        assert f"cat > {ANCHOR} <<'PEM'\n{certificate()}PEM\nupdate-ca-trust\n" in kinds["text/x-shellscript"]
        assert kinds["text/x-shellscript"].startswith("#!/bin/bash\n")

    def broken(recording: Recording) -> list[str]:
        return [violation.rule.name for violation in violations(stack_of(recording))]

    assert broken(given()) == broken(record("dev"))


def test_argo_cd_asks_through_the_proxy_and_trusts_the_hosts_that_are_named() -> None:
    (release,) = [each for each in given() if each.name == "argocd-release"]
    values = release.inputs["values"]
    outside = {"name": "HTTPS_PROXY", "value": URL}

    assert outside in values["repoServer"]["env"]
    assert outside in values["server"]["env"]
    assert values["configs"]["tls"]["certificates"] == {"github.com": certificate()}


def test_without_them_nothing_is_said(plan: Recording) -> None:
    (release,) = [each for each in plan if each.name == "argocd-release"]

    assert not {"env"} & {*release.inputs["values"]["repoServer"], *release.inputs["values"]["server"]}
    assert "tls" not in release.inputs["values"]["configs"]
    assert user_data(plan)[1] == ""
    assert "proxy" not in user_data(plan)[0].lower()
    assert archive("", None) == node_config(None, {}) == ""
    assert node_config(5, {}) == (
        "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n"
        "      serializeImagePulls: false\n      maxParallelImagePulls: 5\n"
    )


def test_image_pulls_and_the_proxy_are_one_config() -> None:
    (document,) = yaml.safe_load_all(node_config(3, {"HTTP_PROXY": URL}))

    assert document["spec"]["kubelet"]["config"]["maxParallelImagePulls"] == 3
    assert document["spec"]["instance"]["environment"] == {"default": {"HTTP_PROXY": URL}}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no port": ({"proxy": {"url": "http://proxy.acme.io"}}, "proxy.url", ""),
    "a port that is none": ({"proxy": {"url": "http://proxy.acme.io:99999"}}, "proxy.url", "1 to 65535"),
    "a network that is none": ({"proxy": {"url": URL, "noProxy": ["10.0.0.0/99"]}}, "proxy.noProxy", "CIDR"),
    "a host with a path": ({"proxy": {"url": URL, "noProxy": ["git.acme.io/x"]}}, "proxy.noProxy", "CIDR"),
    "a password": ({"proxy": {"url": "http://me:secret@proxy.acme.io:3128"}}, "proxy.url", ""),
    "a path": ({"proxy": {"url": URL + "/x"}}, "proxy.url", ""),
    "another scheme": ({"proxy": {"url": "socks5://proxy.acme.io:1080"}}, "proxy.url", ""),
    "two hosts in one": ({"proxy": {"url": URL, "noProxy": ["a.acme.io,b.acme.io"]}}, "proxy.noProxy[0]", ""),
    "no certificate": ({"caBundle": "proxy.pem"}, "caBundle", "certificates alone"),
    "something beside them": (
        {"caBundle": certificate() + "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"},
        "caBundle",
        "certificates alone",
    ),
    "a torn one": ({"caBundle": certificate().replace("M", "", 1)}, "caBundle", "cannot be read"),
    "a private key": ({"caBundle": certificate() + private_key()}, "caBundle", "is public"),
    "an expired one": (
        {"caBundle": certificate() + certificate(ends=LONG_AGO)},
        "caBundle",
        "certificate 2, which ended on Jan  1 00:00:00 2020 GMT",
    ),
    "a server's own": ({"caBundle": certificate(authority=False)}, "caBundle", "of no authority"),
    "more than user data takes": (
        {"caBundle": certificate() * (LARGEST_BUNDLE // len(certificate()) + 1)},
        "caBundle",
        "16 KiB",
    ),
    "a host without authorities": ({"caBundleHosts": ["github.com"]}, "caBundleHosts", "give caBundle"),
    "a host that nobody asks": (
        {"caBundle": certificate(), "caBundleHosts": ["git.acme.io"]},
        "caBundleHosts",
        "name some of these",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_no_node_could_use_is_refused(fault: str) -> None:
    changes, key, words = WRONG[fault]
    _, problems = parse(committed("dev") | {"network": committed("dev")["network"] | changes})

    assert [problem.key for problem in problems] == [f"network.{key}"]
    assert words in str(problems[0])


@pytest.mark.parametrize(("build", "refused"), [("20251007", False), ("20250920", True)])
def test_an_image_that_cannot_be_told_a_proxy_is_refused(build: str, refused: bool) -> None:
    raw = committed("dev")
    raw["network"]["proxy"] = {"url": URL}
    raw["nodeClass"]["amiAlias"] = f"al2023@v{build}"
    raw["cluster"].setdefault("systemNodes", {})["releaseVersion"] = f"1.36.2-{build}"
    _, problems = parse(raw)
    keys = ["nodeClass.amiAlias", "cluster.systemNodes.releaseVersion"]

    assert [problem.key for problem in problems] == (keys if refused else [])


def test_several_authorities_are_taken() -> None:
    more = {"caBundle": certificate() + "\n" + certificate().replace("\n", "\r\n")}
    settings, problems = parse(committed("dev") | {"network": committed("dev")["network"] | more})

    assert settings is not None, problems
