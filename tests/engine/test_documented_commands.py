"""Commands of the Pulumi CLI that pages name, against the CLI's own help: subcommands and options exist."""

import re
import shlex
import subprocess
from functools import cache

import pytest

from tests.ci.test_pages import PAGES, QUOTED, prose, shell
from tests.engine.workbench import ROOT

OPTION = re.compile(r"(?:^|[\s,])(-\w|--[a-z][\w-]*)")


@cache
def options_of(*subcommand: str) -> frozenset[str]:
    """Options in a subcommand's help, those of all commands among them.

    Raises:
        subprocess.CalledProcessError: there is no such subcommand.
    """
    told = subprocess.run(
        ["pulumi", *subcommand, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return frozenset(OPTION.findall(told))


def documented() -> list[str]:
    """Every command that begins with ``pulumi`` and a subcommand, in fences and prose, each once."""
    found = set()
    for page in PAGES:
        text = page.read_text()
        lines = [*shell(text), *(match[1] for match in QUOTED.finditer(prose(text)))]
        for line in lines:
            words = re.search(r"(?:^|[\s(=])pulumi ([a-z].*)", re.split(r"\s#|&&|\||\)", line)[0])
            if words and "`" not in words[1] and "…" not in words[1]:
                found.add(words[1].rstrip(' )"'))
    return sorted(found)


def refused(command: str) -> str:
    """What of a command the CLI does not know; empty where it knows all of it."""
    words = shlex.split(command)
    names = [word for word in words if not word.startswith("-")]
    subcommand = names[:1]
    if names[:1] in (["stack"], ["state"], ["config"], ["plugin"], ["policy"]) and re.fullmatch(
        r"[a-z-]+", (names[1:2] or [""])[0]
    ):
        subcommand = names[:2]
    try:
        known = options_of(*subcommand)
    except subprocess.CalledProcessError:
        return f"no subcommand {' '.join(subcommand)}"
    given = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    return " ".join(option for option in given if option not in known)


@pytest.mark.parametrize("command", documented())
def test_the_cli_knows_a_command_that_a_page_names(command: str) -> None:
    assert refused(command) == ""


@pytest.mark.parametrize(
    "command", ["previw --stack dev", "preview --staks dev", "state unprotekt --all", "up --skip-previews"]
)
def test_a_command_that_the_cli_does_not_know_is_seen(command: str) -> None:
    assert refused(command) != ""
