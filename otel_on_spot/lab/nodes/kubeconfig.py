"""Reads the kubeconfigs that the lab writes: one cluster, one user with a token."""

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Kubeconfig:
    """Where the API is, whom to trust, and as whom."""

    server: str
    authority: Path
    token: str


def load(file: Path) -> Kubeconfig:
    """Read one.

    Raises:
        ValueError: it is no kubeconfig of the lab.
    """
    told = yaml.safe_load(file.read_text())
    try:
        cluster, user = told["clusters"][0]["cluster"], told["users"][0]["user"]
        return Kubeconfig(cluster["server"], Path(cluster["certificate-authority"]), user["token"])
    except (KeyError, IndexError, TypeError) as problem:
        rule = "one cluster with certificate-authority, one user with token"
        raise ValueError(f"{file}: {problem!r} is missing. A kubeconfig of the lab has {rule}") from None
