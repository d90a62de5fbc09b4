"""Tests of single parts use the lab's tools where they are built; nothing is built here."""

import os
from collections.abc import Iterator

import pytest

from otel_on_spot.lab.toolchain.build import is_built, place
from otel_on_spot.lab.toolchain.golang import Go, UnusableError
from otel_on_spot.lab.toolchain.modules import MODULES


@pytest.fixture(scope="session", autouse=True)
def tools_on_path() -> Iterator[None]:
    try:
        go = Go.find()
    except UnusableError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            if is_built(module, go):
                patch.setenv("PATH", str(place(module, go)), prepend=os.pathsep)
        yield
