"""Rules about Argo CD, its project and the root Application."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from policy.stack import Resource, each
from policy.values import NO, at, is_one_of, is_set, items, leaves, may, may_be, may_be_set, may_hold, surely

PROJECT, APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:argoproj.io/v1alpha1:Application"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
PINNED_REVISION: Final = re.compile(r"v\d+\.\d+\.\d+([.-][\w.]+)?|[0-9a-f]{40}")
PINNED_CHART: Final = re.compile(r"v?\d+\.\d+\.\d+([-+][\w.+-]+)?")
SUSPENSION: Final = "/spec/syncPolicy/automated"
CASCADE: Final = "resources-finalizer.argocd.argoproj.io"
BOUNDS: Final = (
    "sourceRepos",
    "sourceNamespaces",
    "destinations",
    "clusterResourceWhitelist",
    "namespaceResourceWhitelist",
)


def _admits_all(entry: Any) -> bool:
    return isinstance(entry, str) and "*" in entry and not entry.startswith("!")


@each(APPLICATION, PROJECT)
def project_is_bounded(resource: Resource) -> Iterator[str]:
    """Applications use a project of their own, in which nothing is a star."""
    if resource.type == APPLICATION and is_one_of(resource.at("spec", "project"), None, "", "default"):
        yield "in project default"
    for key in BOUNDS if resource.type == PROJECT else ():
        for entry in items(resource.at("spec", key)):
            if any(surely(leaf, _admits_all) for leaf in leaves(entry)):
                yield f"{key} has {entry}"


def _ignores_suspension(application: Resource) -> bool:
    options = application.at("spec", "syncPolicy", "syncOptions")
    return may_hold(options, "RespectIgnoreDifferences=true") and any(
        may_be(at(difference, "kind"), "Application")
        and may_be(at(difference, "group"), "argoproj.io")
        and may_hold(at(difference, "jsonPointers"), SUSPENSION)
        for difference in items(application.at("spec", "ignoreDifferences"))
    )


@each(APPLICATION)
def root_respects_suspension(application: Resource) -> Iterator[str]:
    """A self-healing root leaves its children's ``automated`` alone."""
    if is_set(application.at("spec", "syncPolicy", "automated", "selfHeal")) and not _ignores_suspension(application):
        yield "puts back a child's suspended sync within a second"


@each(APPLICATION)
def root_cascades(application: Resource) -> Iterator[str]:
    """Every Application has the cascading finalizer."""
    if not may_hold(application.at("metadata", "finalizers"), CASCADE):
        yield "leaves behind what it deployed"


@each(PROJECT)
def project_leaves_sync_windows(project: Resource) -> Iterator[str]:
    """Pulumi declares no sync windows: they belong to whoever holds the lease."""
    if surely(project.declared_at("spec", "syncWindows"), lambda windows: windows is not None):
        yield "declares sync windows"


def _is_argocd(release: Resource) -> bool:
    return is_one_of(release.at("chart"), "argo-cd")


@each(RELEASE)
def waves_wait(release: Resource) -> Iterator[str]:
    """The health of a child Application is defined."""
    check = release.at("values", "configs", "cm", "resource.customizations.health.argoproj.io_Application")
    if _is_argocd(release) and not may(check, lambda text: "obj.status.health" in str(text)):
        yield "no health check for Applications"


@each(RELEASE)
def argocd_is_closed(release: Resource) -> Iterator[str]:
    """Insecure switches are off, in so many words."""
    switches = (("params", "server.insecure"), ("cm", "exec.enabled"), ("cm", "users.anonymous.enabled"))
    for section, key in switches if _is_argocd(release) else ():
        if not may_be(release.at("values", "configs", section, key), *NO):
            yield f"{key} is not false"


@each(RELEASE)
def argocd_admin_is_disabled(release: Resource) -> Iterator[str]:
    """No local admin."""
    if _is_argocd(release) and not may_be(release.at("values", "configs", "cm", "admin.enabled"), *NO):
        yield "the local admin is enabled"


def _is_whole(pattern: re.Pattern[str], text: Any) -> bool:
    return pattern.fullmatch(str(text)) is not None


@each(RELEASE)
def charts_are_pinned(release: Resource) -> Iterator[str]:
    """Every release names an exact version: the program does, for the provider fills in the newest."""
    version = release.declared_at("version")
    if not may(version, partial(_is_whole, PINNED_CHART)):
        yield f"version {version or 'left open'}"


@each(APPLICATION)
def revision_is_pinned(application: Resource) -> Iterator[str]:
    """Every Application deploys a tag, a commit or an exact chart version."""
    for source in items(application.at("spec", "source")) + items(application.at("spec", "sources")):
        pinned = PINNED_CHART if may_be_set(at(source, "chart")) else PINNED_REVISION
        revision = at(source, "targetRevision")
        if not may(revision, partial(_is_whole, pinned)):
            yield f"follows {revision or 'HEAD'}"
