"""One simulated cloud: one directory, its moto, its tables, its clock, its faults, its log."""

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config
from filelock import FileLock, Timeout

from otel_on_spot.simcloud.clock import Clock
from otel_on_spot.simcloud.faults import FaultPlan
from otel_on_spot.simcloud.kubernetes_api import Kubernetes
from otel_on_spot.simcloud.moto_process import MotoProcess, free_port
from otel_on_spot.simcloud.operations import Operations
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import Requests
from otel_on_spot.simcloud.tables import Tables

ACCOUNT = "123456789012"
"""moto's account. Source: https://docs.getmoto.org/en/latest/docs/multi_account.html"""


QUOTAS: Final = {"addresses": ("ec2", "L-0263D0A3"), "vpcs": ("vpc", "L-F678F1CE")}
"""Quotas that are held: how many of each a region has, five until more is asked for. (service, code) of each.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
"""


class ReleaseRunner(Protocol):
    """Installs releases for real. ``inputs`` are the release's; ``seconds`` are real ones."""

    def check(self, inputs: Properties) -> None:
        """Refuse a chart, a version or values that it cannot install, before anything is changed.

        Raises:
            ApiError: it cannot install them.
        """
        ...

    def installed(
        self, cloud: "Cloud", cluster: str, inputs: Properties, *, seconds: float, cancelled: threading.Event
    ) -> None:
        """Install the release, or bring it to these inputs, and wait until it is ready.

        Args:
            cloud: that the cluster is in.
            cluster: its name.
            inputs: the release's, as the program declared them.
            seconds: real ones that it may take to be ready.
            cancelled: set when the engine no longer waits.

        Raises:
            ApiError: it is not ready in time, or the cluster refuses an object.
        """
        ...

    def deleted(self, cloud: "Cloud", cluster: str, inputs: Properties) -> None:
        """Remove what the release started and made. What is gone already is fine."""
        ...


class Judge(Protocol):
    """Decides the providers' calls, as ``authorization.Authorization`` does."""

    def operation(
        self, name: str, token: str, logical: str, site: Any, identity: str, state: Properties, inputs: Properties
    ) -> None:
        """Decide the calls of one operation on a resource, before any of them is made.

        Args:
            name: create, read, update or delete.
            token: the resource's type.
            logical: its logical name.
            site: the provider's region and default tags.
            identity: its id; empty before it has one.
            state: its outputs; empty before it has any.
            inputs: those that are wanted; empty of a read and a deletion.

        Raises:
            ApiError: one is refused, or nothing is known of the type's calls.
        """

    def function(self, token: str, site: Any, arguments: Properties) -> None:
        """Decide the calls of a function of the provider.

        Raises:
            ApiError: one is refused, or nothing is known of the function's calls.
        """

    def remember(self, identity: str, outputs: Properties) -> None:
        """Keep the tags of what was made or read, for the calls that name it later."""

    @property
    def arn(self) -> str:
        """ARN of who calls; empty where it is nobody in particular."""

    @property
    def principal(self) -> str:
        """ARN of the role or user that calls; empty where it is nobody in particular."""


class Cloud:
    """A cloud in a directory, as a context manager: inside, moto runs; afterwards, its state stays in the directory.

    Args:
        directory: where everything is kept; made when missing. One process at a time may use it.
        scale: real seconds per second of AWS; 0 waits for nothing.
        faults: what goes wrong.
        patience: real seconds that a timeout lasts at least.
        kubernetes: makes the API of a cluster from the cloud and the cluster's name; None keeps objects in tables.
        releases: what installs a Helm release; None lets it become ready by itself.
        api_url: URL of the API server that serves every cluster; None gives each cluster a path of a made-up one.
        certificate_authority: PEM of the authority that signed the API server's certificate.
        service_cidr: addresses of the API server's Services; None leaves them to the declaration.
        moto: another moto than one on a free port that keeps its state in the directory.
        forgetful: moto saves no change: faster, for a cloud that nobody starts again.
        quotas: most ``addresses`` and ``vpcs`` in a region, whatever Service Quotas tells; None has its own.

    Raises:
        RuntimeError: another process uses the directory, or moto does not start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        scale: float = 0.0,
        faults: FaultPlan | None = None,
        patience: float = 15.0,
        kubernetes: "Callable[[Cloud, str], Kubernetes] | None" = None,
        releases: ReleaseRunner | None = None,
        api_url: str | None = None,
        certificate_authority: str | None = None,
        service_cidr: str | None = None,
        moto: MotoProcess | None = None,
        forgetful: bool = False,
        quotas: Mapping[str, int] | None = None,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(directory / "lock", preserve_lock_file=True, thread_local=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RuntimeError(
                f"{directory}: another process runs this simulated cloud. Wait for it, or give another directory"
            ) from None
        self.clock = Clock(scale, patience)
        self.operations = Operations(directory / "operations.jsonl", self.clock, faults or FaultPlan())
        self.tables = Tables(directory / "tables.sqlite")
        self.moto = moto or MotoProcess(directory / "moto.pickle", directory / "moto.log", forgetful=forgetful)
        self.account = ACCOUNT
        self.requests = Requests()
        self.quotas = dict(quotas or {})
        self.releases = releases
        self.certificate_authority = certificate_authority
        self.service_cidr = service_cidr
        self._api_url = api_url
        self._make_kubernetes = kubernetes or Kubernetes
        self.api_port = self._remembered_port()
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._kubernetes: dict[str, Kubernetes] = {}
        self.authorization: Judge | None = None
        """Decides the providers' calls (``authorization.judged``); None allows them all."""

    def __enter__(self) -> "Cloud":
        try:
            self.moto.start()
        except BaseException:
            self.close()
            raise
        return self

    def quota(self, what: str, region: str) -> int:
        """Most ``addresses`` or ``vpcs`` that a region has, as Service Quotas tells it."""
        if what in self.quotas:
            return self.quotas[what]
        service, code = QUOTAS[what]
        told = self.client("service-quotas", region).get_service_quota(ServiceCode=service, QuotaCode=code)
        return int(told["Quota"]["Value"])

    def __exit__(self, *_: object) -> None:
        self.clock.stopping.set()
        self.moto.stop()
        self.close()

    def close(self) -> None:
        """Give the directory up; ``__exit__`` does it too."""
        self.tables.close()
        self._lock.release()

    def _remembered_port(self) -> int:
        """Port of the clusters' API endpoint: part of their URL, so it must stay the same for the cloud's life."""
        row = self.tables.get("cloud", "api")
        if row is None:
            row = {"port": free_port()}
            self.tables.put("cloud", "api", row)
        return int(row["port"])

    @property
    def api_url(self) -> str:
        """URL of the API server; of the made-up one, every cluster has a path of its own under it."""
        return self._api_url or f"https://127.0.0.1:{self.api_port}"

    def endpoint(self, cluster: str) -> str:
        """URL of a cluster's API."""
        return self._api_url or f"{self.api_url}/{cluster}"

    def client(self, service: str, region: str) -> Any:
        """A boto3 client on moto, whose requests are held against AWS's model; threads may share it."""
        with self._clients_lock:
            if (service, region) not in self._clients:
                client = self._session.client(
                    service,
                    region_name=region,
                    endpoint_url=self.moto.url,
                    config=Config(retries={"max_attempts": 2}, max_pool_connections=50, read_timeout=60, proxies={}),
                )
                self.requests.watch(client)
                self._clients[service, region] = client
            return self._clients[service, region]

    @cached_property
    def _session(self) -> Any:
        return boto3.Session(aws_access_key_id="simulated", aws_secret_access_key="simulated")

    def kubernetes(self, cluster: str) -> Kubernetes:
        """The Kubernetes API of a cluster of this cloud, by the cluster's name."""
        with self._clients_lock:
            return self._kubernetes.get(cluster) or self._kubernetes.setdefault(
                cluster, self._make_kubernetes(self, cluster)
            )
