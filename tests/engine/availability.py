"""Whether the real engine can run here."""

import shutil

from otel_on_spot.workspace import EngineError, pulumi_command


def why_no_engine() -> str:
    """Why the engine cannot run here; empty where it can."""
    for needed in ("pulumi", "pulumi-language-python"):
        if shutil.which(needed) is None:
            return f"no {needed} on PATH: install the Pulumi CLI"
    try:
        pulumi_command()
    except EngineError as problem:
        return str(problem)
    return ""
