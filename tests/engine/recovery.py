"""The documented recovery, as a person runs it, and what must be so after it."""

import re
import subprocess
import sys
from collections.abc import Iterable

from tests.engine.workbench import ROOT, TIMEOUT, Workbench, own_provider, short

RUNBOOK = ROOT / "docs/runbooks/interrupted-up.md"
MADE_UP_BY_THE_PROVIDER = ("RolePolicyAttachment",)
"""Their id names nothing: the provider reads them by role and policy."""
ADOPTED = "DefaultSecurityGroup"
"""It comes and goes with its VPC: deleting it only forgets it."""


def documented() -> list[str]:
    """Arguments of ``otel-on-spot`` in the runbook's recovery."""
    found = re.search(r"^\S*otel-on-spot (recover --stack dev)$", RUNBOOK.read_text(), re.MULTILINE)
    assert found, f"{RUNBOOK.name} does not name the command that is tested here"
    return found.group(1).split()


def run_recover(bench: Workbench, *more: str) -> subprocess.CompletedProcess[str]:
    """The documented command in the folder of the stack, its questions answered."""
    done = subprocess.run(
        [sys.executable, "-m", "otel_on_spot", *documented(), "--yes", *more],
        cwd=bench.program,
        env={**bench.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
    )
    bench.outputs += [done.stdout, done.stderr]
    return done


def recover(bench: Workbench) -> None:
    """Recover from a kill, and look at the state at once."""
    assert bench.saved_whole()
    assert bench.saved().get("pending_operations"), "the engine had nothing under way: nothing was interrupted"
    done = run_recover(bench)
    assert done.returncode == 0, f"recover: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    agree(bench)


def agree(bench: Workbench) -> None:
    """Require that the state holds what the cloud has: nothing orphaned, made twice, imagined or pending."""
    state = bench.saved()
    still = [operation["resource"]["urn"] for operation in state.get("pending_operations") or []]
    assert not still, f"still pending: {still}"
    resources = [
        resource for resource in state.get("resources", []) if resource.get("custom") and not _provider(resource["urn"])
    ]
    held = {resource["urn"]: resource["id"] for resource in resources}
    assert len(held) == len(resources), "the state holds something twice"
    live = {**_forgotten(bench, held), **bench.watched.live}
    orphans, imagined = sorted(map(short, live.keys() - held.keys())), sorted(map(short, held.keys() - live.keys()))
    assert not orphans, f"in the cloud, not in the state: {orphans}"
    assert not imagined, f"in the state, not in the cloud: {imagined}"
    assert not bench.watched.twice, f"made beside the first one: {bench.watched.twice}"
    wrong = {short(urn): (held[urn], live[urn]) for urn in held if held[urn] != live[urn]}
    wrong = {what: ids for what, ids in wrong.items() if not what.startswith(MADE_UP_BY_THE_PROVIDER)}
    assert not wrong, f"another id than the cloud's: {wrong}"


def nothing_to_repair(bench: Workbench) -> None:
    """A preview leaves what exists as it is, and makes what is missing."""
    held = {resource["urn"] for resource in bench.saved().get("resources", [])}
    steps = {step["urn"]: step for step in bench.steps() if not own_provider(step["urn"])}
    wrong = {
        short(urn): (step["op"], step.get("diffReasons"), step.get("replaceReasons"))
        for urn, step in steps.items()
        if step["op"] != ("same" if urn in held else "create")
    }
    assert not wrong, f"a preview would repair: {wrong}"


def _forgotten(bench: Workbench, held: Iterable[str]) -> dict[str, str]:
    """What was adopted once, given up by a destroy that was cut off, and is there all the same, as long as a VPC is."""
    network = any(short(urn).startswith("Vpc:") for urn in bench.watched.live)
    made = bench.watched.made
    return {urn: made[urn] for urn in held if network and urn in made and short(urn).startswith(ADOPTED)}


def _provider(urn: str) -> bool:
    return "pulumi:providers:" in urn
