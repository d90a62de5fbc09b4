"""Experiment templates of AWS FIS, in a table: moto does not know FIS. No experiment runs here."""

import secrets

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, all_tags, own_tags
from otel_on_spot.simcloud.properties import Properties

TABLE = "experiment-templates"
KEPT = ("description", "roleArn", "stopConditions", "targets", "actions")


class ExperimentTemplate(Handler):
    """A template. AWS refuses one whose action names a target that it lacks, and so do we."""

    token = "aws:fis/experimentTemplate:ExperimentTemplate"
    taggable = True
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self._whole(inputs)
        identity = f"EXT{secrets.token_hex(8)}"
        self._write(call, identity, inputs)
        return identity, {}

    @staticmethod
    def _whole(inputs: Properties) -> None:
        targets = {target["name"] for target in inputs.get("targets") or []}
        for action in inputs["actions"]:
            wanted = (action.get("target") or {}).get("value")
            if wanted is not None and wanted not in targets:
                raise ApiError(
                    "ValidationException", f"Action {action['name']} names target {wanted}, which is not there"
                )

    @staticmethod
    def _write(call: Call, identity: str, inputs: Properties) -> None:
        kept = {key: inputs.get(key) for key in KEPT}
        call.site.cloud.tables.put(TABLE, identity, {**kept, "tags": all_tags(call.site, inputs)})

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = call.site.cloud.tables.get(TABLE, identity)
        if row is None:
            return None
        return {**{key: row[key] for key in KEPT}, **own_tags(call.site, state, row["tags"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self._whole(new)
        self._write(call, identity, new)
        return {key: new.get(key) for key in KEPT}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        if call.site.cloud.tables.remove(TABLE, identity) is None:
            raise ApiError("ResourceNotFoundException", f"ExperimentTemplate {identity} not found")
