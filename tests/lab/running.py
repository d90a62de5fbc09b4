"""A lab of the tests' own: what they ask of it, and what they do to it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from otel_on_spot.drill_lease import NAME as DRILL_LEASE
from otel_on_spot.drills.drought.verdicts import FORGETS_SECONDS
from otel_on_spot.drills.drought.watch import REFUSED
from otel_on_spot.lab import control, isolation, lifecycle, stack, toolchain
from otel_on_spot.lab.folder import Folder, LabError
from otel_on_spot.lab.nodes.journal import read as journal
from otel_on_spot.simcloud.tables import Tables
from otel_on_spot.waiting import wait_until

ROOT = Path(__file__).parents[2]
STACK = "lab"
CLEAN_SECONDS = 120.0
"""How long what a test leaves behind may take to go: nodes that are drained, an Application that is synced again."""
Answer = TypeVar("Answer")


def why_no_lab() -> str:
    """Why the lab cannot run here; empty where it can."""
    try:
        missing = toolchain.missing()
    except toolchain.ToolchainError as error:
        return str(error)
    if missing and os.environ.get("LAB") != "1":
        names = ", ".join(module.name for module in missing)
        return f"the lab's tools are not built ({names}; about 25 minutes on 2 cores): run make tools, or make lab-test"
    problems = toolchain.check(Path.home())
    return toolchain.message(problems) if problems else ""


class Lab:
    """The lab while it runs.

    ``state_home``: parent of its folder. ``name``: of the stack.
    """

    def __init__(self, state_home: Path, name: str = STACK) -> None:
        self.state_home = state_home
        self.folder = Folder(name, state_home)
        self.stack = stack.read(ROOT, name)
        self.log_lines: list[str] = []

    @cached_property
    def tools(self) -> toolchain.Tools:
        """The lab's tools."""
        return toolchain.ensure()

    def up(self, **options: Any) -> dict[str, Any]:
        """Bring it up."""
        told = control.UpOptions(dirty=True, **options)
        return lifecycle.up(self.stack.name, told, state_home=self.state_home, log=self.log_lines.append)

    def down(self) -> str:
        """End it."""
        return lifecycle.down(self.stack.name, state_home=self.state_home)

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a command to the daemon."""
        return control.ask(self.folder, command, log=self.log_lines.append, **arguments)

    def apply(self, **overrides: Any) -> dict[str, int]:
        """What the program declares, with other settings than the stack file's."""
        return self.ask("apply", overrides=overrides)

    def inside(self, *command: str, check: bool = True, text: str | None = None, seconds: float = 120) -> str:
        """Output of a command in the lab's namespaces."""
        line = isolation.inside(self.folder, list(command))
        ended = subprocess.run(
            line, env=self.variables, capture_output=True, text=True, input=text, timeout=seconds, check=False
        )
        assert not check or ended.returncode == 0, f"{' '.join(command)}: {ended.stdout[-500:]} {ended.stderr[-1500:]}"
        return ended.stdout

    @property
    def variables(self) -> dict[str, str]:
        """Environment of a command in the lab, which may import from the working tree."""
        return {**isolation.environment(self.stack, self.folder, self.tools), "PYTHONPATH": str(ROOT)}

    @contextmanager
    def beside(
        self, command: list[str], log: Path, variables: Mapping[str, str] | None = None
    ) -> Generator[subprocess.Popen[bytes]]:
        """A process in the lab's namespaces, for as long as this lasts. ``variables``: in place of the lab's own."""
        line = isolation.inside(self.folder, command)
        environment = dict(self.variables if variables is None else variables)
        with log.open("w") as printed:
            process = subprocess.Popen(
                line, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=30)

    def otel_on_spot(
        self, *arguments: str, tree: Path = ROOT, text: str | None = None, seconds: float = 120
    ) -> tuple[str, int]:
        """What the command of a tree prints in the lab, by default of its stack, and its exit code."""
        script = 'cd "$0" && COLUMNS=110 PYTHONPATH=. "$@" 2>&1; echo "exit code $?"'
        stack = () if "--stack" in arguments else ("--stack", self.stack.name)
        line = (sys.executable, "-m", "otel_on_spot", *arguments, *stack)
        told = self.inside("sh", "-c", script, str(tree), *line, text=text, seconds=seconds)
        said, _, code = told.rpartition("exit code ")
        return said, int(code)

    @contextmanager
    def short_of(self, *capacity_types: str, **more: str) -> Generator[None]:
        """Meanwhile the simulated EC2 refuses what is of these, and ``more``."""
        self.ask("capacity", shortages=[{"capacity_type": kind, **more} for kind in capacity_types])
        try:
            yield
        finally:
            self.ask("capacity", shortages=[])

    @contextmanager
    def suspended(self, name: str) -> Generator[None]:
        """Meanwhile Argo CD does not sync an Application by itself."""
        before = self.application(name)["spec"]["syncPolicy"]["automated"]
        off, on = ({"spec": {"syncPolicy": {"automated": entry}}} for entry in (None, before))
        self.patch("application.argoproj.io", name, off, "argocd")
        try:
            yield
        finally:
            self.patch("application.argoproj.io", name, on, "argocd")

    @contextmanager
    def denied(self) -> Generator[dict[str, Any]]:
        """Meanwhile a window of the project denies every automatic sync: the window."""
        now = datetime.now(UTC)
        schedule = f"{now.minute} {now.hour} * * *"
        window = {"kind": "deny", "schedule": schedule, "duration": "1h", "applications": ["*"], "manualSync": True}
        self.patch("appproject", "platform", {"spec": {"syncWindows": [window]}}, "argocd")
        try:
            yield window
        finally:
            self.patch("appproject", "platform", {"spec": {"syncWindows": None}}, "argocd")

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        """Output of kubectl."""
        return self.inside("kubectl", *arguments, check=check, text=text)

    def get(self, kind: str, name: str = "", namespace: str = "", selector: str = "") -> Any:
        """An object, or the list of all of a kind, or of a selector; None where the one is not there."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"] if not name else []
        where += [f"--selector={selector}"] if selector else []
        told = self.kubectl("get", kind, *filter(None, [name]), *where, "--ignore-not-found", "--output=json")
        if not told:
            return None if name else []
        found = json.loads(told)
        return found if name else found["items"]

    def put(self, *things: Mapping[str, Any]) -> None:
        """Make or change objects by hand."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
        self.kubectl("apply", "--filename=-", text=text)

    @contextmanager
    def there(self, *things: Mapping[str, Any]) -> Generator[None]:
        """Objects, for as long as this lasts."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
        try:
            self.put(*things)
            yield
        finally:
            self.kubectl("delete", "--filename=-", "--ignore-not-found", "--timeout=60s", text=text)

    def config(self, section: str) -> Any:
        """A section of the stack file."""
        told = yaml.safe_load((ROOT / f"Pulumi.{self.stack.name}.yaml").read_text())
        return told["config"][f"otel-on-spot:{section}"]

    def ready(self, deployment: str, namespace: str = "default") -> int:
        """Ready replicas of a Deployment."""
        return self.get("deployment", deployment, namespace)["status"].get("readyReplicas", 0)

    def process(self, name: str) -> dict[str, Any]:
        """One of the lab's processes, as ``status`` tells it."""
        return next(row for row in self.ask("processes") if row["name"] == name)

    def lease(self) -> Any:
        """The lease that a drill holds; None where none does."""
        return self.get("lease.coordination.k8s.io", DRILL_LEASE, "argocd")

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], namespace: str = "") -> None:
        """Merge something into an object, by hand."""
        where = ["--namespace", namespace] if namespace else []
        self.kubectl("patch", kind, name, *where, "--type=merge", f"--patch={json.dumps(patch)}")

    def wants_node(
        self,
        name: str,
        *,
        cpu: str = "7",
        memory: str = "1Gi",
        pool: str = "spot",
        replicas: int = 1,
        apart: bool = False,
    ) -> None:
        """A Deployment of pods, by default one that no node in use has room for. ``apart``: no two of them on a node.

        The largest Spot nodes have 8 vCPUs. ``pool``: that they name; empty for none.
        """
        selector = {"karpenter.sh/nodepool": pool} if pool else {}
        container = {"name": "c", "image": "pause", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
        term = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}
        affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}} if apart else {}
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [container],
                "nodeSelector": selector,
                "affinity": affinity,
                "terminationGracePeriodSeconds": 0,
            },
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        self.put(thing("apps/v1", "Deployment", name, spec=spec))

    def no_longer_wants_node(self, name: str) -> None:
        """Take such a Deployment away, and the node that it ran on: the next one gets a node of its own."""
        claim = self.claim_of_node(self.runs(name))
        self.kubectl("delete", "deployment", name, "--namespace=default", "--ignore-not-found")
        if claim is not None:
            self.kubectl("delete", "nodeclaim", claim["metadata"]["name"], "--ignore-not-found", "--timeout=90s")

    def forget_refusals(self, *, wait: bool = False) -> None:
        """Let Karpenter ask again for what it was refused: it leaves that alone for three minutes.

        It is started again, and the events of refusals go with its memory, for drills read it from them.

        Args:
            wait: until the minutes are over instead, where somebody watches Karpenter's counters.
        """

        def remembered() -> list[dict[str, Any]]:
            refused = [event for event in self.get("events") if event["reason"] == REFUSED]
            now = datetime.now(UTC)
            return [event for event in refused if (now - _first(event)).total_seconds() <= FORGETS_SECONDS]

        if wait:
            until("Karpenter has forgotten what it was refused", lambda: not remembered(), FORGETS_SECONDS + 20)
        elif refused := remembered():
            self.ask("restart", name="karpenter")
            for event in refused:
                metadata = event["metadata"]
                where = f"--namespace={metadata['namespace']}"
                self.kubectl("delete", "event", metadata["name"], where, "--ignore-not-found")

    def pod_of(self, name: str) -> Any:
        """The pod of such a Deployment that is not going."""
        listed = self.get("pods", namespace="default", selector=f"app={name}")
        alive = [item for item in listed if not item["metadata"].get("deletionTimestamp")]
        return alive[0] if alive else None

    def runs(self, name: str) -> str:
        """Name of the node that such a Deployment's pod runs on; empty where it does not."""
        pod = self.pod_of(name)
        return pod["spec"].get("nodeName", "") if pod and pod["status"].get("phase") == "Running" else ""

    def claims(self) -> dict[str, Any]:
        """NodeClaims by name."""
        return {nodeclaim["metadata"]["name"]: nodeclaim for nodeclaim in self.get("nodeclaims")}

    def claim_of_node(self, node: str) -> Any:
        """The NodeClaim of a node; None where there is none."""
        return next(
            (claim for claim in self.claims().values() if node and claim.get("status", {}).get("nodeName") == node),
            None,
        )

    def moved(self, name: str, claim: Any) -> bool:
        """Whether such a Deployment's pod runs on a node of another NodeClaim.

        A new node may have an old one's address and name.
        """
        now = self.claim_of_node(self.runs(name))
        return now is not None and now["metadata"]["uid"] != claim["metadata"]["uid"]

    def commit(self, file: str, edit: Callable[[str], str]) -> str:
        """Change a file in the Git that Argo CD reads, as a push does.

        ``self.ask("publish")`` brings the tree's own back.

        Returns: the revision.
        """
        served = next(self.folder.git.glob("*.git"))
        with tempfile.TemporaryDirectory() as scratch:
            author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
            subprocess.run(["git", "clone", "--quiet", str(served), scratch], check=True)
            path = Path(scratch) / file
            path.write_text(edit(path.read_text()))
            subprocess.run(["git", *author, "commit", "--quiet", "--all", "--message=fault"], cwd=scratch, check=True)
            subprocess.run(["git", "push", "--quiet", "origin", "HEAD"], cwd=scratch, check=True)
            revision = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=scratch, text=True).strip()
        refresh = "argocd.argoproj.io/refresh=hard"
        self.kubectl("annotate", "application.argoproj.io", "--all", "--namespace=argocd", "--overwrite", refresh)
        return revision

    def application(self, name: str) -> Any:
        """An Application."""
        return self.get("application.argoproj.io", name, "argocd")

    def state(self, name: str = "otel-demo") -> tuple[str, str]:
        """Sync and health of an Application."""
        status = self.application(name).get("status") or {}
        return status["sync"]["status"], status["health"]["status"]

    def replicas(self) -> int:
        """What the frontend is scaled to."""
        return self.get("deployment", "frontend", "otel-demo")["spec"]["replicas"]

    def scale_frontend(self, replicas: int) -> None:
        """Scale by hand."""
        self.kubectl("scale", "deployment/frontend", "--namespace=otel-demo", f"--replicas={replicas}")

    def refused(self, since: float) -> list[dict[str, Any]]:
        """Refusals that nodes met."""
        return [row for row in journal(self.folder.nodes, "refused") if row["time"] > since]

    def aws(self, service: str, operation: str, **arguments: Any) -> Any:
        """An answer of the simulated AWS."""
        code = (
            "import boto3, json, sys; service, operation, given = json.loads(sys.stdin.read()); "
            "print(json.dumps(getattr(boto3.client(service), operation)(**given), default=str))"
        )
        return json.loads(self.inside(sys.executable, "-c", code, text=json.dumps([service, operation, arguments])))

    def queue_url(self) -> str:
        """URL of the interruption queue."""
        return self.aws("sqs", "get_queue_url", QueueName=f"{self.stack.cluster}-interruption")["QueueUrl"]

    def fill_queue(self, url: str, body: str, count: int) -> float:
        """Send a message many times, ten a request.

        Returns: when the first was sent, by ``time.monotonic``.
        """
        code = (
            "import boto3, json, sys, time\n"
            "url, body, count = json.loads(sys.stdin.read()); client = boto3.client('sqs')\n"
            "print(time.monotonic())\n"
            "for first in range(0, count, 10):\n"
            "    batch = [{'Id': str(n), 'MessageBody': body} for n in range(first, min(first + 10, count))]\n"
            "    assert not client.send_message_batch(QueueUrl=url, Entries=batch).get('Failed')"
        )
        return float(self.inside(sys.executable, "-c", code, text=json.dumps([url, body, count])))

    def tables(self) -> Tables:
        """What the simulated AWS knows beside moto."""
        return Tables(self.folder.cloud / "tables.sqlite")


class SharedLab:
    """A lab for many tests. ``suspect``: a test failed on it, so that its state is unknown."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.suspect = False

    def ready(self) -> Lab:
        """The lab up, healthy and clean: as it is, else a new one.

        Raises:
            AssertionError: a new lab does not become healthy.
        """
        if self.suspect or not self._runs() or not self._becomes_clean():
            self._start()
        self.suspect = False
        return self.lab

    def _runs(self) -> bool:
        return self.lab.folder.is_running() and "launcher" in self.lab.folder.read_state()

    def _start(self) -> None:
        self.lab.down()
        found = self.lab.up(boot_seconds=2.0, timeout_seconds=300.0)
        assert found["waits_for"] == [], "\n".join([*self.lab.log_lines, *found["waits_for"]])

    def _becomes_clean(self) -> bool:
        """The platform is ready, every process runs, and nothing of a test is left."""
        return wait_until(lambda: not self._unclean(), CLEAN_SECONDS, every=1.0)

    def _unclean(self) -> list[str]:
        try:
            status = self.lab.ask("status")
            own = self.lab.get("deployments.apps,nodeclaims.karpenter.sh", namespace="default")
            capacity = self.lab.get("ec2nodeclasses.karpenter.k8s.aws,nodepools.karpenter.sh", namespace="default")
            kinds = "applications.argoproj.io,appprojects.argoproj.io,leases.coordination.k8s.io"
            argocd = self.lab.get(kinds, namespace="argocd")
        except (LabError, AssertionError, ValueError) as problem:
            return [str(problem)]
        suspended = [thing for thing in argocd if thing["kind"] == "Application" and not automated(thing)]
        return [
            *(f"{row['name']} is {row['state']}" for row in status["processes"] if row["state"] != "running"),
            *(status.get("cluster") or {"waits_for": ["nothing is applied"]})["waits_for"],
            *(f"{thing['metadata']['name']} is not Ready" for thing in capacity if condition(thing, "Ready") != "True"),
            *(f"{thing['metadata']['name']} is left" for thing in own if thing["kind"] == "Deployment"),
            *(f"{thing['metadata']['name']} goes" for thing in own if "deletionTimestamp" in thing["metadata"]),
            *(f"{thing['metadata']['name']} is suspended" for thing in suspended),
            *("a sync window is left" for thing in argocd if thing["spec"].get("syncWindows")),
            *("a drill's lease is left" for thing in argocd if thing["metadata"]["name"] == DRILL_LEASE),
            *(f"{count} messages are in the queue" for count in [self._messages()] if count),
        ]

    def _messages(self) -> int:
        """Messages that Karpenter has not received yet."""
        url = self.lab.queue_url()
        asked = ["ApproximateNumberOfMessages"]
        return int(
            self.lab.aws("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=asked)["Attributes"][asked[0]]
        )


def _first(event: Mapping[str, Any]) -> datetime:
    """When an event came first."""
    return datetime.fromisoformat(event["firstTimestamp"] or event["eventTime"])


def automated(application: Mapping[str, Any]) -> bool:
    """True where Argo CD syncs an Application by itself."""
    return bool((application["spec"].get("syncPolicy") or {}).get("automated"))


def thing(version: str, kind: str, name: str, namespace: str = "", /, **fields: Any) -> dict[str, Any]:
    """An object. ``version``: its ``apiVersion``; ``namespace``: empty where it is in none."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata | fields.pop("metadata", {}), **fields}


def condition(thing: Any, kind: str) -> str:
    """Status of a condition; empty where there is none."""
    listed = (thing.get("status") or {}).get("conditions") or []
    return next((entry["status"] for entry in listed if entry["type"] == kind), "")


def until(what: str, look: Callable[[], Answer], seconds: float = 90.0) -> Answer:
    """What was looked for, as soon as it is there.

    Raises:
        AssertionError: it was not there in time.
    """
    found = wait_until(look, seconds, every=0.3)
    assert found, f"not within {seconds:.0f} s: {what}"
    return found


def stays(what: str, look: Callable[[], Any], seconds: float) -> None:
    """Something is so for a while.

    Raises:
        AssertionError: it was not.
    """
    assert not wait_until(lambda: not look(), seconds), f"did not stay for {seconds:.0f} s: {what}"
