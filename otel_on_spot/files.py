"""Files that commands write."""

import os
import threading
from pathlib import Path


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone: facts name accounts and roles."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text if text.endswith("\n") else text + "\n")


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, for its owner alone."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content.encode() if isinstance(content, str) else content)
    partial.replace(file)
