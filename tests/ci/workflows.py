"""Problems of a workflow, as sentences. Each function takes text or a parsed document, so that a fault can be tried."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
GITHUB = REPOSITORY / ".github"

USES = re.compile(r"^\s*(?:-\s+)?uses:\s*(?P<used>.+?)\s*$", re.MULTILINE)
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
SESSION = "./.github/actions/pulumi-session"

Document = dict[str, Any]


def sources() -> dict[str, str]:
    """Workflows and composite actions: path from the repository -> text."""
    found = sorted([*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")])
    return {str(path.relative_to(REPOSITORY)): path.read_text() for path in found}


def workflow(name: str) -> str:
    """The text of one workflow."""
    return (GITHUB / "workflows" / f"{name}.yml").read_text()


def parse(text: str) -> Document:
    """YAML 1.1 reads the key ``on`` as true: it is put back."""
    document = yaml.safe_load(text)
    return {("on" if key is True else key): value for key, value in document.items()}


def steps(document: Document) -> Iterator[tuple[str, Document]]:
    """(job, step) of a workflow or a composite action."""
    jobs = document.get("jobs") or {"action": document.get("runs", {})}
    for name, job in jobs.items():
        for step in job.get("steps", []):
            yield name, step


def unpinned(text: str) -> list[str]:
    """Actions of others that are not pinned by commit, with the version as a comment."""
    used = [match["used"] for match in USES.finditer(text)]
    return [action for action in used if not action.startswith("./") and not PINNED.fullmatch(action)]


def pins(texts: list[str]) -> dict[str, set[str]]:
    """Action -> the pins under which it is used."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for match in USES.finditer(text):
            action, _, pin = match["used"].partition("@")
            if pin:
                found.setdefault(action, set()).add(pin)
    return found


def credentials(text: str) -> list[str]:
    """What a workflow without credentials must not have."""
    document = parse(text)
    asked = re.findall(
        r"secrets\.|id-token|github\.token|GITHUB_TOKEN|pull_request_target|configure-aws|\S+: write", text
    )
    asked += [f"{name}: environment" for name, job in document["jobs"].items() if "environment" in job]
    asked += [f"{name}: {SESSION}" for name, step in steps(document) if step.get("uses") == SESSION]
    if document.get("permissions") != {"contents": "read"}:
        asked.append(f"permissions: {document.get('permissions')}")
    return asked


def granted(document: Document) -> dict[str, dict[str, str]]:
    """Permissions by job, as GitHub counts them: a job's own replace the workflow's; nothing said means everything."""
    default = document.get("permissions", {"everything": "write"})
    return {name: job.get("permissions", default) for name, job in document["jobs"].items()}


def excess(document: Document, least: dict[str, dict[str, str]]) -> list[str]:
    """Jobs whose permissions are not the least, and a workflow that leaves a new job more than reading."""
    found = [f"{name}: {given}" for name, given in granted(document).items() if given != least.get(name)]
    default = document.get("permissions", "everything")
    return found if default == {"contents": "read"} else [*found, f"workflow: {default}"]


def careless(document: Document) -> list[str]:
    """Jobs without an end, credentials left in the checkout, expressions pasted into scripts, roles without a gate."""
    found = [f"{name}: no timeout-minutes" for name, job in document["jobs"].items() if "timeout-minutes" not in job]
    for name, step in steps(document):
        if (
            str(step.get("uses", "")).startswith("actions/checkout@")
            and step["with"].get("persist-credentials") is not False
        ):
            found.append(f"{name}: the checkout keeps its token")
        if "${{" in step.get("run", ""):
            found.append(f"{name}: an expression inside a script")
    for name, permissions in granted(document).items():
        job = document["jobs"][name]
        if "id-token" in permissions and "environment" not in job:
            found.append(f"{name}: a role without an environment")
        # Of an attestation the token is the signer's identity, and no role is assumed by it.
        if "id-token" in permissions and "attestations" not in permissions and "RUNNER_{0}" not in job["runs-on"]:
            found.append(f"{name}: a role on a runner that nobody chose")
    return found


def scripts(document: Document) -> list[str]:
    """Every shell script of a workflow or a composite action."""
    return [step["run"] for _, step in steps(document) if "run" in step]
