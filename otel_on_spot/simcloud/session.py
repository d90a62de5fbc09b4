"""Everything that the real engine needs to believe in the simulated cloud, started and stopped together."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from otel_on_spot.processes import end_group
from otel_on_spot.project import PACKAGE_PARENT
from otel_on_spot.simcloud.api_endpoint import ApiEndpoint
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.faults import FaultPlan
from otel_on_spot.simcloud.oidc_proxy import OidcProxy
from otel_on_spot.simcloud.provider.aws import Aws
from otel_on_spot.simcloud.provider.kubernetes import Kubernetes

WORKERS = 256
"""Operations that may be under way at once: each waits in a thread of its own."""
EKS_PLUGIN = "pulumi-resource-eks"
FORGOTTEN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONFIG_FILE",
    "KUBECONFIG",
)
"""Variables that lead to a real cloud or cluster: the command must not see them."""
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""The pulumi-eks component asks the API endpoint and the issuer through a proxy, loopback or not: ours."""


class StandInProcess:
    """The stand-in in a process of its own: the SDK that it uses keeps one program's state in globals."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and learn its port, which it prints as plugins do.

        Raises:
            RuntimeError: it ended before it printed its port; the text ends with its last words.
        """
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "otel_on_spot.simcloud.provider.eks_stand_in"],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                cwd=PACKAGE_PARENT,
                start_new_session=True,
            )
        stdout = self._process.stdout
        line = stdout.readline() if stdout else ""
        if not line.strip().isdigit():
            time.sleep(0.1)
            self.stop()
            raise RuntimeError(f"the stand-in for pulumi-eks did not start: {self.log.read_text()[-800:]}")
        self.port = int(line)

    def stop(self) -> None:
        """Stop it and wait for its end; harmless where it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            end_group(self._process, 5)
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None


class Session:
    """A cloud with its providers on loopback. Inside the context, ``environment`` is what a command needs.

    Args:
        directory: where the cloud is kept.
        scale: real seconds per second of AWS.
        faults: what goes wrong.
        stand_in: True uses our stand-in for the pulumi-eks component, False its own provider; None its own where it
            is on PATH.
        patience: real seconds that a timeout lasts at least.
        cloud: one that runs already, and goes on when the session ends; it has its own scale, faults and API endpoint.
        forgetful: as of ``Cloud``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        scale: float = 0.0,
        faults: FaultPlan | None = None,
        stand_in: bool | None = None,
        patience: float = 15.0,
        cloud: Cloud | None = None,
        forgetful: bool = False,
    ) -> None:
        self.directory = directory.resolve()
        self._own = cloud is None
        self.cloud = cloud or Cloud(self.directory, scale=scale, faults=faults, patience=patience, forgetful=forgetful)
        self.stand_in = shutil.which(EKS_PLUGIN) is None if stand_in is None else stand_in
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="provider")
        self._servers: list[grpc.Server] = []
        self._ports: dict[str, int] = {}
        self._api: ApiEndpoint | None = None
        self._eks: StandInProcess | None = None
        self._proxy: OidcProxy | None = None

    def __enter__(self) -> "Session":
        if self._own:
            self._reserve_api_port()
        try:
            if self._own:
                self.cloud.__enter__()
            if self._api:
                self._api.start()
            for name, servicer in (
                ("aws", Aws(self.cloud, version("pulumi-aws"))),
                ("kubernetes", Kubernetes(self.cloud, version("pulumi-kubernetes"))),
            ):
                server = grpc.server(self._pool, options=_GRPC_CHANNEL_OPTIONS)
                provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
                self._ports[name] = server.add_insecure_port("127.0.0.1:0")
                server.start()
                self._servers.append(server)
            if self.stand_in:
                self._eks = StandInProcess(self.directory / "eks-stand-in.log")
                self._eks.start()
                self._ports["eks"] = self._eks.port
            else:
                self._proxy = OidcProxy(self.directory / "issuer")
                self._proxy.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _reserve_api_port(self) -> None:
        try:
            self._api = ApiEndpoint(self.cloud)
        except OSError as problem:
            port = self.cloud.api_port
            self.cloud.close()
            raise RuntimeError(
                f"port {port} of the simulated clusters' API is in use ({problem.strerror}): it is part of every "
                f"cluster's URL in {self.directory}, so it cannot move. Free the port, or start anew with "
                "another directory"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self.cloud.clock.stopping.set()
        if self._eks:
            self._eks.stop()
        for stopped in [server.stop(grace=1) for server in self._servers]:
            stopped.wait()
        if self._api:
            self._api.stop()
        if self._proxy:
            self._proxy.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._own:
            self.cloud.__exit__()

    @property
    def environment(self) -> dict[str, str]:
        """The caller's environment, turned away from real clouds and to this one."""
        hidden = {*FORGOTTEN, *PROXIES, *(name.lower() for name in PROXIES)}
        kept = {key: value for key, value in os.environ.items() if key not in hidden}
        backend = self.directory / "backend"
        backend.mkdir(exist_ok=True)
        defaults = {"PULUMI_BACKEND_URL": f"file://{backend}"}
        if "PULUMI_CONFIG_PASSPHRASE" not in kept and "PULUMI_CONFIG_PASSPHRASE_FILE" not in kept:
            defaults["PULUMI_CONFIG_PASSPHRASE"] = "simulated"
        proxy = (
            {"HTTPS_PROXY": self._proxy.url, "NODE_EXTRA_CA_CERTS": str(self._proxy.authority)} if self._proxy else {}
        )
        return {
            **defaults,
            **kept,
            **proxy,
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in self._ports.items()),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_ACCESS_KEY_ID": "simulated",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_ENDPOINT_URL": self.cloud.moto.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": os.pathsep.join(filter(None, [self._aws_cli(), kept.get("PATH", "")])),
        }

    def _aws_cli(self) -> str:
        """Folder with an ``aws`` that prints its version, where there is none: the component asks it nothing else."""
        if shutil.which("aws"):
            return ""
        folder = self.directory / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "aws"
        script.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo "aws-cli/2.31.0 simulated" && exit 0\n'
            'echo "this aws only tells its version: the cloud is simulated" >&2\nexit 1\n'
        )
        script.chmod(0o755)
        return str(folder)


def run(session: Session, command: list[str], directory: Path | None = None) -> int:
    """Run a command inside a session: its exit code, 128 + the signal where one ended it.

    Ctrl-C reaches the command as it would without us; SIGTERM is passed on. The caller stops the session afterwards.
    """
    process = subprocess.Popen(command, env=session.environment, cwd=directory)
    interrupts = 0

    def pass_on(number: int, _frame: object) -> None:
        nonlocal interrupts
        interrupts += 1
        if number == signal.SIGTERM and process.poll() is None:
            process.send_signal(signal.SIGINT if interrupts == 1 else signal.SIGTERM)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
