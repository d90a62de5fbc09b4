"""Every tier begins with the signals of a terminal, from wherever it is started."""

import signal


def pytest_sessionstart() -> None:
    """A shell that runs something in the background has it, and all that it starts, ignore Ctrl-C: tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
