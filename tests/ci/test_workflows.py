"""The workflows: pinned, least privileged, and running only what exists. Each promise is tried with its fault."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.modules import (
    ARGOCD_CLI,
    ARGOCD_NEXT,
    COLLECTOR,
    KARPENTER_NEXT,
    MODULES,
    PROMETHEUS,
)
from tests import tiers
from tests.ci import commands, workflows
from tests.ci.workflows import REPOSITORY, parse, sources, workflow

SOURCES = sources()
WORKFLOWS = {path: text for path, text in SOURCES.items() if "/workflows/" in path}
SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"

READ = {"contents": "read"}
BY_OIDC = {"contents": "read", "id-token": "write"}
LEAST = {
    "check": {"style": READ, "test": READ, "coverage": READ, "plan": READ},
    "nightly": {"lab": READ, "engine": READ},
    "preview": {"preview": BY_OIDC | {"pull-requests": "write"}},
    "up": {"preview": BY_OIDC, "up": BY_OIDC},
    "drift": {"drift": BY_OIDC, "report": {"issues": "write"}},
    "release": {"release": {"contents": "write", "id-token": "write", "attestations": "write"}},
}


def with_fault(text: str, old: str, new: str) -> str:
    """The text with a fault put in; a fault that changes nothing would prove nothing."""
    assert old in text, f"nothing to break: {old!r} is not there"
    return text.replace(old, new)


def test_the_six_workflows_and_no_others_are_looked_at():
    assert {Path(path).stem for path in WORKFLOWS} == set(LEAST)


@pytest.mark.parametrize("path", SOURCES)
def test_every_action_of_others_is_pinned_by_commit_with_its_version_beside_it(path):
    assert workflows.unpinned(SOURCES[path]) == []


@pytest.mark.parametrize(
    "used",
    [
        "actions/checkout@v7",
        "actions/checkout@main",
        f"actions/checkout@{SHA[:12]} # v7.0.1",
        f"actions/checkout@{SHA}",
        f"actions/checkout@{SHA} # latest",
        f"actions/checkout@{SHA} # v7",
        "docker://alpine:3",
    ],
)
def test_an_action_that_could_move_is_seen(used):
    assert workflows.unpinned(f"    steps:\n      - uses: {used}\n") == [used]


def test_an_action_has_one_version_everywhere():
    several = {action: pin for action, pin in workflows.pins(list(SOURCES.values())).items() if len(pin) > 1}

    assert several == {}
    assert workflows.pins([f"uses: a/b@{SHA} # v1.0.0", f"uses: a/b@{SHA} # v1.0.1"])["a/b"] == {
        f"{SHA} # v1.0.0",
        f"{SHA} # v1.0.1",
    }


@pytest.mark.parametrize("name", ["check", "nightly"])
def test_tests_ask_for_no_credential(name):
    assert workflows.credentials(workflow(name)) == []


def test_forks_can_run_check():
    assert "pull_request" in parse(workflow("check"))["on"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("contents: read", "contents: write"),
        ("contents: read", "contents: read\n  id-token: write"),
        ("permissions:\n  contents: read\n", ""),
        ("  pull_request:\n", "  pull_request_target:\n"),
        ("run: make test", "run: make test\n        env:\n          TOKEN: ${{ secrets.PULUMI_ACCESS_TOKEN }}"),
        ("run: make lint", "run: make lint\n        env:\n          TOKEN: ${{ github.token }}"),
        ("    timeout-minutes: 20\n    strategy", "    timeout-minutes: 20\n    environment: dev\n    strategy"),
        ("run: make lint", "uses: ./.github/actions/pulumi-session"),
    ],
)
def test_a_credential_in_check_is_seen(old, new):
    assert workflows.credentials(with_fault(workflow("check"), old, new)) != []


@pytest.mark.parametrize("name", LEAST)
def test_each_job_has_the_permissions_that_it_needs_and_no_more(name):
    assert workflows.excess(parse(workflow(name)), LEAST[name]) == []


@pytest.mark.parametrize("name", LEAST)
def test_a_permission_too_many_or_none_said_is_seen(name):
    text = workflow(name)
    more = with_fault(text, "contents: read", "contents: write")
    unsaid = with_fault(text, "\npermissions:\n  contents: read\n", "\n")

    assert "workflow: {'contents': 'write'}" in workflows.excess(parse(more), LEAST[name])
    assert "workflow: everything" in workflows.excess(parse(unsaid), LEAST[name])


def test_a_permission_too_many_for_one_job_is_seen():
    text = with_fault(workflow("drift"), "issues: write", "issues: write\n      contents: write")

    assert workflows.excess(parse(text), LEAST["drift"]) == ["report: {'issues': 'write', 'contents': 'write'}"]


@pytest.mark.parametrize("name", LEAST)
def test_jobs_end_keep_no_token_paste_no_expression_and_assume_a_role_behind_a_gate_only(name):
    assert workflows.careless(parse(workflow(name))) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "seen"),
    [
        ("check", "    timeout-minutes: 20\n    strategy", "    strategy", "no timeout-minutes"),
        ("check", "persist-credentials: false", "persist-credentials: true", "keeps its token"),
        ("check", 'STACK="$STACK"', 'STACK="${{ github.head_ref }}"', "an expression inside a script"),
        ("up", "    environment: ${{ inputs.stack || 'dev' }}\n", "", "a role without an environment"),
        ("preview", "vars[format('RUNNER_{0}', matrix.stack)]", "vars.RUNNER", "a runner that nobody chose"),
    ],
)
def test_a_careless_job_is_seen(name, old, new, seen):
    assert any(seen in problem for problem in workflows.careless(parse(with_fault(workflow(name), old, new))))


def without_the_policy_pack(text: str) -> list[str]:
    """Commands that a workflow gives to pulumi/actions without the policy pack."""
    steps = [step for job in parse(text)["jobs"].values() for step in job["steps"]]
    return [
        step["with"]["command"]
        for step in steps
        if step.get("uses", "").startswith("pulumi/actions@") and step["with"].get("policyPacks") != "policy"
    ]


@pytest.mark.parametrize("name", ["preview", "up"])
def test_previews_and_updates_run_the_policy_pack(name):
    assert without_the_policy_pack(workflow(name)) == []
    assert (REPOSITORY / "policy" / "PulumiPolicy.yaml").is_file()


@pytest.mark.parametrize("name", ["preview", "up"])
def test_a_preview_or_an_update_without_the_policy_pack_is_seen(name):
    assert without_the_policy_pack(with_fault(workflow(name), "policyPacks: policy", "policyPacks: ''")) != []


def test_a_fork_never_reaches_the_job_with_the_role():
    condition = parse(workflow("preview"))["jobs"]["preview"]["if"]

    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition


def test_prod_is_refused_on_a_hosted_runner_before_any_credential():
    session = parse(SOURCES[".github/actions/pulumi-session/action.yml"])["runs"]["steps"]

    assert session[0]["if"] == "inputs.stack == 'prod' && runner.environment == 'github-hosted'"
    assert "exit 1" in session[0]["run"]
    assert session[-1]["uses"].startswith("aws-actions/configure-aws-credentials@")


def test_updates_and_drift_checks_of_a_stack_exclude_each_other_and_are_never_cancelled():
    up, drift = parse(workflow("up"))["concurrency"], parse(workflow("drift"))["jobs"]["drift"]["concurrency"]

    assert up == {"group": "pulumi-${{ inputs.stack || 'dev' }}", "cancel-in-progress": False}
    assert drift == {"group": "pulumi-${{ matrix.stack }}", "cancel-in-progress": False}


def test_an_update_waits_for_its_preview_and_a_push_goes_to_dev_only():
    document = parse(workflow("up"))

    assert document["jobs"]["up"]["needs"] == "preview"
    assert document["on"]["push"]["branches"] == ["main"]
    stacks = set(re.findall(r"inputs\.stack(?! \|\| 'dev')", workflow("up")))
    assert stacks == set(), "without an input, which a push has not, the stack is dev"


def test_workflows_know_the_stacks_that_are_committed_for_aws():
    committed = {path.name.split(".")[1] for path in REPOSITORY.glob("Pulumi.*.yaml")} - {"lab"}  # on one machine only

    assert set(parse(workflow("check"))["jobs"]["plan"]["strategy"]["matrix"]["stack"]) == committed
    assert set(parse(workflow("up"))["on"]["workflow_dispatch"]["inputs"]["stack"]["options"]) == committed


def test_the_cli_in_ci_is_the_sdk_of_the_lock():
    locked = re.search(r"^pulumi==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    installed = re.findall(r"pulumi-version: (\S+)", "".join(SOURCES.values()))

    assert locked is not None
    assert set(installed) == {locked[1]}
    assert len(installed) == "".join(SOURCES.values()).count("uses: pulumi/actions@")


def too_new_for_the_go_of(job: str, text: str) -> list[str]:
    """Modules that `make lab-test` builds and that ask for a newer Go than the one that the job sets up.

    actions/setup-go lets no job fetch another: it exports GOTOOLCHAIN=local.
    Source: https://github.com/actions/setup-go/pull/460
    """
    step = next(
        step for step in parse(text)["jobs"][job]["steps"] if step.get("uses", "").startswith("actions/setup-go@")
    )
    built = (*MODULES, KARPENTER_NEXT, ARGOCD_NEXT, PROMETHEUS, COLLECTOR, ARGOCD_CLI)
    goes = {module.folder / "go.mod": module.go_line for module in built}
    return [
        path.parent.name for path, line in goes.items() if line > goes[REPOSITORY / step["with"]["go-version-file"]]
    ]


@pytest.mark.parametrize(("name", "job"), [("nightly", "lab"), ("check", "test")])
def test_the_go_of_a_job_is_new_enough_for_all_that_the_lab_builds(name, job):
    assert too_new_for_the_go_of(job, workflow(name)) == []


def test_a_go_that_is_too_old_for_a_module_is_seen():
    older = with_fault(workflow("nightly"), "go/argocd-next/go.mod", "go/kubernetes/go.mod")

    assert too_new_for_the_go_of("lab", older) == [
        *("karpenter", "argocd", "karpenter-next", "argocd-next"),
        *("prometheus", "otel-collector", "argocd-cli"),
    ]


@pytest.mark.parametrize("path", SOURCES)
def test_workflows_call_targets_and_options_that_exist(path):
    for script in workflows.scripts(parse(SOURCES[path])):
        assert commands.unknown_in_make(script) == []


def calls(name: str) -> list[list[str]]:
    return [words for script in workflows.scripts(parse(workflow(name))) for words in commands.make_calls(script)]


def test_check_runs_style_once_every_tier_by_itself_and_each_plan():
    called = calls("check")

    assert called.count(["lint"]) == 1
    assert called.count(["test", "PYTHON=python3", "ARGS=--must-run $TIER"]) == 1
    assert ["plan", "STACK=$STACK"] in called
    assert ["--silent", "plan", "STACK=$STACK", "ARGS=--against $BASE --markdown --cost"] in called
    matrix = parse(workflow("check"))["jobs"]["test"]["strategy"]["matrix"]
    every_night, with_lint, within_engine = {"lab"}, {"style"}, {"smoke"}
    assert {*matrix["tier"]} == {tier.name for tier in tiers.TIERS} - every_night - with_lint - within_engine
    assert matrix["python"] == ["3.11", "3.13"], "the oldest and the newest of pyproject.toml"


def test_every_night_the_lab_the_page_of_changes_and_a_fault_at_every_step_are_run():
    assert calls("nightly") == [["lab-test"], ["settings-changes", "ARGS=--check"], ["engine-faults"]]


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("make tset", ["make tset"]),
        ("echo before; make doctor", ["make doctor"]),
        ("make plan STAK=dev", ["make STAK="]),
        ('make plan ARGS="--agianst main"', ["plan --agianst"]),
        ('make test ARGS="--markdown"', ["test --markdown"]),
        ('make tools ARGS="--fast --next"', ["tools --fast"]),
        ('make lint ARGS="--fast"', ["make lint ARGS=--fast: the options of lint are not known"]),
    ],
)
def test_a_target_or_option_that_does_not_exist_is_seen(script, seen):
    assert commands.unknown_in_make(script) == seen


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory) -> Path:
    """actionlint, built from the pinned module. On CI it must be there; elsewhere its absence is said."""
    module = REPOSITORY / "otel_on_spot" / "lab" / "go" / "actionlint"

    def absent(why: str) -> None:
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)

    if shutil.which("go") is None:
        absent("no go on PATH: actionlint (otel_on_spot/lab/go/actionlint) cannot be built")
    fetched = subprocess.run(["go", "mod", "download"], cwd=module, capture_output=True, text=True, check=False)
    if fetched.returncode:
        absent(
            "the modules of otel_on_spot/lab/go/actionlint cannot be downloaded: "
            f"{fetched.stderr.strip().splitlines()[-1:]}"
        )
    binary = tmp_path_factory.mktemp("actionlint") / "actionlint"
    package = "github.com/rhysd/actionlint/cmd/actionlint"
    built = subprocess.run(
        ["go", "build", "-mod=readonly", "-o", str(binary), package],
        cwd=module,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return binary


def linted(binary: Path, files: list[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary, "-no-color", "-shellcheck=", "-pyflakes=", *files],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_actionlint_finds_nothing(actionlint):
    result = linted(actionlint, [REPOSITORY / path for path in WORKFLOWS])

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("name", "old", "new", "seen"),
    [
        ("check", "matrix.stack", "matrix.stak", 'property "stak" is not defined'),
        ("drift", "needs: drift", "needs: drfit", "drfit"),
        ("up", "role-to-assume:", "role-to-take:", 'input "role-to-take" is not defined'),
        ("drift", '"17 5 * * 1-5"', '"17 25 * * 1-5"', "invalid CRON format"),
    ],
)
def test_actionlint_sees_a_fault(actionlint, name, old, new, seen):
    faulty = REPOSITORY / ".github" / "workflows" / f"{name}.yml"
    text = with_fault(faulty.read_text(), old, new)
    result = subprocess.run(
        [actionlint, "-no-color", "-shellcheck=", "-pyflakes=", "-stdin-filename", str(faulty), "-"],
        cwd=REPOSITORY,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert seen in result.stdout


def test_an_update_has_as_many_places_as_prod_needs():
    steps = [step for job in parse(SOURCES[".github/workflows/up.yml"])["jobs"].values() for step in job["steps"]]
    updates = [step["with"] for step in steps if step.get("with", {}).get("command") == "up"]
    assert [told.get("parallel") for told in updates] == [16]
