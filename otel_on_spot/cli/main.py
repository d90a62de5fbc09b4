"""The application and its commands."""

from typing import Annotated

import typer

from otel_on_spot.cli import doctor, history, plan, preflight, report, rightsize, settings
from otel_on_spot.cli.application import Application, ErrorGroup
from otel_on_spot.cli.drill import drill, resume
from otel_on_spot.cli.lab import lab
from otel_on_spot.cli.recover import recover
from otel_on_spot.cli.with_simulated_cloud import with_simulated_cloud

app = Application(
    cls=ErrorGroup,
    help="EKS on Spot for the OpenTelemetry Demo: plan it, run it in a lab, examine it, rehearse its failures.",
    epilog="Start with: otel-on-spot plan --stack dev",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's panels would double the time that --help takes
    pretty_exceptions_enable=False,
)
app.command("plan", epilog=plan.EXAMPLES)(plan.plan)
app.command("settings")(settings.settings)
app.command(
    "with-simulated-cloud",
    needs_project=False,
    epilog="Example: otel-on-spot with-simulated-cloud -- pulumi preview --stack dev",
)(with_simulated_cloud)
app.command("preflight", epilog=preflight.EXAMPLES)(preflight.preflight)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("report", epilog=report.EXAMPLES)(report.report)
app.command("history", epilog=history.EXAMPLES)(history.history)
app.command("rightsize", epilog=rightsize.EXAMPLES)(rightsize.rightsize)
app.command("recover", epilog="Example: otel-on-spot recover --stack dev")(recover)
app.add_typer(drill, name="drill")
app.command("resume", hidden=True)(resume)
app.add_typer(lab, name="lab")


@app.callback()
def main(
    *, verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an unexpected error.")] = False
) -> None:
    """Options that every subcommand has."""
