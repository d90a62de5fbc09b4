"""The application: its subcommands, and how a mistake ends."""

from typing import Annotated

import typer

from otel_on_spot.cli import doctor, plan, settings
from otel_on_spot.cli.application import Application
from otel_on_spot.cli.drills import drill
from otel_on_spot.cli.lab import lab
from otel_on_spot.cli.recover import recover
from otel_on_spot.cli.resume import resume
from otel_on_spot.cli.with_simulated_cloud import with_simulated_cloud

app = Application(
    help="EKS on Spot for the OpenTelemetry Demo: see what `pulumi up` would declare, with no account.",
    epilog="Start with: otel-on-spot plan --stack dev",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("plan", epilog=plan.EXAMPLES)(plan.plan)
app.command("settings")(settings.settings)
app.command(
    "with-simulated-cloud",
    needs_project=False,
    epilog="Example: otel-on-spot with-simulated-cloud -- pulumi preview --stack dev",
)(with_simulated_cloud)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("recover", epilog="Example: otel-on-spot recover --stack dev")(recover)
app.add_typer(drill, name="drill")
app.command("resume", epilog="Example: otel-on-spot resume --stack dev")(resume)
app.add_typer(lab, name="lab")


@app.callback()
def main(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback behind an unexpected error.")] = False,
) -> None:
    """Options that every subcommand has."""
    context.obj = {"verbose": verbose}
