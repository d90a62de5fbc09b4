"""Rules about Argo CD, its project and the root Application."""

import re
from collections.abc import Iterator
from typing import Any, Final

from policy.resource import Resource, Stack

PROJECT, APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:argoproj.io/v1alpha1:Application"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
PINNED_REVISION: Final = re.compile(r"^(v\d+\.\d+\.\d+([.-][\w.]+)?|[0-9a-f]{40})$")
SUSPENSION: Final = "/spec/syncPolicy/automated"


def project_is_bounded(stack: Stack) -> Iterator[str]:
    """Applications use a project of their own, in which nothing is a star."""
    for application in stack.of(APPLICATION):
        if application.at("spec", "project") in (None, "", "default"):
            yield f"{application.name}: in project default"
    for project in stack.of(PROJECT):
        for key in ("sourceRepos", "destinations", "clusterResourceWhitelist"):
            for entry in project.at("spec", key) or []:
                if "*" in str(entry):
                    yield f"{project.name}: {key} has {entry}"


def _ignores_suspension(application: Resource) -> bool:
    ignored = application.at("spec", "ignoreDifferences") or []
    options = application.at("spec", "syncPolicy", "syncOptions") or []
    return "RespectIgnoreDifferences=true" in options and any(
        i.get("kind") == "Application"
        and i.get("group") == "argoproj.io"
        and SUSPENSION in (i.get("jsonPointers") or [])
        for i in ignored
    )


def root_respects_suspension(stack: Stack) -> Iterator[str]:
    """A self-healing root leaves its children's ``automated`` alone."""
    for application in stack.of(APPLICATION):
        if application.at("spec", "syncPolicy", "automated", "selfHeal") and not _ignores_suspension(application):
            yield f"{application.name}: puts back a child's suspended sync within a second"


def root_cascades(stack: Stack) -> Iterator[str]:
    """Every Application has the cascading finalizer."""
    for application in stack.of(APPLICATION):
        if "resources-finalizer.argocd.argoproj.io" not in (application.at("metadata", "finalizers") or []):
            yield f"{application.name}: leaves behind what it deployed"


def project_leaves_sync_windows(stack: Stack) -> Iterator[str]:
    """Pulumi declares no sync windows: they belong to whoever holds the lease."""
    for project in stack.of(PROJECT):
        if project.at("spec", "syncWindows") is not None:
            yield f"{project.name}: declares sync windows"


def _argocd(stack: Stack) -> Iterator[Resource]:
    return (r for r in stack.of(RELEASE) if r.at("chart") == "argo-cd")


def waves_wait(stack: Stack) -> Iterator[str]:
    """The health of a child Application is defined."""
    for release in _argocd(stack):
        if "obj.status.health" not in str(
            release.at("values", "configs", "cm", "resource.customizations.health.argoproj.io_Application")
        ):
            yield f"{release.name}: no health check for Applications"


def argocd_is_closed(stack: Stack) -> Iterator[str]:
    """Insecure switches are off, in so many words."""
    wanted: dict[tuple[str, str], Any] = {
        ("params", "server.insecure"): False,
        ("cm", "exec.enabled"): False,
        ("cm", "users.anonymous.enabled"): False,
    }
    for release in _argocd(stack):
        for (section, key), value in wanted.items():
            if release.at("values", "configs", section, key) is not value:
                yield f"{release.name}: {key} is not {value}"


def argocd_admin_is_disabled(stack: Stack) -> Iterator[str]:
    """No local admin."""
    for release in _argocd(stack):
        if release.at("values", "configs", "cm", "admin.enabled") is not False:
            yield f"{release.name}: the local admin is enabled"


def charts_are_pinned(stack: Stack) -> Iterator[str]:
    """Every release names an exact version."""
    for release in stack.of(RELEASE):
        if not re.fullmatch(r"\d+\.\d+\.\d+", str(release.at("version"))):
            yield f"{release.name}: version {release.at('version')}"


def revision_is_pinned(stack: Stack) -> Iterator[str]:
    """Every Application deploys a tag or a commit."""
    for application in stack.of(APPLICATION):
        revision = str(application.at("spec", "source", "targetRevision"))
        if not PINNED_REVISION.fullmatch(revision):
            yield f"{application.name}: follows {revision}"
