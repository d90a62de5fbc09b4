"""The stack on the lab: the simulated AWS, a real cluster in it, and what the program declares on both."""

import base64
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_on_spot import project
from otel_on_spot.kubernetes.names import APPLICATION, REFRESH
from otel_on_spot.lab import addresses, aws_services, control_plane, rbac
from otel_on_spot.lab.aws import authenticator, capacity, images, moto_patches
from otel_on_spot.lab.certificates import make
from otel_on_spot.lab.control import Log, UpOptions
from otel_on_spot.lab.engine import Engine
from otel_on_spot.lab.folder import Folder
from otel_on_spot.lab.gitops import demo_chart
from otel_on_spot.lab.gitops.snapshot import Commit, Snapshot
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.lab.releases.runner import Releases
from otel_on_spot.lab.stack import Stack
from otel_on_spot.lab.supervisor import Supervisor
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.program import stack_file
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.moto_process import MotoProcess

if TYPE_CHECKING:
    from otel_on_spot.program.recording import Recording

PATIENCE_SECONDS: Final = 900.0
"""Real seconds that any wait of the simulated cloud lasts at least: behind it are real controllers."""


class Platform:
    """One stack, running. Start it once; then ``apply`` as often as wanted."""

    def __init__(
        self,
        stack: Stack,
        folder: Folder,
        tools: Tools,
        supervisor: Supervisor,
        *,
        options: UpOptions,
        log: Log,
    ) -> None:
        self.stack = stack
        self.folder = folder
        self.tools = tools
        self.supervisor = supervisor
        self.log = log
        self.options = options
        self.recording: Recording | None = None
        self._engine: Engine | None = None
        chart = demo_chart.find(project.root(), os.environ)
        self.snapshot = Snapshot(
            folder.git / "otel-on-spot.git",
            project.root(),
            chart,
            branch=stack.revision,
            dirty=options.dirty,
            revision=options.revision,
        )
        self.commit = self.snapshot.refresh()
        log(chart.line)
        for notice in (*tools.notes, *self.commit.notices, *(f"set aside: {line}" for line in stack.set_aside)):
            log(notice)
        self._applying = threading.Lock()

    def start(self) -> None:
        """Start everything that the program does not declare: the control plane, the simulated AWS, nodes, Git.

        Raises:
            ProcessFailedError: a process does not start; the text says which, and where its log is.
        """
        folder, stack = self.folder, self.stack
        self.authority = make(folder.certificates, stack.region)
        home = folder.path / "authenticator"
        webhook = authenticator.prepare(home, addresses.AUTHENTICATOR, folder.certificates)
        issuer = authenticator.issuer(stack.region, stack.cluster)
        for program in control_plane.programs(self.tools, folder, webhook=webhook, issuer=issuer):
            self.log(f"starting {program.name}")
            self.supervisor.start(program)
        self._start_cloud()
        services = aws_services.programs(
            stack,
            folder,
            self.tools,
            moto=self.cloud.moto.url,
            authority=self.authority.ca_file,
            boot_seconds=self.options.boot_seconds,
        )
        for program in services:
            self.log(f"starting {program.name}")
            self.supervisor.start(program)

    def _start_cloud(self) -> None:
        folder, stack = self.folder, self.stack
        switches = folder.cloud / "moto"
        switches.mkdir(parents=True, exist_ok=True, mode=0o700)
        images.write_images(switches / "images.json", [stack.kubernetes_version], stack.image_releases)
        authority = self.authority.ca_file.read_text()
        moto_patches.eks.write_endpoint(
            switches, stack.cluster, addresses.API_SERVER, base64.b64encode(authority.encode()).decode()
        )
        self.log("starting the simulated AWS")
        self.releases = Releases(
            self.tools, folder.releases, self.supervisor, authority=self.authority.ca_file, log=self.log
        )
        self.cloud = Cloud(
            folder.cloud,
            patience=PATIENCE_SECONDS,
            moto=MotoProcess(
                folder.cloud / "none",
                folder.logs / "moto.log",
                port=addresses.MOTO,
                forgetful=True,
                **moto_patches.options(switches),
            ),
            kubernetes=lambda cloud, name: KubernetesApi(cloud, name, kubeconfig=folder.kubeconfig()),
            releases=self.releases,
            api_url=addresses.API_SERVER,
            certificate_authority=authority,
            service_cidr=addresses.SERVICE_CIDR,
        )
        self.cloud.__enter__()
        if stack.spot_role:
            self.client("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
        for manifest in rbac.manifests():
            self.api.apply(manifest, "lab")

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
            ApplyError: the cloud or the cluster refused something; what was made stays known.
        """
        with self._applying:
            before = len(self.cloud.operations.read())
            _forget_program()
            overrides = {**self.stack.overrides, **(overrides or {})}
            try:
                if self.options.engine:
                    self.engine.up(overrides)
                else:
                    self.recording = graph.apply(
                        self.stack.name, self.cloud, config_overrides=overrides, previous=self.recording
                    )
            except graph.ApplyError as refused:
                self.recording = refused.recording
                raise
            done = (line.operation for line in self.cloud.operations.read()[before:])
            return dict(Counter(operation for operation in done if operation != "read"))

    def apply_changed(self, section: str, **changes: str) -> dict[str, int]:
        """Apply the program with other values in a section of the stack file: how many operations of each kind it took.

        Raises:
            ApplyError: as ``apply``.
        """
        found = stack_file.read(project.root(), self.stack.name)
        return self.apply({section: {**json.loads(found.values[f"{found.project}:{section}"]), **changes}})

    def destroy(self) -> None:
        """Delete what the program declared, dependents first.

        Raises:
            ApplyError: something is still there; the text says why.
        """
        with self._applying:
            if self.options.engine:
                self.engine.destroy()
            if self.recording is None:
                return
            try:
                graph.destroy(self.recording, self.cloud, unprotected=True)
            except graph.ApplyError as refused:
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
        if self.options.engine:
            return self.engine.urns()
        return sorted(self.recording.by_urn) if self.recording else []

    def publish(self) -> Commit:
        """Serve the working tree's present state, and let Argo CD look past what the repo server remembers.

        The controller removes the annotation when it has looked.
        Source: https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/

        Raises:
            ApiError: the API server refuses.
        """
        commit = self.snapshot.refresh()
        for found in self.api.objects(*APPLICATION.identity, "argocd") if commit.changed else ():
            metadata = {key: found["metadata"][key] for key in ("name", "namespace")}
            application = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata}
            self.api.merge(application, {"metadata": {"annotations": {REFRESH: "hard"}}})
        return commit

    def set_shortages(self, now: list[dict[str, str]]) -> None:
        """Take capacity away from the simulated EC2; an empty list brings it back."""
        capacity.set_shortages(self.folder.cloud / "moto", [capacity.Shortage(**shortage) for shortage in now])

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
