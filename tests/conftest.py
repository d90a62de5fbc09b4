"""Every tier begins with the signals of a terminal, from wherever it is started; what takes longest begins first."""

import signal
import sys

import pytest

sys.modules.setdefault("rfc3987_syntax", None)  # ty: ignore[no-matching-overload]
"""jsonschema builds a grammar of IRIs when it is imported, for a format that nothing here checks: 1.4 CPU seconds."""

FIRST = ("tests/engine", "tests/simcloud")
"""Modules that a worker runs for a minute: last, they would leave the other workers idle."""


def pytest_sessionstart() -> None:
    """A shell that runs something in the background has it, and all that it starts, ignore Ctrl-C: tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which modules are handed to the workers, where there are any."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
