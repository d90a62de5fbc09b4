"""The commands that workflows and pages give, held against what the Makefile and the command line have."""

import re
import shlex
from collections.abc import Iterator

import typer.main

from otel_on_spot import cli
from tests.ci.workflows import REPOSITORY

TARGET = re.compile(r"^(?P<targets>[A-Za-z0-9._/ -]+?)\s*:(?!=)", re.MULTILINE)
VARIABLE = re.compile(r"^(?:export\s+)?(?P<name>[A-Z][A-Z0-9_]*)\s*[?:]?=", re.MULTILINE)
MAKE = re.compile(r"(?:^|[;&|]\s*|\$\(\s*)make\s+(?P<words>[^\n;&|>`]*)", re.MULTILINE)
MAKE_OPTIONS = frozenset({"--silent", "-s", "--always-make"})


def makefile_targets() -> set[str]:
    """Every target of the Makefile, files included."""
    text = (REPOSITORY / "Makefile").read_text()
    return {target for match in TARGET.finditer(text) for target in match["targets"].split()} - {".PHONY"}


def makefile_variables() -> set[str]:
    """Every variable that the Makefile reads with a default."""
    return {match["name"] for match in VARIABLE.finditer((REPOSITORY / "Makefile").read_text())}


def options(subcommand: str) -> set[str]:
    """The options of a subcommand of the command line."""
    group = typer.main.get_group(cli.app)
    command = group.commands[subcommand]
    below = getattr(command, "commands", {}).values()  # a group's own commands
    return {option for one in (command, *below) for parameter in one.params for option in parameter.opts} | {"--help"}


def make_calls(script: str) -> Iterator[list[str]]:
    """The words after each ``make`` of a script."""
    for match in MAKE.finditer(script):
        yield shlex.split(match["words"], comments=True)


def unknown_in_make(script: str) -> list[str]:
    """Targets, variables and options after ``make`` that do not exist."""
    found: list[str] = []
    for words in make_calls(script):
        assigned = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        targets = [word for word in words if "=" not in word and word not in MAKE_OPTIONS]
        found += [f"make {target}" for target in targets if target not in makefile_targets()]
        found += [f"make {name}=" for name in assigned if name not in makefile_variables()]
        given = [word.split("=")[0] for word in shlex.split(assigned.get("ARGS", "")) if word.startswith("-")]
        if given and "plan" in targets:
            found += [f"plan {option}" for option in given if option not in options("plan")]
        elif given:
            found += [f"make {' '.join(targets)} ARGS={option}: only plan's options are known" for option in given]
    return found
