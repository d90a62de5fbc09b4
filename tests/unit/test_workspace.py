"""A copy of the program with its own backend, and the CLI that drives it."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from otel_on_spot import project
from otel_on_spot.workspace import EngineError, Workspace, pulumi_command


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_the_copy_is_the_program_with_this_interpreter(workspace: Workspace) -> None:
    for name in ("__main__.py", "Pulumi.yaml", "infra/names.py"):
        assert (workspace.program / name).read_bytes() == (project.root() / name).read_bytes()
    assert (workspace.program / ".venv").resolve() == Path(sys.prefix).resolve()
    assert workspace.backend.is_dir()


def test_a_second_copy_takes_the_program_anew_and_leaves_the_stacks(workspace: Workspace) -> None:
    (workspace.program / "infra" / "gone.py").write_text("")
    stack = workspace.write_stack("dev")
    stack.write_text(yaml.safe_dump({**yaml.safe_load(stack.read_text()), "encryptionsalt": "v1:x"}))
    workspace.copy_program()
    assert not (workspace.program / "infra" / "gone.py").exists()
    assert "encryptionsalt" in workspace.program.joinpath("Pulumi.dev.yaml").read_text()


def test_a_stack_has_the_settings_of_another_changed_and_keeps_its_own_salt(workspace: Workspace) -> None:
    def change(settings: dict[str, object]) -> None:
        settings["region"] = "eu-north-1"

    file = workspace.write_stack("mine", of="dev", change=change)
    file.write_text(f"{file.read_text()}encryptionsalt: v1:x\n")
    written = yaml.safe_load(workspace.write_stack("mine", of="dev", change=change).read_text())
    committed = yaml.safe_load((project.root() / "Pulumi.dev.yaml").read_text())
    assert written.pop("encryptionsalt") == "v1:x"
    assert written["config"].pop("otel-on-spot:region") == "eu-north-1"
    assert committed["config"].pop("otel-on-spot:region") != "eu-north-1"
    assert written == committed


def test_a_command_sees_this_backend_and_no_passphrase_of_the_caller(workspace: Workspace) -> None:
    base = {"PATH": "/bin", "PULUMI_CONFIG_PASSPHRASE_FILE": "/secret", "PULUMI_BACKEND_URL": "s3://mine"}
    environment = workspace.environment(base)
    assert environment["PULUMI_BACKEND_URL"] == f"file://{workspace.backend}"
    assert environment["PATH"] == "/bin"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment


@pytest.mark.parametrize(
    ("says", "because"),
    [
        ("echo v3.100.0", "3.100.0"),
        ("echo nonsense", "Could not parse"),
        ("exit 3", "exit status 3"),
        ("", "no pulumi"),
    ],
    ids=["too old", "no version", "fails", "missing"],
)
def test_a_cli_that_cannot_be_used_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, because: str
) -> None:
    if says:
        script = tmp_path / "pulumi"
        script.write_text(f"#!/bin/sh\n{says}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path)] + (["/bin", "/usr/bin"] if says else [])))
    with pytest.raises(EngineError, match=because) as refused:
        pulumi_command()
    assert "https://www.pulumi.com/docs/install/" in str(refused.value)


def test_the_oldest_cli_is_what_the_project_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\necho v3.900.0\n")
    script.chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text("name: p\nrequiredPulumiVersion: '>=3.901.0'\n")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(EngineError, match=r"3\.901\.0.*3\.900\.0"):
        pulumi_command(tmp_path)
    assert pulumi_command(project.root()).command == "pulumi"
