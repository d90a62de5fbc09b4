"""Every tier begins with the signals of a terminal, from wherever it is started; what takes longest begins first."""

import gc
import signal

import pytest

from otel_on_spot.processes import collect_garbage_seldom

gc.disable()  # until all tests are collected: looking through them and the SDKs again and again is a fifth of all time

FIRST = ("tests/engine", "tests/simcloud")
"""Modules that a worker runs for a minute: last, they would leave the other workers idle."""


def pytest_sessionstart() -> None:
    """A shell that runs something in the background has it, and all that it starts, ignore Ctrl-C: tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which modules are handed to the workers, where there are any."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    """What was imported by now stays."""
    collect_garbage_seldom()
