"""The ``go`` command of this machine, and the errors that keep the lab from coming up."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version

from infra.settings.problem import Problem
from otel_on_spot.errors import EXIT_FINDINGS, ToolError
from otel_on_spot.lab.toolchain.modules import MODULES, Module

# What of a Go installation reaches a binary, beside its version. GOFLAGS does not: builds don't use the user's.
_IN_BINARY = ("GOHOSTOS", "GOHOSTARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFIPS140")
# From this version on, go fetches a newer toolchain by itself where GOTOOLCHAIN lets it.
# Source: https://go.dev/doc/toolchain
_FETCHES_TOOLCHAINS = Version("1.21")
_SETTING = "GOTOOLCHAIN"


class ToolchainError(ToolError):
    """The tools can't be had; the message says what happened and what to do."""

    exit_code = EXIT_FINDINGS


class UnusableError(ToolchainError):
    """A program that the machine or the user provides can't be used: ``problem`` says which, and what to do."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(message([problem]))


def message(problems: Sequence[Problem]) -> str:
    """Text of all problems at once: how many, each with what was found, the rule and what to do."""
    count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
    return f"the lab can't start here: {count}, nothing was started\n" + "\n".join(map(str, problems))


@dataclass(frozen=True)
class Go:
    """The ``go`` on PATH.

    Attributes:
        answers: what ``go env`` answers.
        version: its own version.
        toolchain: variable that lets it fetch the Go that a module asks for; empty where the environment has its own.
    """

    answers: Mapping[str, str]
    version: Version
    toolchain: Mapping[str, str]

    @classmethod
    def find(cls, modules: Sequence[Module] = MODULES) -> "Go":
        """Ask it. ``modules``: what it is to build.

        Many installations forbid to fetch another Go (``GOTOOLCHAIN=local`` in their go.env): the lab's builds ask for
        it nevertheless, unless the environment says otherwise.

        Raises:
            UnusableError: there is none, it does not answer, or it is older than a module asks for and may not fetch a
                newer one.
        """  # noqa: DOC501 (unusable makes the UnusableError)
        newest = max(modules, key=lambda module: module.go_line)

        def unusable(given: str, or_do: str = "") -> UnusableError:
            rule = f"the lab's tools are built with Go {newest.go_line} or newer ({newest.name} asks for it)"
            do = f"install it from https://go.dev/dl/ and put its bin folder on PATH{or_do}"
            return UnusableError(Problem("Go", given, rule, do))

        path = shutil.which("go")
        if path is None:
            raise unusable("no go command on PATH")
        command = [path, "env", "-json", "GOVERSION", "GOCACHE", "GOMODCACHE", *_IN_BINARY]
        asked = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            last = (asked.stderr or asked.stdout).strip().splitlines()[-1:] or ["no output"]
            raise unusable(f"{path} env ended with {asked.returncode}: {last[0]}")
        answers: dict[str, str] = json.loads(asked.stdout)
        number = re.search(r"go(\d+(\.\d+)+((rc|beta)\d+)?)", answers["GOVERSION"])
        if number is None:
            raise unusable(f"{path} does not say its version")
        chosen = os.environ.get(_SETTING)
        go = cls(answers, Version(number[1]), {} if chosen else {_SETTING: "auto"})
        if go.version >= newest.go_line:
            return go
        if go.version < _FETCHES_TOOLCHAINS:
            raise unusable(f"Go {go.version} at {path}", "; from Go 1.21 on, it fetches what is newer itself")
        if chosen and not chosen.endswith(("auto", "path")):
            raise unusable(
                f"Go {go.version} at {path}, with {_SETTING}={chosen} in the environment",
                f", or let it fetch that Go: unset {_SETTING}",
            )
        return go

    def identity(self, go_line: Version) -> tuple[str, ...]:
        """The part of it that reaches a binary of a module with this ``go`` line: platform and version."""
        version = self.answers["GOVERSION"] if self.version >= go_line else f"go{go_line}"
        return (version, *(self.answers.get(name, "") for name in _IN_BINARY))

    def environment(self, temporary: str) -> dict[str, str]:
        """Environment of a build: static binaries for this machine, no workspace file, no flags of the user's."""
        ours = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GO111MODULE": "on", "GOTMPDIR": temporary}
        platform = {"GOOS": self.answers["GOHOSTOS"], "GOARCH": self.answers["GOHOSTARCH"]}
        return {**os.environ, **platform, **ours, **self.toolchain}
