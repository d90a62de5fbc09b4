"""Cost of the lab on a new machine: its tools, downloaded and built with every cache empty."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tools_from_nothing() -> dict[str, float]:
    """Build every tool with empty caches of modules, compiled packages and tools.

    Returns: ``seconds`` of wall time, ``CPU seconds`` of all processes, ``GiB`` on disk at the end.

    Raises:
        subprocess.CalledProcessError: a tool was not built.
    """
    with tempfile.TemporaryDirectory(prefix="tools-from-nothing-") as name:
        folder = Path(name)
        caches = {"XDG_CACHE_HOME": "cache", "GOMODCACHE": "modules", "GOCACHE": "compiled"}
        environment = {**os.environ, **{key: str(folder / value) for key, value in caches.items()}}
        before, started = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), time.monotonic()
        try:
            subprocess.run([sys.executable, "-m", "otel_on_spot.lab.toolchain"], cwd=ROOT, env=environment, check=True)
            found = {
                "seconds": time.monotonic() - started,
                "CPU seconds": sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before,
                "GiB": _gib(folder),
            }
        finally:
            # Go's modules are read-only; only Go takes them away.
            subprocess.run(["go", "clean", "-modcache"], cwd=folder, env=environment, check=False)
    return found


def _gib(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 2**30
