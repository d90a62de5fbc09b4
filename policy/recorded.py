"""A recorded plan, as the rules see it."""

from otel_on_spot.program.recording import Recording
from otel_on_spot.program.values import Unknown, mapped, masked
from policy.resource import Resource, Stack, environment_of


def stack_of(recording: Recording) -> Stack:
    """The recording's resources with what AWS would compute; secrets are masked, and what is unknown is not there."""

    def known(value: object) -> object:
        return None if isinstance(value, Unknown) else masked(value)

    resources = tuple(
        Resource(type=r.type, name=r.name, props=mapped(dict(r.inputs) | dict(r.outputs), known))
        for r in recording
        if r.custom
    )
    return Stack(environment_of(resources), resources)
