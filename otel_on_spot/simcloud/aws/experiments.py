"""Experiment templates of AWS FIS, in a table: moto does not know FIS. No experiment runs here."""

import secrets
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, all_tags, own_tags
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form

TABLE = "experiment-templates"
KEPT = ("description", "roleArn", "stopConditions", "targets", "actions")


def _by_key(rows: Any) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in rows or []}


def request(operation: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A template as CreateExperimentTemplate or UpdateExperimentTemplate takes it: lists of named blocks become maps.

    Source: https://docs.aws.amazon.com/fis/latest/APIReference/API_CreateExperimentTemplate.html
    """
    told = {key: value for key, value in inputs.items() if key in KEPT and value is not None}
    if "targets" in told:
        told["targets"] = {
            target["name"]: {
                **{key: value for key, value in target.items() if key not in ("name", "resourceTags", "parameters")},
                **({"resourceTags": _by_key(target["resourceTags"])} if target.get("resourceTags") else {}),
                **({"parameters": target["parameters"]} if target.get("parameters") else {}),
            }
            for target in told["targets"]
        }
    told["actions"] = {
        action["name"]: {
            **{key: value for key, value in action.items() if key not in ("name", "parameters", "target")},
            **({"parameters": _by_key(action["parameters"])} if action.get("parameters") else {}),
            **({"targets": _by_key([action["target"]])} if action.get("target") else {}),
        }
        for action in told["actions"]
    }
    return in_aws_form("fis", f"{operation}ExperimentTemplateRequest", told)


class ExperimentTemplate(Handler):
    """A template. AWS refuses one whose action names a target that it lacks, and so do we."""

    token = "aws:fis/experimentTemplate:ExperimentTemplate"
    taggable = True
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        asked = {**request("Create", inputs), "tags": all_tags(call.site, inputs), "clientToken": secrets.token_hex(8)}
        call.site.hold("fis", "CreateExperimentTemplate", asked)
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
        call.site.hold("fis", "UpdateExperimentTemplate", {**request("Update", new), "id": identity})
        self._whole(new)
        self._write(call, identity, new)
        return {key: new.get(key) for key in KEPT}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        if call.site.cloud.tables.remove(TABLE, identity) is None:
            raise ApiError("ResourceNotFoundException", f"ExperimentTemplate {identity} not found")
