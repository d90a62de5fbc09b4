"""EC2 launch templates."""

import re
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.aws.ec2 import Ec2Handler
from otel_on_spot.simcloud.handler import Call, Seconds, Site, tag_list
from otel_on_spot.simcloud.properties import Properties, changes, declared
from otel_on_spot.simcloud.service_model import in_aws_form

NO_DATA = ("name", "description", "tags", "updateDefaultVersion", "region")
"""Inputs that say nothing of what is launched."""


def template_data(inputs: Properties) -> dict[str, Any]:
    """LaunchTemplateData of the inputs: what EC2 does not know keeps its name, and is refused by it."""
    data = {key: value for key, value in declared(inputs).items() if key not in NO_DATA}
    for mapping in data.get("tagSpecifications") or []:
        listed = tag_list(mapping.get("tags") or {})
        specifications = data.setdefault("TagSpecifications", [])
        specifications.append({"ResourceType": mapping["resourceType"], "Tags": listed})
    data.pop("tagSpecifications", None)
    return in_aws_form("ec2", "RequestLaunchTemplateData", data)


NO_VERSION = ("tags", "updateDefaultVersion")
"""Inputs that are not in a version.

Source: ``updateKeys`` in
https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/ec2_launch_template.go
"""


TAGGED: Final = ("instance", "volume", "network-interface", "spot-instances-request", "fleet", "elastic-gpu")
"""What a template may tag.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateTagSpecificationRequest.html
"""
NAME: Final = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html"""
HOPS: Final = range(1, 65)
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateInstanceMetadataOptionsRequest.html"""


def _refuse(inputs: Properties) -> None:
    """Refuse names, tagged things and hops that EC2 refuses, beyond its model; moto takes any."""
    told = "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the "
    rule = f"{told}following characters: - ( ) . / _."
    refuse((not NAME.fullmatch(inputs["name"]), rule), code="InvalidLaunchTemplateName.MalformedException")
    hops = (inputs.get("metadataOptions") or {}).get("httpPutResponseHopLimit")
    refuse(
        *(
            (kind not in TAGGED, f"'{kind}' is not a valid taggable resource type for this operation.")
            for kind in (row["resourceType"] for row in inputs.get("tagSpecifications") or ())
        ),
        (hops is not None and int(hops) not in HOPS, f"HttpPutResponseHopLimit {hops} is not 1 to {HOPS[-1]}"),
        code="InvalidParameterValue",
    )


class LaunchTemplate(Ec2Handler):
    """A launch template: every change of what it launches is a new version."""

    token = "aws:ec2/launchTemplate:LaunchTemplate"
    kind, noun, key = "launch-template", "LaunchTemplate", "LaunchTemplateId"
    seconds = Seconds(2, 2, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        _refuse(inputs)
        made = call.site.client("ec2").create_launch_template(
            LaunchTemplateName=inputs["name"],
            LaunchTemplateData=template_data(inputs),
            **({"VersionDescription": inputs["description"]} if inputs.get("description") else {}),
            TagSpecifications=self.specification(call, inputs),
        )["LaunchTemplate"]
        identity = made["LaunchTemplateId"]
        return identity, {"arn": self.arn(call.site, identity), "latestVersion": 1, "defaultVersion": 1}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        row = self.described(call, identity)
        versions = {"latestVersion": row["LatestVersionNumber"], "defaultVersion": row["DefaultVersionNumber"]}
        return {**super().read(call, identity, state), **versions}

    @override
    def preview(self, state: Properties, new: Properties, site: Site) -> Properties:
        outputs = super().preview(state, new, site)
        if state and any(True for path, _ in changes(state, {}, new) if not path.startswith("tags.")):
            outputs["latestVersion"] = outputs["defaultVersion"] = UNKNOWN
        return outputs

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        ec2 = call.site.client("ec2")
        latest, default = int(state.get("latestVersion") or 1), int(state.get("defaultVersion") or 1)
        if any(path.partition(".")[0] not in NO_VERSION for path, _ in changes(state, old, new)):
            _refuse(new)
            made = ec2.create_launch_template_version(LaunchTemplateId=identity, LaunchTemplateData=template_data(new))
            latest = int(made["LaunchTemplateVersion"]["VersionNumber"])
        if new.get("updateDefaultVersion"):
            ec2.modify_launch_template(LaunchTemplateId=identity, DefaultVersion=str(latest))
            default = latest
        super().update(call, identity, state, old, new)
        return {"latestVersion": latest, "defaultVersion": default}
