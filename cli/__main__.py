"""``python -m cli`` is ``otel-on-spot``."""

from cli import app

app(prog_name="otel-on-spot")
