"""A permission that is lacking: Karpenter's log, the doctor's words and its recovery; and who only reads the cluster.

A row for each kind of call; every statement and every condition is tried in tests/unit/lab/aws/test_karpenter_calls.py.
Of instance profiles there is none: Karpenter lists them half an hour apart, and reads none that a node class names.
"""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_on_spot.kubernetes.names import cluster_tag
from otel_on_spot.simcloud.kubernetes import access
from tests.lab.faults import CLUSTER, doctor, role_arn
from tests.lab.faults_access import policy_changed
from tests.lab.running import Lab, until

TAGGED = "karpenter.k8s.aws/tagged"
WANTED = "permitted"
SHOWS_SECONDS, RECOVERS_SECONDS = 90.0, 150.0
"""Karpenter tries again after 0.1 s, and after twice as long each time, up to a minute."""
Edit = Callable[[dict[str, Any]], None]


def misspelt(operator: str, key: str) -> Edit:
    """One key of a condition with a letter too many."""

    def edit(statement: dict[str, Any]) -> None:
        asked = statement["Condition"][operator]
        asked[f"{key}x"] = asked.pop(key)

    return edit


def elsewhere(operator: str, key: str) -> Edit:
    """One value of a condition that no request has."""

    def edit(statement: dict[str, Any]) -> None:
        assert key in statement["Condition"][operator]
        statement["Condition"][operator][key] = "elsewhere"

    return edit


def without(action: str) -> Edit:
    """One action with a letter too many."""

    def edit(statement: dict[str, Any]) -> None:
        asked = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert action in asked
        statement["Action"] = [f"{one}s" if one == action else one for one in asked]

    return edit


def to_another(statement: dict[str, Any]) -> None:
    """Another resource."""
    statement["Resource"] = f"{statement['Resource']}-of-another"


# What makes Karpenter call, and what shows that the call went through. Each yields the look that tells recovery.


@contextmanager
def launching(lab: Lab) -> Generator[Callable[[], object]]:
    lab.wants_node(WANTED)
    yield lambda: lab.runs(WANTED)
    lab.no_longer_wants_node(WANTED)


@contextmanager
def tagging(lab: Lab) -> Generator[Callable[[], object]]:
    """The instance gets its node's name as a tag once the node has joined."""

    def tagged() -> bool:
        claim = lab.claim_of_node(lab.runs(WANTED))
        return claim is not None and claim["metadata"]["annotations"].get(TAGGED) == "true"

    with launching(lab):
        until("the node joins", lambda: lab.runs(WANTED), RECOVERS_SECONDS)
        yield tagged


@contextmanager
def ending(lab: Lab) -> Generator[Callable[[], object]]:
    with launching(lab) as runs:
        until("the node joins", runs, RECOVERS_SECONDS)
        claim = lab.claim_of_node(lab.runs(WANTED))["metadata"]["name"]
        lab.kubectl("delete", "deployment", WANTED, "--namespace=default")
        lab.kubectl("delete", "nodeclaim", claim, "--wait=false")
        yield lambda: claim not in lab.claims()


UNKNOWN_MESSAGE = "{}"
"""A message of no kind that Karpenter knows: it is received, and deleted."""


def consumed(lab: Lab) -> bool:
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = lab.aws("sqs", "get_queue_attributes", QueueUrl=lab.queue_url(), AttributeNames=asked)["Attributes"]
    return {told[name] for name in asked} == {"0"}


@contextmanager
def receiving(lab: Lab) -> Generator[Callable[[], object]]:
    """Karpenter asks by itself, 20 s at a time: a message that is sent once it may not ask stays."""
    sent = []

    def received() -> bool:
        if not sent:
            lab.fill_queue(lab.queue_url(), UNKNOWN_MESSAGE, 1)
            sent.append(UNKNOWN_MESSAGE)
        return consumed(lab)

    yield received


@contextmanager
def deleting(lab: Lab) -> Generator[Callable[[], object]]:
    lab.fill_queue(lab.queue_url(), UNKNOWN_MESSAGE, 1)
    yield lambda: consumed(lab)


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """A fault of one statement, and the words of Karpenter and of the doctor for it.

    ``edit``: None takes the statement away. ``calls``: what makes Karpenter call. ``while_``: what it was doing then.
    ``by_check``: the doctor's check names it, as a message without a coded part, or of a role's own ARN, is not opened.
    """

    group: str
    sid: str
    edit: Edit | None
    calls: Callable[[Lab], Any]
    action: str
    code: str = "UnauthorizedOperation"
    while_: str
    named: str
    by_check: bool = False


LIFECYCLE, OURS = "node-lifecycle", "aws:RequestTag/eks:eks-cluster-name"
POOL, OWNED = "aws:ResourceTag/karpenter.sh/nodepool", f"aws:ResourceTag/{cluster_tag(CLUSTER)}"
KINDS = {
    "launching without the statement of what a launch names": Lacking(
        group=LIFECYCLE, sid="AllowScopedEC2InstanceAccessActions", edit=None, calls=launching,
        action="ec2:CreateFleet", while_="creating instance", named="no statement of its identity-based policy",
    ),
    "launching with another cluster's tag": Lacking(
        group=LIFECYCLE, sid="AllowScopedEC2InstanceActionsWithTags", edit=elsewhere("StringEquals", OURS),
        calls=launching, action="ec2:", while_="creating instance",
        named=f"AllowScopedEC2InstanceActionsWithTags of its identity-based policy would allow it, but for "
        f"StringEquals {OURS}",
    ),
    "launching from a launch template": Lacking(
        group=LIFECYCLE, sid="AllowScopedEC2LaunchTemplateAccessActions", edit=misspelt("StringLike", POOL),
        calls=launching, action="ec2:", while_="creating instance",
        named=f"AllowScopedEC2LaunchTemplateAccessActions of its identity-based policy would allow it, but for "
        f"StringLike {POOL}x",
    ),
    "tagging what it makes": Lacking(
        group=LIFECYCLE, sid="AllowScopedResourceCreationTagging", edit=elsewhere("StringEquals", "ec2:CreateAction"),
        calls=launching, action="ec2:CreateTags", while_="creating instance",
        named="AllowScopedResourceCreationTagging of its identity-based policy would allow it, but for StringEquals "
        "ec2:CreateAction",
    ),
    "passing the node's role": Lacking(
        group="iam-integration", sid="AllowPassingInstanceRole", edit=to_another, calls=launching,
        action="iam:PassRole", while_="creating instance", named="no statement lets it pass", by_check=True,
    ),
    "tagging what it made": Lacking(
        group=LIFECYCLE, sid="AllowScopedResourceTagging", edit=misspelt("StringLike", POOL), calls=tagging,
        action="ec2:CreateTags", while_="tagging nodeclaim",
        named=f"AllowScopedResourceTagging of its identity-based policy would allow it, but for StringLike {POOL}x",
    ),
    "terminating": Lacking(
        group=LIFECYCLE, sid="AllowScopedDeletion", edit=elsewhere("StringEquals", OWNED),
        calls=ending, action="ec2:TerminateInstances", while_="EC2: TerminateInstances",
        named=f"AllowScopedDeletion of its identity-based policy would allow it, but for StringEquals {OWNED}",
    ),
    "receiving warnings": Lacking(
        group="interruption", sid="AllowInterruptionQueueActions", edit=without("sqs:ReceiveMessage"), calls=receiving,
        action="sqs:ReceiveMessage", code="AccessDeniedException", while_="getting messages from queue",
        named="otel-lab-karpenter-interruption lacks sqs:ReceiveMessage", by_check=True,
    ),
    "deleting warnings": Lacking(
        group="interruption", sid="AllowInterruptionQueueActions", edit=without("sqs:DeleteMessage"), calls=deleting,
        action="sqs:DeleteMessage", code="AccessDeniedException", while_="deleting sqs message",
        named="otel-lab-karpenter-interruption lacks sqs:DeleteMessage", by_check=True,
    ),
}  # fmt: skip


def refusal(lab: Lab, since: int, kind: Lacking) -> str:
    """The first line of Karpenter's log since a place in it that has the refused call; empty where there is none."""
    with (lab.folder.logs / "karpenter.log").open("rb") as log:
        log.seek(since)
        told = log.read().decode(errors="replace").splitlines()
    words = (kind.code, f"is not authorized to perform: {kind.action}", kind.while_)
    return next((line for line in told if all(word in line for word in words)), "")


def decoded(lab: Lab, line: str) -> str:
    """What ``doctor --decode`` says of a line of Karpenter's log."""
    told, code = lab.otel_on_spot("doctor", "--decode", "-", text=line)
    assert code == 0, told
    return told


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_karpenter_may_not_do_is_in_its_log_is_named_and_goes_on_once_it_may(
    lab: Lab, tmp_path: Path, kind: Lacking
) -> None:
    def faulty(document: dict[str, Any]) -> None:
        (statement,) = (each for each in document["Statement"] if each["Sid"] == kind.sid)
        if kind.edit is None:
            document["Statement"].remove(statement)
        else:
            kind.edit(statement)

    since = (lab.folder.logs / "karpenter.log").stat().st_size
    with policy_changed(lab, kind.group, faulty) as repair, kind.calls(lab) as recovered:
        line = until(f"{kind.action} is refused", lambda: refusal(lab, since, kind), SHOWS_SECONDS)
        assert not recovered()
        told = decoded(lab, line) if kind.code == "UnauthorizedOperation" else ""
        assert f"asked for {kind.action}" in told or not told
        if kind.by_check:
            told = doctor(lab, tmp_path, "--only", "controller-permissions").said("controller-permissions")
        assert kind.named in told
        repair()
        until("it goes on", recovered, RECOVERS_SECONDS)
    assert json.loads(line)["level"] == "ERROR"


TOKEN = """
import boto3, sys
from otel_on_spot.lab.nodes.identity import cluster_token
role, region, cluster = sys.argv[1:]
made = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="ci")["Credentials"]
session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name=region)
print(cluster_token(session, region, cluster))
"""
DRIFT, PREVIEW = "lab-drift", "lab-preview"


@dataclass
class Reader:
    """Somebody with a session of a role, and with kubectl."""

    lab: Lab
    folder: Path
    role: str

    @property
    def name(self) -> str:
        """The user that the cluster takes it for."""
        return f"arn:aws:sts::123456789012:assumed-role/{self.role}/ci"

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints, errors as well, with a token of the role."""
        given = (role_arn(self.role), self.lab.stack.region, CLUSTER)
        token = self.lab.inside(sys.executable, "-c", TOKEN, *given).strip()
        told = yaml.safe_load(self.lab.folder.kubeconfig().read_text())
        told["users"] = [{"name": user["name"], "user": {"token": token}} for user in told["users"]]
        file = self.folder / f"{self.role}.yaml"
        file.write_text(yaml.safe_dump(told))
        return self.lab.inside(
            "sh", "-c", 'kubectl --kubeconfig "$@" 2>&1', "kubectl", str(file), *arguments, check=False
        )

    def is_refused(self, told: str, verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """Whether the API server refused it, in the words that the simulated cloud has for it."""
        asked = access.Attributes(verb=verb, group=group, resource=resource, namespace=namespace, name=name)
        return access.refusal(access.User(name=self.name, groups=()), asked)[1] in told


def test_who_only_reads_is_let_read_and_no_more_by_the_real_api_server(lab: Lab, tmp_path: Path) -> None:
    settings = lab.config("cluster")
    for role in (DRIFT, PREVIEW):
        trust = {"Version": "2012-10-17", "Statement": []}
        lab.aws("iam", "create_role", RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    drift, preview = Reader(lab, tmp_path, DRIFT), Reader(lab, tmp_path, PREVIEW)
    reading = {"adminViewRoleArns": [role_arn(DRIFT)], "viewRoleArns": [role_arn(PREVIEW)]}
    try:
        assert "Unauthorized" in drift.kubectl("get", "configmaps", "-n", "kube-system")
        lab.apply(cluster=settings | reading)
        until("its entry counts", lambda: "aws-auth" in drift.kubectl("get", "cm", "-n", "kube-system"), 20)
        until("its entry counts", lambda: "aws-auth" in preview.kubectl("get", "cm", "-n", "kube-system"), 20)

        assert "Opaque" in drift.kubectl("get", "secrets", "-n", "otel-demo")
        assert "spot" in drift.kubectl("get", "nodepools")
        pool = {"verb": "patch", "group": "karpenter.sh", "resource": "nodepools", "name": "spot"}
        labelled = ("label", "nodepool", "spot", "tried=yes")
        assert drift.is_refused(drift.kubectl(*labelled), **pool)
        assert drift.is_refused(drift.kubectl(*labelled, "--dry-run=server"), **pool)
        gone = drift.kubectl("delete", "application", "platform", "-n", "argocd", "--wait=false")
        named = {"group": "argoproj.io", "resource": "applications", "namespace": "argocd", "name": "platform"}
        assert drift.is_refused(gone, "delete", **named)

        secrets = preview.kubectl("get", "secrets", "-n", "otel-demo")
        assert preview.is_refused(secrets, "list", "", "secrets", "otel-demo")
        assert preview.is_refused(preview.kubectl("get", "nodepool", "spot"), **pool | {"verb": "get"})
        made = preview.kubectl("create", "configmap", "tried", "-n", "default")
        assert preview.is_refused(made, "create", "", "configmaps", "default")

        lab.apply(cluster=settings | reading | {"adminViewRoleArns": []})
        until("its entry is gone", lambda: "Unauthorized" in drift.kubectl("get", "cm", "-n", "kube-system"), 20)
    finally:
        lab.apply()
        for role in (DRIFT, PREVIEW):
            lab.aws("iam", "delete_role", RoleName=role)
