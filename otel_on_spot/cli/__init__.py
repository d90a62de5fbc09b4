"""The command line: ``otel-on-spot --help``, or ``python -m otel_on_spot --help``."""

from otel_on_spot.cli.main import app

__all__ = ["app"]
