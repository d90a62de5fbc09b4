"""``plan``: what ``pulumi up`` would declare."""

import json
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from otel_on_spot import project
from otel_on_spot.cli.options import Stack
from otel_on_spot.cli.output import spinner
from otel_on_spot.errors import EXIT_FINDINGS

EXAMPLES = """
\b
Examples:
  otel-on-spot plan --stack prod                 the tree, counts, exports
  otel-on-spot plan --stack prod --against main  changes since a revision
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
        bool, typer.Option("--markdown", help="With --against: print Markdown for a pull request.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with 1 if a policy rule is violated; with --against, if something changes.",
        ),
    ] = False,
) -> None:
    """Show what `pulumi up` would declare. Needs no account, no CLI and no network.

    Runs the unmodified __main__.py with the committed stack file under Pulumi's own mocks, and records every resource.
    Ids and ARNs are made up; names, tags, policies, chart values and order are the real ones. The project's policy
    rules judge the plan as the policy pack judges a preview.
    """
    from otel_on_spot.plan.record import record

    if against is not None:
        from otel_on_spot.plan import compare

        with spinner(f"planning {stack} here and at {against}"):
            difference = compare.against(project.root(), stack, against)
        typer.echo(compare.markdown(difference) if markdown else compare.text(difference))
        raise typer.Exit(EXIT_FINDINGS if exit_code and difference.changes else 0)
    with spinner(f"planning {stack}"):
        recording = record(stack, preview=preview)
    verdict = _verdicts()
    judged = verdict.verdict(recording) if verdict else None
    if as_json:
        from otel_on_spot.plan.manifests import as_document

        document = as_document(recording) | {"policy": verdict.as_document(judged) if verdict and judged else None}
        typer.echo(json.dumps(document, indent=2, sort_keys=True))
    elif mermaid:
        from otel_on_spot.plan.picture import mermaid as drawn

        typer.echo(drawn(recording))
    elif svg is not None or yaml_dir is not None:
        if svg is not None:
            from otel_on_spot.plan.picture import svg as picture

            svg.parent.mkdir(parents=True, exist_ok=True)
            svg.write_text(picture(recording))
            typer.echo(f"wrote {svg}")
        if yaml_dir is not None:
            from otel_on_spot.plan.manifests import write

            written = write(recording, yaml_dir)
            typer.echo(f"wrote {len(written)} files to {yaml_dir}")
    else:
        from otel_on_spot.plan import tree

        console = tree.terminal()
        tree.show(recording, console)
        if verdict and judged:
            verdict.show(judged, console)
    if exit_code and judged and judged.refused:
        raise typer.Exit(EXIT_FINDINGS)


def _verdicts() -> ModuleType | None:
    """The module that judges by the project's own policy rules; None where the project has none."""
    if not (project.root() / "policy").is_dir():
        return None
    from otel_on_spot.plan import verdict

    return verdict
