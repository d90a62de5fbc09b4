"""Whether the real engine can run here."""

import shutil
import subprocess

from otel_on_spot.recovery.engine import too_old


def why_no_engine() -> str:
    """Why the engine cannot run here; empty where it can."""
    for needed in ("pulumi", "pulumi-language-python"):
        if shutil.which(needed) is None:
            return f"no {needed} on PATH: install the Pulumi CLI"
    try:
        told = subprocess.run(["pulumi", "version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"the pulumi CLI does not start: {problem}"
    if told.returncode:
        return f"the pulumi CLI does not start: {told.stderr.strip()[-200:]}"
    return f"pulumi {told.stdout.strip()} is too old: upgrade the Pulumi CLI" if too_old(told.stdout) else ""
