"""The commands of workflows and pages, against the Makefile and the command line; started as far as that is cheap."""

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from bench.lab import __main__ as lab_bench
from otel_on_spot import cli
from otel_on_spot.lab.toolchain import __main__ as toolchain
from tests import tiers
from tests.ci.workflows import REPOSITORY
from tests.engine import fault_every_step, settings_changes

TARGET = re.compile(r"^(?P<targets>[A-Za-z0-9._/ -]+?)\s*:(?!=)", re.MULTILINE)
VARIABLE = re.compile(r"^(?:export\s+)?(?P<name>[A-Z][A-Z0-9_]*)\s*[?:]?=", re.MULTILINE)
MAKE = re.compile(r"(?:^|[;&|]\s*|\$\(\s*)make\s+(?P<words>[^\n;&|>`]*)", re.MULTILINE)
AT_ONCE = frozenset({"--install-completion", "--show-completion"})
"""Options of the command line that act while they are read."""
MAKE_OPTIONS = frozenset({"--silent", "-s", "--always-make"})


def makefile_targets() -> set[str]:
    """Every target of the Makefile, files included."""
    text = (REPOSITORY / "Makefile").read_text()
    return {target for match in TARGET.finditer(text) for target in match["targets"].split()} - {".PHONY"}


def makefile_variables() -> set[str]:
    """Every variable that the Makefile reads with a default."""
    return {match["name"] for match in VARIABLE.finditer((REPOSITORY / "Makefile").read_text())}


def options_of_target(target: str) -> set[str] | None:
    """The options that a target's ARGS may hold; None where the target takes none that are known."""
    parsers = {
        "bench-lab": lab_bench.parser,
        "tools": toolchain.parser,
        "test": tiers.parser,
        "coverage": tiers.parser,
        "settings-changes": settings_changes.parser,
        "engine-faults": fault_every_step.parser,
    }
    if target in parsers:
        return {option for action in parsers[target]()._actions for option in action.option_strings}
    names = {"plan": ["plan"], "lab": ["lab", "up"]}.get(target)
    if names is None:
        return None
    command: Any = typer.main.get_group(cli.app)
    for name in names:
        command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


@cache
def _application() -> Any:
    return typer.main.get_command(cli.app)


def refused_by_the_command_line(words: Sequence[str]) -> str:
    """The error of ``otel-on-spot`` with these words; empty without one.

    Every command on the way reads its options and arguments as it would: names, numbers, choices, what is required.
    None is run, and what stands after ``--`` is another program's.
    """
    rest = [word for word in words if word not in AT_ONCE]
    if words and not rest:
        return ""
    command, name, parent = _application(), "otel-on-spot", None
    try:
        while True:
            parent = command.make_context(name, rest, parent=parent)
            if not isinstance(command, TyperGroup):
                return ""
            name, command, rest = command.resolve_command(parent, [*parent._protected_args, *parent.args])
    except typer.Exit:  # its help
        return ""
    except Exception as refusal:
        if not type(refusal).__module__.startswith("typer."):
            raise
        return str(refusal) or type(refusal).__name__


def refused_by_python(words: Sequence[str]) -> str:
    """Why ``python`` would not take these words: a module that is not there, or an option that its parser lacks."""
    if words[:1] != ["-m"] or len(words) < 2:
        return f"python {' '.join(words)}: only modules are known"
    name = words[1]
    entry = f"{name}.__main__" if (REPOSITORY / name.replace(".", "/")).is_dir() else name
    try:
        if importlib.util.find_spec(entry) is None:
            return f"no module {entry}"
    except ModuleNotFoundError:
        return f"no module {name}"
    text = (REPOSITORY / f"{entry.replace('.', '/')}.py").read_text()
    return ", ".join(word for word in words[2:] if word.startswith("--") and f'"{word.partition("=")[0]}"' not in text)


def refused_by_make(words: Sequence[str]) -> str:
    """The error of ``make -n`` with these words; empty where it would start."""
    ended = subprocess.run(["make", "-n", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return ended.stderr if ended.returncode else ""


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
        options = [word.split("=")[0] for word in shlex.split(assigned.get("ARGS", "")) if word.startswith("-")]
        for target in targets if options else ():
            known = options_of_target(target)
            if known is None:
                found += [f"make {target} ARGS={option}: the options of {target} are not known" for option in options]
            else:
                found += [f"{target} {option}" for option in options if option not in known]
    return found
