"""Arithmetic of Spot: how long a drought lasts, whether two minutes are enough, what one interruption takes.

Pure: counts in, figures out. The plan feeds it what is declared, the doctor what runs.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

WARNING_SECONDS: Final = 120
"""From EC2's warning to the end of a Spot instance.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""
BOOT_SECONDS: Final = 40
"""From a launch to a Ready node on AWS: 41 s measured for r6g.12xlarge, 45 s at the 1,000 nodes of kube.fm 2026-02-17.

Source: https://github.com/aws-samples/sample-multi-tenancy-openclaw (cold-start analysis, 2026-03)
"""
TYPES_PER_ROUND: Final = 60
"""Instance types that Karpenter asks EC2 for at once: maxInstanceTypes.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/instance/instance.go
"""
ROUND_SECONDS: Final = 10
"""Until Karpenter looks at a pending pod again.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/provisioning/controller.go
"""
BATCH_SECONDS: Final = 1
"""Until Karpenter begins with new pending pods (batchIdleDuration)."""
DEFAULT_GRACE_SECONDS: Final = 30
"""A pod's terminationGracePeriodSeconds where it says nothing."""


def rounds(types: int) -> int:
    """Rounds of refusals, at least, until Karpenter knows that none of so many instance types is to be had."""
    return math.ceil(types / TYPES_PER_ROUND)


def most_rounds(sizes: Iterable[Hashable]) -> int:
    """Rounds of refusals, at most, until Karpenter knows that none of these instance types is to be had.

    It asks for those types alone that hold every pod of a NodeClaim, and fills one before it opens the next. So a round
    of many pods asks for the largest size that is left; smaller ones, which the same pods take more nodes of, wait for
    the next round. ``sizes``: what each type holds, one entry a type; types that hold the same are asked for together.

    Source: filterInstanceTypesByRequirements and add of
    https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/provisioning/scheduling
    """
    return sum(map(rounds, Counter(sizes).values()))


def fallback_seconds(refused: int) -> int:
    """Seconds from a pending pod to the next pool's launch, so many rounds refused before; a boot follows."""
    return BATCH_SECONDS + ROUND_SECONDS * refused


def evictable(replicas: int, *, max_unavailable: str = "", min_available: str = "") -> int:
    """Pods of a healthy workload that a budget lets go at once; all of them where it says nothing.

    Percentages are rounded up, as Kubernetes does.
    """

    def count(text: str) -> int:
        return math.ceil(replicas * int(text[:-1]) / 100) if text.endswith("%") else int(text)

    if max_unavailable:
        return min(replicas, count(max_unavailable))
    if min_available:
        return max(0, replicas - count(min_available))
    return replicas


@dataclass(frozen=True, kw_only=True)
class Drain:
    """The drain of one warned node, for one workload.

    ``pods``: of it on that node. ``at_once``: how many its budget lets go at a time; the next go when new ones are
    Ready, which takes a boot where there is no room. preStop runs within the grace period, so their sum is the most
    that it can take.
    """

    pods: int
    at_once: int
    pre_stop_seconds: int = 0
    grace_seconds: int = DEFAULT_GRACE_SECONDS
    boot_seconds: int = BOOT_SECONDS

    @property
    def steps(self) -> int | None:
        """Evictions one after the other; None where the budget never allows one."""
        return math.ceil(self.pods / self.at_once) if self.at_once > 0 else None

    @property
    def seconds(self) -> float:
        """Budget steps x boot + preStop + grace."""
        steps = math.inf if self.steps is None else self.steps
        return steps * self.boot_seconds + self.pre_stop_seconds + self.grace_seconds

    @property
    def fits(self) -> bool:
        """True where it is over before the instance is."""
        return self.seconds <= WARNING_SECONDS

    @property
    def arithmetic(self) -> str:
        """``3 steps x 40 s boot + 0 s preStop + 30 s grace = 150 s``."""
        if self.steps is None:
            return "its budget never lets a pod go"
        steps = f"{self.steps} step{'s' if self.steps != 1 else ''}"
        return (
            f"{steps} x {self.boot_seconds} s boot + {self.pre_stop_seconds} s preStop + {self.grace_seconds} s grace "
            f"= {self.seconds:.0f} s"
        )

    @property
    def remedy(self) -> str:
        """What to change so that it fits; empty where it does."""
        if self.fits:
            return ""
        left = WARNING_SECONDS - self.pre_stop_seconds - self.grace_seconds
        steps = left // self.boot_seconds
        if steps < 1:
            return (
                f"shorten preStop and terminationGracePeriodSeconds to {WARNING_SECONDS - self.boot_seconds} s together"
            )
        return (
            f"let the budget's maxUnavailable be at least {math.ceil(self.pods / steps)}, or keep replicas apart "
            f"(required anti-affinity by kubernetes.io/hostname): at most {steps} step{'s' if steps != 1 else ''} fit"
        )


@dataclass(frozen=True, kw_only=True)
class Share:
    """The place that has most of some pods."""

    place: str
    pods: int
    of: int

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * self.pods // self.of if self.of else 0


def greatest_share(places: Iterable[str]) -> Share:
    """The place that comes up most often, one entry for each pod."""
    counts = Counter(places)
    place, pods = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return Share(place=place, pods=pods, of=counts.total())
