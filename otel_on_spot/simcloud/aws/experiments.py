"""Experiment templates of AWS FIS, in a table: moto does not know FIS. No experiment runs here."""

import secrets
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Call, Kept, Seconds, all_tags
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form

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


class ExperimentTemplate(Kept):
    """A template. AWS refuses one whose action names a target that it lacks, and so do we."""

    token = "aws:fis/experimentTemplate:ExperimentTemplate"
    table = "experiment-templates"
    kept = KEPT
    missing = ("ResourceNotFoundException", "ExperimentTemplate {} not found")
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        asked = {**request("Create", inputs), "tags": all_tags(call.site, inputs), "clientToken": secrets.token_hex(8)}
        call.site.hold("fis", "CreateExperimentTemplate", asked)
        self._whole(inputs)
        identity = f"EXT{secrets.token_hex(8)}"
        self.keep(call, identity, inputs)
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

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        call.site.hold("fis", "UpdateExperimentTemplate", {**request("Update", new), "id": identity})
        self._whole(new)
        self.keep(call, identity, new)
