"""The tree by component, as people read it."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.program.values import masked

PIPE_WIDTH: Final = 160
"""Columns where nobody watches, so that a log keeps whole lines."""


def terminal() -> Console:
    """Standard output, with a fixed width where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def show(recording: Recording, console: Console) -> None:
    """Print the tree, the counts by type, the exports, and what the program told."""
    console.print(tree(recording))
    console.print(counts(recording))
    console.print(exports(recording))
    for message in recording.messages:
        console.print(Text(message, "yellow"))


def tree(recording: Recording) -> Tree:
    """The stack's resources below their components, with what is notable about each."""
    (stack,) = recording.of_type(STACK_TYPE)
    made = sum(1 for r in recording if r.custom)
    root = Tree(
        Text.assemble(
            (f"{recording.project} {recording.stack}", "bold"),
            f"  {made} resources in {sum(1 for _ in components(recording))} components",
        )
    )
    _below(recording, stack.urn, root)
    return root


def components(recording: Recording) -> Iterator[Registration]:
    """Everything that groups others."""
    return (r for r in recording if not r.custom and r.type != STACK_TYPE)


def _below(recording: Recording, urn: str, branch: Tree) -> None:
    for child in sorted(recording.children(urn), key=lambda r: (r.custom, 0)):
        _below(recording, child.urn, branch.add(_label(recording, child)))


def _label(recording: Recording, registration: Registration) -> Text:
    style = "green" if registration.custom else "bold cyan"
    label = Text.assemble((registration.name, style), "  ", (short_type(registration.type), "dim"))
    for note in notes(recording, registration):
        label.append(f"  {note}", "yellow")
    return label


def notes(recording: Recording, registration: Registration) -> Iterator[str]:
    """Notable facts: protection, timeouts, and edges that no value carries."""
    if registration.protect and registration.custom:
        yield "protected"
    if delete := registration.custom_timeouts.get("delete"):
        yield f"delete up to {delete}"
    by_value = {urn for urns in registration.property_dependencies.values() for urn in urns}
    only_declared = [
        recording.by_urn[urn].name
        for urn in registration.dependencies
        if urn not in by_value and urn in recording.by_urn
    ]
    if only_declared and registration.custom and not registration.inside_component:
        shown = ", ".join(only_declared[:3]) + (f" and {len(only_declared) - 3} more" if len(only_declared) > 3 else "")
        yield f"after {shown}"


def short_type(token: str) -> str:
    """``aws:ec2/vpc:Vpc`` -> ``aws:ec2:Vpc``."""
    package, module, name = token.split(":")
    return f"{package}:{module.split('/')[0]}:{name}"


def counts(recording: Recording) -> Table:
    """Number of resources of each type."""
    table = Table("type", "count", title="resources by type", title_justify="left")
    tally = Counter(short_type(r.type) for r in recording if r.custom)
    for token, count in sorted(tally.items()):
        table.add_row(token, str(count))
    table.add_section()
    table.add_row("total", str(sum(tally.values())))
    return table


def exports(recording: Recording) -> Table:
    """The stack's outputs."""
    table = Table("export", "value", title="exports", title_justify="left")
    for key, value in sorted(masked(dict(recording.exports)).items()):
        table.add_row(key, escape(str(value)))
    return table
