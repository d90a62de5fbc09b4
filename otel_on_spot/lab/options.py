"""Options of the lab's own Python processes: the command that starts one, and what that one reads of it."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

KINDS: Final = {
    "boot_seconds": float,
    "port": int,
    **dict.fromkeys(("cluster", "host", "moto", "region"), str),
}
"""Kind of each option that is no path. ``moto`` is the URL of the simulated AWS, ``tables`` the file of its tables."""


def command(module: str, **options: object) -> tuple[str, ...]:
    """The command that runs a module of the lab with these options."""
    return (sys.executable, "-m", f"otel_on_spot.lab.{module}", *(f"--{key}={told}" for key, told in options.items()))


def given(*names: str) -> Any:
    """The options of this process, all of which must be given."""
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(f"--{name}", type=KINDS.get(name, Path), required=True)
    return parser.parse_args()
