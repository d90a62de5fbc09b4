"""Throw-away certificates, tokens and kubeconfigs: made at each bring-up, valid for a week, readable by their owner."""

import datetime
import ipaddress
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.lab import addresses

DAYS: Final = 7
USERS: Final = {
    "admin": ("admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "kwok": ("kwok", ("system:masters",)),
    "authenticator": ("authenticator", ()),
    "kubelet-standin": ("kubelet-standin", ()),
}
"""Kubeconfig -> (user name, groups). A node has no user here: it comes as its instance's role."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """The lab's certificate authority, made new.

    Args:
        folder: where everything is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "otel-on-spot lab")])
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = write(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def issue(self, name: str, common_name: str, alternatives: Sequence[str]) -> tuple[Path, Path]:
        """A certificate for servers and clients: (certificate, key).

        Args:
            name: of the files.
            alternatives: host names and addresses that it is for.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._builder(subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName([_alternative(one) for one in alternatives]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        crt = write(self.folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        return crt, write(self.folder / f"{name}.key", _pem(key))

    def kubeconfig(self, name: str, token: str) -> Path:
        """A kubeconfig with a token."""
        content = kubeconfig.kubeconfig(addresses.API_SERVER, self.ca_file, name, {"token": token})
        return kubeconfig.write(self.folder / f"{name}.kubeconfig", content)


def make(folder: Path, region: str) -> Authority:
    """Everything that the lab's servers and users need, written into a folder.

    Files: ca.crt; apiserver, front-proxy, git, sts, authenticator as .crt and .key; sa.pub and sa.key; tokens.csv; a
    kubeconfig for each of ``USERS``.
    """
    authority = Authority(folder)
    inside = ("127.0.0.1", addresses.SERVICE_ADDRESS, "localhost", "kubernetes", "kubernetes.default")
    authority.issue("apiserver", "kube-apiserver", (*inside, "kubernetes.default.svc"))
    authority.issue("front-proxy", "front-proxy-client", ("localhost",))
    authority.issue("git", addresses.GIT_HOST, (addresses.GIT_HOST, addresses.GIT[0]))
    authority.issue("sts", "sts.amazonaws.com", (*addresses.sts_hosts(region), addresses.STS_FRONT[0]))
    authority.issue("authenticator", "aws-iam-authenticator", ("127.0.0.1", "localhost"))
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    write(folder / "sa.key", _pem(accounts))
    public = accounts.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write(folder / "sa.pub", public)
    lines = []
    for name, (user, groups) in USERS.items():
        token = secrets.token_urlsafe(24)
        authority.kubeconfig(name, token)
        lines.append(f"{token},{user},{name}" + (f',"{",".join(groups)}"' if groups else ""))
    write(folder / "tokens.csv", "\n".join([*lines, ""]).encode())
    return authority


def write(file: Path, content: bytes) -> Path:
    """Write a file that only its owner reads."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_bytes(content)
    return file


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
