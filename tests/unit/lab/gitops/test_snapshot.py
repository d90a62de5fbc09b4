"""What the lab serves is a commit of the working tree, or the tree itself, with the demo chart in it.

The tree is left alone.
"""

from pathlib import Path

import pytest

from otel_on_spot.lab.gitops.demo_chart import DemoChart
from otel_on_spot.lab.gitops.snapshot import Snapshot, SnapshotError
from tests.unit.repository import git

VENDORED = "gitops/charts/otel-demo/charts/opentelemetry-demo/Chart.yaml"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    return tmp_path / "lab" / "otel-on-spot.git"


def files(served: Path, revision: str = "main") -> set[str]:
    return set(git(served, "ls-tree", "-r", "--name-only", revision).splitlines())


def test_the_commit_is_served_with_the_chart_that_git_ignores(source: Path, chart: DemoChart, served: Path) -> None:
    made = Snapshot(served, source, chart).refresh()

    assert files(served) == {".gitignore", "README.md", "gitops/charts/otel-demo/Chart.yaml", VENDORED}
    assert made.source == git(source, "rev-parse", "HEAD")
    assert git(served, "rev-parse", "main") == made.revision


def test_what_is_not_committed_is_not_served_and_the_notice_names_it(
    source: Path, chart: DemoChart, served: Path
) -> None:
    (source / "README.md").write_text("changed\n")
    (source / "new.txt").write_text("new\n")

    made = Snapshot(served, source, chart).refresh()

    assert git(served, "show", "main:README.md") == "first"
    assert "new.txt" not in files(served)
    assert len(made.notices) == 1
    assert "README.md" in made.notices[0]
    assert "new.txt" in made.notices[0]
    assert "--dirty" in made.notices[0]


def test_a_clean_tree_has_no_notice(source: Path, chart: DemoChart, served: Path) -> None:
    assert Snapshot(served, source, chart).refresh().notices == ()


def test_dirty_serves_the_files_as_they_are_without_what_git_ignores(
    source: Path, chart: DemoChart, served: Path
) -> None:
    (source / "README.md").write_text("changed\n")
    (source / "new.txt").write_text("new\n")
    (source / "noise.log").write_text("noise\n")
    (source / "gone.txt").write_text("gone\n")
    git(source, "add", "gone.txt")
    (source / "gone.txt").unlink()

    made = Snapshot(served, source, chart, dirty=True).refresh()

    assert git(served, "show", "main:README.md") == "changed"
    assert files(served) >= {"new.txt", VENDORED}
    assert not files(served) & {"noise.log", "gone.txt"}
    assert made.notices == ()


def test_a_snapshot_leaves_index_and_files_of_the_working_tree_alone(
    source: Path, chart: DemoChart, served: Path
) -> None:
    (source / "staged.txt").write_text("staged\n")
    git(source, "add", "staged.txt")
    before = git(source, "status", "--porcelain"), git(source, "ls-files", "--stage")

    for dirty in (False, True):
        Snapshot(served, source, chart, dirty=dirty).refresh()

    assert (git(source, "status", "--porcelain"), git(source, "ls-files", "--stage")) == before


def test_refresh_follows_the_head_and_does_nothing_where_it_stands_still(
    source: Path, chart: DemoChart, served: Path
) -> None:
    snapshot = Snapshot(served, source, chart)
    first = snapshot.refresh()
    again = snapshot.refresh()
    (source / "README.md").write_text("second\n")
    git(source, "commit", "-qam", "Second words")
    moved = snapshot.refresh()

    assert (again.changed, again.revision) == (False, first.revision)
    assert moved.changed
    assert git(served, "rev-parse", f"{moved.revision}^") == first.revision
    assert git(served, "log", "-1", "--format=%s", "main") == "Second words"


def test_a_revision_that_does_not_exist_is_named(source: Path, chart: DemoChart, served: Path) -> None:
    with pytest.raises(SnapshotError, match=r"revision 'v9': no such commit .* Give a branch"):
        Snapshot(served, source, chart, revision="v9").refresh()


def test_an_older_revision_is_served_as_it_was(source: Path, chart: DemoChart, served: Path) -> None:
    first = git(source, "rev-parse", "HEAD")
    (source / "README.md").write_text("second\n")
    git(source, "commit", "-qam", "Second words")

    Snapshot(served, source, chart, revision=first).refresh()

    assert git(served, "show", "main:README.md") == "first"


def test_a_folder_outside_of_git_is_refused(tmp_path: Path, chart: DemoChart, served: Path) -> None:
    with pytest.raises(SnapshotError, match="to serve a working tree of Git"):
        Snapshot(served, tmp_path, chart)


def test_variables_of_a_git_hook_do_not_lead_elsewhere(
    source: Path, chart: DemoChart, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere-index"))

    made = Snapshot(served, source, chart).refresh()

    monkeypatch.undo()
    assert git(served, "rev-parse", "main") == made.revision
