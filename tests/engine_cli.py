"""``make test-engine``: the engine tier with the CLI on PATH, else with one installed the official way.

Exit codes: 0 passed, or skipped for a CLI that is too old; 1 failed; 3 no CLI on PATH and none could be installed.
"""

import os
import shutil
import sys
from pathlib import Path

import platformdirs

from tests import tiers

NO_CLI = 3


def install() -> str:
    """Put a CLI of the SDK's version on PATH; the reason where that cannot be done."""
    import pulumi.automation as automation

    try:
        command = automation.PulumiCommand.install(root=f"{platformdirs.user_cache_path('otel-on-spot') / 'pulumi'}")
    except Exception as problem:  # whatever the installer's shell, network or checks say
        return (str(problem).strip() or type(problem).__name__).splitlines()[-1]
    os.environ["PATH"] = f"{Path(command.command).parent}{os.pathsep}{os.environ['PATH']}"
    return "" if shutil.which("pulumi") else f"{command.command} is not there"


def main() -> int:
    """Find or install the CLI, then run the tier."""
    if not shutil.which("pulumi") and (reason := install()):
        print(
            f"engine: no pulumi on PATH, and it could not be installed ({reason}). "
            "Install it from pulumi.com/docs/install",
            file=sys.stderr,
        )
        return NO_CLI
    return tiers.main(["engine"])


if __name__ == "__main__":
    sys.exit(main())
