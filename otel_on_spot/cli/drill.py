"""``drill``: rehearse on a living platform what will go wrong one day, and put back what an interrupted drill left."""

import signal
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_on_spot.cli.application import Application, JsonFile, Kubeconfig, KubeContext, Stack, Why
from otel_on_spot.cli.output import exit_with_report, log, progress_bar
from otel_on_spot.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_on_spot.kubernetes.client import Api
    from otel_on_spot.target import Target

Gap = Annotated[
    float | None,
    typer.Option("--gap", min=0, help="Seconds that the front path may be away; by default what the stack promises."),
]
AllowStateful = Annotated[
    bool, typer.Option("--allow-stateful", help="Accept a node that holds the only copy of data.")
]
Fis = Annotated[
    bool,
    typer.Option(
        "--fis",
        help="Interrupt by an AWS FIS experiment, which proves the rules too (karpenter.interruptionExperiments).",
    ),
]
SamplesCsv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the samples as CSV to FILE.")]
SamplesPlot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE.svg", help="Plot the samples as SVG to FILE.svg.")
]
STRESS_EXAMPLE = """
\b
Example:
  otel-on-spot drill stress --stack dev --replicas 50 --hold 300 \\
      --why 'before the sale' --csv stress.csv --plot stress.svg
"""

DROUGHT_EXAMPLE = """
\b
Examples:
  otel-on-spot drill drought --stack staging --why 'before the sale'
  otel-on-spot drill drought --stack staging --zone eu-west-1a --replicas 20
"""

UPGRADE_EXAMPLE = """
\b
Examples:
  make lab && make tools ARGS="--next"
  otel-on-spot lab exec -- otel-on-spot drill upgrade --stack lab
  otel-on-spot lab exec -- otel-on-spot drill upgrade --what argocd --stack lab
  otel-on-spot lab exec -- otel-on-spot drill upgrade --what nodes --stack lab
"""


class Upgraded(StrEnum):
    """What ``drill upgrade`` moves."""

    karpenter = "karpenter"
    argocd = "argocd"
    nodes = "nodes"


UPGRADE_SECONDS: Final = {Upgraded.karpenter: 300.0, Upgraded.argocd: 300.0, Upgraded.nodes: 900.0}
"""Seconds for each move: nodes are replaced one after another."""


drill = Application(
    help="Rehearse failures on a running platform. Each holds a lease, shows what happens, and takes back its changes.",
    no_args_is_help=True,
)


@contextmanager
def _platform(
    stack: str, kube_context: str | None, kubeconfig: Path | None, *, same_cluster: bool = True
) -> "Generator[tuple[Target, Api]]":
    """The platform of a stack; SIGTERM and SIGHUP end a drill in order, as Ctrl-C does.

    ``same_cluster``: refuse a kubeconfig that leads to another cluster than the stack's.

    Raises:
        DrillRefusedError: there is no cluster that answers, or it is another one.
    """
    from otel_on_spot.drills.drill import reach, require_same_cluster

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with progress_bar(f"planning {stack}"):
        target, api = reach(stack, kube_context, kubeconfig)
    if same_cluster:
        require_same_cluster(target)
    yield target, api


def _require_svg(plot_file: Path | None) -> None:
    if plot_file is not None and plot_file.suffix != ".svg":
        raise ToolError(
            f"--plot {plot_file}: --plot writes SVG only. Give a name that ends with .svg, "
            f"for example {plot_file.with_suffix('.svg')}"
        )


@drill.command(epilog=STRESS_EXAMPLE)
def stress(
    *,
    stack: Stack = "dev",
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="Replicas to scale to.")] = 50,
    deployment: Annotated[str, typer.Option("--deployment", help="Deployment to scale.")] = "frontend",
    namespace: Annotated[str, typer.Option("--namespace", help="Namespace of the Deployment.")] = "otel-demo",
    hold: Annotated[
        float, typer.Option("--hold", min=0, metavar="SECONDS", help="How long to hold, once all pods run.")
    ] = 600.0,
    max_wait: Annotated[
        float, typer.Option("--max-wait", min=1, metavar="SECONDS", help="How long to wait for all pods to run.")
    ] = 600.0,
    why: Why = "",
    json_file: JsonFile = None,
    csv_file: SamplesCsv = None,
    plot_file: SamplesPlot = None,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Scale a Deployment up for a while. Shows the effect on pods, nodes and cost.

    Automatic sync of the platform's Applications is suspended meanwhile, by a deny window on the AppProject that ends
    by itself. Afterwards, on Ctrl-C too, everything is put back and checked. After kill -9, run `drill restore`.

    Exit codes: 0 all promises kept, 1 something found or not put back, 2 it could not begin, 130 stopped and put back.
    """
    _require_svg(plot_file)
    from otel_on_spot.cli.stress_display import keep_samples, live_display
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.stress.run import Options, longest_seconds, run

    options = Options(namespace=namespace, deployment=deployment, replicas=replicas, hold=hold, max_wait=max_wait)
    with _platform(stack, kube_context, kubeconfig) as (target, api):
        title = f"{deployment} scaled to {replicas} on {target.declared.cluster}"
        with (
            start(target, api, "stress", why=why, seconds=longest_seconds(hold, max_wait), log=log) as running,
            live_display(title) as show,
        ):
            report = run(running, options, log=log, on_sample=show, keep=keep_samples(csv_file, plot_file, title))
    exit_with_report(report, json_file)


@drill.command()
def drift(
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    deployment: Annotated[
        str,
        typer.Option("--deployment", help="Deployment to scale: a name in the demo's namespace, or namespace/name."),
    ] = "frontend",
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=0, help="Replicas to scale to; one more than now by default.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until it must be put back.")] = 60.0,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Time how fast Argo CD reverts a scale. Scales a Deployment by hand, and waits until it is put back and Synced.

    Where nothing puts it back, the drill says why and does so itself.

    Exit codes: 0 put back, 1 not put back, 2 it could not begin.
    """
    from otel_on_spot.drills.drift import make_plan, run
    from otel_on_spot.drills.drill import start

    with _platform(stack, kube_context, kubeconfig) as (target, api):
        plan = make_plan(target, api, deployment, replicas)
        with start(target, api, "drift", why=why, seconds=2 * timeout + 60, log=log) as running:
            report = run(running, plan, timeout)
    exit_with_report(report, json_file)


@drill.command()
def node_join(
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    pool: Annotated[str, typer.Option("--pool", help="NodePool to launch the node from.")] = "spot",
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until a pod runs on the node.")] = 300.0,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Launch one node through Karpenter. It is for a pod of the drill: follow it until the pod runs, then remove both.

    Where it stops, the drill says why.

    Exit codes: 0 the pod ran, 1 it did not, 2 it could not begin.
    """
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.node_join.run import NodeJoin, pool_of

    with _platform(stack, kube_context, kubeconfig) as (target, api):
        node_pool = pool_of(api, pool)
        with start(target, api, "node-join", why=why, seconds=timeout + 60, log=log) as running:
            report = NodeJoin(running, node_pool, timeout).run()
    exit_with_report(report, json_file)


@drill.command(epilog="Example: otel-on-spot drill restore-data --stack staging --database postgresql")
def restore_data(
    *,
    stack: Stack = "dev",
    database: Annotated[
        str, typer.Option("--database", help="Database whose volume is restored, beside the one that it runs on.")
    ] = "postgresql",
    move: Annotated[
        bool,
        typer.Option("--move", help="Move the database itself, not the restored copy: it is away until it runs again."),
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for each of the three steps.")] = 300.0,
    why: Why = "",
    json_file: JsonFile = None,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Restore a database's volume from a new snapshot beside it, and move it. Follows the volume to another node.

    The database stays on its own volume. Its zone may be without capacity: that is told. Snapshot, copy and pod go at
    the end; a node that was launched is left to Karpenter.

    Exit codes: 0 restored and followed, 1 not, 2 it could not begin.
    """
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.restore_data.run import STEPS, RestoreData
    from otel_on_spot.drills.restore_data.volumes import choose

    with _platform(stack, kube_context, kubeconfig) as (target, api):
        chosen = choose(api, target.declared.stateful_namespace, database)
        with start(target, api, "restore-data", why=why, seconds=STEPS * timeout + 60, log=log) as running:
            report = RestoreData(running, chosen, timeout, move=move).run()
    exit_with_report(report, json_file)


@drill.command()
def spot_interruption(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Spot node to interrupt; one of the front path by default.")
    ] = None,
    allow_stateful: AllowStateful = False,
    fis: Fis = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until all must be well again.")] = 600.0,
    gap: Gap = None,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Interrupt one Spot node. Follows taint, drain, replacement, pods and the front path's availability.

    The node is lost: Karpenter drains, terminates and replaces it. A front path with two replicas in Git must serve
    every look; with one it may be away for a minute, and that is said.

    Exit codes: 0 all promises held, 1 not all, 2 it could not begin.
    """
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.spot_interruption.run import choose_node, run

    with _platform(stack, kube_context, kubeconfig) as (target, api):
        candidate = choose_node(target, api, node, allow_stateful=allow_stateful, fis=fis)
        with start(target, api, "spot-interruption", why=why, seconds=timeout + 180, log=log) as running:
            report = run(running, candidate, fis=fis, timeout=timeout, gap=gap)
    exit_with_report(report, json_file)


@drill.command(epilog="Example: otel-on-spot drill spot-storm --stack staging --zone eu-west-1a")
def spot_storm(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    zone: Annotated[str, typer.Option("--zone", help="Warn the Spot nodes in this zone.")] = "",
    instance_type: Annotated[str, typer.Option("--type", help="Warn the Spot nodes of this instance type.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Warn all Spot nodes; half of them by default.")] = False,
    allow_stateful: AllowStateful = False,
    fis: Fis = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until all must be whole.")] = 600.0,
    gap: Gap = None,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Interrupt many Spot nodes at once. Follows how many of the front path answer, until all workloads are whole.

    The nodes are lost: Karpenter drains, terminates and replaces them.

    Exit codes: 0 all promises held, 1 not all, 2 it could not begin.
    """
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.spot_storm.run import nodes_of, run
    from otel_on_spot.drills.spot_storm.verdicts import Storm

    storm = Storm(zone=zone, instance_type=instance_type, everything=everything)
    with _platform(stack, kube_context, kubeconfig) as (target, api):
        chosen = nodes_of(target, api, storm, allow_stateful=allow_stateful, fis=fis)
        with start(target, api, "spot-storm", why=why, seconds=timeout + 180, log=log) as running:
            report = run(running, storm, chosen, fis=fis, timeout=timeout, gap=gap)
    exit_with_report(report, json_file)


@drill.command(epilog=DROUGHT_EXAMPLE)
def drought(
    *,
    stack: Stack = "dev",
    zone: Annotated[str, typer.Option("--zone", help="Take Spot away in this zone only.")] = "",
    family: Annotated[str, typer.Option("--family", help="Take Spot of this instance family only, as in m7i.")] = "",
    quota: Annotated[bool, typer.Option("--quota", help="EC2 says that the account's Spot quota is used up.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Take On-Demand away too: what stays up, and what is told.")
    ] = False,
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="Pods to run meanwhile.")] = 50,
    within: Annotated[
        float, typer.Option("--within", min=1, metavar="SECONDS", help="Seconds beyond a boot until all must run.")
    ] = 30.0,
    max_wait: Annotated[
        float, typer.Option("--max-wait", min=1, metavar="SECONDS", help="How long to wait for all pods to run.")
    ] = 600.0,
    max_return: Annotated[
        float,
        typer.Option("--max-return", min=0, metavar="SECONDS", help="Until all is back on Spot; 0 does not follow it."),
    ] = 900.0,
    narrow: Annotated[
        bool, typer.Option("--narrow", help="Narrow NodePools in a lab too, as on AWS, instead of the lab's switch.")
    ] = False,
    gap: Gap = None,
    why: Why = "",
    json_file: JsonFile = None,
    csv_file: SamplesCsv = None,
    plot_file: SamplesPlot = None,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Take Spot away for a while. Pods fall back to On-Demand, Spot comes back, and so do they.

    In a lab the simulated EC2 refuses; on AWS the Spot NodePools are narrowed, each still valid. The pods are the
    drill's own, and ask for what the front path does. At its end, on Ctrl-C too, capacity is given back and the pods
    are deleted. After kill -9, run `drill restore`.

    Exit codes: 0 all promises kept, 1 something found or not put back, 2 it could not begin, 130 stopped and put back.
    """
    _require_svg(plot_file)
    from otel_on_spot.cli.stress_display import keep_samples, live_display
    from otel_on_spot.drills.drill import start
    from otel_on_spot.drills.drought.run import Drought, Options, longest_seconds, make_plan
    from otel_on_spot.drills.shortage import Shortage

    options = Options(
        shortage=Shortage(zone=zone, family=family, quota=quota, everything=everything),
        replicas=replicas,
        within=within,
        max_wait=max_wait,
        max_return=max_return,
        narrow=narrow,
        gap=gap,
    )
    with _platform(stack, kube_context, kubeconfig) as (target, api):
        plan = make_plan(target, api, options)
        title = f"{options.shortage.text} away on {target.declared.cluster}"
        with (
            start(target, api, "drought", why=why, seconds=longest_seconds(options), log=log) as running,
            live_display(title) as show,
        ):
            keep = keep_samples(csv_file, plot_file, title)
            report = Drought(running, options, plan, log, show).run(keep)
    exit_with_report(report, json_file)


@drill.command(epilog=UPGRADE_EXAMPLE)
def upgrade(
    *,
    stack: Stack = "lab",
    what: Annotated[
        Upgraded, typer.Option("--what", help="Move Karpenter's version, Argo CD's, or the AMI release of the nodes.")
    ] = Upgraded.karpenter,
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=1,
            help="Seconds for each move, and but for nodes until all is well after it; 300 by default, 900 for nodes.",
        ),
    ] = None,
    gap: Gap = None,
    why: Why = "",
    json_file: JsonFile = None,
) -> None:
    """Move Karpenter to its next minor and back, in the lab. CRDs first; Spot nodes are warned while it restarts.

    No node may be lost or Drifted by it, no pod restarted, and no warning missed. The version is the one that
    `make tools ARGS="--next"` builds. On AWS a change of version is an update: see docs/runbooks/upgrade.md.

    With `--what argocd` Argo CD moves to its next minor and back, the second time under a drill's suspension of
    automatic sync: Applications stay Synced, and nothing is synced. `make tools ARGS="--argocd-next"` builds it.

    With `--what nodes` the EC2NodeClass's AMI alias moves to the other release that the lab knows, and back: every node
    is replaced within the pools' budgets, and no pod moves off a new one. After kill -9, run `drill restore`.

    Exit codes: 0 all promises held, 1 not all, 2 it could not begin.
    """
    from otel_on_spot.drills.drill import DrillRefusedError, start
    from otel_on_spot.lab import isolation

    folder = isolation.surrounding()
    if folder is None:
        raise DrillRefusedError(
            "this command does not run in a lab. On AWS the versions of Karpenter and of Argo CD's chart, and the "
            "nodes' AMI, are the stack file's, and `pulumi up` moves it; rehearse it here first: make lab, then "
            "otel-on-spot lab exec -- otel-on-spot drill upgrade"
        )
    from otel_on_spot.drills.upgrade import argocd_run, node_run, run
    from otel_on_spot.lab import control
    from otel_on_spot.lab.aws.images import RELEASES
    from otel_on_spot.lab.folder import LabError

    after = chart = ""
    try:
        if what != Upgraded.nodes:
            after, chart = control.ask(folder, "next", what=what)
    except LabError as problem:
        raise DrillRefusedError(str(problem)) from None
    seconds = UPGRADE_SECONDS[what] if timeout is None else timeout
    with _platform(stack, kube_context, kubeconfig) as (target, api):
        if what == Upgraded.nodes:
            nodes = node_run.make_node_plan(target, api, RELEASES)
            most, upgrading = 2 * seconds + 300, partial(node_run.NodeUpgradeRun, plan=nodes)
        elif what == Upgraded.argocd:

            def move_argocd(version: str) -> None:
                changes = {"chartVersion": chart} if version == after else {}
                control.ask(folder, "move", section="argocd", changes=changes)

            argocd = argocd_run.make_plan(target, api, after)
            most, upgrading = 5 * seconds + 300, partial(argocd_run.ArgocdUpgradeRun, plan=argocd, mover=move_argocd)
        else:

            def move_karpenter(version: str) -> None:
                control.ask(folder, "move", section="karpenter", changes={"version": version})

            karpenter = run.make_plan(target, api, after)
            most, upgrading = 4 * seconds + 180, partial(run.UpgradeRun, plan=karpenter, mover=move_karpenter)
        with start(target, api, "upgrade", why=why, seconds=most, log=log) as running:
            report = upgrading(running, timeout=seconds, gap=gap, log=log).run()
    exit_with_report(report, json_file)


@drill.command(epilog="Example: otel-on-spot drill restore --stack dev")
def restore(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    force: Annotated[bool, typer.Option("--force", help="Do not check whether the lease's holder is alive.")] = False,
) -> None:
    """Put back what an interrupted drill left. A suspension, a scale, a pod, an experiment.

    Exit codes: 0 nothing is left, 1 something could not be put back, 2 a drill is under way or no cluster answers.
    """
    from otel_on_spot.drills.leftovers import clean_up

    with _platform(stack, kube_context, kubeconfig, same_cluster=False) as (target, api):

        def progress(line: str) -> None:
            if not line.startswith("taken back"):  # printed below
                log(line)

        restored = clean_up(target, api, progress, force=force)
    for line in restored:
        typer.echo(f"put back: {line}")
    typer.echo("nothing is left" if restored else "no drill has left anything")


def resume(
    *,
    stack: Stack = "dev",
    kube_context: KubeContext = None,
    kubeconfig: Kubeconfig = None,
    force: Annotated[bool, typer.Option("--force")] = False,
) -> None:
    """Old name of `drill restore`."""
    typer.echo("`resume` is now called `drill restore`", err=True)
    restore(stack=stack, kube_context=kube_context, kubeconfig=kubeconfig, force=force)
