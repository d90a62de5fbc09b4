"""``preflight``: whether an account can take a stack, before anything is made in it."""

from typing import Annotated

import typer

from otel_on_spot.cli.application import JsonFile, Stack
from otel_on_spot.cli.output import exit_with_report, spinner

EXAMPLES = """
\b
Examples:
  otel-on-spot preflight --stack dev                          as whoever you are
  otel-on-spot preflight --stack dev --as otel-on-spot-bootstrap-dev-up
                                                              as the role that CI deploys with
  otel-on-spot preflight --project bootstrap --stack account  before the bootstrap itself
"""


def preflight(
    stack: Stack = "dev",
    role: Annotated[
        str,
        typer.Option("--as", metavar="ROLE", help="Judge the permissions of this role of the account, not your own."),
    ] = "",
    json_file: JsonFile = None,
) -> None:
    """Hold an account against what a stack would make in it. Reads AWS, makes and changes nothing.

    Quotas, roles of services, permissions, names, zones and instance types, the state's bucket and key, and what the
    stack costs an hour.

    Exit codes: 0 nothing found, 1 something found, 2 not everything could be looked at.
    """
    from otel_on_spot import project
    from otel_on_spot.plan.record import record
    from otel_on_spot.preflight import access, run

    with spinner(f"planning {stack}"):
        recording = record(stack)
    with spinner("asking AWS"):
        report = run.examine(access.situation(recording, project.root(), role))
    exit_with_report(report, json_file)
