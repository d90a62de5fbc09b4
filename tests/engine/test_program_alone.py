"""The deployed files stand alone: the commands of "Take only the program", as they are written, in an empty folder."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.test_pages import shell

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "take-only-the-program.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This repository's tracked files, with this interpreter's environment."""
    folder = tmp_path / "otel-on-spot"
    folder.mkdir()
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def test_the_deployed_files_alone_are_planned_previewed_and_judged(checkout: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "PYTHONPATH"))},
        "TMPDIR": str(scratch),
        "PULUMI_CONFIG_PASSPHRASE": "of the test",
        "NO_COLOR": "1",
    }
    said = []
    for line in shell(PAGE.read_text()):
        if "pulumi" in line and "with-simulated-cloud" in line:
            # `pulumi install` would make this one out of requirements.txt.
            (tmp_path / "mine" / ".venv").unlink(missing_ok=True)
            (tmp_path / "mine" / ".venv").symlink_to(sys.prefix)
        ended = subprocess.run(
            shlex.split(line), cwd=checkout, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        said.append(ended.stdout)

    assert not (tmp_path / "mine" / "otel_on_spot").exists()
    assert any(text.startswith("otel-on-spot dev") for text in said)
    assert "to create" in said[-1]
    assert "Policies:" in said[-1]
