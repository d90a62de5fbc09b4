"""A sentinel in every secret setting is nowhere in plain text; a secret elsewhere is refused before it is written.

The smoke of it is in the life of dev, whose token is a sentinel too.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.settings.loader import SECRET_KEYS
from infra.settings.models import Settings
from tests.engine.workbench import PROJECT, Workbench

SECRETS = {Settings.model_fields[name].alias or name: f"sentinel-of-{name}" for name in sorted(SECRET_KEYS)}
LAST = "gitToken"
SECRETS[LAST] = SECRETS.pop(LAST)
"""The token comes last and stays: it needs no other setting than the committed ones."""
PEM = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
GIVEN = {key: secret if key == LAST else PEM.format(secret) for key, secret in SECRETS.items()}
LOUD = "-v=8"
"""The most that the engine logs without its own wire log, which shows every secret: docs/operations.md says so."""
USER_SENTINEL = "sentinel-of-a-person"


NEEDED = {
    "gitSshKey": {"gitops.repository": "ssh://git@github.com/your-org/otel-on-spot.git"},
    "gitToken": {"gitops.repository": "https://github.com/your-org/otel-on-spot.git"},
    "githubAppPrivateKey": {"gitops.githubApp": {"appId": 123456, "installationId": 7654321}},
}
"""What else the stack file says where a secret is given."""


@dataclass(frozen=True)
class Secret:
    """A secret setting, and the state of the stack that was made with it, with its secrets shown."""

    key: str
    opened: str


@pytest.fixture(scope="module", params=SECRETS)
def secret(bench: Workbench, request: pytest.FixtureRequest) -> Iterator[Secret]:
    """Each credential of Git in its turn: a stack has one."""
    key = request.param
    bench.run("config", "set", "--secret", "--stack", "dev", key, "--", GIVEN[key], stack_flag=False)
    with bench.settings(NEEDED[key]) as file:
        bench.run("preview", "--diff", "--non-interactive", "--config-file", str(file))
        bench.run("preview", "--json", "--non-interactive", "--config-file", str(file))
        bench.up("--diff", "--config-file", str(file))
    opened = bench.run("stack", "export", "--show-secrets")
    bench.outputs.remove(opened)
    yield Secret(key, opened)
    if key != LAST:
        bench.run("config", "rm", key)


def written(bench: Workbench) -> dict[str, str]:
    """Every file that the engine, the program and their tools left, by its path; what commands told, by its turn."""
    texts = {
        str(file.relative_to(bench.folder)): file.read_text(errors="replace")
        for part in ("backend", "home", "program")
        for file in (bench.folder / part).rglob("*")
        if file.is_file() and ".venv" not in file.parts
    }
    texts |= {f"output {index}": text for index, text in enumerate(bench.outputs)}
    return texts | {"operations": bench.cloud.operations.log.read_text()}


def showing(sentinel: str, texts: dict[str, str]) -> list[str]:
    hidden = (sentinel, base64.b64encode(sentinel.encode()).decode())
    return [name for name, text in texts.items() if any(form in text for form in hidden)]


def test_a_secret_setting_reaches_the_state(secret: Secret) -> None:
    assert showing(SECRETS[secret.key], {"opened": secret.opened}), "the next test would see nothing"


def test_a_secret_is_in_no_state_no_output_and_no_log(bench: Workbench, secret: Secret) -> None:
    bench.run("stack", "export")
    bench.run("stack", "output", "--json")
    bench.run("stack", "history", "--json")
    bench.run("config", "--json")
    if secret.key == LAST:
        bench.run("preview", "--diff", "--show-sames", "--show-reads", "--logtostderr", LOUD, "--non-interactive")
        with bench.settings({"gitops.repository": "https://github.com/other-org/otel-on-spot.git"}) as file:
            bench.run("preview", "--diff", "--non-interactive", "--config-file", str(file))
        assert any("repository" in text and "[secret]" in text for text in bench.outputs)
    texts = written(bench)
    assert any("checkpoint" in text for text in texts.values())
    for key, sentinel in SECRETS.items():
        assert showing(sentinel, texts) == showing(GIVEN[key], texts) == [], key


@pytest.mark.parametrize("path", ["region", "tags.owner", "gitops.applications.otel-demo.password"])
def test_a_secret_in_any_other_setting_is_refused_before_it_is_written(bench: Workbench, path: str) -> None:
    file = bench.program / "Pulumi.dev.yaml"
    before, since = file.read_text(), bench.mark()
    bench.run("config", "set", "--secret", "--path", f"{PROJECT}:{path}", USER_SENTINEL)
    try:
        for command in (["preview", "--diff"], ["up", "--yes", "--skip-preview"]):
            code, out, err = bench.attempt(*command, "--non-interactive")
            assert code != 0
            assert "only gitSshKey, gitToken, githubAppPrivateKey can be a secret" in out + err
            assert f"  {path.partition('.')[0]}\n" in out + err
    finally:
        file.write_text(before)
    assert bench.operations(since) == []
    bench.run("stack", "export")
    assert showing(USER_SENTINEL, written(bench)) == []


def test_a_credential_in_plain_text_is_refused_before_anything_is_made(bench: Workbench) -> None:
    file = bench.program / "Pulumi.dev.yaml"
    before, since, plain = file.read_text(), bench.mark(), "sentinel-in-plain-text"
    bench.run("config", "set", "--plaintext", LAST, plain)
    try:
        for command in (["preview", "--diff"], ["up", "--yes", "--skip-preview"]):
            code, out, err = bench.attempt(*command, "--non-interactive")
            assert code != 0
            assert f"pulumi config set --secret {LAST}" in out + err
            assert plain not in out + err
    finally:
        file.write_text(before)
    assert bench.operations(since) == []
    assert showing(plain, {"state": bench.run("stack", "export")}) == []
    assert any(name.endswith(".history.json") for name in showing(plain, written(bench))), "the page says that it is"


def test_without_that_refusal_it_would_be_in_the_state(bench: Workbench) -> None:
    with bench.settings({"tags.owner": USER_SENTINEL}) as file:
        bench.up("--config-file", str(file))
    export = bench.run("stack", "export")
    assert showing(USER_SENTINEL, {"export": json.dumps(json.loads(export))}) == ["export"]
