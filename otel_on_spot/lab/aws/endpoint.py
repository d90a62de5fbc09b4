"""The simulated AWS as a process beside it sees it: boto3 clients on moto's URL, and the lab's own routes."""

import json
import threading
import urllib.request
from typing import Any
from urllib.parse import urlencode

import boto3
from botocore.config import Config

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs without a proxy: everything of the lab is on loopback."""


class Endpoint:
    """Clients on one region of moto; threads may share one.

    ``url``: moto's, as in ``http://127.0.0.1:15000``.
    """

    def __init__(self, url: str, region: str) -> None:
        self.url = url
        self.region = region
        self._session = boto3.Session(aws_access_key_id="simulated", aws_secret_access_key="simulated")
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""
        with self._lock:
            if service not in self._clients:
                config = Config(retries={"max_attempts": 2}, max_pool_connections=50, read_timeout=60, proxies={})
                self._clients[service] = self._session.client(
                    service, region_name=self.region, endpoint_url=self.url, config=config
                )
            return self._clients[service]

    def instances(self, cluster: str) -> list[dict[str, Any]]:
        """Every instance that carries the cluster's tag, ended ones too: ``routes.instance_row``.

        Raises:
            OSError: moto does not answer.
        """
        asked = urlencode({"region": self.region, "cluster": cluster})
        with DIRECT.open(f"{self.url}/lab/instances?{asked}", timeout=30) as answer:
            return json.load(answer)
