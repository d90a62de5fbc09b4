"""``python -m otel_on_spot.lab.toolchain`` builds the lab's tools; with ``--check`` it only says what is in the way."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from otel_on_spot.lab.toolchain import ToolchainError, check, ensure, message
from otel_on_spot.lab.toolchain.display import duration

_REFUSED, _INTERRUPTED = 2, 130


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.toolchain", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only look whether the lab can start on this machine")
    parser.add_argument("--folder", type=Path, default=Path.home(), help="where the lab will keep its state")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _as_interrupt)
    signal.signal(signal.SIGHUP, _as_interrupt)
    problems = check(options.folder)
    if problems:
        print(f"error: {message(problems)}", file=sys.stderr)
        return _REFUSED
    if options.check:
        print("nothing is in the way of the lab")
        return 0
    begun = time.monotonic()
    try:
        tools = ensure()
    except ToolchainError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "stopped: nothing runs on; what was compiled stays in Go's cache, the next run goes on from there",
            file=sys.stderr,
        )
        return _INTERRUPTED
    for name, path in sorted(tools.paths.items()):
        print(f"{name:30} {tools.version(name):10} {path}")
    for note in tools.notes:
        print(f"note: {note}")
    print(f"{len(tools.paths)} tools ready after {duration(time.monotonic() - begun)}")
    return 0


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(_main())
