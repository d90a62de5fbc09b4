"""The command line: one subcommand a room. ``otel-on-spot --help``, or ``python -m cli --help``."""

from cli.main import app

__all__ = ["app"]
