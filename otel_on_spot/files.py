"""Files that commands write."""

import os
from pathlib import Path


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone: facts name accounts and roles."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text if text.endswith("\n") else text + "\n")
    partial.replace(file)
