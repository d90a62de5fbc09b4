"""Reviews of service account tokens by the API server: the lab's stand-in for EKS's own check."""

from dataclasses import dataclass
from pathlib import Path

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import TOKEN_REVIEW


class TokenRefusedError(Exception):
    """The API server does not know the token, or not for this audience. The text says why."""


@dataclass(frozen=True)
class ServiceAccount:
    """The service account that a token is of. ``pod`` is empty where the token is bound to none."""

    namespace: str
    name: str
    pod: str = ""

    @property
    def subject(self) -> str:
        """The ``sub`` claim."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


class Reviewer:
    """Makes TokenReviews with the user of a kubeconfig that has a bearer token."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = Api.from_kubeconfig(kubeconfig)

    def review(self, token: str, audience: str) -> ServiceAccount:
        """The service account that a token is of.

        Raises:
            TokenRefusedError: it is not a service account's token for this audience, or it is no longer valid.
            ConnectionError: the API server does not answer, or refuses the review.
        """
        review = {
            "apiVersion": TOKEN_REVIEW.version,
            "kind": TOKEN_REVIEW.kind,
            "spec": {"token": token, "audiences": [audience]},
        }
        try:
            status = self._api.create(TOKEN_REVIEW.path(), review)["status"]
        except (ApiException, HTTPError) as problem:
            raise ConnectionError(reason(problem)) from None
        if not status.get("authenticated"):
            raise TokenRefusedError(status.get("error") or "the API server does not know this token")
        name = status["user"]["username"]
        if not name.startswith("system:serviceaccount:"):
            raise TokenRefusedError(f"{name} is no service account")
        _, _, namespace, account = name.split(":")
        pods = (status["user"].get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
        return ServiceAccount(namespace, account, pods[0])
