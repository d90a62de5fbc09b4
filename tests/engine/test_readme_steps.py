"""README's "AWS in five steps", each command as it is written: from an empty account to Argo CD's Applications."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from otel_on_spot.preflight.account import SPOT
from otel_on_spot.simcloud.authorization import judged
from otel_on_spot.simcloud.inventory import inventory
from otel_on_spot.simcloud.session import Session
from tests.ci import aws_cli
from tests.ci.test_pages import shell
from tests.engine.workbench import REGION, ROOT

PARTS = ("infra", "gitops", "policy", "bootstrap")
FILES = ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml")
CLUSTER = "otel-dev"
OWN = "otel-on-spot-bootstrap-dev"
AS = {"pulumi preview": f"{OWN}-preview", "pulumi up --stack dev": f"{OWN}-up", "pulumi destroy": f"{OWN}-up"}
"""Command -> the role of the bootstrap that CI runs it as."""


def steps() -> list[str]:
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## AWS in five steps") : text.index("## The four lessons")]
    # The fences of a list are indented.
    return [*shell(section.replace("\n   ", "\n")), "pulumi destroy --stack dev"]


class Reader:
    """Whoever follows README, in a copy of the repository, with an account on this machine."""

    def __init__(self, folder: Path, session: Session) -> None:
        self.session, self.tree = session, folder / "otel-on-spot"
        for name in PARTS:
            shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, self.tree)
        (self.tree / ".venv").symlink_to(sys.prefix)
        kept = {key: value for key, value in session.environment.items() if key != "PULUMI_BACKEND_URL"}
        (folder / "home").mkdir()
        self.environment = {
            **kept,
            "HOME": str(folder / "home"),
            "PULUMI_HOME": str(folder / "home/.pulumi"),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        self.denied: list[str] = []
        self.calls = 0

    def run(self, line: str) -> str:
        """Standard output of a command, which must succeed; as the role that CI has for it, where it has one."""
        role = next((role for command, role in AS.items() if line.startswith(command)), None)
        words = shlex.split(line)
        if words[0] == "make":
            line = subprocess.run(
                ["make", "--no-print-directory", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.splitlines()[-1]
            return self.run(line)
        if words == ["pulumi", "login", "--local"]:
            # The CLI takes it for the home folder of the system's user, whatever HOME says.
            words = ["pulumi", "login", f"file://{self.environment['HOME']}"]
        if words[0] == "pulumi":
            yes = {"up": ["--yes", "--skip-preview"], "destroy": ["--yes", "--skip-preview"]}
            verb = next(word for word in words if word in ("up", "destroy", "preview", "stack", "login"))
            words += [*yes.get(verb, []), "--non-interactive"]
        with judged(self.session.cloud, role) if role else nullcontext() as calls:
            ended = subprocess.run(
                words, cwd=self.tree, env=self.environment, capture_output=True, text=True, timeout=400, check=False
            )
        assert ended.returncode == 0, f"{line}: {ended.returncode}\n{ended.stdout[-4000:]}\n{ended.stderr[-3000:]}"
        if calls:
            self.denied += [call.request.action for call in calls.denied]
            self.calls += len(calls.calls)
        return ended.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Session(tmp_path / "cloud", stand_in=True, patience=30, forgetful=True) as session:
        yield Reader(tmp_path, session)


def test_the_five_steps_lead_from_an_empty_account_to_the_applications(reader: Reader) -> None:
    cloud, file = reader.session.cloud, reader.tree / "Pulumi.dev.yaml"
    # An account that never ran Spot: the finding and its command are tested in tests/simcloud/test_preflight.py.
    cloud.client("iam", REGION).create_service_linked_role(AWSServiceName=SPOT)
    left: list[tuple[str, str]] = []
    done = []
    for line in steps():
        if line.startswith("kubectl"):
            assert line == "kubectl -n argocd get applications"
            found = cloud.kubernetes(CLUSTER).objects("argoproj.io/v1alpha1", "Application")
            assert [one["metadata"]["name"] for one in found if one["metadata"]["namespace"] == "argocd"] == [
                "platform"
            ]
        elif line.startswith("$("):
            command = shlex.split(reader.run(line.removeprefix("$(").removesuffix(")")))
            assert command == f"aws eks update-kubeconfig --region {REGION} --name {CLUSTER}".split()
            assert aws_cli.refused(command[1:]) == ""
            assert cloud.client("eks", REGION).describe_cluster(name=CLUSTER)["cluster"]["status"] == "ACTIVE"
        else:
            told = reader.run(line)
            if "preflight" in line:
                assert "0 with 0 found, 0 unknown" in told
                assert ("USD an hour" in told) is ("STACK=dev" in line)
            if "permissionsBoundaries" in line:
                boundary = json.loads(told)["dev"]
                with file.open("a") as stack_file:
                    stack_file.write(f"  otel-on-spot:iam:\n    permissionsBoundary: {boundary}\n")
                left = inventory(cloud, REGION)
        done.append(line)
    assert len(done) == 13
    assert reader.denied == []
    assert reader.calls > 350
    assert "secretsprovider: awskms://alias/" in file.read_text()
    assert inventory(cloud, REGION) == left
