"""Tests of single parts use the lab's tools where they are built; nothing is built here."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.golang import Go, GoMissingError
from otel_on_spot.lab.toolchain.modules import MODULES
from otel_on_spot.lab.toolchain.store import Store, key


def built() -> Iterator[Path]:
    """Folders of the tools that are built."""
    try:
        go = Go.found(dict(os.environ))
    except GoMissingError:
        return
    store = Store.of_user(dict(os.environ))
    for module in MODULES:
        if store.has(module, tool_key := key(module, go)):
            yield store.place(module, tool_key)


@pytest.fixture(scope="session", autouse=True)
def tools_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place in built():
            patch.setenv("PATH", str(place), prepend=os.pathsep)
        yield
