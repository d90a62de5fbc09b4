"""Recordings that many tests look at, made once, and a Kubernetes API server in memory."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording

if TYPE_CHECKING:
    from tests.unit.drills.kubernetes_front import KubernetesFront

STACKS = ("dev", "staging", "prod")


@cache
def recorded(stack: str, preview: bool = False) -> Recording:
    """The plan of a committed stack."""
    return record(stack, preview=preview)


@pytest.fixture(params=STACKS)
def plan(request: pytest.FixtureRequest) -> Recording:
    """The plan of each committed stack, as after an update."""
    return recorded(request.param)


@pytest.fixture(params=STACKS)
def first_preview(request: pytest.FixtureRequest) -> Recording:
    """The plan of each committed stack, as at its first preview: nothing that only AWS can tell is known."""
    return recorded(request.param, preview=True)


@pytest.fixture
def dev() -> Recording:
    """The plan of dev."""
    return recorded("dev")


@pytest.fixture
def prod() -> Recording:
    """The plan of prod."""
    return recorded("prod")


@pytest.fixture
def front() -> "Iterator[KubernetesFront]":
    """An API server without any object."""
    from tests.unit.drills.kubernetes_front import KubernetesFront  # its client takes half a second to load

    front = KubernetesFront()
    yield front
    front.close()
