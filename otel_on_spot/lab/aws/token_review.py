"""Asks the API server whose token this is: the lab's stand-in for EKS's own check of service account tokens."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_on_spot.kubernetes.kubeconfig import read


class TokenRefused(Exception):  # noqa: N818
    """The API server does not know the token, or not for this audience. The text says why."""


@dataclass(frozen=True)
class ServiceAccount:
    """Whose token it is. ``pod`` is empty where the token is bound to none."""

    namespace: str
    name: str
    pod: str = ""

    @property
    def subject(self) -> str:
        """The ``sub`` claim."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


class Reviewer:
    """Makes TokenReviews with the user of a kubeconfig that has a bearer token.

    Args:
        kubeconfig: its first cluster and user are taken.
    """

    def __init__(self, kubeconfig: Path) -> None:
        found = read(kubeconfig)
        self.server = found.server
        context = ssl.create_default_context(cafile=str(found.authority))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self._headers = {"Content-Type": "application/json"}
        self._headers["Authorization"] = f"Bearer {found.token}"

    def review(self, token: str, audience: str) -> ServiceAccount:
        """The service account that a token is of.

        Raises:
            TokenRefused: it is not a service account's token for this audience, or it is no longer valid.
            OSError: the API server does not answer.
        """
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        request = urllib.request.Request(
            f"{self.server}/apis/authentication.k8s.io/v1/tokenreviews", json.dumps(asked).encode(), self._headers
        )
        with self._opener.open(request, timeout=10) as answer:
            status: dict[str, Any] = json.load(answer)["status"]
        if not status.get("authenticated"):
            raise TokenRefused(status.get("error") or "the API server does not know this token")
        name = status["user"]["username"]
        if not name.startswith("system:serviceaccount:"):
            raise TokenRefused(f"{name} is no service account")
        _, _, namespace, account = name.split(":")
        pods = (status["user"].get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
        return ServiceAccount(namespace, account, pods[0])
