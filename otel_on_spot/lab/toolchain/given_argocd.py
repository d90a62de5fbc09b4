"""A binary of Argo CD that the user gives with ``ARGOCD=path``, in place of the newest that builds from the registries."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.problem import Problem, ToolchainError
from otel_on_spot.lab.toolchain.store import Store, keep_copy

VARIABLE = "ARGOCD"
MODULE = next(module for module in MODULES if module.name == "argocd")
# `argocd version --client --short` prints "argocd: v3.4.4+1234567".
# Source: https://argo-cd.readthedocs.io/en/stable/user-guide/commands/argocd_version/
_VERSION = re.compile(r"\bv(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)")
_SECONDS = 30


@dataclass(frozen=True)
class GivenArgocd:
    """The given binary and the version that it prints, such as v3.4.4."""

    binary: Path
    version: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GivenArgocd | Problem | None":
        """What ``ARGOCD`` names; a problem where it is no Argo CD that runs; None where the variable is not set."""
        given = environment.get(VARIABLE, "")
        if not given:
            return None
        path = Path(given).expanduser().absolute()

        def problem(found: str, do: str) -> Problem:
            rule = "it names the argocd binary of an Argo CD release for this machine"
            return Problem(subject=VARIABLE, found=f"{given}: {found}", rule=rule, do=do)

        if not path.is_file():
            return problem(
                "no such file", f"give the path of the binary, or unset {VARIABLE}: {MODULE.version} is built then"
            )
        if not os.access(path, os.X_OK):
            return problem("the file is not executable", f"chmod +x {path}")
        try:
            said = subprocess.run(
                [path, "version", "--client", "--short"], env={**environment, "ARGOCD_BINARY_NAME": "argocd"},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as failed:
            return problem(f"it does not run: {failed}", "download the release for this system and processor")
        version = _VERSION.search(said.stdout)
        if said.returncode != 0 or not version:
            last = (said.stderr or said.stdout).strip().splitlines()[-1:] or ["nothing"]
            return problem(
                f"`version --client --short` ended with {said.returncode} and printed: {last[0]}",
                "give the binary named argocd-<system>-<processor> of a release",
            )
        return cls(path, f"v{version[1]}")

    def folder(self, store: Store) -> Path:
        """A folder with a link for each program: the binary acts by the name it is called by."""
        digest = hashlib.sha256(str(self.binary).encode()).hexdigest()[:16]
        folder = store.folder / "argocd-given" / digest
        folder.mkdir(parents=True, exist_ok=True)
        for name in MODULE.names:
            link = folder / name
            if not link.is_symlink() or link.readlink() != self.binary:
                link.unlink(missing_ok=True)
                link.symlink_to(self.binary)
        return folder

    def manifests(self, store: Store, go: Go, module: Module = MODULE) -> Path:
        """The manifests of that very version, from its Go module; kept, so that go is asked once.

        Raises:
            ToolchainError: the module of that version can't be downloaded.
        """
        kept = store.folder / "argocd-given" / "manifests" / self.version
        if not kept.is_dir():
            asked = subprocess.run(
                [go.binary, "mod", "download", "-json", f"{module.upstream}@{self.version}"],
                cwd="/", env={**go.environment, "GOWORK": "off", "GO111MODULE": "on", "GOFLAGS": "-mod=mod"},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            answer = json.loads(asked.stdout or "{}")
            if asked.returncode != 0 or "Dir" not in answer:
                said = answer.get("Error") or asked.stderr.strip() or "nothing"
                raise ToolchainError(
                    f"{VARIABLE}: the manifests of Argo CD {self.version} can't be downloaded; go said: {said}\n"
                    f"Look at `go env GOPROXY`, or unset {VARIABLE}: {module.version} is built then."
                )
            partial = kept.with_name(f"{self.version}.{os.getpid()}.partial")
            keep_copy(Path(answer["Dir"]) / module.files["argocd-manifests"], partial)
            partial.rename(kept)
        return kept
