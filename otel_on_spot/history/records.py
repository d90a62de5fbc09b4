"""Lives in files: kept from look to look, and as a report."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from otel_on_spot.errors import ToolError, first_problem
from otel_on_spot.files import write_text
from otel_on_spot.history.lives import Incident, Life, Saving


class RecordError(ToolError):
    """A file of ``--record`` cannot be read. The message says which, why and what to do."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def load(file: Path) -> tuple[Life, ...]:
    """Lives of earlier looks.

    Raises:
        RecordError: the file is no such record.
    """
    try:
        return _adapter(tuple[Life, ...]).validate_json(file.read_bytes())
    except OSError as problem:
        raise RecordError(f"--record {file}: {problem.strerror}. Name a file that may be read and written") from None
    except ValidationError as problem:
        raise RecordError(
            f"--record {file}: {first_problem(problem)}. Name a file that history --record wrote, or a new one"
        ) from None


def write(file: Path, found: Sequence[Life]) -> None:
    """Keep lives for the next look."""
    write_text(file, _adapter(tuple[Life, ...]).dump_json(tuple(found), indent=1).decode())


def report(
    found: Sequence[Life], saved: Sequence[Saving], incidents: Sequence[Incident], shared: Mapping[str, float]
) -> str:
    """All of it as JSON.

    Args:
        found: the lives.
        saved: by pool.
        incidents: what came together.
        shared: what each workload has of what is saved.
    """
    document = {"lives": tuple(found), "savings": tuple(saved), "incidents": tuple(incidents), "workloads": shared}
    return _adapter(dict[str, Any]).dump_json(document, indent=2).decode()
