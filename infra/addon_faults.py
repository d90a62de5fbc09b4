"""Add-on versions of public faults that this program meets: refused by the settings, found by the doctor. No Pulumi."""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class AddonFault:
    """A public fault of an add-on: what goes wrong, the first version without it, where it is told, and seen when."""

    addon: str
    fixed_in: tuple[int, int, int]
    what: str
    source: str
    seen: str

    @property
    def mended(self) -> str:
        """The first version without it, such as ``1.21.2``."""
        return ".".join(map(str, self.fixed_in))


ADDON_FAULTS: Final = (
    AddonFault(
        addon="vpc-cni",
        fixed_in=(1, 21, 2),
        what="pods that no policy selects lose all traffic on a node whose agent started before kube-proxy was ready",
        source="https://github.com/aws/aws-network-policy-agent/issues/570",
        seen="2026-11-26",
    ),
    AddonFault(
        addon="vpc-cni",
        fixed_in=(1, 23, 0),
        what="pods with policies for ingress only lose their egress when a policy is taken away",
        source="https://github.com/aws/aws-network-policy-agent/issues/591",
        seen="2026-11-26",
    ),
)
"""Add-on versions that are refused. Network policies are always on here, so each of these faults is met.

Which agent an add-on has: https://github.com/aws/amazon-vpc-cni-k8s/releases (1.23.0 has 1.4.1, which mends 591).
"""


def faults_of(addon: str, version: str) -> tuple[AddonFault, ...]:
    """Faults of an add-on's version such as ``v1.21.1-eksbuild.8``; none of a text that is no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return ()
    numbers = tuple(map(int, found.groups()))
    return tuple(fault for fault in ADDON_FAULTS if fault.addon == addon and numbers < fault.fixed_in)
