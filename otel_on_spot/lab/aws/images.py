"""The EKS images of the lab, as moto reads them at its start, and the SSM parameters that lead to them."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OWNER = "602401143452"
"""Account that owns EKS images in most regions. Source: https://docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html"""
VARIANTS = {"x86_64": ("standard", "nvidia", "neuron"), "arm64": ("standard", "nvidia")}
"""Parameters that Karpenter asks for. Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/amifamily/al2023.go"""
RELEASES = ("v20260601", "v20260901")
"""Releases that the lab knows beside those that a stack pins. They stand for real ones; their dates are ours."""
PARAMETER = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<kubernetes>\d+\.\d+)/amazon-linux-2023"
    r"/(?P<architecture>x86_64|arm64)/(?P<variant>[a-z]+)/(?P<image>[^/]+)/image_id"
)
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html"""


def image_name(architecture: str, variant: str, kubernetes_version: str, release: str) -> str:
    """Name of an image, as in ``amazon-eks-node-al2023-x86_64-standard-1.35-v20260901``.

    Args:
        architecture: ``x86_64`` or ``arm64``.
        variant: such as ``standard`` or ``nvidia``.
        kubernetes_version: its minor, such as ``1.35``.
        release: ``vYYYYMMDD``.
    """
    return f"amazon-eks-node-al2023-{architecture}-{variant}-{kubernetes_version}-{release}"


def image(architecture: str, variant: str, kubernetes_version: str, release: str) -> dict[str, Any]:
    """One image in the form of moto's ``MOTO_AMIS_PATH``.

    Args:
        architecture: ``x86_64`` or ``arm64``.
        variant: such as ``standard`` or ``nvidia``.
        kubernetes_version: its minor, such as ``1.35``.
        release: ``vYYYYMMDD``, which is its day of creation.

    Raises:
        ValueError: the release is not of that form.
    """
    if not re.fullmatch(r"v\d{8}", release):
        raise ValueError(
            f"AMI release {release!r}: EKS writes a v and eight digits, as in v20260901; give one like that"
        )
    name = image_name(architecture, variant, kubernetes_version, release)
    return {
        "ami_id": f"ami-{hashlib.sha256(name.encode()).hexdigest()[:17]}",
        "name": name,
        "description": f"EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: {kubernetes_version})",
        "owner_id": OWNER,
        "public": True,
        "virtualization_type": "hvm",
        "architecture": architecture,
        "creation_date": f"{release[1:5]}-{release[5:7]}-{release[7:9]}T00:00:00.000Z",
        "image_type": "machine",
        "image_location": f"amazon/{name}",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/xvda",
        "sriov": "simple",
    }


def images(kubernetes_versions: Iterable[str], releases: Iterable[str]) -> list[dict[str, Any]]:
    """Every image of these Kubernetes versions and releases."""
    return [
        image(architecture, variant, kubernetes, release)
        for kubernetes in sorted(set(kubernetes_versions))
        for release in sorted(set(releases))
        for architecture, variants in VARIANTS.items()
        for variant in variants
    ]


def write_images(file: Path, kubernetes_versions: Iterable[str], releases: Iterable[str] = ()) -> None:
    """Write the images for moto to read.

    ``kubernetes_versions``: minor versions, such as ``1.35``. ``releases``: what the stack pins (``v20260715`` of the
    alias ``al2023@v20260715``), beside the lab's own.
    """
    file.write_text(json.dumps(images(kubernetes_versions, (*RELEASES, *releases)), indent=1))


def parameter_value(name: str, known: Iterable[Any]) -> str | None:
    """Image id that an SSM parameter of EKS leads to; None where there is no such parameter.

    ``recommended`` is the newest image; any other name is that image's own. ``known``: moto's images, with ``id``,
    ``name`` and ``creation_date``.
    """
    asked = PARAMETER.fullmatch(name)
    if asked is None:
        return None
    family = image_name(asked["architecture"], asked["variant"], asked["kubernetes"], "")
    found = [image for image in known if image.name and image.name.startswith(family)]
    if asked["image"] != "recommended":
        found = [image for image in found if image.name == asked["image"]]
    return max(found, key=lambda image: image.creation_date).id if found else None
