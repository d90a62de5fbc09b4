"""The demo chart as Git has it: the version that the wrapper depends on, and which values files are made for it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent
WRAPPER: Final = "gitops/charts/otel-demo"
APPS: Final = "gitops/apps/values.yaml"
CHILD: Final = "otel-demo"


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values laid over others: maps merge, anything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def version(root: Path = ROOT) -> str:
    """Version of opentelemetry-demo that the wrapper's Chart.yaml names."""
    return str(_read(root / WRAPPER / "Chart.yaml")["dependencies"][0]["version"])


def variant(root: Path = ROOT) -> str:
    """Variant of values that gitops/apps/values.yaml names for the demo; empty for the default chart's."""
    applications = _read(root / APPS).get("applications") or {}
    return str((applications.get(CHILD) or {}).get("variant") or "")


def value_files(environment: str, chosen: str) -> tuple[str, ...]:
    """Files that Argo CD lays over each other, the last one on top; all but the first may be missing."""
    of_variant = (f"values-{chosen}.yaml", f"values-{chosen}-{environment}.yaml") if chosen else ()
    return ("values.yaml", f"values-{environment}.yaml", *of_variant)


def values(root: Path = ROOT, environment: str = "") -> dict[str, Any]:
    """The wrapper's values in an environment; a null is kept, because it removes what is below."""
    merged: dict[str, Any] = {}
    for name in value_files(environment, variant(root)):
        merged = over(merged, _read(root / WRAPPER / name))
    return merged


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without the keys that a null removes, as Helm reads it."""
    return {
        key: without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def app_version(root: Path = ROOT) -> str:
    """Version of the demo itself, the tag of its own images."""
    return str(_read(root / WRAPPER / "Chart.yaml").get("appVersion") or "")


def versions(root: Path = ROOT) -> dict[str, str]:
    """Every version of the demo chart that there are values for -> the variant of them."""
    found = {}
    for file in (root / WRAPPER).glob("values*.yaml"):
        for version in (_read(file).get("demoChart") or {}).get("versions") or ():
            found[str(version)] = file.stem.removeprefix("values").removeprefix("-")
    return dict(sorted(found.items()))


def problem(root: Path = ROOT) -> tuple[str, str] | None:
    """What is wrong with the version or the variant in Git, and what to do; None where they fit, or are not here."""
    if not ((root / WRAPPER / "Chart.yaml").is_file() and (root / APPS).is_file()):
        return None
    depends_on, chosen, known = version(root), variant(root), versions(root)
    if depends_on not in known:
        return (
            f"opentelemetry-demo {depends_on} in {WRAPPER}/Chart.yaml: there are tested values for {', '.join(known)}",
            "use one of them, or test values with it first: docs/demo-chart-versions.md",
        )
    if known[depends_on] != chosen:
        return (
            f"opentelemetry-demo {depends_on} in {WRAPPER}/Chart.yaml needs variant {known[depends_on] or 'none'!s}; "
            f"{APPS} names {chosen or 'none'}",
            "change both in one commit: docs/demo-chart-versions.md",
        )
    return None


def _read(file: Path) -> dict[str, Any]:
    return _parsed(file, file.stat().st_mtime_ns) if file.is_file() else {}


@cache
def _parsed(file: Path, _modified: int) -> dict[str, Any]:
    return yaml.load(file.read_text(), Loader=yaml.CSafeLoader) or {}
