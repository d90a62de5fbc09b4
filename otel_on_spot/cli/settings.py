"""``settings``: the table of everything that a stack file may say, generated from the model."""

import difflib
import json
from typing import Annotated

import typer

from otel_on_spot.errors import ToolError


class SettingError(ToolError):
    """A key that no stack file has."""


def settings(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON schema of a stack file, for editors.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="KEY", help="Show one key and what is below it.")
    ] = None,
) -> None:
    """Show every key of a stack file. Each with its default and meaning."""
    from infra.settings.table import json_schema, rows

    if schema:
        typer.echo(json.dumps(json_schema(), indent=1))
        return
    if explain is not None:
        within = explain.rpartition(":")[2]  # a stack file has the project's name before each key
        chosen = [row for row in rows() if _is_below(row[0], within)]
        if not chosen:
            close = difflib.get_close_matches(within, [key for key, _, _ in rows()], 3)
            raise SettingError(
                f"there is no setting {explain!r}"
                + (f"; close to it: {', '.join(close)}" if close else "")
                + ". `otel-on-spot settings` lists all"
            )
        for key, default, meaning in chosen:
            typer.echo(f"{key}\n    {meaning}\n    default: {default or 'none'}")
        return
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


def _is_below(key: str, wanted: str) -> bool:
    """True for the wanted key and for keys below it; in ``pools.spot.limits``, spot is the user's own name."""
    parts, asked = (text.replace("[]", "").split(".") for text in (key, wanted))
    return len(parts) >= len(asked) and all(part in (name, "<name>") for part, name in zip(parts, asked, strict=False))
