"""``python -m otel_on_spot.lab.toolchain`` builds the lab's tools; with ``--check`` it only runs the preflight.

Each of these options builds what it names instead, and several build all of theirs:
``--alerts`` Prometheus and promtool, which judge the alerts and are no part of the lab's platform;
``--collector`` the OpenTelemetry Collector, which reads what the demo's is told; ``--next`` the Karpenter that
``drill upgrade`` moves to, ``--argocd-next`` the Argo CD; ``--argocd-cli`` Argo CD's command line, which the pages
name.
"""

import argparse
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

from otel_on_spot.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED
from otel_on_spot.lab.toolchain import ToolchainError, check, ensure, ensure_module, message
from otel_on_spot.lab.toolchain.golang import UnusableError
from otel_on_spot.lab.toolchain.modules import ARGOCD_CLI, ARGOCD_NEXT, COLLECTOR, KARPENTER_NEXT, PROMETHEUS, Module

_ALONE = {
    "alerts": PROMETHEUS,
    "collector": COLLECTOR,
    "next": KARPENTER_NEXT,
    "argocd-next": ARGOCD_NEXT,
    "argocd-cli": ARGOCD_CLI,
}
"""Option -> the module that it builds, which is no part of the lab's platform."""


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.toolchain", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only check whether the lab can start on this machine")
    parser.add_argument("--folder", type=Path, default=Path.home(), help="parent folder of the lab's state")
    for name, module in _ALONE.items():
        what = f"build {', '.join(module.names)} {module.version}"
        parser.add_argument(f"--{name}", action="append_const", dest="alone", const=module, default=[], help=what)
    return parser


def _main() -> int:
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    alone: list[Module] = options.alone
    if not alone and (problems := check(options.folder)):
        print(f"error: {message(problems)}", file=sys.stderr)
        return EXIT_INCOMPLETE
    if options.check:
        print("preflight passed")
        return 0
    begun = time.monotonic()
    try:
        for module in alone:
            folder = ensure_module(module)
            print("\n".join(f"{name:30} {module.version:10} {folder / name}" for name in module.names))
        if alone:
            return 0
        tools = ensure()
    except UnusableError as error:
        print(f"error: {error.problem if alone else error}", file=sys.stderr)
        return error.exit_code
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        kept = "what was compiled stays in Go's cache, the next run goes on from there"
        print(f"interrupted: no build runs on; {kept}", file=sys.stderr)
        return EXIT_INTERRUPTED
    for name, path in sorted(tools.paths.items()):
        print(f"{name:30} {tools.version(name):10} {path}")
    for note in tools.notes:
        print(f"note: {note}")
    print(f"{len(tools.paths)} tools ready after {timedelta(seconds=round(time.monotonic() - begun))}")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(_main())
