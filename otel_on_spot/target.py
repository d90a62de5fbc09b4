"""The platform that a command looks at: the stack's names, an AWS session, a Kubernetes client.

Credentials come from the usual places of boto3 and kubectl; ``AWS_ENDPOINT_URL`` is boto3's own, so a lab works the
same.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from otel_on_spot import declared, project
from otel_on_spot.declared import Declared

if TYPE_CHECKING:
    import boto3
    from kubernetes.client import ApiClient

OUTPUT_SECONDS: Final = 20
CALL_SECONDS: Final = 10
"""Time that one call may take before its answer counts as unknown."""
CONNECTIONS: Final = 32
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A platform. ``cluster_api`` is None where there is no usable kubeconfig; ``why_no_cluster`` then says why."""

    declared: Declared
    session: "boto3.Session"
    cluster_api: "ApiClient | None"
    context: str
    why_no_cluster: str = ""
    notes: tuple[str, ...] = ()
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _making_clients: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def simulated(self) -> bool:
        """True where AWS is on this machine: a lab's."""
        return urlsplit(str(self.aws("sts").meta.endpoint_url)).hostname in LOOPBACK

    def aws(self, service: str) -> Any:
        """The client of an AWS service in the stack's region: two retries, short time-outs. Threads may share it."""
        with self._making_clients:
            if service not in self._clients:
                self._clients[service] = make_client(self.session, service, self.declared.region)
            return self._clients[service]


def make_client(session: "boto3.Session", service: str, region: str) -> Any:
    """A client of an AWS service: two retries, short time-outs. Threads may share it."""
    from botocore.config import Config

    limits = Config(
        connect_timeout=CALL_SECONDS / 2,
        read_timeout=CALL_SECONDS,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
    )
    return session.client(service, region_name=region, config=limits)


def find(stack: str, *, context: str | None = None, kubeconfig: Path | None = None) -> Target:
    """The platform of a stack.

    None takes the kubeconfig's current context, and its usual places (KUBECONFIG, the home folder).

    Raises:
        program.stack_file.StackFileError: there is no such stack.
        program.runner.ProgramError, plan.record.PlanError: the stack's file does not make a plan.
    """
    root = project.root()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(stack_outputs, stack, root)
        import boto3  # it and the Kubernetes client take a second to load: meanwhile the stack is asked

        api, used, why = _cluster(context, kubeconfig)
        planned = declared.of_stack(stack, root)
        outputs, note = asked.result()
    found = with_outputs(planned, outputs)
    return Target(
        declared=found,
        session=boto3.Session(region_name=found.region),
        cluster_api=api,
        context=used,
        why_no_cluster=why,
        notes=(note,) if note else (),
    )


def stack_outputs(stack: str, root: Path) -> tuple[Mapping[str, Any], str]:
    """Outputs of the stack, and the reason where they cannot be read; the plan's names stand in for them then."""
    if shutil.which("pulumi") is None:
        return {}, "no pulumi CLI on PATH: names come from the plan of the stack's file"
    try:
        ran = subprocess.run(
            ["pulumi", "stack", "output", "--json", "--stack", stack, "--non-interactive"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=OUTPUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        outputs = json.loads(ran.stdout) if ran.returncode == 0 else None
    except (subprocess.TimeoutExpired, json.JSONDecodeError, OSError) as problem:
        return {}, f"`pulumi stack output` gave nothing ({type(problem).__name__}): names come from the plan"
    if not outputs:
        told = (ran.stderr.strip().splitlines() or ["the stack has no outputs"])[0]
        return {}, f"`pulumi stack output --stack {stack}`: {told}. Names come from the plan of the stack's file"
    return outputs, ""


def with_outputs(planned: Declared, outputs: Mapping[str, Any]) -> Declared:
    """The plan's names, with those that the stack exports in their place."""
    if not outputs:
        return planned
    node_role = str(outputs.get("nodeRoleArn", "")).rpartition("/")[2] or planned.node_role
    controller_role = str(outputs.get("controllerRoleArn", "")).rpartition("/")[2] or planned.controller_role
    cluster = str(outputs.get("clusterName", planned.cluster))
    exported = outputs.get("nodePools")
    pools = {name: pool for name, pool in planned.pools.items() if exported is None or name in exported}
    return replace(
        planned,
        source="the stack's outputs, and the plan of its file",
        cluster=cluster,
        region=str(outputs.get("region", planned.region)),
        node_role=node_role,
        controller_role=controller_role,
        interruption_queue=str(outputs.get("interruptionQueue", planned.interruption_queue)),
        root_application=str(outputs.get("rootApplication", planned.root_application)),
        pools=pools,
        experiment=str(outputs.get("interruptionExperiment", "")),
    )


def _cluster(context: str | None, kubeconfig: Path | None) -> "tuple[ApiClient | None, str, str]":
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config

    configuration = Configuration()
    file = str(kubeconfig) if kubeconfig else None
    try:
        load_kube_config(config_file=file, context=context, client_configuration=configuration)
        contexts, current = list_kube_config_contexts(config_file=file)
    except (ConfigException, OSError, ValueError) as problem:
        given = f"context {context!r}" if context else "the current context"
        why = f"no kubeconfig with {given}: {str(problem).strip()}. Run `aws eks update-kubeconfig`, or give --context"
        return None, "", why
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    names = [context["name"] for context in contexts]
    used = context if context in names else current["name"]
    return ApiClient(configuration), str(used), ""
