"""The recording as data: one JSON document, or a YAML file for each Kubernetes object and each release's values."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot.files import write_text
from otel_on_spot.program.recording import Invoke, Recording, Registration
from otel_on_spot.program.resource_types import RELEASE
from otel_on_spot.program.values import masked


def as_document(recording: Recording) -> dict[str, Any]:
    """The whole recording as plain JSON values: secrets and unknowns masked, in an order that no run changes."""
    return {
        "project": recording.project,
        "stack": recording.stack,
        "preview": recording.preview,
        "resources": [_plain(r) for r in sorted(recording, key=lambda r: r.urn)],
        "exports": masked(recording.exports),
        "invokes": [_plain(invoke) for invoke in recording.invokes],
        "messages": list(recording.messages),
    }


def _plain(entry: Registration | Invoke) -> dict[str, Any]:
    # Not dataclasses.asdict: it would open the markers, and with them the secrets.
    return {field.name: masked(getattr(entry, field.name)) for field in fields(entry)}


def kubernetes_objects(recording: Recording) -> dict[str, dict[str, Any]]:
    """File name -> Kubernetes object, for every object that the program declares itself, secrets masked."""
    found = {}
    for registration in recording:
        if not registration.type.startswith("kubernetes:") or registration.type == RELEASE:
            continue
        inputs = masked(dict(registration.inputs))
        metadata = inputs.get("metadata") or {}
        parts = [inputs.get("kind", "object"), metadata.get("namespace"), metadata.get("name", registration.name)]
        found["-".join(str(part).lower() for part in parts if part) + ".yaml"] = inputs
    return found


def releases(recording: Recording) -> dict[str, dict[str, Any]]:
    """File name -> chart, version, namespace and values of every Helm release, secrets masked."""
    return {f"release-{r.name}.yaml": _release(r) for r in recording.of_type(RELEASE)}


def _release(registration: Registration) -> dict[str, Any]:
    inputs = masked(dict(registration.inputs))
    repository = (inputs.get("repositoryOpts") or {}).get("repo")
    facts = {key: inputs.get(key) for key in ("name", "namespace", "chart", "version")} | {
        "repository": repository,
        "values": inputs.get("values") or {},
    }
    return {key: value for key, value in facts.items() if value is not None}


def write(recording: Recording, folder: Path) -> list[Path]:
    """Write all of it below a folder; returns the files. Files of an earlier run that are no longer declared go.

    Raises:
        FileError: one cannot be written.
    """
    files = kubernetes_objects(recording) | releases(recording)
    written = []
    for name, content in sorted(files.items()):
        path = folder / name
        write_text(path, HEADER + yaml.safe_dump(content, sort_keys=False))
        written.append(path)
    for stale in folder.glob("*.yaml"):
        if stale.name not in files and stale.read_text().startswith(HEADER):
            stale.unlink()
    return written


HEADER: Final = "# made by: otel-on-spot plan --yaml\n"
