"""Arguments of a component with their Outputs set aside, so that plain code can lay them out, and put back afterwards."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from otel_on_spot.simcloud.provider.references import REFERENCE, put

PLACEHOLDER = re.compile(r"stand-in-value-(\d+)-")


class Placeholders:
    """``plain`` is the arguments with a word in place of each Output."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._outputs: list[pulumi.Output[Any]] = []
        self.plain: dict[str, Any] = {key: self._aside(value) for key, value in given.items()}
        # A resource among the arguments is a map of its outputs to the children's list.
        group = given.get("clusterSecurityGroup")
        if group is not None:
            identity = group.id if isinstance(group, pulumi.CustomResource) else group
            self.plain["clusterSecurityGroup"] = {"id": self._aside(pulumi.Output.from_input(identity))}

    def _aside(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._aside(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._aside(inner) for inner in value]
        if isinstance(value, pulumi.Output) or type(value).__name__ == "Unknown":
            self._outputs.append(pulumi.Output.from_input(value))
            return f"stand-in-value-{len(self._outputs) - 1}-"
        return value

    def filled(self, value: Any, sibling: Callable[[str], pulumi.Input[Any]]) -> Any:
        """The Outputs back in their places; ``${...}`` is what ``sibling`` says."""
        if isinstance(value, Mapping):
            return {key: self.filled(inner, sibling) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            if len(value) == 1 and isinstance(value[0], str) and PLACEHOLDER.fullmatch(value[0]):
                # One Output of a list, or a list of one Output: only its value tells.
                return self._whole(value[0]).apply(lambda inner: inner if isinstance(inner, list) else [inner])
            return [self.filled(inner, sibling) for inner in value]
        if not isinstance(value, str):
            return value
        if REFERENCE.fullmatch(value):
            return put(value, sibling)
        if REFERENCE.search(value):
            value = put(value, sibling)
        if PLACEHOLDER.fullmatch(value):
            return self._whole(value)
        numbers = sorted({int(number) for number in PLACEHOLDER.findall(value)})
        if not numbers:
            return value
        known = pulumi.Output.all(*(self._outputs[number] for number in numbers))
        return known.apply(lambda facts: _put(value, dict(zip(numbers, facts, strict=True))))

    def _whole(self, placeholder: str) -> pulumi.Output[Any]:
        found = PLACEHOLDER.fullmatch(placeholder)
        assert found is not None
        return self._outputs[int(found.group(1))]


def _put(text: str, facts: Mapping[int, Any]) -> str:
    return PLACEHOLDER.sub(lambda found: str(facts[int(found.group(1))]), text)
