"""The pages: links lead somewhere, commands and settings exist, hooks and owners name what is there."""

import re
import shlex
from pathlib import Path
from typing import get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from infra.settings import Settings
from tests.ci import aws_cli, commands
from tests.ci.workflows import REPOSITORY, parse, sources
from tests.ci.workflows import scripts as scripts_of

PAGES = sorted([page for pattern in ("*.md", ".github/*.md", "docs/**/*.md") for page in REPOSITORY.glob(pattern)])
RUNBOOKS = sorted((REPOSITORY / "docs" / "runbooks").glob("*.md"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
IN_REPOSITORY = re.compile(
    r"(\.github|bench|docs|gitops|infra|otel_on_spot|policy|tests)/[\w./-]*[\w/-]|Pulumi\.\w+\.yaml"
)
SETTING = re.compile(r"(network|cluster|karpenter|nodeClass|argocd|gitops)(\.[a-z]\w*)+(\.\*)?")
OURS = ".venv/bin/otel-on-spot"
SPOKEN = re.compile(r"(\.venv/bin/)?(otel-on-spot|python -m|aws) \S")
"""What a page speaks of as a command, in its prose."""
PRINTED = re.compile(r"^  do    (.+)$", re.MULTILINE)
"""Commands that the doctor advises, in a capture of it."""
TOOLS = frozenset({OURS, "argocd", "aws", "cp", "gh", "git", "k9s", "kubectl", "make", "mkdir", "pulumi"})


def prose(text: str) -> str:
    return FENCE.sub("", text)


def shell(text: str) -> list[str]:
    """The command lines of a page: continued lines joined, comments left out."""
    blocks = [match["body"] for match in FENCE.finditer(text) if match["language"] == "sh"]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    found = []
    for match in LINK.finditer(prose(text)):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(match["target"])
    return found


def foreign_commands(text: str) -> list[str]:
    """Command lines that start with another tool than the pages may use, and make targets that do not exist."""
    found = []
    for line in shell(text):
        words = shlex.split(line, comments=True)
        program = next(word for word in words if not re.match(r"[A-Z_]+[A-Z0-9_]*=", word))
        if program not in TOOLS:
            found.append(program)
        if program == "argocd" and "--core" not in words:
            found.append(line)
        found += refused(words[words.index(program) :])
    spoken = [match[1] for match in QUOTED.finditer(prose(text)) if match[1].startswith("make ")]
    for quoted in (match[1] for match in QUOTED.finditer(prose(text)) if SPOKEN.match(match[1])):
        found += refused(shlex.split(quoted))
    for line in PRINTED.findall(text):
        found += refused(shlex.split(line))
    return found + commands.unknown_in_make("\n".join([*shell(text), *spoken]))


def refused(words: list[str]) -> list[str]:
    """The command, with why it would not be taken; empty where it would, or where nobody here can tell."""
    program, *rest = words
    judge = {
        OURS: commands.refused_by_the_command_line,
        "otel-on-spot": commands.refused_by_the_command_line,
        "aws": aws_cli.refused,
        "python": commands.refused_by_python,
        ".venv/bin/python": commands.refused_by_python,
    }.get(program)
    why = judge(rest) if judge else ""
    return [f"{shlex.join(words)}: {why}"] if why else []


def without_examples(text: str) -> str:
    """A page without what its table changes settings to: those names and paths are examples."""
    return re.sub(r"^(\| `[^`]+` \|).*\|$", r"\1", text, flags=re.MULTILINE) if "| setting | to |" in text else text


def absent_paths(text: str) -> list[str]:
    """Quoted paths of the repository that it does not have."""
    text = without_examples(text)
    quoted = [match[1].rstrip("/") for match in QUOTED.finditer(prose(text)) if IN_REPOSITORY.fullmatch(match[1])]
    return [path for path in quoted if not (REPOSITORY / path).exists()]


def unknown_settings(text: str) -> list[str]:
    """Quoted setting keys that the model does not have; the generated table is the model's own, and has values too."""
    text = re.sub(r"<!-- settings:begin -->.*<!-- settings:end -->", "", without_examples(text), flags=re.DOTALL)
    quoted = [match[1] for match in QUOTED.finditer(prose(text)) if SETTING.fullmatch(match[1])]
    return [key for key in quoted if not is_setting(key.removesuffix(".*").split("."))]


def is_setting(path: list[str]) -> bool:
    model: type[BaseModel] | None = Settings
    named = False
    for part in path:
        if named:  # the user's own name of an entry
            named = False
            continue
        if model is None:
            return False
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part not in fields:
            return False
        kinds = (fields[part].annotation, *get_args(fields[part].annotation))
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        named = get_origin(fields[part].annotation) is dict
    return True


def every_make_call() -> list[str]:
    """What pages and workflows ask of make, each once."""
    texts = [page.read_text() for page in PAGES]
    spoken = [match[1] for text in texts for match in QUOTED.finditer(prose(text)) if match[1].startswith("make ")]
    scripts = [script for text in sources().values() for script in scripts_of(parse(text))]
    lines = [line for text in texts for line in shell(text)] + spoken + scripts
    return sorted({shlex.join(words) for line in lines for words in commands.make_calls(line) if words})


@pytest.mark.parametrize("words", every_make_call())
def test_make_would_start_every_target_that_a_page_or_a_workflow_names(words):
    assert commands.refused_by_make(shlex.split(words.replace("$STACK", "dev").replace("$TIER", "unit"))) == ""


def test_there_are_pages_to_look_at():
    assert {"CONTRIBUTING.md", "operations.md", "teardown.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda page, text: broken_links(page, text), id="links"),
        pytest.param(lambda _, text: foreign_commands(text), id="commands"),
        pytest.param(lambda _, text: absent_paths(text), id="files"),
        pytest.param(lambda _, text: unknown_settings(text), id="settings"),
    ],
)
def test_what_a_page_leads_to_is_there(wrong):
    assert {str(page): told for page in PAGES if (told := wrong(page, page.read_text()))} == {}


def test_a_runbook_goes_from_symptom_to_prevention():
    pages = [page for page in RUNBOOKS if page.stem not in {"README", "teardown", "upgrade", "restore-data"}]
    headings = {str(page): re.findall(r"^## (.+)$", prose(page.read_text()), re.MULTILINE) for page in pages}
    wanted = ["Symptom", "How to see it", "Cause", "Remedy", "How this program prevents it"]

    assert headings == dict.fromkeys(headings, wanted)
    assert headings


@pytest.mark.parametrize("folder", ["", "doctor", "drills"])
def test_an_index_lists_every_runbook_of_its_folder(folder):
    index = REPOSITORY / "docs" / "runbooks" / folder / "README.md"
    pages = {page.name for page in index.parent.glob("*.md")} - {"README.md"}
    below = {f"{page.parent.name}/README.md" for page in index.parent.glob("*/README.md")}
    inside = {match["target"] for match in LINK.finditer(index.read_text()) if not match["target"].startswith("..")}

    assert inside == pages | below


def test_every_variable_and_secret_of_the_workflows_is_explained():
    text = "".join(path.read_text() for path in (REPOSITORY / ".github").rglob("*.yml"))
    asked = set(re.findall(r"(?:vars|secrets)\.([A-Z][A-Z0-9_]+)", text)) | {
        "RUNNER_DEV",
        "RUNNER_STAGING",
        "RUNNER_PROD",
    }
    explained = (REPOSITORY / "docs" / "operations.md").read_text()

    assert {name for name in asked if f"`{name}`" not in explained} == set()


def test_every_kind_of_environment_that_the_workflows_use_is_explained():
    text = "".join(path.read_text() for path in (REPOSITORY / ".github" / "workflows").glob("*.yml"))
    used = set(re.findall(r"environment: \$\{\{ [^}]+ \}\}(\S*)", text))
    explained = (REPOSITORY / "docs" / "operations.md").read_text()

    assert used == {"", "-read", "-pull-request"}
    assert {kind for kind in used if f"`<stack>{kind}`" not in explained} == set()


def test_hooks_download_nothing_and_run_out_of_the_projects_environment():
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]

    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)
    named_paths = [word for hook in hooks for word in hook["entry"].split() if word.startswith("tests/")]
    assert named_paths
    assert all((REPOSITORY / path).exists() for path in named_paths)


def test_owners_own_paths_that_are_there():
    lines = (REPOSITORY / "CODEOWNERS").read_text().splitlines()
    paths = [line.split()[0] for line in lines if line and not line.startswith("#")]

    assert paths[0] == "*"
    assert [path for path in paths[1:] if not (REPOSITORY / path.strip("/")).exists()] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda text: broken_links(PAGES[0], text), "see [there](docs/nowhere.md)"),
        (lambda text: broken_links(PAGES[0], text), "see [there](docs/operations.md#nowhere)"),
        (foreign_commands, "```sh\nmake dctor\n```\n"),
        (foreign_commands, "run `make upp` first"),
        (foreign_commands, "```sh\nhelm uninstall karpenter\n```\n"),
        (foreign_commands, "```sh\nargocd app list\n```\n"),
        (foreign_commands, '```sh\nmake plan ARGS="--diff main"\n```\n'),
        (foreign_commands, "```sh\n.venv/bin/otel-on-spot drill stress --replica 50\n```\n"),
        (foreign_commands, "```sh\n.venv/bin/otel-on-spot drills stress\n```\n"),
        (foreign_commands, "```sh\n.venv/bin/otel-on-spot drill stress --replicas many\n```\n"),
        (foreign_commands, "```sh\n.venv/bin/otel-on-spot doctor now\n```\n"),
        (foreign_commands, "```sh\n.venv/bin/otel-on-spot with-simulated-cloud --scael 2 -- pulumi up\n```\n"),
        (foreign_commands, "say `otel-on-spot lab upp` then"),
        (foreign_commands, "say `.venv/bin/otel-on-spot plan --costs` then"),
        (foreign_commands, "made by `python -m tests.engine.setting_changes`"),
        (foreign_commands, "made by `python -m bench.engine --ony growth`"),
        (foreign_commands, "```text\n  do    otel-on-spot lab apply --stack lab\n```\n"),
        (foreign_commands, "```text\n  do    aws eks describe-clusters --name a\n```\n"),
        (foreign_commands, "```sh\naws ec2 describe-volumes --filter Name=a,Values=b\n```\n"),
        (foreign_commands, "```sh\naws eks wait nodegroup-activ --cluster-name a\n```\n"),
        (foreign_commands, "```sh\naws sqss list-queues\n```\n"),
        (lambda text: commands.refused_by_make([text]), "dctor"),
        (absent_paths, "in `infra/karpenter/webhook.py`"),
        (unknown_settings, "set `cluster.endpoint.publicCidr`"),
        (unknown_settings, "set `karpenter.replicas.count`"),
        (unknown_settings, "set `gitops.applications.reloader.enable`"),
    ],
)
def test_a_page_that_leads_nowhere_is_seen(check, text):
    assert check(text) != []
