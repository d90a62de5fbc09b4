"""Two plans compared: what a change adds, removes, replaces or edits."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from otel_on_spot.errors import ToolError
from otel_on_spot.plan import cost
from otel_on_spot.program import stack_file
from otel_on_spot.program.resource_types import (
    KUBERNETES_PROVIDER,
    is_mutable,
    kubernetes_provider_replaced,
    resource_type,
)
from otel_on_spot.project import MARKER, PACKAGE_PARENT


class RevisionError(ToolError):
    """A revision that Git does not know, or whose plan cannot be made."""


OWN_CLASS: Final = "gp3"
"""The StorageClass of gitops/charts/cluster-base; a test compares them."""
INDEX: Final = re.compile(r"\[\d+\]")
ANY, ONE = re.escape("[*]"), r"\[\d+\]"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A property that changed: its path, and both values as text."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource's change: add, remove, replace, edit."""

    action: str
    urn: str
    type: str
    name: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes of a stack between a revision and the working tree."""

    stack: str
    revision: str
    changes: tuple[Change, ...]
    unchanged: int
    data: tuple[str, ...] = ()
    """What becomes of the databases' data where their volumes change, a sentence each."""
    costs: str = ""
    """Markdown of what the change costs, where that was asked for."""
    policy: Mapping[str, Any] | None = None
    """Verdict of the policy rules on the working tree, as plain values; None where the project has none."""

    @property
    def refused(self) -> bool:
        """True where a policy rule is violated, and nothing waives that."""
        return any(violation["waiver"] is None for violation in (self.policy or {}).get("violations", ()))


def against(root: Path, stack: str, revision: str, *, costs: bool = False) -> Difference:
    """The working tree's plan against that of a revision, both made by this recorder.

    Args:
        root: the working tree's project.
        stack: which stack.
        revision: a branch, tag or commit.
        costs: estimate both, too.

    Raises:
        RevisionError: no such revision, or its plan cannot be made.
        StackFileError: the working tree has no such stack.
    """
    stack_file.read(root, stack)
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", missing=revision).decode().strip()
    prefix = _git(root, "rev-parse", "--show-prefix", missing=revision).decode().strip()
    with tempfile.TemporaryDirectory(prefix="otel-on-spot-plan-") as folder:
        archive = _git(root, "archive", "--format=tar", commit, missing=revision)
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as problem:
            raise RevisionError(
                f"--against {revision}: its tree cannot be unpacked ({problem}). Remove what it "
                "names from that revision's tree, or compare with another"
            ) from None
        trees = ((Path(folder) / prefix, f"revision {revision}"), (root, "the working tree"))
        with ThreadPoolExecutor(len(trees)) as pool:
            before, after = pool.map(lambda tree: _document(tree[0], stack, tree[1], judged=tree[0] == root), trees)
        found = difference(before, after, revision)
        return replace(found, costs=_costs(before, after, Path(folder) / prefix, root)) if costs else found


def _costs(before: Mapping[str, Any], after: Mapping[str, Any], before_root: Path, root: Path) -> str:
    def estimated(document: Mapping[str, Any], tree: Path) -> dict[str, Any]:
        return cost.as_document(cost.estimate(document, cost.workloads_of(document, tree)))

    try:
        former = estimated(before, before_root) if before["resources"] else None
        return cost.differences(former, estimated(after, root))
    except cost.PriceError as problem:  # what else changes can be told
        return f"Costs of {after['stack']}: no estimate, {problem}\n"


def _git(root: Path, *arguments: str, missing: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise RevisionError("--against needs git on PATH. Install it, or leave --against out") from None
    except subprocess.CalledProcessError as failure:
        detail = failure.stderr.decode().strip().splitlines()
        reason = f" ({detail[-1]})" if detail else ""
        raise RevisionError(
            f"--against {missing}: Git knows no such revision here{reason}. Give a branch, tag or commit; "
            "`git fetch` it first"
        ) from None


def _document(root: Path, stack: str, which: str, *, judged: bool) -> dict[str, Any]:
    """The plan of a tree: its program and its stack file, under this recorder, in a process of its own.

    Where it is to be judged and has policy rules, their verdict is in it.

    A tree that has no such stack, or no program yet, declares nothing.

    Raises:
        RevisionError: the tree cannot be planned.
    """
    if not all((root / name).is_file() for name in (MARKER, "__main__.py", f"Pulumi.{stack}.yaml")):
        return {"stack": stack, "resources": []}
    policy = ("--policy",) if judged and (root / "policy").is_dir() else ()
    run = subprocess.run(
        # -P: neither this folder nor the tree's own tools may shadow this recorder.
        [sys.executable, "-P", "-m", "otel_on_spot.plan", str(root), stack, *policy],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(PACKAGE_PARENT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise RevisionError(f"{which} cannot be planned: {run.stderr.strip() or f'exit code {run.returncode}'}")
    return json.loads(run.stdout)


def difference(before: Mapping[str, Any], after: Mapping[str, Any], revision: str) -> Difference:
    """Compare two documents of ``plan.manifests.as_document``, by URN, aliases honoured."""
    old = {r["urn"]: r for r in before["resources"]}
    now = {r["urn"]: r for r in after["resources"]}
    changes: list[Change] = []
    unchanged = 0
    for new in after["resources"]:
        former = old.pop(new["urn"], None) or next((old.pop(a) for a in new["aliases"] if a in old), None)
        if former is None:
            changes.append(_change("add", new))
            continue
        found = [
            edit for edit in _edits(_whole(former), _whole(new)) if not _is_among(edit.path, new["ignore_changes"])
        ]
        if not found:
            unchanged += 1
            continue
        provider = now.get(new["provider"].rpartition("::")[0], {})
        action = "replace" if _replaces(new, former, provider.get("inputs", {}), found) else "edit"
        edits = tuple(Edit(path=edit.path, before=_shown(edit.before), after=_shown(edit.after)) for edit in found)
        changes.append(_change(action, new, edits))
    changes += [_change("remove", gone) for gone in old.values()]
    order = {"replace": 0, "remove": 1, "add": 2, "edit": 3}
    return Difference(
        stack=after["stack"],
        revision=revision,
        unchanged=unchanged,
        policy=after.get("policy"),
        data=tuple(_data(cost.persistence(before["resources"]), cost.persistence(after["resources"]))),
        changes=tuple(sorted(changes, key=lambda c: (order[c.action], c.urn))),
    )


def _change(action: str, resource: Mapping[str, Any], edits: tuple[Edit, ...] = ()) -> Change:
    return Change(action=action, urn=resource["urn"], type=resource["type"], name=resource["name"], edits=edits)


class _Edit(NamedTuple):
    path: str
    before: Any
    after: Any


def _replaces(
    new: Mapping[str, Any], former: Mapping[str, Any], provider: Mapping[str, Any], edits: Iterable[_Edit]
) -> bool:
    """Decide if the engine makes a new resource, as ``program.resource_types`` has it and the program asks for.

    Args:
        new: the resource now.
        former: the resource before.
        provider: inputs of its provider.
        edits: what differs.
    """
    if new["type"] == KUBERNETES_PROVIDER:
        return kubernetes_provider_replaced(former["inputs"], new["inputs"])
    facts = resource_type(new["type"], mutable=is_mutable(new["type"], provider, former["inputs"]))
    return any(
        facts.replaced_by(INDEX.sub("", edit.path), edit.before, edit.after)
        or _is_among(edit.path, new["replace_on_changes"])
        for edit in edits
    )


def _whole(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with those that the provider fills in."""
    given = {key: value for key, value in resource["inputs"].items() if value is not None}
    return {**resource_type(resource["type"]).defaults, **given}


def _is_among(path: str, options: Iterable[str]) -> bool:
    """Decide if a path is one that an option names: itself, or above it.

    Source: https://www.pulumi.com/docs/iac/concepts/options/ignorechanges/
    """
    return any(
        option == "*" or re.match(rf"{re.escape(option).replace(ANY, ONE)}(?![^.[])", path) is not None
        for option in options
    )


def _edits(before: Any, after: Any, path: str = "") -> Iterator[_Edit]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _edits(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (earlier, later) in enumerate(zip(before, after, strict=True)):
            yield from _edits(earlier, later, f"{path}[{index}]")
    elif before != after:
        yield _Edit(path, before, after)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 160 else f"{text[:157]}..."


def summary(found: Difference) -> str:
    """``1 replace, 2 add; 100 unchanged``."""
    tally = [
        f"{sum(c.action == action for c in found.changes)} {action}" for action in ("replace", "remove", "add", "edit")
    ]
    return ", ".join(part for part in tally if not part.startswith("0 ")) or "no changes"


def drained(found: Difference) -> str:
    """Which Karpenter nodes the changes replace by drift; empty where none is.

    Source: https://karpenter.sh/docs/concepts/disruption/#drift, and the fields that Hash of EC2NodeClass and NodePool
    takes in
    """
    edited = [change for change in found.changes if change.action == "edit"]
    if any(change.type.endswith(":EC2NodeClass") for change in edited):
        whose = "every node of Karpenter's, the databases' too"
    else:
        pools = [
            change.name
            for change in edited
            if change.type.endswith(":NodePool") and any(e.path.startswith("spec.template") for e in change.edits)
        ]
        whose = f"nodes of {', '.join(pools)}" if pools else ""
    return f"Karpenter drains and replaces {whose}: by drift, within the pools' budgets" if whose else ""


def _data(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[str]:
    """What becomes of each database's data, by its claim before and after."""
    before, after = earlier.get("claims") or {}, later.get("claims") or {}
    kept = sorted({claim["name"] for claim in before.values()} & {claim["name"] for claim in after.values()})
    classes = earlier.get("storageClassName"), later.get("storageClassName")
    if kept and classes[0] != classes[1]:
        yield (
            f"the claims {', '.join(kept)} keep the StorageClass {classes[0]}: Kubernetes refuses another one for a "
            f"claim that is there, and Argo CD's sync fails until the file says {classes[0]} again. A volume of "
            f"{classes[1]} begins with a snapshot (restoreFrom)"
        )
    if classes[1] not in (None, OWN_CLASS) and after and (classes[0] != classes[1] or not before):
        yield (
            f"the StorageClass {classes[1]} is none that the platform makes, and no plan sees whether the cluster has "
            f"it (kubectl get storageclass {classes[1]}): without it, a database with a new claim stays Pending"
        )
    for database in sorted(before.keys() | after.keys()):
        was, now = before.get(database), after.get(database)
        if was is None and now is not None:
            yield (
                f"{database} starts on the volume {now['name']}, a new one where that claim is not there yet: what it "
                "holds in its pod goes with the pod"
            )
        elif was is not None and now is None:
            yield (
                f"{database} starts empty; its volume {was['name']} stays, unused and billed. Turned on again, it is "
                "back with its data"
            )
        elif was is not None and now is not None:
            if was["name"] != now["name"]:
                begun = f"the snapshot {now['restoreFrom']}" if now.get("restoreFrom") else "what is in that volume"
                yield (
                    f"{database} moves from the volume {was['name']} to {now['name']} and goes on from {begun}; the "
                    "former stays, unused and billed"
                )
            elif now["gib"] < was["gib"]:
                yield (
                    f"{database}: {was['gib']} to {now['gib']} GiB is refused at the preview of a living environment: "
                    "EBS makes no volume smaller"
                )


def text(found: Difference) -> str:
    """The difference for a terminal."""
    signs = {"add": "+", "remove": "-", "replace": "-/+", "edit": "~"}
    lines = [f"{found.stack} against {found.revision}: {summary(found)}; {found.unchanged} unchanged"]
    for change in found.changes:
        lines.append(f"{signs[change.action]:>3} {change.name}  {change.type}")
        lines += [f"      {edit.path}: {edit.before} -> {edit.after}" for edit in change.edits]
    if told := drained(found):
        lines.append(f"  ! {told}")
    lines += [f"  ! {told}" for told in found.data]
    lines += _policy(found, markdown=False)
    return "\n".join((*lines, *(("", found.costs) if found.costs else ())))


def markdown(found: Difference) -> str:
    """The difference for a pull request."""
    lines = [
        f"### Plan of `{found.stack}` against `{found.revision}`: {summary(found)}",
        "",
        f"{found.unchanged} unchanged.",
    ]
    if any(change.action == "replace" for change in found.changes):
        lines.append("\n> **Replacement:** at least one resource would be deleted and made anew.")
    if told := drained(found):
        lines.append(f"\n> **Drift:** {told}.")
    if found.data:
        lines.append("\n" + "\n".join(f"> **Data:** {told}.\n>" for told in found.data).removesuffix("\n>"))
    if found.changes:
        lines += ["", "| | resource | type | changed |", "|---|---|---|---|"]
    for change in found.changes:
        edits = "<br>".join(f"`{e.path}`: `{_cell(e.before)}` → `{_cell(e.after)}`" for e in change.edits)
        lines.append(f"| {change.action} | `{change.name}` | `{change.type}` | {edits} |")
    lines += _policy(found, markdown=True)
    return "\n".join((*lines, *(("", found.costs) if found.costs else ())))


def _policy(found: Difference, *, markdown: bool) -> tuple[str, ...]:
    if found.policy is None:
        return ()
    from otel_on_spot.plan import verdict  # it needs the project's policy rules, which not every project has

    return "", verdict.told(found.policy, markdown=markdown)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ").replace("`", "'")
