"""Plays the kubelets of a cluster's instances: boot, join as the instance's role, leave when the instance stops."""

import base64
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import NODE
from otel_on_spot.lab.nodes.identity import Identities, NodeCredentialsError
from otel_on_spot.lab.nodes.journal import Journal
from otel_on_spot.lab.nodes.node_config import NodeConfig, NodeConfigError, parse
from otel_on_spot.lab.nodes.registration import GROUP_TAG, KWOK_LABEL, group_config, node
from otel_on_spot.simcloud.tables import Tables

BACKOFF_SECONDS = 7.0
"""Longest pause between two tries to register.

Source: https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/kubelet_node_status.go
(registerWithAPIServer)
"""
JITTER = 0.2
"""Share of the boot time by which instances differ."""
GONE = ("terminated", "shutting-down")


def boot_seconds(instance: str, seconds: float) -> float:
    """Boot time of an instance: up to a fifth longer than given, the same for the same id."""
    share = int(hashlib.sha256(instance.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return seconds * (1 + JITTER * share)


@dataclass
class Kubelet:
    """One instance. ``due`` is when it tries next, by the monotonic clock; ``busy`` while it does."""

    row: dict[str, Any]
    seen: float
    due: float
    config: NodeConfig | None = None
    attempts: int = 0
    joined: bool = False
    left: bool = False
    busy: bool = False

    @property
    def node(self) -> str:
        """Name of its Node."""
        return self.row["privateDnsName"]


@dataclass(kw_only=True)
class Cluster:
    """The cluster that the nodes join.

    ``cloud_controller`` is the API as the user that plays EC2 and the cloud controller.
    """

    name: str
    server: str
    authority: Path
    cloud_controller: Api
    kubernetes_version: str
    tables: Tables
    boot_seconds: float
    apis: dict[tuple[str, str], Api] = field(default_factory=dict)

    def api(self, config: NodeConfig, token: str) -> Api:
        """The API at the endpoint that the user data names, trusting the authority that it carries, as a node."""
        key = (config.endpoint, config.certificate_authority)
        if key not in self.apis:
            ca = base64.b64decode(config.certificate_authority).decode() or self.authority
            self.apis[key] = Api.of(config.endpoint, ca)
        return self.apis[key].as_user(token)


class Kubelets:
    """All instances of a cluster. ``look`` is called every second with what EC2 has."""

    def __init__(self, cluster: Cluster, identities: Identities, journal: Journal, pool: ThreadPoolExecutor) -> None:
        self.cluster = cluster
        self.identities = identities
        self.journal = journal
        self.pool = pool
        self.known: dict[str, Kubelet] = {}

    def look(self, rows: list[dict[str, Any]], now: float) -> None:
        """Start what is due: joining for what runs, leaving for what does not."""
        present = {row["id"]: row for row in rows}
        for identity, row in present.items():
            if row["state"] == "running" and identity not in self.known:
                self.known[identity] = Kubelet(row, now, now + boot_seconds(identity, self.cluster.boot_seconds))
        for identity, kubelet in list(self.known.items()):
            row = present.get(identity) or {**kubelet.row, "state": "terminated"}
            kubelet.row = row
            if kubelet.busy or now < kubelet.due:
                continue
            if row["state"] == "running" and kubelet.left:
                del self.known[identity]  # started again: it boots anew
            elif row["state"] == "running" and not kubelet.joined:
                self._start(kubelet, self._join)
            elif row["state"] != "running" and kubelet.joined and not kubelet.left:
                self._start(kubelet, self._leave)
            elif row["state"] in GONE and (kubelet.left or not kubelet.joined):
                del self.known[identity]
                self.identities.forget(identity)

    def api_of(self, node_name: str) -> Api | None:
        """The API as a node whose instance runs and has joined; None for any other node."""
        for kubelet in list(self.known.values()):
            if kubelet.node == node_name and kubelet.joined and kubelet.row["state"] == "running" and kubelet.config:
                token = self.identities.token(kubelet.row["id"], kubelet.config.role_arn)
                return self.cluster.api(kubelet.config, token)
        return None

    def _start(self, kubelet: Kubelet, work: Callable[[Kubelet], None]) -> None:
        kubelet.busy = True

        def run() -> None:
            try:
                work(kubelet)
            except Exception as problem:  # noqa: BLE001 (a thread's error would be lost)
                print(f"{kubelet.row['id']}: {type(problem).__name__}: {problem}", flush=True)
                kubelet.due = time.monotonic() + BACKOFF_SECONDS
            finally:
                kubelet.busy = False

        self.pool.submit(run)

    def _config(self, kubelet: Kubelet) -> NodeConfig | None:
        """What the instance is told; None where its node group is not there yet.

        Raises:
            NodeCredentialsError: the instance's profile or its role is not there.
            NodeConfigError: the user data is no NodeConfig, or another cluster's.
        """
        row, group = kubelet.row, kubelet.row["tags"].get(GROUP_TAG)
        if group:
            found = self.cluster.tables.get("node-groups", f"{self.cluster.name}/{group}")
            of = self.cluster
            return None if found is None else group_config(of.name, group, found, of.server, row["imageId"])
        config = parse(row["userData"])
        if config.cluster != self.cluster.name:
            raise NodeConfigError(f"the user data is for cluster {config.cluster}")
        return replace(config, role_arn=self.identities.profile_role(row["profile"]))

    def _join(self, kubelet: Kubelet) -> None:
        row = kubelet.row
        kubelet.attempts += 1
        try:
            kubelet.config = kubelet.config or self._config(kubelet)
            if kubelet.config is None:
                return
            token = self.identities.token(row["id"], kubelet.config.role_arn)
            self._register(kubelet, kubelet.config, token)
        except (NodeCredentialsError, NodeConfigError) as problem:
            self._refused(kubelet, 0, str(problem))
        except HTTPError as problem:
            endpoint = kubelet.config.endpoint if kubelet.config else self.cluster.server
            self._refused(kubelet, 0, f"{endpoint} does not answer: {problem}")
        except ApiException as refused:
            if refused.status == 401:
                self.identities.forget(row["id"])
            self._refused(kubelet, int(refused.status or 0), str(refused.reason))
        else:
            kubelet.joined = True
            seconds = round(time.monotonic() - kubelet.seen, 3)
            self.journal.write(
                "joined", instance=row["id"], role=kubelet.config.role_arn, node=kubelet.node, type=row["type"],
                zone=row["zone"], seconds=seconds, attempt=kubelet.attempts,
            )  # fmt: skip

    def _register(self, kubelet: Kubelet, config: NodeConfig, token: str) -> None:
        wanted = node(kubelet.row, config, self.cluster.kubernetes_version)
        api, path = self.cluster.api(config, token), NODE.path(name=kubelet.node)
        try:
            api.create(NODE.path(), wanted)
        except ApiException as refused:
            if refused.status != 409:
                raise
            owner = ((api.get(path) or {}).get("spec") or {}).get("providerID")
            if owner != wanted["spec"]["providerID"]:
                why = f"node {kubelet.node} is there already, of {owner}"
                raise ApiException(status=409, reason=why) from None
            api.merge(path, {"metadata": {"labels": {KWOK_LABEL[0]: KWOK_LABEL[1]}}})

    def _refused(self, kubelet: Kubelet, status: int, message: str) -> None:
        kubelet.due = time.monotonic() + min(BACKOFF_SECONDS, 0.5 * 2 ** min(kubelet.attempts, 6))
        role = kubelet.config.role_arn if kubelet.config else ""
        self.journal.write(
            "refused", instance=kubelet.row["id"], role=role, node=kubelet.node, status=status, message=message,
            attempt=kubelet.attempts,
        )  # fmt: skip

    def _leave(self, kubelet: Kubelet) -> None:
        """The kubelet is no more: KWOK lets the node go, and a node whose instance has ended is deleted.

        EKS's cloud controller does that for every node, whoever launched it; Karpenter's finalizer holds its own until
        it has seen to them (kubernetes/cloud-provider, controllers/nodelifecycle).

        Raises:
            ApiException: the API server refused for another reason than that the node is gone.
        """
        api = self.cluster.cloud_controller
        path, ended = NODE.path(name=kubelet.node), kubelet.row["state"] in GONE
        try:
            api.merge(path, {"metadata": {"labels": {KWOK_LABEL[0]: None}}})
            if ended:
                api.delete(path)
        except ApiException as refused:
            if refused.status != 404:
                raise
        kubelet.left = True
        self.journal.write("left", instance=kubelet.row["id"], node=kubelet.node, state=kubelet.row["state"])
