"""Identities of controllers.

Tokens of its own service account in files that are renewed, and the kubeconfig that reads them.
"""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_on_spot.files import write_atomically
from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.kubernetes.names import SERVICE_ACCOUNT
from otel_on_spot.lab import addresses
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.simcloud.api_errors import ApiError

TOKEN_SECONDS = 3600
RENEW_AT = 0.5
"""Share of a token's life after which it is renewed. The kubelet waits for 0.8; a laptop that sleeps needs room."""
CHECK_SECONDS = 20.0
KUBERNETES_AUDIENCE = ""
STS_AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True)
class _Token:
    namespace: str
    account: str
    audience: str
    file: Path


class TokenFiles:
    """Token files of service accounts, written when asked for and renewed by a thread until ``close``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._renew_at: dict[_Token, tuple[float, KubernetesApi]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def file(self, api: KubernetesApi, namespace: str, account: str, audience: str = KUBERNETES_AUDIENCE) -> Path:
        """A file with a token of a service account, renewed while this is open.

        Args:
            api: the API server that makes the token.
            namespace: the service account's.
            account: name of the service account.
            audience: whom the token is for; empty: the API server itself.

        Raises:
            ApiError: there is no such service account, or the API server refuses.
        """
        path = self.folder / f"{namespace}.{account}.{audience.partition('.')[0] or 'kubernetes'}"
        token = _Token(namespace, account, audience, path)
        self._write(api, token)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="tokens", daemon=True)
                self._thread.start()
        return path

    def forget(self, namespace: str, account: str) -> None:
        """Stop renewing the tokens of a service account, and remove their files."""
        with self._lock:
            gone = [token for token in self._renew_at if (token.namespace, token.account) == (namespace, account)]
            for token in gone:
                del self._renew_at[token]
                token.file.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop renewing."""
        self._closed.set()

    def _write(self, api: KubernetesApi, token: _Token) -> None:
        spec: dict[str, Any] = {
            "audiences": [token.audience] if token.audience else [],
            "expirationSeconds": TOKEN_SECONDS,
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"{SERVICE_ACCOUNT.path(token.namespace, token.account)}/token"
        made = api.ask(lambda: api.client.create(path, request))
        write_atomically(token.file, made["status"]["token"])
        with self._lock:
            self._renew_at[token] = (time.time() + TOKEN_SECONDS * RENEW_AT, api)

    def kubeconfig(self, file: Path, authority: Path, api: KubernetesApi, namespace: str, account: str) -> Path:
        """A kubeconfig whose user is the account: its token is in a file, which clients read again and again.

        Source: https://pkg.go.dev/k8s.io/client-go/rest#Config (BearerTokenFile)

        Args:
            file: where it is written.
            authority: PEM file of the API server's authority.
            api: the API server that makes the token.
            namespace: the service account's.
            account: name of the service account.
        """
        credential = {"tokenFile": str(self.file(api, namespace, account))}
        content = kubeconfig.kubeconfig(addresses.API_SERVER, authority, f"{namespace}/{account}", credential)
        return kubeconfig.write(file, content)

    def _renew(self) -> None:
        while not self._closed.wait(CHECK_SECONDS):
            with self._lock:
                due = [(token, api) for token, (at, api) in self._renew_at.items() if time.time() > at]
            for token, api in due:
                try:
                    self._write(api, token)
                except (ApiError, OSError):
                    continue  # the API server is being restarted: the old token is good for as long again
