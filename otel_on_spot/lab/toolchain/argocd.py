"""An Argo CD binary that the user gives with ``ARGOCD=path``, in place of the one that the registries build."""

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.settings.problem import Problem
from otel_on_spot.lab.toolchain.build import cache_folder, copy_writable
from otel_on_spot.lab.toolchain.golang import Go, ToolchainError, UnusableError
from otel_on_spot.lab.toolchain.modules import ARGOCD

# `argocd version --client --short` prints "argocd: v3.5.3+1234567".
# Source: https://argo-cd.readthedocs.io/en/stable/user-guide/commands/argocd_version/
_VERSION = re.compile(r"\bv\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?")
_SECONDS = 30


@dataclass(frozen=True)
class GivenArgocd:
    """The given binary and the version that it prints, such as v3.5.3."""

    binary: Path
    version: str

    @classmethod
    def find(cls) -> "GivenArgocd | None":
        """The binary that ``ARGOCD`` names; None where the variable is not set.

        Raises:
            UnusableError: it names no Argo CD that runs.
        """
        given = os.environ.get("ARGOCD")
        if not given:
            return None
        path = Path(given).expanduser().absolute()
        version = None
        try:
            asked = subprocess.run(
                [path, "version", "--client", "--short"], env={**os.environ, "ARGOCD_BINARY_NAME": "argocd"},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            answer = f"it does not run: {error}"
        else:
            version = _VERSION.search(asked.stdout) if asked.returncode == 0 else None
            last = (asked.stderr or asked.stdout).strip().splitlines()[-1:] or ["nothing"]
            answer = f"`version --client --short` ended with {asked.returncode} and printed: {last[0]}"
        if version is None:
            rule = "it names the executable argocd-<system>-<processor> of an Argo CD release for this machine"
            do = f"give the path of such a file, or unset ARGOCD: {ARGOCD.version} is built then"
            raise UnusableError(Problem("ARGOCD", f"{given}: {answer}", rule, do))
        return cls(path, version[0])

    def folder(self) -> Path:
        """A folder with a link for each program: the binary acts by the name it is called by."""
        digest = hashlib.sha256(str(self.binary).encode()).hexdigest()[:16]
        folder = cache_folder() / "argocd-given" / digest
        folder.mkdir(parents=True, exist_ok=True)
        for link in (folder / name for name in ARGOCD.names):
            if not link.is_symlink():
                link.symlink_to(self.binary)
        return folder

    def manifests(self) -> Path:
        """The manifests of that very version, from its Go module; kept, so that go is asked once.

        Raises:
            ToolchainError: there is no ``go``, or it can't download the module of that version.
        """
        kept = cache_folder() / "argocd-given" / "manifests" / self.version
        if not kept.is_dir():
            go = Go.find([ARGOCD])
            environment = {**os.environ, **go.toolchain, "GOWORK": "off", "GO111MODULE": "on", "GOFLAGS": "-mod=mod"}
            asked = subprocess.run(
                ["go", "mod", "download", "-json", f"{ARGOCD.upstream}@{self.version}"], cwd="/", env=environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            answer = json.loads(asked.stdout or "{}")
            if asked.returncode != 0 or "Dir" not in answer:
                raise ToolchainError(
                    f"ARGOCD: the manifests of Argo CD {self.version} can't be downloaded; "
                    f"go printed: {answer.get('Error') or asked.stderr.strip() or 'nothing'}\n"
                    f"Look at `go env GOPROXY`, or unset ARGOCD: {ARGOCD.version} is built then."
                )
            partial = kept.with_name(f"{self.version}.{os.getpid()}.partial")
            copy_writable(Path(answer["Dir"]) / ARGOCD.files["argocd-manifests"], partial)
            partial.rename(kept)
        return kept
