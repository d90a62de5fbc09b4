"""A small HTTP client of the Kubernetes API: one connection pool for a hundred nodes, each with its own token."""

import json
from pathlib import Path
from typing import Any

import urllib3

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Refused(Exception):  # noqa: N818
    """The API server said no. ``status`` is the HTTP status, 0 where it did not answer at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status
        self.message = message


class KubernetesHttp:
    """One API server.

    Args:
        authority: file of the certificate authority.
    """

    def __init__(self, server: str, authority: Path | None = None, authority_data: str | None = None) -> None:
        self.server = server.rstrip("/")
        told: dict[str, Any] = {"ca_certs": str(authority)} if authority else {}
        if authority_data:
            told = {"ca_cert_data": authority_data}
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=32,
            retries=False,
            timeout=urllib3.Timeout(connect=3, read=20),
            cert_reqs="CERT_REQUIRED",
            **told,
        )

    def ask(self, token: str, method: str, path: str, body: Any = None, kind: str = JSON) -> Any:
        """Do one request and return its JSON.

        Raises:
            Refused: any status but 2xx, or no answer.
        """
        headers = {"Authorization": f"Bearer {token}", "Accept": JSON, "Content-Type": kind}
        try:
            answer = self._pool.request(
                method, self.server + path, body=None if body is None else json.dumps(body), headers=headers
            )
        except urllib3.exceptions.HTTPError as problem:
            raise Refused(0, f"{self.server} does not answer: {problem}") from None
        text = answer.data
        if answer.status >= 300:
            try:
                message = json.loads(text).get("message", "")
            except ValueError:
                message = text.decode(errors="replace")[:200]
            raise Refused(answer.status, message)
        return json.loads(text) if text else None

    def watch(self, token: str, path: str, seconds: int) -> Any:
        """Events of a watch, line by line, until the server ends it after ``seconds``.

        Raises:
            Refused: any status but 200, or the stream broke.
        """
        headers = {"Authorization": f"Bearer {token}", "Accept": JSON}
        mark = "&" if "?" in path else "?"
        url = f"{self.server}{path}{mark}watch=true&timeoutSeconds={seconds}"
        try:
            answer = self._pool.request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=3, read=seconds + 10),
            )
            if answer.status != 200:
                raise Refused(answer.status, answer.read().decode(errors="replace")[:300])
            rest = b""
            for chunk in answer.stream(65536, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as problem:
            raise Refused(0, f"{self.server}: the watch broke: {problem}") from None
