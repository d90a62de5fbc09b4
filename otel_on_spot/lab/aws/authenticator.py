"""aws-iam-authenticator as EKS runs it.

The ConfigMap aws-auth and the access entries, by the cluster's authentication mode.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from otel_on_spot.files import write_atomically
from otel_on_spot.kubernetes.kubeconfig import kubeconfig

NAME = "aws-iam-authenticator"


def issuer(region: str, cluster: str) -> str:
    """The cluster's OIDC issuer, the same that ``simcloud`` gives it: what service account tokens carry as ``iss``."""
    unique = hashlib.sha256(cluster.encode()).hexdigest()[:32].upper()
    return f"https://oidc.eks.{region}.amazonaws.com/id/{unique}"


def write(file: Path, content: dict[str, Any]) -> Path:
    """Write YAML that only its owner reads."""
    write_atomically(file, yaml.safe_dump(content, sort_keys=False))
    return file


def prepare(folder: Path, port: int, keys: Path) -> Path:
    """Make the authenticator's folder with its certificate: the kubeconfig with which the API server asks it.

    The API server reads it at its start. ``port``: that the authenticator will serve on. ``keys``: the lab's
    certificates.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source, name in (("crt", "cert.pem"), ("key", "key.pem")):
        shutil.copyfile(keys / f"authenticator.{source}", folder / name)
        (folder / name).chmod(0o600)
    url = f"https://127.0.0.1:{port}/authenticate"
    webhook = kubeconfig(url, keys / "ca.crt", "apiserver", {}, cluster=NAME, context="webhook")
    return write(folder / "webhook.kubeconfig", webhook)


def command(binary: Path, folder: Path, port: int, cluster: str, kubeconfig: Path) -> tuple[str, ...]:
    """The command of the server, its configuration written.

    Both backends are there from the start; ``mode.json`` then says which count.
    Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/tree/v0.6.13#full-configuration-format

    Args:
        binary: aws-iam-authenticator.
        folder: its state, with ``entries.json`` and ``mode.json``; the configuration is written into it.
        port: that it serves on, at 127.0.0.1.
        cluster: id that a token must be for: the cluster's name.
        kubeconfig: by which it reads the ConfigMap ``aws-auth``.
    """
    server = {
        "partition": "aws",
        "address": "127.0.0.1",
        "port": port,
        "hostname": "127.0.0.1",
        "stateDir": str(folder),
        "kubeconfigPregenerated": True,
        "kubeconfig": str(kubeconfig),
        "backendMode": ["DynamicFile", "EKSConfigMap"],
        "dynamicfilepath": str(folder / "entries.json"),
        "dynamicfileUserIDStrict": True,
        "dynamicBackendModePath": str(folder / "mode.json"),
    }
    file = write(folder / "config.yaml", {"clusterID": cluster, "server": server})
    return (str(binary), "server", "--config", str(file), "--log-format", "json")


def environment(region: str, authority: Path) -> dict[str, str]:
    """Variables of the server: it trusts the lab's authority alone, and finds no other AWS."""
    return {
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": str(authority),
        "SSL_CERT_DIR": os.devnull,
        "NO_PROXY": "*",
    }
