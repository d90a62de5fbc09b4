"""The stack on the lab: the simulated AWS, a real cluster in it, and what the program declares on both."""

import base64
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from lab import control_plane, places
from lab.aws import access as aws_access
from lab.aws import authenticator, bridges_cluster, capacity, images
from lab.certificates import make
from lab.engine import Engine
from lab.folder import Folder
from lab.gitops import demo_chart, notify, serving
from lab.gitops.snapshot import Commit, Snapshot
from lab.kubernetes_api import KubernetesApi
from lab.nodes import access as nodes_access
from lab.releases.runner import Releases
from lab.stack import Stack
from lab.supervisor import Program, Supervisor, tcp_open
from lab.toolchain import Tools
from plan.recording import Recording
from simcloud import graph
from simcloud.cloud import Cloud
from simcloud.moto_process import MotoProcess

ROOT: Final = Path(__file__).parents[1]
PATIENCE_SECONDS: Final = 900.0
"""Real seconds that any wait of the simulated cloud lasts at least: behind it are real controllers."""
RESYNC_SECONDS: Final = 20
AUTHENTICATOR_STARTS_SECONDS: Final = 30.0

Tell = Callable[[str], None]


class Platform:
    """One stack, running. Start it once; then ``apply`` as often as wanted.

    Args:
        boot_seconds: how long an instance boots before its node joins.
        dirty: Argo CD sees the working tree's files, not its commit.
        revision: the commit that Argo CD sees.
        engine: apply by the pulumi CLI, not by the recorded graph.
    """

    def __init__(
        self,
        stack: Stack,
        folder: Folder,
        tools: Tools,
        supervisor: Supervisor,
        *,
        boot_seconds: float,
        dirty: bool,
        revision: str,
        tell: Tell,
        engine: bool = False,
    ) -> None:
        self.stack = stack
        self.folder = folder
        self.tools = tools
        self.supervisor = supervisor
        self.tell = tell
        self.boot_seconds = boot_seconds
        self.recording: Recording | None = None
        self._by_engine = engine
        self._engine: Engine | None = None
        chart = demo_chart.find(ROOT, os.environ)
        self.snapshot = Snapshot(
            folder.git / "otel-on-spot.git", ROOT, chart, branch=stack.revision, dirty=dirty, revision=revision
        )
        self.commit = self.snapshot.refresh()
        tell(chart.line)
        for notice in (*tools.notes, *self.commit.notices):
            tell(notice)
        self._applying = threading.Lock()

    def start(self) -> None:
        """Start everything that the program does not declare: the control plane, the simulated AWS, nodes, Git.

        Raises:
            ProcessFailed: a process does not start; the text says which, and where its log is.
        """
        folder, stack = self.folder, self.stack
        self.authority = make(folder.certificates, stack.region)
        keys = folder.certificates
        webhook = authenticator.prepare(
            folder.path / "authenticator",
            places.AUTHENTICATOR,
            self.authority.ca_file,
            keys / "authenticator.crt",
            keys / "authenticator.key",
        )
        issuer = authenticator.issuer(stack.region, stack.cluster)
        for program in control_plane.programs(self.tools, folder, webhook=webhook, issuer=issuer):
            self.tell(f"starting {program.name}")
            self.supervisor.start(program)
        self._start_cloud()
        for program in self._around_the_cloud():
            self.tell(f"starting {program.name}")
            self.supervisor.start(program)

    def _start_cloud(self) -> None:
        folder, stack = self.folder, self.stack
        switches = folder.cloud / "bridges"
        switches.mkdir(parents=True, exist_ok=True, mode=0o700)
        images.write_images(switches / "images.json", [stack.kubernetes_version], stack.image_releases)
        authority = self.authority.ca_file.read_text()
        bridges_cluster.write_endpoint(
            switches, stack.cluster, places.API_SERVER, base64.b64encode(authority.encode()).decode()
        )
        self.tell("starting the simulated AWS")
        self.releases = Releases(
            self.tools,
            folder.releases,
            self.supervisor,
            authority=self.authority.ca_file,
            resync_seconds=RESYNC_SECONDS,
            tell=self.tell,
        )
        self.cloud = Cloud(
            folder.cloud,
            patience=PATIENCE_SECONDS,
            moto=MotoProcess(
                folder.cloud / "none", folder.logs / "moto.log", port=places.MOTO, forgetful=True, bridges=switches
            ),
            kubernetes=lambda cloud, name: KubernetesApi(cloud, name, kubeconfig=folder.kubeconfig()),
            releases=self.releases,
            api_url=places.API_SERVER,
            certificate_authority=authority,
            service_cidr=places.SERVICE_CIDR,
        )
        self.cloud.__enter__()
        for manifest in (*aws_access.manifests(), *nodes_access.manifests()):
            self.api.apply(manifest, "lab")

    def _around_the_cloud(self) -> list[Program]:
        folder, stack, keys = self.folder, self.stack, self.folder.certificates
        tables, moto = str(folder.cloud / "tables.sqlite"), self.cloud.moto.url
        home = folder.path / "authenticator"
        reviewer = ("--kubeconfig", str(folder.kubeconfig("authenticator")))
        aws = ("--moto", moto, "--region", stack.region)
        sts_host, sts_port = places.STS_FRONT
        agent_host, agent_port = places.POD_IDENTITY
        standin = str(folder.kubeconfig("kubelet-standin"))
        return [
            _python(
                "access-entries",
                ("lab.aws.access_entries", "--cluster", stack.cluster, "--tables", tables),
                ("--entries", str(home / "entries.json"), "--mode", str(home / "mode.json")),
                ready=(home / "mode.json").exists,
            ),
            _python(
                "sts-front",
                ("lab.aws.sts_front", "--host", sts_host, "--port", str(sts_port), *aws, *reviewer),
                ("--certificate", str(keys / "sts.crt"), "--key", str(keys / "sts.key")),
                ready=lambda: tcp_open(sts_host, sts_port),
            ),
            _python(
                "pod-identity-agent",
                ("lab.aws.pod_identity", "--host", agent_host, "--port", str(agent_port), *aws, *reviewer),
                ("--cluster", stack.cluster, "--tables", tables),
                ready=lambda: tcp_open(agent_host, agent_port),
            ),
            Program(
                name=authenticator.NAME,
                command=authenticator.command(
                    self.tools.path("aws-iam-authenticator"),
                    home,
                    places.AUTHENTICATOR,
                    stack.cluster,
                    folder.kubeconfig("authenticator"),
                ),
                environment=authenticator.environment(stack.region, self.authority.ca_file),
                ready=lambda: tcp_open(places.LOOPBACK, places.AUTHENTICATOR),
                ready_seconds=AUTHENTICATOR_STARTS_SECONDS,
                restart=True,
            ),
            _python(
                "nodes",
                ("lab.nodes", "--folder", str(folder.nodes), "--cluster", stack.cluster, *aws, "--tables", tables),
                ("--kubeconfig", standin, "--kubectl", str(self.tools.path("kubectl"))),
                ("--boot-seconds", str(self.boot_seconds)),
            ),
            serving.program(folder.git, keys / "git.crt", keys / "git.key", self.authority.ca_file),
        ]

    @property
    def api(self) -> KubernetesApi:
        """The cluster's API."""
        api = self.cloud.kubernetes(self.stack.cluster)
        assert isinstance(api, KubernetesApi)
        return api

    def client(self, service: str) -> Any:
        """A boto3 client on the simulated AWS."""
        return self.cloud.client(service, self.stack.region)

    def apply(self, overrides: Mapping[str, Any] | None = None) -> dict[str, int]:
        """Make or change what the program declares: how many operations of each kind it took.

        Raises:
            NotApplied: the cloud or the cluster refused something; what was made stays known.
        """
        with self._applying:
            before = len(self.cloud.operations.read())
            _forget_program()
            try:
                if self._by_engine:
                    self.engine.up(overrides)
                else:
                    self.recording = graph.apply(
                        self.stack.name, self.cloud, config_overrides=overrides, previous=self.recording
                    )
            except graph.NotApplied as refused:
                self.recording = refused.recording
                raise
            counts: dict[str, int] = {}
            for line in self.cloud.operations.read()[before:]:
                if line.operation != "read":
                    counts[line.operation] = counts.get(line.operation, 0) + 1
            return counts

    def destroy(self) -> None:
        """Delete what the program declared, dependents first.

        Raises:
            NotApplied: something is still there; the text says why.
        """
        with self._applying:
            if self._by_engine:
                self.engine.destroy()
            if self.recording is None:
                return
            try:
                graph.destroy(self.recording, self.cloud, unprotected=True)
            except graph.NotApplied as refused:
                self.recording = refused.recording
                raise
            self.recording = None

    @property
    def engine(self) -> Engine:
        """The pulumi CLI on the lab's cloud.

        Raises:
            EngineError: there is none.
        """
        if self._engine is None:
            self._engine = Engine(self.folder.path / "engine", self.stack.name, self.cloud)
        return self._engine

    def urns(self) -> list[str]:
        """URNs of what is applied."""
        if self._by_engine:
            return self.engine.urns()
        return sorted(self.recording.by_urn) if self.recording else []

    def publish(self) -> Commit:
        """Serve the working tree's present state, and let Argo CD look."""
        commit = self.snapshot.refresh()
        if commit.changed:
            notify.look_again(self.api, "argocd")
        return commit

    def set_shortages(self, now: list[dict[str, str]]) -> None:
        """Take capacity away from the simulated EC2; an empty list brings it back."""
        capacity.set_shortages(self.folder.cloud / "bridges", [capacity.Shortage(**one) for one in now])

    def close(self) -> None:
        """Stop the simulated AWS; the processes are the supervisor's."""
        if hasattr(self, "releases"):
            self.releases.close()
        if hasattr(self, "cloud"):
            self.cloud.__exit__()


def _forget_program() -> None:
    """The program is read anew: the working tree may have changed since it was last imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "infra"]:
        del sys.modules[name]


def _python(name: str, *parts: tuple[str, ...], ready: Callable[[], bool] | None = None) -> Program:
    module, *first = parts[0]
    rest = [word for part in parts[1:] for word in part]
    return Program(
        name=name,
        command=(sys.executable, "-m", module, *first, *rest),
        environment={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        directory=ROOT,
        ready=ready,
        restart=True,
    )


def environment(stack: Stack, folder: Folder, tools: Tools) -> dict[str, str]:
    """What a command in the lab's namespaces needs to reach its cluster and its AWS, and nothing else."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE"))}
    return {
        **own,
        "KUBECONFIG": str(folder.kubeconfig()),
        "AWS_ENDPOINT_URL": places.MOTO_URL,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "PATH": os.pathsep.join(
            [str(tools.path("kubectl").parent), str(tools.path("helm").parent), os.environ["PATH"]]
        ),
    }
