"""AMIs that AWS publishes for EKS, by their SSM parameters: a release has a build for the minors of its day."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.properties import Properties

FIRST_RELEASE: Final[Mapping[str, str]] = {
    "1.30": "20240523",
    "1.31": "20240926",
    "1.32": "20250123",
    "1.33": "20250529",
    "1.34": "20251002",
    "1.35": "20260128",
    "1.36": "20260610",
}
"""Kubernetes minor -> date from which releases of AL2023 have a build for it.

The day of EKS's release; of 1.36 the first release that has one, eight days later. Of 1.37 public sources show none,
seen on 2026-11-26.
Sources: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html, https://endoflife.date/amazon-eks,
https://github.com/awslabs/amazon-eks-ami/blob/main/CHANGELOG.md
"""
NEWEST: Final = "20260930"
"""Newest release that public sources show, for 1.35 and 1.36; seen on 2026-11-26."""
PATH: Final = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<minor>1\.\d+)/amazon-linux-2023/(?P<architecture>x86_64|arm64)/standard/"
    r"(?:recommended|amazon-eks-node-al2023-(?P=architecture)-standard-(?P=minor)-v(?P<date>\d{8}))/?"
)
VALUES: Final = ("image_id", "image_name", "release_version")


def parameters_by_path(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that lists parameters below a path: none found is an empty list."""
    path = str(arguments["path"])
    asked = PATH.fullmatch(path)
    names: list[str] = []
    values: list[str] = []
    if asked and has_build(asked["minor"], asked["date"] or NEWEST):
        date = asked["date"] or NEWEST
        image = f"amazon-eks-node-al2023-{asked['architecture']}-standard-{asked['minor']}-v{date}"
        identity = "ami-" + hashlib.sha256(f"{site.region}/{image}".encode()).hexdigest()[:17]
        names = [f"{path.rstrip('/')}/{value}" for value in VALUES]
        values = [identity, image, f"{asked['minor']}.2-{date}"]
    return {
        "names": names,
        "values": values,
        "types": ["String"] * len(names),
        "arns": [f"arn:aws:ssm:{site.region}::parameter{name}" for name in names],
        "path": path,
        "id": path,
    }


def has_build(minor: str, date: str) -> bool:
    """Decide if the release of this date has a build for a minor. Days on which AWS released nothing pass too."""
    return minor in FIRST_RELEASE and FIRST_RELEASE[minor] <= date <= f"{datetime.now(UTC):%Y%m%d}"
