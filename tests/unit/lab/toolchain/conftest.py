"""A ``go`` command that answers like Go and compiles nothing: what it was asked is written down."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# It says what go says, writes the files that `go build -o DIR/` writes, and fails or hangs where a test wants it to.
SCRIPT = """#!/bin/sh
name=$(basename "$PWD")
echo "$name $*" >> "$FAKE/calls"
echo "$1 GOFLAGS=$GOFLAGS GOTOOLCHAIN=$GOTOOLCHAIN" >> "$FAKE/environment"
case "$1 $2" in
  "env "*) cat "$FAKE/env.json" ;;
  "list -m") echo "$FAKE/module" ;;
  "mod download")
    if [ -e "$FAKE/offline" ]; then echo no route to host >&2; exit 1; fi
    echo "{\\"Dir\\": \\"$FAKE/module\\"}" ;;
  "list -deps")
    echo "go: downloading example.test/one v1.0.0" >&2
    stale=true; [ -e "$FAKE/cached" ] && stale=false
    printf "/mod/one $stale\\n/mod/two@$name $stale\\n/goroot/fmt false\\n" ;;
  "build -v")
    if [ -e "$FAKE/hang" ]; then trap '' TERM; sleep 300 & echo "$$ $!" >> "$FAKE/hanging"; wait; fi
    if [ -e "$FAKE/fail-$name" ]; then cat "$FAKE/fail-$name" >&2; exit 1; fi
    [ -e "$FAKE/pause" ] && sleep "$(cat "$FAKE/pause")"
    echo example.test/one >&2; echo example.test/two >&2
    out=""; for argument in "$@"; do [ "$out" = next ] && out="$argument"; [ "$argument" = -o ] && out=next; done
    mkdir -p "$out"
    case "$name" in
      kubernetes) files="kube-apiserver kube-controller-manager kube-scheduler kubectl" ;;
      karpenter*) files=controller ;;
      etcd) files=server ;;
      prometheus) files="prometheus promtool" ;;
      *) files=$name ;;
    esac
    for file in $files; do echo "built $file" > "$out$file"; chmod 755 "$out$file"; done ;;
esac
"""


class FakeGo:
    """The command and its folder of answers; while a test has it, it is the only Go."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder, self.tools = folder, tools

    def calls(self, verb: str = "") -> list[str]:
        """The modules for which it was asked this, or all that it was asked."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[0] for line in lines if line.split()[1] == verb] if verb else lines

    def says(self, **answers: str) -> None:
        """Change what ``go env`` answers."""
        path = self.folder / "env.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **answers}))

    def fails(self, tool: str, saying: str) -> None:
        (self.folder / f"fail-{tool}").write_text(saying)


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGo]:
    folder = tmp_path / "fake"
    for part in (
        "bin",
        "module/charts/karpenter",
        "module/charts/karpenter-crd",
        "module/manifests/crds",
        "module/config/crd",
    ):
        (folder / part).mkdir(parents=True)
    chart = folder / "module/charts/karpenter/Chart.yaml"
    chart.write_text("name: karpenter\n")
    chart.chmod(0o444)
    chart.parent.chmod(0o555)
    (folder / "bin" / "go").write_text(SCRIPT)
    (folder / "bin" / "go").chmod(0o755)
    answers = {
        "GOVERSION": "go1.26.8", "GOHOSTOS": "linux", "GOHOSTARCH": "amd64", "GOAMD64": "v1", "GOARM64": "",
        "GOEXPERIMENT": "", "GOFIPS140": "off", "GOCACHE": str(tmp_path / "go-build"),
        "GOMODCACHE": str(tmp_path / "go-mod"),
    }  # fmt: skip
    (folder / "env.json").write_text(json.dumps(answers))
    for name, value in {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path), "FAKE": str(folder),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ("ARGOCD", "GOTOOLCHAIN"):
        monkeypatch.delenv(name, raising=False)
    yield FakeGo(folder, tmp_path / "cache" / "otel-on-spot" / "tools")
    chart.parent.chmod(0o755)  # so that pytest can remove it
