"""``drill``: rehearse on a living platform what will go wrong one day. Each drill is one module."""

from otel_on_spot.cli.application import Application
from otel_on_spot.cli.drills.drift import drift
from otel_on_spot.cli.drills.node_join import node_join
from otel_on_spot.cli.drills.spot_interruption import spot_interruption
from otel_on_spot.cli.drills.stress import EXAMPLES, stress

drill = Application(
    help="Rehearse what will go wrong: each drill holds a lease, shows what happens, and takes back what it changed.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
drill.command("stress", epilog=EXAMPLES)(stress)
drill.command()(drift)
drill.command("node-join")(node_join)
drill.command("spot-interruption")(spot_interruption)
