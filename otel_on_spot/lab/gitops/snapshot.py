"""A repository of the lab's own.

Each commit is a commit of the working tree, or the tree itself, with the demo chart in it.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_on_spot.lab.gitops.demo_chart import DemoChart

AUTHOR: Final = {
    "GIT_AUTHOR_NAME": "otel-on-spot lab",
    "GIT_AUTHOR_EMAIL": "lab@localhost",
    "GIT_COMMITTER_NAME": "otel-on-spot lab",
    "GIT_COMMITTER_EMAIL": "lab@localhost",
}
SOURCE_TRAILER: Final = "Snapshot-Of"
NAMED_FILES: Final = 5
GIT_SECONDS: Final = 120
OF_CALLER: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
)
"""Variables that a git hook sets: the commands here are about other repositories."""


class SnapshotError(Exception):
    """The working tree cannot be served: git is missing, it is no repository, or the revision does not exist."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The commit that is served.

    ``source`` is the commit of the working tree that it shows; ``changed``: it was made just now.
    """

    revision: str
    source: str
    dirty: bool
    changed: bool
    notices: tuple[str, ...]


class Snapshot:
    """The bare repository that the lab's Git server serves.

    Args:
        repository: where it is kept: ``<name>.git``, made when missing.
        source: the working tree, or a folder in it.
        chart: the demo chart; git ignores it in the working tree, so it is added here.
        branch: the branch that the commits go to.
        dirty: serve the files as they are, not the commit.
        revision: which commit, where the tree is not served itself.

    Raises:
        SnapshotError: there is no git, or ``source`` is in no repository.
    """

    def __init__(
        self,
        repository: Path,
        source: Path,
        chart: DemoChart,
        *,
        branch: str = "main",
        dirty: bool = False,
        revision: str = "HEAD",
    ) -> None:
        self.repository = repository
        self.branch = branch
        self._chart = chart
        self._dirty = dirty
        self._revision = revision
        self._source = Path(_git(source, "rev-parse", "--show-toplevel", why="serve a working tree of Git"))

    def refresh(self) -> Commit:
        """Commit the source's present state, where it differs from what is served.

        Raises:
            SnapshotError: the revision does not exist.
        """
        if not (self.repository / "HEAD").exists():
            self.repository.mkdir(parents=True, exist_ok=True, mode=0o700)
            _git(self.repository, "init", "--quiet", "--bare", f"--initial-branch={self.branch}", ".")
        commit = self._resolved("HEAD" if self._dirty else self._revision)
        with tempfile.TemporaryDirectory(dir=self.repository, prefix="lab-tree-") as scratch:
            tree = Path(scratch) / "tree"
            tree.mkdir()
            if self._dirty:
                self._copy_files(tree)
            else:
                self._copy_commit(commit, tree, Path(scratch) / "index")
            self._add_chart(tree)
            return self._commit(tree, commit, Path(scratch) / "own-index")

    def _resolved(self, revision: str) -> str:
        try:
            return _git(self._source, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except SnapshotError as problem:
            raise SnapshotError(
                f"revision {revision!r}: no such commit in {self._source}. Give a branch, a tag or a commit of it"
            ) from problem

    def _copy_commit(self, commit: str, tree: Path, index: Path) -> None:
        variables = {"GIT_INDEX_FILE": str(index)}  # never the user's own index
        _git(self._source, "read-tree", commit, variables=variables)
        _git(self._source, "checkout-index", "--all", "--force", f"--prefix={tree}/", variables=variables)

    def _copy_files(self, tree: Path) -> None:
        """Every file that git tracks or would track, as it is now."""
        listed = _git(self._source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in dict.fromkeys(filter(None, listed.split("\0"))):
            file = self._source / name
            if file.is_symlink() or file.is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, tree / name, follow_symlinks=False)

    def _add_chart(self, tree: Path) -> None:
        place = tree / self._chart.place
        if not place.parents[1].is_dir():
            raise SnapshotError(
                f"{self._chart.place.parents[1]}: not in what is to be served. Serve a revision that has it"
            )
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._chart.folder, place, ignore=shutil.ignore_patterns(".git"))

    def _commit(self, tree: Path, source: str, index: Path) -> Commit:
        variables = {
            "GIT_INDEX_FILE": str(index),
            "GIT_WORK_TREE": str(tree),
            "GIT_DIR": str(self.repository),
            **AUTHOR,
        }
        _git(tree, "-c", "core.excludesFile=/dev/null", "add", "--all", "--force", variables=variables)
        written = _git(tree, "write-tree", variables=variables)
        tip = self._tip()
        notices = self._notices()
        if tip and self._is(tip, written, source):
            return Commit(revision=tip, source=source, dirty=self._dirty, changed=False, notices=notices)
        subject = _git(self._source, "log", "-1", "--format=%s", source)
        state = " with uncommitted changes" if self._dirty else ""
        message = f"{subject}\n\nSnapshot{state}; {self._chart.line}\n\n{SOURCE_TRAILER}: {source}\n"
        parents = ["-p", tip] if tip else []
        made = _git(tree, "commit-tree", written, *parents, "-m", message, variables=variables)
        _git(self.repository, "update-ref", f"refs/heads/{self.branch}", made)
        return Commit(revision=made, source=source, dirty=self._dirty, changed=True, notices=notices)

    def _tip(self) -> str:
        try:
            return _git(self.repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{self.branch}")
        except SnapshotError:
            return ""

    def _is(self, tip: str, tree: str, source: str) -> bool:
        same_tree = _git(self.repository, "rev-parse", f"{tip}^{{tree}}") == tree
        shown = _git(self.repository, "log", "-1", f"--format=%(trailers:key={SOURCE_TRAILER},valueonly)", tip)
        return same_tree and shown.strip() == source

    def _notices(self) -> tuple[str, ...]:
        """Notices for the user: changes of the tree that are not served."""
        changed = [line for line in _git(self._source, "status", "--porcelain").splitlines() if line]
        if self._dirty or not changed:
            return ()
        named = ", ".join(line[3:] for line in changed[:NAMED_FILES])
        more = f" and {len(changed) - NAMED_FILES} more" if len(changed) > NAMED_FILES else ""
        return (
            f"uncommitted changes are not served: {named}{more}. "
            f"Argo CD sees {self._revision}; commit them, or use --dirty",
        )


def _git(folder: Path, *arguments: str, variables: dict[str, str] | None = None, why: str = "") -> str:
    """Output of a git command, without its last newline.

    Raises:
        SnapshotError: it fails.
    """
    environment = {key: value for key, value in os.environ.items() if key not in OF_CALLER}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(variables or {})}
    command = ["git", "-c", "core.quotePath=false", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=GIT_SECONDS)
    except FileNotFoundError as problem:
        raise SnapshotError(
            "git: not on PATH; the lab serves this repository with it. Install Git 2.30 or newer"
        ) from problem
    except subprocess.TimeoutExpired as problem:
        raise SnapshotError(f"git {arguments[0]} in {folder}: not done within {GIT_SECONDS} s") from problem
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        purpose = f" (to {why})" if why else ""
        raise SnapshotError(f"git {arguments[0]} in {folder}{purpose}: {said}")
    return done.stdout.rstrip("\n")
