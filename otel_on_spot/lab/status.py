"""Display of a lab: its processes, and what is in its cluster."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def table(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the answer of the command ``status``."""
    console = console or Console()
    rows = Table("process", "state", "pid", "for", "restarts", "MiB", title="the lab's processes", title_justify="left")
    total = 0.0
    for row in found["processes"]:
        total += row["rss_mib"]
        rows.add_row(
            row["name"],
            row["state"],
            str(row["pid"]),
            f"{row['seconds']:.0f} s",
            str(row["restarts"]),
            f"{row['rss_mib']:.0f}",
        )
    console.print(rows)
    console.print(f"state: {found.get('state')}   memory of all: {total:.0f} MiB")
    if "cluster" in found:
        _cluster(found["cluster"], console)


def summary(stack: str, found: Mapping[str, Any]) -> None:
    """Print the answer of the command ``up``, and what to try next."""
    console = Console()
    _cluster(found, console)
    for reason in found["waits_for"]:
        console.print(f"[red]waiting[/red] {reason}", highlight=False)
    if found["waits_for"]:
        console.print(
            "why:  otel-on-spot lab logs karpenter, or argocd-application-controller, nodes, daemon", highlight=False
        )
    option = "" if stack == "lab" else f" --stack {stack}"
    console.print(f"up after {found['seconds']:.0f} s" if not found["waits_for"] else "not ready")
    console.print(
        "next:\n"
        f"  otel-on-spot lab exec{option} -- kubectl get nodes -L karpenter.sh/nodepool,karpenter.sh/capacity-type\n"
        f"  otel-on-spot lab exec{option} -- kubectl -n otel-demo scale deployment frontend --replicas 50\n"
        f"  otel-on-spot lab status{option}\n"
        f"  make lab-down",
        highlight=False,
        soft_wrap=True,
    )


def _cluster(seen: Mapping[str, Any], console: Console) -> None:
    rows = Table("what", "how many", title="in the cluster", title_justify="left")
    for name, state in seen["applications"].items():
        rows.add_row(f"Application {name}", state)
    for pool, count in sorted(seen["nodes"].items()):
        rows.add_row(f"nodes, pool {pool}" if pool != "system" else "nodes, system", str(count))
    for phase, count in sorted(seen["pods"].items()):
        rows.add_row(f"pods of the demo {phase}", str(count))
    for capacity, count in sorted(seen["placed"].items()):
        rows.add_row(f"pods of the demo on {capacity}", str(count))
    console.print(rows)
