"""Tools that are built from their pinned modules where somebody asks for them."""

from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain import ToolchainError, missing
from otel_on_spot.lab.toolchain.build import place
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import Module


def built(module: Module, name: str, command: str) -> Path:
    """Folder of a module's binaries; else the test is skipped, and says what to do.

    Args:
        module: where they come from.
        name: of the tool, at the beginning of a sentence.
        command: that builds it.
    """
    try:
        if missing(modules=[module]):
            pytest.skip(f"{name} is not built: run {command}")
        return place(module, Go.find())
    except ToolchainError as error:
        pytest.skip(f"{name} cannot be built: {error}")
