"""Where a release's chart lies: the two ways in which Helm names it. No resource here."""

from typing import TypedDict

from pulumi_kubernetes.helm.v3 import RepositoryOptsArgs


class Source(TypedDict, total=False):
    """Arguments of a release that say where its chart lies."""

    chart: str
    repository_opts: RepositoryOptsArgs


def source(repository: str, chart: str) -> Source:
    """A chart of a repository: in a registry its whole reference, in a Helm repository its name and the URL.

    Source: https://www.pulumi.com/registry/packages/kubernetes/api-docs/helm/v3/release/
    """
    if repository.startswith("oci://"):
        return {"chart": f"{repository}/{chart}"}
    return {"chart": chart, "repository_opts": RepositoryOptsArgs(repo=repository)}
