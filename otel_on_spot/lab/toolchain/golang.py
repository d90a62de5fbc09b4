"""The Go toolchain of this machine: where it is, which version, and the environment in which the tools are built."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from otel_on_spot.lab.toolchain.problem import ToolchainError

Version = tuple[int, int, int]
_QUESTIONS = (
    "GOVERSION",
    "GOHOSTOS",
    "GOHOSTARCH",
    "GOAMD64",
    "GOARM64",
    "GOFLAGS",
    "GOTOOLCHAIN",
    "GOCACHE",
    "GOMODCACHE",
)
# From this version on, go fetches a newer toolchain by itself where GOTOOLCHAIN lets it.
# Source: https://go.dev/doc/toolchain
_FETCHES_TOOLCHAINS: Version = (1, 21, 0)


class GoMissingError(ToolchainError):
    """There is no working ``go`` command."""


def dotted(version: Version) -> str:
    """A version as people write it: 1.26.6."""
    return ".".join(map(str, version))


@dataclass(frozen=True)
class Go:
    """A ``go`` command and what it answered to ``go env``."""

    binary: Path
    answers: Mapping[str, str]
    environment: Mapping[str, str]

    @classmethod
    def found(cls, environment: Mapping[str, str]) -> "Go":
        """The ``go`` on PATH.

        Raises:
            GoMissingError: none there, or it does not answer ``go env``.
        """
        path = shutil.which("go", path=environment.get("PATH"))
        if path is None:
            raise GoMissingError("no go command on PATH")
        asked = subprocess.run(
            [path, "env", "-json", *_QUESTIONS],
            cwd="/",
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode != 0:
            last = (asked.stderr or asked.stdout).strip().splitlines()[-1:] or ["no output"]
            raise GoMissingError(f"{path} env ended with {asked.returncode}: {last[0]}")
        answers = json.loads(asked.stdout)
        if not re.search(r"go\d+\.\d+", answers.get("GOVERSION", "")):
            raise GoMissingError(f"{path} is no Go that says its version (Go 1.16 or older, or a build of your own)")
        return cls(Path(path), answers, environment)

    @property
    def version(self) -> Version:
        """The version that is installed; a release candidate counts as its release."""
        numbers = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", self.answers["GOVERSION"])
        assert numbers is not None, "found() looked"
        return int(numbers[1]), int(numbers[2]), int(numbers[3] or 0)

    @property
    def fetches_newer(self) -> bool:
        """Whether it takes a newer toolchain by itself when a go.mod asks for one."""
        setting = self.answers["GOTOOLCHAIN"]
        return self.version >= _FETCHES_TOOLCHAINS and (
            setting in ("auto", "path") or setting.endswith(("+auto", "+path"))
        )

    def serves(self, line: Version) -> bool:
        """Whether a module with this ``go`` line can be built."""
        return self.version >= line or self.fetches_newer

    def identity(self, line: Version) -> tuple[str, ...]:
        """What of this toolchain is part of a binary: version (the fetched one where this is older), platform, user's flags."""
        version = self.answers["GOVERSION"] if self.version >= line else f"go{dotted(line)}"
        return (version, *(self.answers[name] for name in _QUESTIONS[1:6]))

    def build_environment(self, work: Path) -> dict[str, str]:
        """The environment of every go command: static binaries for this machine, no workspace file, its own folder for work."""
        return {
            **self.environment,
            "CGO_ENABLED": "0",
            "GOOS": self.answers["GOHOSTOS"],
            "GOARCH": self.answers["GOHOSTARCH"],
            "GOWORK": "off",
            "GO111MODULE": "on",
            "GOTMPDIR": str(work),
        }
