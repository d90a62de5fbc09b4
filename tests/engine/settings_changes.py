"""The effects of every setting's change, by the real engine's preview on the simulated cloud.

python -m tests.engine.settings_changes             previews every change, writes docs/settings-changes.md (4 minutes)
python -m tests.engine.settings_changes --check     writes nothing: every night, the page must be what it would write

Exit codes: 0 all as it may be, 1 a change does what it may not or the page is another, 3 no engine.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.availability import why_no_engine
from tests.engine.changes import BASE, BY_NATURE, CHANGES, KEPT, Change
from tests.engine.workbench import ROOT, Workbench, short, workbench

PAGE = ROOT / "docs" / "settings-changes.md"
BY_KEY = {change.key: change for change in CHANGES}
SHOWN = 3
"""Names in a cell; more of them are counted by type."""
HEAD = """\
# What a setting changes

For each setting of a stack file: one change of it on dev, which is a minor of Kubernetes behind its file here, and
what `pulumi preview` says, by the real engine on the simulated cloud. Made by
`python -m tests.engine.settings_changes`; the engine tier compares a few rows with it, a nightly job all of them. A
change that the rules tie to another one (a Kubernetes minor and its kube-proxy, say) is made together with that.

- **in place**: the same thing, changed. Of the Karpenter ones (NodePool, EC2NodeClass) nodes may be drained and
  replaced afterwards, within the pools' budgets: a narrower requirement (types, sizes, zones, architectures) takes the
  nodes outside it; taints, labels and most of the node class, `tags` among it, take every node of the pool, or of all
  pools. `make plan ARGS="--against main"` says whose nodes a change drains; of `tags` the preview warns as well.
- **replaced**: a new one is made, and the old one deleted.
- **untouched**: the setting is for the rules alone.
- **refused**: no other value is taken, or none while the environment lives; the preview says why, and the way out.

"""
NATURE = """\
## What means a new environment

The cluster, the VPC, its subnets, `aws-auth` and the interruption queue are never replaced unasked: a test fails
otherwise. These settings replace some of them, because AWS has no other way:

| setting | why | replaced |
|---|---|---|
"""
AFTER = """
On an environment that holds anything, do not change them: make another stack beside it, move, and destroy the old one.
With `cluster.deletionProtection` (required in prod) Pulumi refuses each of them at the preview: the VPC, its subnets,
the encryption key and the root Application are protected; the nightly job tries every row. Without it nothing does:
look at the preview for `replace` before you say yes.

A replacement of the cluster alone, under its name (a taint, `--replace`), is refused by EKS: Pulumi makes the new one
first, and the name is taken. One that was deleted past Pulumi and made again is empty, and its state says otherwise:
[the way](runbooks/cluster-made-anew.md). Two environments side by side are two stacks with two cluster names;
the program moves no data between them.
"""


@dataclass(frozen=True)
class Effects:
    """``Type:name`` of what a change touches, by what happens to it."""

    updated: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    refused: str = ""

    @property
    def kept_replaced(self) -> set[str]:
        """What must not be replaced unasked, and is."""
        return {what for what in (*self.replaced, *self.deleted) if what.startswith(KEPT)}


@contextmanager
def built(folder: Path) -> Generator[Workbench]:
    """Dev with the base of all changes, updated once."""
    with workbench(folder, "dev", stand_in=True) as bench:
        with bench.settings(BASE) as file:
            bench.up("--config-file", str(file))
        yield bench


def effects(bench: Workbench, to: Mapping[str, Any]) -> Effects:
    """What a preview says to these values over the base."""
    with bench.settings({**BASE, **to}) as file:
        code, out, err = bench.attempt("preview", "--json", "--config-file", str(file))
    told = json.loads(out)
    if code != 0:
        return Effects(refused="\n".join(diagnostic["message"] for diagnostic in told.get("diagnostics", ())) or err)
    kinds: dict[str, set[str]] = {"update": set(), "replace": set(), "create": set(), "delete": set()}
    for step in told["steps"]:
        kind = "replace" if "replace" in step["op"] else step["op"]
        if kind in kinds:
            kinds[kind].add(short(step["urn"]))
    updated, replaced, created, deleted = (tuple(sorted(names)) for names in kinds.values())
    return Effects(updated, replaced, created, deleted)


def row(change: Change, found: Effects) -> str:
    """The change's row of the table."""
    along = [key for key in change.to if key != change.path]
    value = f"`{_text(change.to[change.path])}`" + (f", with {', '.join(f'`{key}`' for key in along)}" if along else "")
    if found.refused:
        cells = ["**refused**", "", "", ""]
    else:
        cells = [_cell(names) for names in (found.updated, found.replaced, found.created, found.deleted)]
        cells = cells if any(cells) else ["untouched", "", "", ""]
    return f"| `{change.key}` | {value} | {' | '.join(cells)} |"


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).replace("|", "\\|").replace("\n", "\\n")


def _cell(names: tuple[str, ...]) -> str:
    if len(names) <= SHOWN:
        return ", ".join(f"{kind} `{name}`" for kind, _, name in (what.partition(":") for what in names))
    counted = Counter(name.partition(":")[0] for name in names)
    return f"{len(names)}: " + ", ".join(f"{count} {kind}" for kind, count in counted.items())


def _types(names: Iterable[str]) -> list[str]:
    return sorted({name.partition(":")[0] for name in names})


def page(found: Mapping[str, Effects]) -> str:
    """The whole page, for the effects of every change by its key."""
    lines = ["| setting | to | in place | replaced | created | deleted |", "|---|---|---|---|---|---|"]
    lines += [row(change, found[change.key]) for change in CHANGES]
    nature = [
        f"| `{key}` | {nature.reason} | {', '.join(_types(found[key].kept_replaced))} |"
        for key, nature in BY_NATURE.items()
    ]
    return HEAD + "\n".join(lines) + "\n\n" + NATURE + "\n".join(nature) + "\n" + AFTER


def unprotected(bench: Workbench, keys: Iterable[str]) -> list[str]:
    """Problems once deletion is protected, one line each: these changes must be refused, the protection accepted."""
    protected = {"cluster.deletionProtection": True}
    with bench.settings({**BASE, **protected}) as file:
        bench.up("--config-file", str(file))
    wrong = (
        []
        if effects(bench, protected) == Effects()
        else ["cluster.deletionProtection: an update leaves something to do"]
    )
    for key in keys:
        refused = effects(bench, {**protected, **BY_KEY[key].to}).refused
        if "protect" not in refused:
            wrong.append(f"{key}: not refused where deletion is protected: {refused or 'no error'}")
    return wrong


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.engine.settings_changes")
    made.add_argument("--check", action="store_true", help="write nothing; fail where the page would change")
    return made


def main(arguments: Sequence[str]) -> int:
    """Preview every change; write the page, or compare it."""
    check = parser().parse_args(arguments).check
    if why := why_no_engine():
        print(f"settings-changes: {why}", file=sys.stderr)
        return 3
    found: dict[str, Effects] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, built(Path(folder)) as bench:
        for change in CHANGES:
            found[change.key] = effects(bench, change.to)
            print(row(change, found[change.key]), flush=True)
            wrong += problems(change, found[change.key])
        wrong += unprotected(bench, BY_NATURE)
    if not check:
        PAGE.write_text(page(found))
    elif PAGE.read_text() != page(found):
        wrong.append(f"{PAGE.relative_to(ROOT)} is another: run python -m tests.engine.settings_changes")
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


def problems(change: Change, found: Effects) -> list[str]:
    """What is wrong with what a change does, one line each."""
    if change.refused or found.refused:
        fits = bool(change.refused) and change.refused in found.refused
        return [] if fits else [f"{change.key}: refused with {found.refused or 'nothing'}"]
    nature = BY_NATURE.get(change.key)
    stays = {what for what in found.kept_replaced if not (nature and what.startswith(nature.kinds))}
    wrong = [f"{change.key}: replaces {what}, which must stay" for what in sorted(stays)]
    if nature and not found.kept_replaced:
        wrong.append(f"{change.key}: is said to replace what is kept, and does not")
    if not nature and set(found.replaced) != set(change.replaces):
        wrong.append(f"{change.key}: replaces {', '.join(found.replaced) or 'nothing'}")
    if (found == Effects()) is not change.untouched:
        wrong.append(f"{change.key}: changes {'something' if change.untouched else 'nothing'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
