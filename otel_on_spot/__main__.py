"""``python -m otel_on_spot`` is ``otel-on-spot``."""

from otel_on_spot.cli import app

app(prog_name="otel-on-spot")
