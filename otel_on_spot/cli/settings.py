"""``settings``: the table of everything that a stack file may say, generated from the model."""

from typing import Annotated

import typer


def settings(
    *, markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False
) -> None:
    """Show every key of a stack file. Each with its default and meaning."""
    from infra.settings.table import rows

    if markdown:
        typer.echo("| key | default | meaning |\n|---|---|---|")
        for key, default, meaning in rows():
            typer.echo(f"| `{key}` | {f'`{default}`' if default else ''} | {meaning.replace('|', chr(92) + '|')} |")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("key", "default", "meaning", title="Pulumi.<stack>.yaml, below otel-on-spot:")
    for row in rows():
        table.add_row(*row)
    Console().print(table)
