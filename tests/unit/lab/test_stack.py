"""Any stack in the lab: its own shape, and each thing that only AWS could decide set aside by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_on_spot.lab import stack
from otel_on_spot.lab.folder import LabError
from otel_on_spot.program import runner

ROOT = Path(__file__).parents[3]
PERSISTENCE = "persistence: claims, volumes and snapshots are there, and no bytes in them"
SPOT_ROLE = "karpenter.spotServiceLinkedRole (false): the simulated account has the role"
LAB_GIT = "https://git.lab.test:3443/otel-on-spot.git"


def test_the_labs_own_stack_sets_nothing_aside() -> None:
    found = stack.read(ROOT, "lab")
    assert (dict(found.overrides), found.set_aside, found.revision, found.spot_role) == ({}, (), "main", False)


@pytest.mark.parametrize(
    ("name", "revision", "told"),
    [
        ("dev", "main", ["gitops.repository (", "gitops.revision (main)", "cluster.endpoint (public)", SPOT_ROLE]),
        (
            "staging",
            "main",
            ["gitops.repository (", "gitops.revision (main)", PERSISTENCE, "cluster.endpoint (public)", SPOT_ROLE],
        ),
        (
            "prod",
            "v0.1.0",
            [
                "gitops.repository (https://github.com/your-org/otel-on-spot.git)",
                "gitops.revision (v0.1.0)",
                PERSISTENCE,
                "cluster.endpoint (private)",
                SPOT_ROLE,
                "cluster.adminRoleArns[0] (arn:aws:iam::111122223333:role/platform-admin)",
            ],
        ),
    ],
)
def test_a_stack_keeps_its_shape_and_tells_what_is_set_aside(name: str, revision: str, told: list[str]) -> None:
    found = stack.read(ROOT, name)
    assert (found.cluster, found.revision) == (f"otel-{name}", revision)
    assert len(found.set_aside) == len(told)
    for line, beginning in zip(found.set_aside, told, strict=True):
        assert line.startswith(beginning)
    program = runner.of_stack(name, ROOT, found.overrides)
    before = runner.of_stack(name, ROOT)
    changed = {key for key in before.config if before.config[key] != program.config.get(key)}
    assert changed == {"otel-on-spot:gitops"}, "pools, network, budgets and all else are the stack's own"
    assert json.loads(program.config["otel-on-spot:gitops"])["repository"] == LAB_GIT


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., stack.Stack]:
    """Prod's stack with other settings, as the lab reads it."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)

    def read(**changes: Any) -> stack.Stack:
        content = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())
        for key, value in changes.items():
            section = content["config"].get(f"otel-on-spot:{key}")
            content["config"][f"otel-on-spot:{key}"] = (
                {**section, **value} if isinstance(section, dict) and isinstance(value, dict) else value
            )
        (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(content))
        return stack.read(tmp_path, "prod")

    return read


def test_a_commit_is_set_aside_for_one_of_the_labs_own(edited: Callable[..., stack.Stack]) -> None:
    found = edited(gitops={"revision": "0123456789abcdef0123456789abcdef01234567"})
    assert found.revision == found.overrides["gitops"]["revision"] == "v0.0.0"
    assert any(line.startswith("gitops.revision (0123") and "v0.0.0" in line for line in found.set_aside)


def test_an_account_and_credentials_of_ones_own_are_set_aside_and_no_secret_is_told(
    edited: Callable[..., stack.Stack],
) -> None:
    found = edited(
        accountId="210987654321",
        gitSshKey={"secure": "v1:x"},
        gitops={"repository": "git@github.com:acme/platform.git"},
    )
    assert found.overrides["accountId"] == "123456789012"
    assert found.overrides["gitSshKey"] is None
    assert found.overrides["gitops"]["repository"] == LAB_GIT
    assert found.set_aside[:2] == (
        "gitSshKey: the lab's Git server asks for no credentials",
        "accountId (210987654321): the simulated account is 123456789012",
    )
    assert "secret" not in " ".join(found.set_aside)


def test_a_github_app_goes_with_its_key(edited: Callable[..., stack.Stack]) -> None:
    found = edited(
        githubAppPrivateKey={"secure": "v1:x"}, gitops={"githubApp": {"appId": "123456", "installationId": "7654321"}}
    )
    assert found.overrides["githubAppPrivateKey"] is None
    assert "githubApp" not in found.overrides["gitops"]
    assert found.set_aside[0] == "githubAppPrivateKey: the lab's Git server asks for no credentials"


def test_repositories_that_are_not_reached_are_named(edited: Callable[..., stack.Stack]) -> None:
    found = edited(gitops={"sourceRepositories": ["https://charts.acme.dev"]})
    assert "gitops.sourceRepositories (https://charts.acme.dev): not reached" in found.set_aside[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"cluster": {"name": "Not A Name"}}, "cluster.name"), ({"gitops": "main"}, "gitops")],
)
def test_a_stack_that_the_program_would_refuse_is_refused(
    edited: Callable[..., stack.Stack], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(LabError, match=said):
        edited(**change)
