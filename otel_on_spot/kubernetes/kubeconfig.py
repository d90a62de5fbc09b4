"""Kubeconfigs: written in one form, and read."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot.files import write_atomically

EXEC_VERSION: Final = "client.authentication.k8s.io/v1beta1"


def kubeconfig(
    server: str,
    ca: Path | str,
    user: str,
    credential: Mapping[str, Any],
    *,
    cluster: str = "lab",
    context: str = "",
    namespace: str = "",
) -> dict[str, Any]:
    """Contents of a kubeconfig with one cluster, one user and one context.

    Args:
        server: URL of the API server.
        ca: certificate authority: a file's path, or base64 data.
        user: the user's name.
        credential: of the user: ``token``, ``tokenFile`` or ``exec``; empty for none.
        cluster: the cluster's name.
        context: the context's name; the cluster's where empty.
        namespace: default namespace of the context.
    """
    field = "certificate-authority" if isinstance(ca, Path) else "certificate-authority-data"
    chosen = {"cluster": cluster, "user": user} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "v1",
        "clusters": [{"cluster": {"server": server, field: str(ca) if isinstance(ca, Path) else ca}, "name": cluster}],
        "contexts": [{"context": chosen, "name": context or cluster}],
        "current-context": context or cluster,
        "kind": "Config",
        "users": [{"name": user, "user": dict(credential)}],
    }


def eks_kubeconfig(name: str, endpoint: str, ca: str, region: str) -> dict[str, Any]:
    """Contents of the kubeconfig that pulumi-eks makes: ``aws eks get-token`` gives the token.

    Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cluster.ts (generateKubeconfig)

    Args:
        name: of the cluster.
        endpoint: URL of its API server.
        ca: base64 data of its certificate authority.
        region: AWS region.
    """
    arguments = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    execute = {
        "apiVersion": EXEC_VERSION,
        "command": "aws",
        "args": arguments,
        "env": [{"name": "KUBERNETES_EXEC_INFO", "value": json.dumps({"apiVersion": EXEC_VERSION})}],
    }
    return kubeconfig(endpoint, ca, "aws", {"exec": execute}, cluster="kubernetes", context="aws")


def write(file: Path, content: Mapping[str, Any]) -> Path:
    """Write a kubeconfig that only its owner reads."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(file, json.dumps(content, indent=1))
    return file


@dataclass(frozen=True)
class Kubeconfig:
    """Address of an API server, the certificate authority's file and the user's token."""

    server: str
    authority: Path
    token: str


def read(file: Path) -> Kubeconfig:
    """Read a kubeconfig of one cluster with a certificate authority's file and one user with a token.

    Raises:
        ValueError: the file is something else.
    """
    content = yaml.safe_load(file.read_text())
    try:
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        return Kubeconfig(cluster["server"], Path(cluster["certificate-authority"]), user["token"])
    except (KeyError, IndexError, TypeError) as problem:
        rule = "one cluster with certificate-authority, one user with token"
        raise ValueError(f"{file}: {problem!r} is missing. A kubeconfig of the lab has {rule}") from None


def cluster_of(kubeconfig: Any) -> str:
    """Name of the cluster that a kubeconfig leads to: what its token is asked for, else the end of the server's URL.

    Empty where it is not known.
    """
    try:
        content = json.loads(kubeconfig)
    except (TypeError, json.JSONDecodeError):
        return ""
    for user in content.get("users") or []:
        arguments = (((user.get("user") or {}).get("exec")) or {}).get("args") or []
        for flag, value in itertools.pairwise(arguments):
            if flag == "--cluster-name" and isinstance(value, str):
                return value
    server = content["clusters"][0]["cluster"]["server"]
    return str(server).rpartition("/")[2] if isinstance(server, str) else ""
