"""A ``go`` command that answers like Go and compiles nothing: what it was asked is written down."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# It says what go says, writes the files that `go build -o DIR/ PACKAGES` writes, and fails or hangs where a test wants it to.
SCRIPT = """#!/bin/sh
echo "$PWD $*" >> "$FAKE/calls"
name=$(basename "$PWD")
case "$1 $2" in
  "env "*) cat "$FAKE/env.json" ;;
  "list -m") echo "{\\"Dir\\": \\"$FAKE/module\\"}" ;;
  "list -deps")
    echo "go: downloading example.test/one v1.0.0" >&2
    printf 'example.test/one true\\nexample.test/two true\\nfmt false\\n' ;;
  "build -v")
    if [ -e "$FAKE/hang" ]; then
      sleep 300 & echo "$$ $!" >> "$FAKE/hanging"; wait
    fi
    if [ -e "$FAKE/fail-$name" ]; then cat "$FAKE/fail-$name" >&2; exit 1; fi
    [ -e "$FAKE/pause" ] && sleep "$(cat "$FAKE/pause")"
    echo example.test/one >&2; echo example.test/two >&2
    out=""; for argument in "$@"; do [ "$out" = next ] && out="$argument"; [ "$argument" = -o ] && out=next; done
    for package in "$@"; do
      case "$package" in
        .) file=$name ;;
        */v3) file=server ;;
        */cmd/*) file=$(basename "$package") ;;
        *) continue ;;
      esac
      echo "built $file" > "$out$file"; chmod 755 "$out$file"
    done ;;
esac
"""


@dataclass
class FakeGo:
    """The command, its folder of answers, and an environment in which it is the only Go."""

    folder: Path
    environment: dict[str, str]

    @property
    def tools(self) -> Path:
        return Path(self.environment["XDG_CACHE_HOME"]) / "otel-on-spot" / "tools"

    def calls(self) -> list[str]:
        """What it was asked since it was made."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def says(self, **answers: str) -> None:
        """Change what ``go env`` answers."""
        path = self.folder / "env.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **answers}))

    def fails(self, tool: str, saying: str) -> None:
        (self.folder / f"fail-{tool}").write_text(saying)


@pytest.fixture
def fake_go(tmp_path: Path) -> Iterator[FakeGo]:
    folder = tmp_path / "fake"
    for part in ("bin", "module/charts/karpenter", "module/charts/karpenter-crd", "module/manifests/crds"):
        (folder / part).mkdir(parents=True)
    chart = folder / "module/charts/karpenter/Chart.yaml"
    chart.write_text("name: karpenter\n")
    chart.chmod(0o444)
    (folder / "module/charts/karpenter").chmod(0o555)
    command = folder / "bin" / "go"
    command.write_text(SCRIPT)
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    answers = {
        "GOVERSION": "go1.26.8", "GOHOSTOS": "linux", "GOHOSTARCH": "amd64", "GOAMD64": "v1", "GOARM64": "", "GOFLAGS": "",
        "GOTOOLCHAIN": "local", "GOCACHE": str(tmp_path / "go-build"), "GOMODCACHE": str(tmp_path / "go-mod"),
    }  # fmt: skip
    (folder / "env.json").write_text(json.dumps(answers))
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "FAKE": str(folder),
    }  # fmt: skip
    yield FakeGo(folder, environment)
    (folder / "module/charts/karpenter").chmod(0o755)  # so that pytest can remove it
