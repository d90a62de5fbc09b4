"""A stack's own names, out of its stack file, before the program runs."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from infra.settings.loader import parse
from infra.settings.problem import message
from otel_on_spot.lab import addresses
from otel_on_spot.lab.folder import LabError
from otel_on_spot.program import stack_file


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's own names.

    ``image_releases``: AMI releases that it pins, as ``v20260715``. ``revision``: the branch served.
    """

    name: str
    cluster: str
    region: str
    kubernetes_version: str
    image_releases: tuple[str, ...]
    revision: str


def read(root: Path, name: str) -> Stack:
    """A stack that the lab can run.

    Raises:
        StackFileError: there is no such stack file.
        LabError: its settings are refused, or Argo CD would look for another Git server than the lab's.
    """
    found = stack_file.read(root, name)
    prefix = f"{found.project}:"
    raw = {key.removeprefix(prefix): value for key, value in found.values.items() if key.startswith(prefix)}
    settings, problems = parse(raw)
    if settings is None:
        raise LabError(message(f"Pulumi.{name}.yaml", problems))
    given = urlsplit(settings.gitops.repository)
    if f"{given.scheme}://{given.netloc}" != addresses.GIT_URL:
        raise LabError(
            f"Pulumi.{name}.yaml: gitops.repository is {settings.gitops.repository}; "
            f"a lab reaches no other Git server than its own, {addresses.GIT_URL}. "
            "Use the stack lab, or copy Pulumi.lab.yaml"
        )
    alias = settings.node_class.ami_alias.rpartition("@")[2]
    return Stack(
        name=name,
        cluster=settings.cluster.name,
        region=settings.region,
        kubernetes_version=settings.cluster.kubernetes_version,
        image_releases=() if alias == "latest" else (alias,),
        revision=settings.gitops.revision,
    )
