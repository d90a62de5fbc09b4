"""``plan``: what ``pulumi up`` would declare."""

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_on_spot import project
from otel_on_spot.cli.application import Stack
from otel_on_spot.cli.output import spinner
from otel_on_spot.errors import EXIT_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_on_spot.plan.live_prices import LivePrices
    from otel_on_spot.program.recording import Recording

BESIDE = {
    "--images": {"--json", "--preview"},
    "--cost": {"--json", "--preview"},
    "--json": {"--preview"},
    "--markdown": {"--preview"},
    "--mermaid": {"--preview"},
    "--svg": {"--yaml", "--preview"},
    "--yaml": {"--svg", "--preview"},
}
"""Form of what is shown -> options that it heeds."""
EXAMPLES = """
\b
Examples:
  otel-on-spot plan --stack prod                 the tree, counts, exports
  otel-on-spot plan --stack prod --against main  changes since a revision
  otel-on-spot plan --stack prod --images        the demo's images with their tags
  otel-on-spot plan --images --sizes             and what a node pulls, by their registries
  otel-on-spot plan --stack prod --cost          what it costs a month by list prices
  otel-on-spot plan --cost --live-prices         by AWS's prices of today
  otel-on-spot plan --yaml out/                  a file per Kubernetes object
  otel-on-spot plan --svg docs/platform.svg      the picture of the graph
"""


def plan(
    *,
    stack: Stack = "dev",
    preview: Annotated[
        bool, typer.Option("--preview", help="Leave unknown what only AWS knows, as a first `pulumi preview` does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole recording as JSON.")] = False,
    yaml_dir: Annotated[
        Path | None, typer.Option("--yaml", metavar="DIR", help="Write Kubernetes objects and release values to DIR.")
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph by component as Mermaid.")] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw the graph by component as SVG to FILE.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="REF", help="Compare with the plan of a Git revision.")
    ] = None,
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown", help="Print the pools as Markdown; with --against, the changes, for a pull request."
        ),
    ] = False,
    costs: Annotated[
        bool,
        typer.Option(
            "--cost",
            help="Estimate what it costs a month: at rest, with the demo, at the pools' limits. With --against: what "
            "the change costs.",
        ),
    ] = False,
    live_prices: Annotated[
        bool,
        typer.Option(
            "--live-prices",
            help="With --cost: AWS's prices of today, by your credentials (pricing:GetProducts, "
            "ec2:DescribeSpotPriceHistory). What AWS does not tell keeps its list price.",
        ),
    ] = False,
    images: Annotated[
        bool, typer.Option("--images", help="List the images of the demo with their tags, and who runs each.")
    ] = False,
    sizes: Annotated[
        bool,
        typer.Option(
            "--sizes",
            help="With --images: ask each image's registry what a node pulls, for the pools' architectures. Without "
            "credentials; Docker Hub counts each look as a pull.",
        ),
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with 1 if a policy rule is violated or a Service on Spot does not fit into two minutes; with "
            "--against, if something changes; if more is expected than costs.monthlyLimitUsd (prod refuses it anyhow).",
        ),
    ] = False,
) -> None:
    """Show what `pulumi up` would declare. Needs no account, no CLI and no network.

    Runs the unmodified __main__.py with the committed stack file under Pulumi's own mocks, and records every resource.
    Ids and ARNs are made up; names, tags, policies, chart values and order are the real ones. The project's policy
    rules judge the plan as the policy pack judges a preview. Each pool's choice, fallback and price is counted, and
    each Service on Spot held against the two minutes of a warning.
    """
    from otel_on_spot.plan.record import record

    _goes_with("--sizes", "goes with --images", stands=not sizes or images)
    alone = costs and against is None
    _goes_with("--live-prices", "goes with --cost, and not with --against", stands=not live_prices or alone)
    forms = {
        "--images": images, "--cost": costs, "--json": as_json, "--markdown": markdown, "--mermaid": mermaid,
        "--svg": svg is not None, "--yaml": yaml_dir is not None, "--preview": preview,
    }  # fmt: skip
    _one_form({option for option, given in forms.items() if given}, compared=against is not None)
    if against is not None:
        from otel_on_spot.plan import compare

        with spinner(f"planning {stack} here and at {against}"):
            difference = compare.against(project.root(), stack, against, costs=costs)
        typer.echo(compare.markdown(difference) if markdown else compare.text(difference))
        raise typer.Exit(EXIT_FINDINGS if exit_code and (difference.changes or difference.refused) else 0)
    with spinner(f"planning {stack}"):
        recording = record(stack, preview=preview)
    if images:
        _show_images(recording, as_json=as_json, sizes=sizes)
        raise typer.Exit
    if costs:
        within = _show_costs(recording, as_json=as_json, live=live_prices)
        raise typer.Exit(EXIT_FINDINGS if exit_code and not within else 0)
    from otel_on_spot.plan import pools

    capacity = pools.report(recording, project.root())
    verdict = _verdicts()
    judged = verdict.verdict(recording) if verdict else None
    if as_json:
        from otel_on_spot.plan.manifests import as_document

        document = as_document(recording) | {
            "policy": verdict.as_document(judged) if verdict and judged else None,
            "capacity": pools.as_document(capacity),
        }
        typer.echo(json.dumps(document, indent=2, sort_keys=True))
    elif markdown:
        typer.echo(pools.markdown(capacity))
    elif mermaid:
        from otel_on_spot.plan.picture import mermaid as drawn

        typer.echo(drawn(recording))
    elif svg is not None or yaml_dir is not None:
        if svg is not None:
            from otel_on_spot.files import write_text
            from otel_on_spot.plan.picture import svg as picture

            write_text(svg, picture(recording))
            typer.echo(f"wrote {svg}")
        if yaml_dir is not None:
            from otel_on_spot.plan.manifests import write

            written = write(recording, yaml_dir)
            typer.echo(f"wrote {len(written)} files to {yaml_dir}")
    else:
        from otel_on_spot.plan import tree

        console = tree.terminal()
        tree.show(recording, console)
        if capacity.pools:
            pools.show(capacity, console)
        if verdict and judged:
            verdict.show(judged, console)
    within = _is_within_limit(recording)
    if exit_code and ((judged and judged.refused) or capacity.findings or not within):
        raise typer.Exit(EXIT_FINDINGS)


def _goes_with(option: str, rule: str, *, stands: bool) -> None:
    """Refuse an option that says nothing where it stands.

    Raises:
        typer.BadParameter: it does not.
    """
    if not stands:
        raise typer.BadParameter(f"{option} {rule}", param_hint=option)


def _one_form(given: set[str], *, compared: bool) -> None:
    """Refuse an option that another one would leave without a word.

    Raises:
        typer.BadParameter: there is one.
    """
    if compared:
        first, beside = "--against", {"--cost", "--markdown"}
    else:
        first, beside = next(((form, BESIDE[form]) for form in BESIDE if form in given), ("", given))
    if left := sorted(given - beside - {first}):
        raise typer.BadParameter(f"{left[0]} does not go with {first}: ask for one after the other", param_hint=left[0])


def _is_within_limit(recording: "Recording") -> bool:
    """True where no more is expected than ``costs.monthlyLimitUsd``; else it is said, or why nobody can tell.

    Raises:
        typer.Exit: more is expected, or nobody can tell, and the environment is prod, where that is refused.
    """
    from otel_on_spot.plan import cost
    from otel_on_spot.plan.manifests import as_document

    limit = cost.monthly_limit(project.root(), recording.stack)
    if limit is None:
        return True
    document = as_document(recording)
    try:
        told = cost.above(cost.estimate(document, cost.workloads_of(document, project.root())), limit)
    except cost.PriceError as problem:
        told = f"costs.monthlyLimitUsd of Pulumi.{recording.stack}.yaml is {limit:,}, and nobody can tell: {problem}"
    if told:
        typer.echo(told, err=True)
        _refuse_in_prod(document)
    return not told


def _refuse_in_prod(document: "dict[str, Any]") -> None:
    from otel_on_spot.plan import cost

    if cost.environment_of(document) == "prod":
        raise typer.Exit(EXIT_FINDINGS)


def _show_images(recording: "Recording", *, as_json: bool, sizes: bool) -> None:
    """Print each image with the workloads that run it, and the architectures that it is known to be built for."""
    from infra import image_architectures
    from otel_on_spot.plan import image_sizes
    from otel_on_spot.plan.workloads import images

    found = images(recording, project.root())
    pulled = []
    if sizes:
        with spinner("asking the registries"):
            pulled = [image_sizes.sizes(found, architecture) for architecture in image_sizes.architectures(recording)]
    if as_json:
        document: Any = found
        if sizes:
            document = {
                "images": {
                    image: {
                        "workloads": workloads,
                        "bytes": {pull.architecture: pull.of(image) for pull in pulled},
                        "unknown": {pull.architecture: pull.why[image] for pull in pulled if image in pull.why},
                    }
                    for image, workloads in found.items()
                },
                "totalBytes": {pull.architecture: pull.total for pull in pulled},
            }
        typer.echo(json.dumps(document, indent=2))
        return
    for image, workloads in found.items():
        told = (f"{pull.architecture}: {image_sizes.told(pull.of(image), pull.why.get(image))}" for pull in pulled)
        typer.echo("  ".join((image, ", ".join(workloads), image_architectures.told(image), *told)))
    for pull in pulled:
        typer.echo(
            f"{pull.architecture}: {pull.total / 2**20:.1f} MiB of {len(pull.layers)} of {len(found)} images, as they "
            "are pulled, a layer that several share counted once"
        )


def _show_costs(recording: "Recording", *, as_json: bool, live: bool = False) -> bool:
    """Print the estimate; False where it is above the stack's own limit.

    Raises:
        typer.Exit: it is, and the environment is prod, where that is refused.
    """
    from otel_on_spot.plan import cost, tree
    from otel_on_spot.plan.manifests import as_document

    document = as_document(recording)
    prices = _prices_of_today(document) if live else None
    found = cost.estimate(document, cost.workloads_of(document, project.root()), prices)
    unknown = list(prices.why) if prices else []
    limit = cost.monthly_limit(project.root(), recording.stack)
    if as_json:
        told = cost.as_document(found) | {"monthlyLimitUsd": limit} | ({"noPriceOfToday": unknown} if live else {})
        typer.echo(json.dumps(told, indent=2))
    else:
        cost.show(found, tree.terminal(), limit, unknown)
    within = not cost.above(found, limit)
    if not within:
        _refuse_in_prod(document)
    return within


def _prices_of_today(document: "dict[str, Any]") -> "LivePrices":
    """AWS's prices for a plan. Its SDK takes longer to load than an estimate, so nobody else loads it."""
    from otel_on_spot.plan import cost
    from otel_on_spot.plan.live_prices import LivePrices

    return LivePrices(_clients(), cost.region_of(document), cost.zones_of(document))


def _clients() -> "Callable[[str, str], object]":
    """Clients of AWS by boto3's usual credentials."""
    import boto3

    from otel_on_spot.target import make_client

    session = boto3.Session()
    return lambda service, region: make_client(session, service, region)


def _verdicts() -> ModuleType | None:
    """The module that judges by the project's own policy rules; None where the project has none."""
    if not (project.root() / "policy").is_dir():
        return None
    from otel_on_spot.plan import verdict

    return verdict
