"""Throw-away certificates, tokens and kubeconfigs: made at each bring-up, valid for a week, readable by their owner."""

import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from otel_on_spot.files import write_atomically
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
    "ebs-csi-driver": ("ebs-csi-driver", ()),
}
"""Kubeconfig -> (user name, groups). A node has no user here: it comes as its instance's role."""


class Authority:
    """The lab's certificate authority, made new.

    Everything is written into ``folder``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA(organization_name="otel-on-spot lab", path_length=0)
        self.ca_file = write(folder / "ca.crt", self._ca.cert_pem.bytes())

    def issue(self, name: str, common_name: str, alternatives: Sequence[str]) -> tuple[Path, Path]:
        """A certificate for servers and clients: (certificate, key).

        ``alternatives``: host names and addresses that it is for.
        """
        now = datetime.datetime.now(datetime.UTC)
        end = now + datetime.timedelta(days=DAYS)
        leaf = self._ca.issue_cert(*alternatives, common_name=common_name, not_after=end)
        crt = write(self.folder / f"{name}.crt", leaf.cert_chain_pems[0].bytes())
        return crt, write(self.folder / f"{name}.key", leaf.private_key_pem.bytes())

    def kubeconfig(self, name: str, token: str) -> Path:
        """A kubeconfig with a token."""
        content = kubeconfig.kubeconfig(addresses.API_SERVER, self.ca_file, name, {"token": token})
        return kubeconfig.write(self.folder / f"{name}.kubeconfig", content)


def make(folder: Path, region: str) -> Authority:
    """Make everything that the lab's servers and users need, in a folder.

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
    private = accounts.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(folder / "sa.key", private)
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
    write_atomically(file, content)
    return file
