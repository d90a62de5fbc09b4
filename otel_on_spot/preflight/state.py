"""Where the stack's state and secrets lie, and whether they can be reached."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from botocore.exceptions import ClientError

from otel_on_spot.aws_errors import error_code
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.findings import Finding
from otel_on_spot.preflight.situation import Situation


def backend(root: Path) -> str:
    """URL of the backend in use: the variable, the project's own, or the one of the last login; empty where unknown.

    Source: https://www.pulumi.com/docs/iac/concepts/state-and-backends/
    """
    if os.environ.get("PULUMI_BACKEND_URL"):
        return os.environ["PULUMI_BACKEND_URL"]
    project = yaml.safe_load((root / "Pulumi.yaml").read_text())
    if told := (project.get("backend") or {}).get("url"):
        return str(told)
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return str(json.loads((home / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


@result_of
def judge(situation: Situation) -> Judging:
    """The bucket of the state and the key of its secrets are there, and let you in."""
    looked = []
    url = urlsplit(situation.backend)
    if url.scheme == "s3":
        looked.append(f"s3://{url.netloc}")
        yield from _bucket(situation, url.netloc, _region(url.query, situation.region))
    else:
        looked.append(situation.backend or "no backend is chosen: pulumi login")
    file = situation.root / f"Pulumi.{situation.recording.stack}.yaml"
    provider = urlsplit(str((yaml.safe_load(file.read_text()) or {}).get("secretsprovider") or ""))
    if provider.scheme == "awskms":
        key = f"{provider.netloc}{provider.path}"
        looked.append(f"key {key}")
        yield from _key(situation, key, _region(provider.query, situation.region))
    return len(looked), ", ".join(looked)


def _region(query: str, region: str) -> str:
    return parse_qs(query).get("region", [region])[0]


def _bucket(situation: Situation, name: str, region: str) -> Iterator[Finding]:
    try:
        situation.elsewhere("s3", region).head_bucket(Bucket=name)
    except ClientError as problem:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        seen = {404: "there is no such bucket", 403: "you may not look at it, or it is another account's"}
        if status == 301:
            seen[301] = f"it is in another region than {region}"
        if status not in seen:
            raise
        yield Finding(
            subject=f"s3://{name}",
            seen=seen[status],
            rule="the state's bucket is there, in the region of the backend's URL, and whoever deploys may list it",
            remedy=("make it first: docs/operations.md, Bootstrap", f"aws s3api get-bucket-location --bucket {name}"),
        )


def _key(situation: Situation, name: str, region: str) -> Iterator[Finding]:
    """Try an encryption dry: it needs the right that an update needs, and does nothing.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html
    """
    kms: Any = situation.elsewhere("kms", region)
    try:
        kms.encrypt(KeyId=name, Plaintext=b"preflight", DryRun=True)
    except ClientError as problem:
        if error_code(problem) == "DryRunOperationException":
            return
        yield Finding(
            subject=name,
            seen=f"{error_code(problem)}: {problem.response['Error'].get('Message', '')}",
            rule="the key of the stack's secrets is there and enabled, and whoever deploys may encrypt with it",
            remedy=(f"aws kms describe-key --key-id {name} --region {region}",),
        )
