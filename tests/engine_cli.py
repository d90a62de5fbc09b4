"""``make engine``: the engine tier with the CLI on PATH, else with one installed the official way.

Exit codes: 0 passed, 1 failed, 3 no CLI on PATH and none could be installed.
"""

import os
import shutil
import sys
from pathlib import Path

from tests import tiers

NO_CLI = 3
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otel-on-spot" / "pulumi"


def install() -> str | None:
    """Put a CLI of the SDK's version on PATH; the reason when that cannot be done."""
    import pulumi.automation as automation

    try:
        command = automation.PulumiCommand.install(root=str(CACHE))
    except Exception as problem:  # whatever the installer's shell, network or checks say
        return str(problem).strip().splitlines()[-1] if str(problem).strip() else type(problem).__name__
    os.environ["PATH"] = f"{Path(command.command).parent}{os.pathsep}{os.environ['PATH']}"
    return None if shutil.which("pulumi") else f"{command.command} is not there"


def main() -> int:
    """Find or install the CLI, then run the tier."""
    if not shutil.which("pulumi") and (reason := install()):
        print(
            f"engine: no pulumi on PATH, and it could not be installed ({reason}). Install it from pulumi.com/docs/install",
            file=sys.stderr,
        )
        return NO_CLI
    return tiers.main(["engine"])


if __name__ == "__main__":
    sys.exit(main())
