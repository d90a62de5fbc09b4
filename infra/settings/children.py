"""Rules for the children of the app-of-apps: what Argo CD, or the AppProject, would refuse after the deployment."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from infra import demo_chart, names
from infra.settings import placement
from infra.settings.models import Application, GitOps
from infra.settings.problem import Problem

BUILT_IN: Final[Mapping[str, str]] = {"cluster-base": "cluster-base", "otel-demo": names.DEMO_NAMESPACE}
"""Child of gitops/apps/values.yaml -> its namespace; a test compares them."""
LABELLED: Final = frozenset({"otel-demo"})
"""Built-in children whose namespace carries Pod Security levels; the same test compares them."""
IMAGE_REGISTRIES: Final = frozenset({"docker.io", "ghcr.io", "quay.io", "registry.k8s.io"})
"""Registries of the demo's images; a test compares them with the images."""
EXACT_VERSION: Final = re.compile(r"^v?\d+\.\d+\.\d+([.+-][\w.+-]+)?$")
PINNED_REVISION: Final = re.compile(r"^(v\d+\.\d+\.\d+([.-][\w.]+)?|[0-9a-f]{40})$")


def problems(environment: str, gitops: GitOps) -> Iterator[Problem]:
    """Everything wrong with the children of a stack file."""
    for name, child in gitops.applications.items():
        key = f"gitops.applications.{name}"
        yield from _source(key, name, child, gitops)
        yield from _destination(key, name, child, gitops)
        for index, ignored in enumerate(child.ignore_differences):
            if not (ignored.json_pointers or ignored.jq_path_expressions or ignored.managed_fields_managers):
                yield Problem(
                    f"{key}.ignoreDifferences[{index}]",
                    f"{ignored.kind} without a field",
                    "what is ignored is named",
                    "list jsonPointers, jqPathExpressions or managedFieldsManagers",
                )
        if environment == "prod" and child.target_revision is not None:
            pinned = EXACT_VERSION if child.chart else PINNED_REVISION
            if not pinned.fullmatch(child.target_revision):
                yield Problem(
                    f"{key}.targetRevision",
                    child.target_revision,
                    "prod pins what it deploys: a branch or a range moves",
                    "use a chart's exact version, a tag such as v1.2.3, or a full commit",
                )


def demo_chart_problems(gitops: GitOps) -> Iterator[Problem]:
    """A version of the demo chart without values for it, and a variant of it that is not in Git."""
    if placement.demo_is_off(gitops):
        return
    demo = gitops.applications.get(demo_chart.CHILD)
    if demo is not None and demo.variant is not None:
        yield Problem(
            f"gitops.applications.{demo_chart.CHILD}.variant",
            demo.variant,
            f"it belongs to the demo chart's version, which is in Git ({demo_chart.WRAPPER}/Chart.yaml)",
            f"write it into {demo_chart.APPS}, in the same commit",
        )
    if found := demo_chart.problem():
        rule, remedy = found
        yield Problem("gitops.repository", gitops.repository, rule, remedy)


def image_problems(gitops: GitOps) -> Iterator[Problem]:
    """Mirrors of registries that no image comes from."""
    for registry in gitops.image_registries:
        if registry not in IMAGE_REGISTRIES:
            yield Problem(
                f"gitops.imageRegistries.{registry}",
                registry,
                f"images of the demo come from {', '.join(sorted(IMAGE_REGISTRIES))}",
                "write the registry that a mirror is of",
            )


def normalized(url: str) -> str:
    """A repository's address as Argo CD compares it.

    Source: NormalizeGitURL of https://github.com/argoproj/argo-cd/blob/v3.4.6/util/git/git.go
    """
    return url.strip().lower().removesuffix(".git").removeprefix("ssh://")


def _source(key: str, name: str, child: Application, gitops: GitOps) -> Iterator[Problem]:
    if child.path and child.chart:
        yield Problem(f"{key}.chart", child.chart, "a child has a path or a chart, not both", "remove one of them")
    if name in BUILT_IN and child.chart:
        yield Problem(
            f"{key}.chart",
            child.chart,
            f"{name} is built in, and has a path",
            "disable it, and add a child of another name",
        )
    if name not in BUILT_IN and not (child.path or child.chart):
        yield Problem(
            f"{key}.path",
            "nothing",
            f"{name} is not built in ({', '.join(BUILT_IN)}): an added child says what it deploys",
            "give path, or repoURL with chart and targetRevision",
        )
    elsewhere = child.repo_url is not None and child.repo_url != gitops.repository
    if child.chart and not elsewhere:
        yield Problem(
            f"{key}.repoURL",
            child.repo_url or "nothing",
            "a chart comes from a Helm repository, not from the root's Git repository",
            "give repoURL, and list it in gitops.sourceRepositories",
        )
    if (child.chart or elsewhere) and child.target_revision is None:
        yield Problem(
            f"{key}.targetRevision",
            "nothing",
            "the root's commit is one of its own repository: a child from another one has a revision of its own",
            "give the chart's version, or a tag, branch or commit of that repository",
        )
    admitted = map(normalized, (gitops.repository, *gitops.source_repositories))
    if elsewhere and normalized(str(child.repo_url)) not in admitted:
        yield Problem(
            f"{key}.repoURL",
            str(child.repo_url),
            "the AppProject admits gitops.repository and gitops.sourceRepositories only",
            "add it to gitops.sourceRepositories",
        )


def _destination(key: str, name: str, child: Application, gitops: GitOps) -> Iterator[Problem]:
    namespace = child.namespace or BUILT_IN.get(name)
    if namespace is None:
        yield Problem(f"{key}.namespace", "nothing", "an added child says where it deploys", "give namespace")
    elif namespace not in {names.ARGOCD_NAMESPACE, *BUILT_IN.values(), *gitops.namespaces}:
        yield Problem(
            f"{key}.namespace",
            namespace,
            "the AppProject admits the built-in namespaces and gitops.namespaces only",
            "add it to gitops.namespaces",
        )
    made = child.create_namespace if "create_namespace" in child.model_fields_set else name in BUILT_IN
    if (child.pod_security or child.namespace_labels or name in LABELLED) and not made:
        yield Problem(
            f"{key}.createNamespace",
            "false",
            "Argo CD puts labels and the levels of podSecurity only on a namespace that it makes",
            "set createNamespace: true",
        )
