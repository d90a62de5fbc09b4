"""The base of every handler of EC2; what its functions are asked for and answer."""

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.simcloud.handler import Call, Handler, Site, all_tags, tag_list
from otel_on_spot.simcloud.properties import Properties


class Ec2Handler(Handler):
    """Something of EC2 with tags, which are what an update changes."""

    taggable = True
    kind: str

    def specification(self, call: Call, inputs: Properties) -> list[dict[str, Any]]:
        """TagSpecifications of a create call."""
        tags = all_tags(call.site, inputs)
        return [{"ResourceType": self.kind, "Tags": tag_list(tags)}] if tags else []

    def retag(self, call: Call, identity: str, state: Properties, new: Properties) -> Properties:
        """Make the tags those that are wanted.

        Args:
            call: under way.
            identity: id of the resource.
            state: its outputs, with the tags that it has in ``tagsAll``.
            new: the inputs that are wanted.
        """
        wanted, had = all_tags(call.site, new), state.get("tagsAll") or {}
        ec2 = call.site.client("ec2")
        gone = [{"Key": key} for key in had if key not in wanted]
        if gone:
            ec2.delete_tags(Resources=[identity], Tags=gone)
        if wanted:
            ec2.create_tags(Resources=[identity], Tags=tag_list(wanted))
        return {"tags": new.get("tags") or {}, "tagsAll": wanted}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        return self.retag(call, identity, state, new)


def filters_of(arguments: Mapping[str, Any], tags: str = "tags") -> list[dict[str, Any]]:
    """EC2's filters out of a function's arguments: those that it names, and one for each of its tags."""
    named = [{"Name": told["name"], "Values": told["values"]} for told in arguments.get("filters") or ()]
    return named + [{"Name": f"tag:{key}", "Values": [told]} for key, told in (arguments.get(tags) or {}).items()]


def ids_of(describe: str, member: str, identity: str) -> Callable[[Site, Mapping[str, Any]], Properties]:
    """A function that lists ids by filters and tags; none found is an empty list.

    Args:
        describe: the client's method.
        member: the list in its answer.
        identity: the id in a row of it.
    """

    def answer(site: Site, arguments: Mapping[str, Any]) -> Properties:
        found = getattr(site.client("ec2"), describe)(Filters=filters_of(arguments))[member]
        return {"ids": [row[identity] for row in found], "id": site.region}

    return answer
