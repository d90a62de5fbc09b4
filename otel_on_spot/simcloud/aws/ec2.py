"""The base of every handler of EC2."""

from typing import Any

from typing_extensions import override

from otel_on_spot.simcloud.handler import Call, Handler, all_tags, tag_list
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
        """Make the tags those that are wanted."""
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
