"""A secret is in no view of a plan, wherever it came from and wherever it flows."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
import yaml
from pulumi_kubernetes import core
from rich.console import Console

from infra.settings.loader import SECRET_KEYS
from infra.settings.models import Settings
from otel_on_spot.plan import compare, manifests, picture, tree
from otel_on_spot.plan.record import record, record_program
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.program.stack_file import SECRET_PLACEHOLDER
from otel_on_spot.program.values import Secret, holds_unknown, revealed
from tests.unit.conftest import recorded
from tests.unit.repository import invoked_on
from tests.unit.settings.test_settings import NEEDED_BY_SECRETS, committed

ROOT = Path(__file__).parents[3]
SENTINEL = "sentinel-of-a-secret"
QUEUE = "aws:sqs/queue:Queue"


def views(plan: Recording, folder: Path) -> dict[str, str]:
    """Everything that can be shown of a plan, as text."""
    shown = io.StringIO()
    tree.show(plan, Console(file=shown, width=400))
    return {
        "tree": shown.getvalue(),
        "json": json.dumps(manifests.as_document(plan)),
        "yaml": "".join(path.read_text() for path in manifests.write(plan, folder)),
        "mermaid": picture.mermaid(plan),
        "svg": picture.svg(plan),
        "repr": repr(plan),
    }


def showing(text: str, plan: Recording, folder: Path) -> list[str]:
    return [name for name, view in views(plan, folder).items() if text in view]


def repository(plan: Recording) -> Registration:
    """The object that holds the Git token."""
    return plan.named("kubernetes:core/v1:Secret", "platform-repository")


def test_a_secured_token_is_in_no_view_neither_its_cipher_nor_what_stands_for_it(tmp_path: Path) -> None:
    for path in [*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"]:
        shutil.copy(path, tmp_path)
    stack = tmp_path / "Pulumi.dev.yaml"
    stack.write_text(f"{stack.read_text()}  otel-on-spot:gitToken:\n    secure: {SENTINEL}\n")
    plan = record("dev", root=tmp_path)

    assert SECRET_PLACEHOLDER in str(revealed(repository(plan).inputs))
    assert SENTINEL not in str(revealed(repository(plan).inputs))
    assert showing(SECRET_PLACEHOLDER, plan, tmp_path / "out") == []


def test_an_output_made_secret_is_in_no_view_wherever_it_flows(tmp_path: Path) -> None:
    def program() -> None:
        token = pulumi.Output.secret(SENTINEL)
        aws.sqs.Queue("q", tags={"token": token})
        core.v1.ConfigMap("m", metadata={"name": "m"}, data={"a": token.apply(lambda opened: f"<{opened}>")})
        pulumi.export("token", token)
        pulumi.export("nested", {"deep": [token]})

    plan = record_program(program)

    assert revealed(plan.exports)["nested"] == {"deep": [SENTINEL]}
    assert showing(SENTINEL, plan, tmp_path) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda name, options: aws.sqs.Queue("r", name=name, opts=options),
        lambda name, options: aws.iam.Role("r", name=name, assume_role_policy="{}", opts=options),
        lambda name, options: aws.iam.OpenIdConnectProvider("r", url=name, client_id_lists=["a"], opts=options),
    ],
    ids=["queue", "role", "oidc"],
)
@pytest.mark.parametrize("declared", ["value", "option"])
def test_a_secret_name_is_in_no_id_no_arn_and_no_url(make: Any, declared: str, tmp_path: Path) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(additional_secret_outputs=["name", "url"] if declared == "option" else None)
        made = make(pulumi.Output.secret(SENTINEL) if declared == "value" else SENTINEL, options)
        pulumi.export("addresses", [made.arn, made.id])

    assert showing(SENTINEL, record_program(program), tmp_path) == []


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_a_secret_inside_a_property_that_aws_completes_stays_secret(preview: bool, whole: bool) -> None:
    def program() -> None:
        config: Any
        if whole:
            config = pulumi.Output.secret({"subnet_ids": ["subnet-1"], "public_access_cidrs": [SENTINEL]})
        else:
            config = {"subnet_ids": ["subnet-1"], "public_access_cidrs": pulumi.Output.secret([SENTINEL])}
        aws.eks.Cluster("c", role_arn="r", vpc_config=config)  # ty: ignore[invalid-argument-type]

    plan = record_program(program, preview=preview)
    completed = revealed(plan.named("aws:eks/cluster:Cluster", "c").outputs["vpcConfig"])

    assert SENTINEL not in repr(plan)
    assert completed["publicAccessCidrs"] == [SENTINEL]
    assert holds_unknown(completed["clusterSecurityGroupId"]) == preview


def test_a_comparison_shows_no_value_of_a_secret() -> None:
    without = manifests.as_document(recorded("dev"))
    first, second = (
        manifests.as_document(record("dev", config_overrides={"gitToken": Secret(f"{SENTINEL}-{number}")}))
        for number in (1, 2)
    )
    found = compare.difference(without, first, "main")

    assert "platform-repository" in {change.name for change in found.changes if change.action == "add"}
    assert SENTINEL not in repr(found) + compare.text(found) + compare.markdown(found)
    assert SENTINEL not in repr(compare.difference(first, second, "main"))


def test_a_secret_knows_its_value_and_never_shows_it() -> None:
    assert Secret(SENTINEL).value == SENTINEL
    assert [str(Secret(SENTINEL)), f"{Secret(SENTINEL)!r}"] == ["[secret]", "[secret]"]


SECRETS = {Settings.model_fields[name].alias or name: f"sentinel-of-{name}" for name in sorted(SECRET_KEYS)}
PEM = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
GIVEN = {key: sentinel if key == "gitToken" else PEM.format(sentinel) for key, sentinel in SECRETS.items()}


def encodings(sentinel: str) -> tuple[str, str]:
    return sentinel, base64.b64encode(sentinel.encode()).decode()


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("key", SECRETS)
def test_a_credential_is_in_no_plan(key: str, preview: bool, tmp_path: Path) -> None:
    given = {"gitops": committed("dev")["gitops"] | NEEDED_BY_SECRETS[key], key: Secret(GIVEN[key])}
    plan = record("dev", config_overrides=given, preview=preview)

    assert SECRETS[key] in str(revealed(repository(plan).inputs)), "it is not used: this test would see nothing"
    for text in encodings(SECRETS[key]):
        assert showing(text, plan, tmp_path / f"out-{text}") == []


def in_plain_text(folder: Path, key: str, file: str = "Pulumi.dev.yaml") -> Path:
    """A project one of whose files holds a credential in plain text."""
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder)
    content = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())
    content["config"]["otel-on-spot:gitops"] |= NEEDED_BY_SECRETS[key]
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
    content = yaml.safe_load((folder / file).read_text())
    content.setdefault("config", {})[f"otel-on-spot:{key}"] = GIVEN[key]
    (folder / file).write_text(yaml.safe_dump(content))
    return folder


@pytest.mark.parametrize("file", ["Pulumi.dev.yaml", "Pulumi.yaml"])
@pytest.mark.parametrize("key", SECRETS)
def test_a_credential_in_plain_text_is_refused_and_not_shown(tmp_path: Path, key: str, file: str) -> None:
    for preview in (False, True):
        with pytest.raises(ProgramError) as refusal:
            record("dev", root=in_plain_text(tmp_path, key, file), preview=preview)

        told = str(refusal.value)
        assert f"1 problem, nothing was created\n  {key}\n    given: [secret], in plain text" in told
        assert f"pulumi config set --secret {key}" in told
        assert not any(text in told for text in encodings(SECRETS[key]))


def test_the_command_refuses_it_and_does_not_show_it(tmp_path: Path) -> None:
    ended = invoked_on(in_plain_text(tmp_path, "gitToken"), "plan", "--stack", "dev", "--json")

    assert ended.exit_code == 2, ended.stderr
    assert "pulumi config set --secret gitToken" in ended.stderr
    assert not any(text in ended.stdout + ended.stderr for text in encodings(SECRETS["gitToken"]))
