"""A stack's own names, out of its stack file, before the program runs; and what of it only AWS could decide."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from infra.settings.loader import parse
from infra.settings.models import Settings
from infra.settings.placeholders import placeholders
from infra.settings.problem import message
from otel_on_spot.lab import addresses
from otel_on_spot.lab.folder import LabError
from otel_on_spot.program import stack_file
from otel_on_spot.simcloud.cloud import ACCOUNT

REPOSITORY: Final = f"{addresses.GIT_URL}/otel-on-spot.git"
REVISION: Final = "v0.0.0"
"""Revision that stands for a commit: a lab's commits are its own. A rule of prod asks for a tag or a commit."""
RANGE: Final = "10.10.0.0/16"
"""Range of the VPC that a lab makes where the stack is given one."""
NOT_IN_A_LAB: Final = {
    "existing": "the lab makes a VPC of its own, in the same zones",
    "proxy": "the lab reaches nothing outside",
    "caBundle": "the lab's nodes are processes of this machine",
    "caBundleHosts": "the lab's Git server is asked without TLS",
}
"""Keys of ``network`` that a lab sets aside, and why."""
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
CREDENTIALS: Final = ("gitToken", "gitSshKey", "githubAppPrivateKey")


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's own names.

    Attributes:
        name: of the stack.
        cluster: its name.
        region: of the cluster.
        kubernetes_version: of the cluster.
        image_releases: AMI releases that it pins, as ``v20260715``.
        revision: the branch served.
        spot_role: the account has Spot's service-linked role before the program runs.
        overrides: settings that the lab puts in place of the stack file's.
        set_aside: a line for each thing that is not decided here as on AWS, and why.
    """

    name: str
    cluster: str
    region: str
    kubernetes_version: str
    image_releases: tuple[str, ...]
    revision: str
    spot_role: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()


def read(root: Path, name: str) -> Stack:
    """A stack in its own shape; what only AWS or another server can decide is set aside by name.

    Raises:
        StackFileError: there is no such stack file.
        LabError: its settings are refused.
    """
    found = stack_file.read(root, name)
    prefix = f"{found.project}:"
    raw = {key.removeprefix(prefix): value for key, value in found.values.items() if key.startswith(prefix)}
    overrides, told = _set_aside(raw)
    here = {key: value for key, value in raw.items() if key not in overrides}
    here |= {key: stack_file.text(value) for key, value in overrides.items() if value is not None}
    settings, problems = parse(here)
    if settings is None:
        raise LabError(message(f"Pulumi.{name}.yaml", problems))
    alias = settings.node_class.ami_alias.rpartition("@")[2]
    return Stack(
        name=name,
        cluster=settings.cluster.name,
        region=settings.region,
        kubernetes_version=settings.cluster.kubernetes_version,
        image_releases=() if alias == "latest" else (alias,),
        revision=settings.gitops.revision,
        spot_role=not settings.karpenter.spot_service_linked_role,
        overrides=overrides,
        set_aside=(*told, *_told_of(settings)),
    )


def _set_aside(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Settings that the lab replaces, and a line about each. None removes one."""
    overrides: dict[str, Any] = {}
    told = []
    for key in CREDENTIALS:
        if key in raw:
            overrides[key] = None
            told.append(f"{key}: the lab's Git server asks for no credentials")
    account = raw.get("accountId")
    if account is not None and account != ACCOUNT:
        overrides["accountId"] = ACCOUNT
        told.append(f"accountId ({account}): the simulated account is {ACCOUNT}")
    network, lines = _own_network(raw.get("network", ""))
    if network is not None:
        overrides["network"] = network
        told += lines
    gitops, lines = _own_git(raw.get("gitops", ""))
    if gitops is not None:
        overrides["gitops"] = gitops
    return overrides, [*told, *lines]


def _own_network(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The section ``network`` with a VPC and ways out of the lab's own, and a line about each; None where it is so."""
    try:
        section = {**json.loads(text)}
    except (ValueError, TypeError):
        return None, []  # the settings' own rules say what is wrong with it
    told = [f"network.{key}: {why}" for key, why in NOT_IN_A_LAB.items() if section.pop(key, None) is not None]
    if "cidr" not in section:
        section |= {"cidr": RANGE, "nat": "per-zone", "flowLogs": True}
    return (section if told else None), told


def _own_git(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The section ``gitops`` on the lab's Git server, and a line about each change; None where it is there already."""
    try:
        section = json.loads(text)
        given = urlsplit(section["repository"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, []  # the settings' own rules say what is wrong with it
    if f"{given.scheme}://{given.netloc}" == addresses.GIT_URL:
        return None, []
    told = [f"gitops.repository ({section['repository']}): Argo CD reads this working tree from the lab's {REPOSITORY}"]
    section = {**section, "repository": REPOSITORY}
    section.pop("githubApp", None)  # goes with its key
    revision = str(section.get("revision", ""))
    if COMMIT.fullmatch(revision):
        section["revision"] = REVISION
        told.append(f"gitops.revision ({revision}): the lab makes commits of its own; it is {REVISION} here")
    else:
        told.append(f"gitops.revision ({revision}): a branch of that name in the lab, at what is served here")
    return section, told


def _told_of(settings: Settings) -> Iterator[str]:
    """What the lab takes as it is and decides nothing about."""
    if settings.persistence.enabled:
        yield "persistence: claims, volumes and snapshots are there, and no bytes in them: no database runs here"
    if settings.environment == "lab":
        return
    endpoint = settings.cluster.endpoint
    access = "public" if endpoint.public else "private"
    yield f"cluster.endpoint ({access}): the API server listens on the lab's own loopback; who may reach it is AWS's"
    if not settings.karpenter.spot_service_linked_role:
        yield "karpenter.spotServiceLinkedRole (false): the simulated account has the role already"
    for problem in placeholders(settings):
        if not problem.key.startswith(("gitops.repository", "accountId", "cluster.endpoint")):
            yield f"{problem.key} ({problem.given}): a placeholder, taken as it is; AWS would refuse it"
    others = settings.gitops.source_repositories
    if others:
        yield f"gitops.sourceRepositories ({', '.join(others)}): not reached, their Applications stay out of sync"
