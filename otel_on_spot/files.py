"""Files that commands write."""

import os
import threading
from pathlib import Path

from otel_on_spot.errors import ToolError


class FileError(ToolError, OSError):
    """A file that cannot be written. The message says which, and why."""


def write_text(file: Path, text: str) -> None:
    """Write a file that somebody named whole or not at all, for its owner alone: facts name accounts and roles.

    Raises:
        FileError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text if text.endswith("\n") else text + "\n")
    except OSError as problem:
        raise FileError(f"{file}: {problem.strerror}. Name a file that may be written") from None


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, for its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content.encode() if isinstance(content, str) else content)
    try:
        partial.replace(file)
    except OSError:
        partial.unlink()
        raise
