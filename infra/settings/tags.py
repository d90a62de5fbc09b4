"""Tags of the stack: what every target of them takes.

One set of tags goes onto every AWS resource of the stack and, by Karpenter, onto every instance, network interface and
volume. So each has to be what the strictest service takes. Sources:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html (characters, lengths) and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html (keys ignore case),
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions (aws:, 50 a resource),
https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html (aws: in values too),
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/apis/crds/karpenter.k8s.aws_ec2nodeclasses.yaml
(restricted keys) and pkg/apis/v1/labels.go beside it,
https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md and, for what that driver makes of its
--extra-tags, https://github.com/kubernetes/component-base/blob/v0.35.4/cli/flag/map_string_string.go (Set)
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from infra.settings.problem import Problem, rule

KEY_LENGTH: Final = 128
VALUE_LENGTH: Final = 256
TAGS_OF_A_RESOURCE: Final = 50
PUNCTUATION: Final = frozenset("_.:/=+-@")
OURS: Final = frozenset({"environment", "cluster", "managed-by", "name"})
"""The program's own keys: its exports, the doctor's searches and the pages rely on them."""
RESERVED: Final[dict[str, str]] = {
    "aws:": "AWS",
    "eks:": "EKS",
    "kubernetes.io/": "Kubernetes and EC2NodeClass",
    "k8s.io/": "Kubernetes",
    "karpenter.sh/": "Karpenter",
    "karpenter.k8s.aws/": "Karpenter",
    "ebs.csi.aws.com/": "the EBS CSI driver",
    "otel-on-spot/": "this program",
}
"""Beginnings of keys (in lower case) that are refused, or by which somebody finds what is theirs -> whose they are."""
RESERVED_DOMAINS: Final[dict[str, str]] = {
    "k8s.aws": "AWS's controllers for Kubernetes (the VPC CNI, load balancers)",
    "k8s.amazonaws.com": "the VPC CNI",
}
"""Domains before the slash, with all below them -> whose they are.

Sources: https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.21.1/pkg/awsutils/awsutils.go (node.k8s.amazonaws.com,
cluster.k8s.amazonaws.com: network interfaces that nobody uses are found by these, and deleted),
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/ (elbv2, ingress,
service, gateway)
"""
RESERVED_WHOLE: Final[dict[str, str]] = {"csivolumename": "the EBS CSI driver", "kubernetescluster": "Kubernetes"}
"""Whole keys of the same sort."""
ADDED_ELSEWHERE: Final = (
    *("karpenter.sh/nodepool", "karpenter.sh/nodeclaim", "karpenter.k8s.aws/ec2nodeclass", "eks:eks-cluster-name"),
    *("kubernetes.io/cluster/<cluster>", "ebs.csi.aws.com/cluster-name", "otel-on-spot/drill"),
)
"""What an instance of Karpenter's carries beside the stack's tags and the program's own."""
AT_MOST: Final = TAGS_OF_A_RESOURCE - len(OURS) - len(ADDED_ELSEWHERE)


@rule
def tags_are_taken(tags: Mapping[str, str]) -> Iterator[Problem]:
    """What some target of the stack's tags refuses, or what relies on a tag would miss."""
    if len(tags) > AT_MOST:
        yield Problem(
            "tags",
            f"{len(tags)} tags",
            f"at most {AT_MOST}: a resource has {TAGS_OF_A_RESOURCE}, of which the program, Karpenter and EKS need "
            f"{TAGS_OF_A_RESOURCE - AT_MOST}",
            "remove some",
        )
    by_lower: dict[str, list[str]] = {}
    for key, value in tags.items():
        by_lower.setdefault(key.casefold(), []).append(key)
        if rule := _refused(key):
            yield Problem("tags", key or "an empty key", *rule)
        elif rule := _value_refused(value):
            yield Problem(f"tags.{key}", value, *rule)
    for same in by_lower.values():
        if len(same) > 1:
            yield Problem(
                "tags", ", ".join(same), "IAM's tag keys ignore case: one of them is refused", "keep one spelling"
            )


def _refused(key: str) -> tuple[str, str] | None:
    """(rule, what to do) for a key that is refused."""
    lower = key.casefold()
    owner = RESERVED_WHOLE.get(lower) or next(
        (whose for prefix, whose in RESERVED.items() if lower.startswith(prefix)), None
    )
    domain = lower.partition("/")[0] if "/" in lower else ""
    owner = owner or next(
        (whose for name, whose in RESERVED_DOMAINS.items() if domain == name or domain.endswith(f".{name}")), None
    )
    if not key or len(key) > KEY_LENGTH:
        return f"a tag key has 1 to {KEY_LENGTH} characters", "shorten it"
    if bad := _foreign(key):
        return f"{_CHARACTERS}, not {bad}", "use others"
    if key != key.strip():
        return "a tag key has no space around it", "remove the space"
    if "=" in key:
        return "the EBS CSI driver takes key=value: its volumes would have the part before the first =", "use : or -"
    if lower in OURS:
        return "the program sets this tag itself, and its selectors and pages rely on it", "use a key of your own"
    if owner:
        return f"this key belongs to {owner}", "use a key of your own"
    return None


def _value_refused(value: str) -> tuple[str, str] | None:
    if len(value) > VALUE_LENGTH:
        return f"a tag value has at most {VALUE_LENGTH} characters", "shorten it"
    if bad := _foreign(value):
        return f"{_CHARACTERS}, not {bad}", "use others"
    if value != value.strip():
        return "the EBS CSI driver takes space around a value off: its volumes would have another tag", "remove it"
    if value.casefold().startswith("aws:"):
        return "EKS takes no value that begins with aws:", "use another value"
    return None


_CHARACTERS: Final = "a tag has letters, digits, spaces and " + " ".join(sorted(PUNCTUATION))


def _foreign(text: str) -> str:
    """The characters that IAM refuses: all but letters, separators, numbers and some punctuation."""
    bad = dict.fromkeys(c for c in text if c not in PUNCTUATION and unicodedata.category(c)[0] not in "LZN")
    return " ".join(repr(c) for c in bad)
