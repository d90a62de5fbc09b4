"""Rules for the children of the app-of-apps: what Argo CD, or the AppProject, would refuse after the deployment."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from infra import demo_chart, names
from infra.settings import placement
from infra.settings.models import Application, GitOps, Source
from infra.settings.problem import Problem, rule

BUILT_IN: Final[Mapping[str, str]] = {"cluster-base": "cluster-base", "otel-demo": names.DEMO_NAMESPACE}
"""Child of gitops/apps/values.yaml -> its namespace; a test compares them."""
LABELLED: Final = frozenset({"otel-demo"})
"""Built-in children whose namespace carries Pod Security levels; the same test compares them."""
OF_SETTINGS: Final[Mapping[str, str]] = {
    "exposed": "ingress.shop",
    "frontPath.onDemandFloor": "frontPath.onDemandFloor",
    "monitoring": "monitoring",
    "passwords": "gitops.demoPasswordsVersion",
    "persistence.backup": "persistence.backup",
    "persistence.storageClassName": "persistence.storageClass",
}
"""Key of the demo's values -> the setting that the program makes it of, whose rules would not see the value."""
IMAGE_REGISTRIES: Final = frozenset({"docker.io", "ghcr.io", "quay.io", "registry.k8s.io"})
"""Registries of the demo's images; a test compares them with the images."""
EXACT_VERSION: Final = re.compile(r"^v?\d+\.\d+\.\d+([.+-][\w.+-]+)?$")
GIT_REVISION: Final = re.compile(r"^[A-Za-z0-9_./+-]+$")
URL_WITH_PASSWORD: Final = re.compile(r"^[a-z+]+://([^/@]*:[^/@]*|(gh[a-z]|github_pat|glpat|ATCTT?|ATBB)[_-]?[^/@]+)@")
"""A password in a URL, or a token in the place of a user; a user alone is none (Azure DevOps)."""
PASSWORD_KEY: Final = re.compile(r"(password|passwd|passphrase|client[-_]?secret|api[-_]?key|access[-_]?token)$", re.I)
"""End of a key, or of an environment variable's name, whose value is a credential and no name of one."""
CREDENTIAL: Final = re.compile(
    r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----|\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20}"
    r"|xox[abp]-[\w-]{10,})\b"
)
"""What is one wherever it stands, by its first letters."""
BY_GIT: Final = re.compile(r"^(https://|http://|ssh://|file://|[\w.-]+@[\w.-]+:)")
SYNC_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "ApplyOutOfSyncOnly": frozenset({"true", "false"}),
    "ClientSideApplyMigration": frozenset({"true", "false"}),
    "Delete": frozenset({"confirm", "false"}),
    "Force": frozenset({"true", "false"}),
    "Prune": frozenset({"confirm", "false"}),
    "PruneLast": frozenset({"true", "false"}),
    "PrunePropagationPolicy": frozenset({"background", "foreground", "orphan"}),
    "Replace": frozenset({"true", "false"}),
    "RespectIgnoreDifferences": frozenset({"true", "false"}),
    "ServerSideApply": frozenset({"true", "false"}),
    "SkipDryRunOnMissingResource": frozenset({"true", "false"}),
    "Validate": frozenset({"true", "false"}),
}
"""Option -> its values; Argo CD ignores any other in silence.

Source: https://argo-cd.readthedocs.io/en/release-3.4/user-guide/sync-options/
"""
KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/util/kustomize/kustomize.go (KustomizationNames)"""
OF_ONE_SOURCE: Final = (
    "repo_url",
    "path",
    "source_type",
    "chart",
    "target_revision",
    "variant",
    "cluster_metadata",
    "values",
)
"""Fields of a child that its sources have instead, or that a chart of this repository alone has."""
SET_OTHERWISE: Final[Mapping[str, str]] = {
    "CreateNamespace": "set createNamespace of the child",
    "FailOnSharedResource": "remove it: every child fails on what another one owns",
}
GROUPS: Final[Mapping[str, str]] = {
    "CronJob": "batch",
    "DaemonSet": "apps",
    "Deployment": "apps",
    "HorizontalPodAutoscaler": "autoscaling",
    "Ingress": "networking.k8s.io",
    "Job": "batch",
    "NetworkPolicy": "networking.k8s.io",
    "PodDisruptionBudget": "policy",
    "StatefulSet": "apps",
}
"""Kind that is in no core group -> its group, of which Argo CD finds nothing without it."""
PINNED_REVISION: Final = re.compile(r"^(v\d+\.\d+\.\d+([.-][\w.]+)?|[0-9a-f]{40})$")


@rule
def prod_gitops(environment: str, gitops: GitOps) -> Iterator[Problem]:
    """Prod deploys a revision that cannot move."""
    if environment == "prod" and not PINNED_REVISION.fullmatch(gitops.revision):
        yield Problem(
            "gitops.revision",
            gitops.revision,
            "prod pins its Git revision: a branch moves",
            "use a tag such as v1.2.3 or a full commit",
        )


@rule
def problems(environment: str, gitops: GitOps) -> Iterator[Problem]:
    """Everything wrong with the children of a stack file."""
    for name, child in gitops.applications.items():
        key = f"gitops.applications.{name}"
        yield from _source(key, name, child, gitops)
        yield from _destination(key, name, child, gitops)
        for index, ignored in enumerate(child.ignore_differences):
            if not ignored.group and ignored.kind in GROUPS:
                yield Problem(
                    f"{key}.ignoreDifferences[{index}].group",
                    f"nothing, with {ignored.kind}",
                    f"it is of the group {GROUPS[ignored.kind]}: core has no such kind, so nothing is ignored",
                    f"give group: {GROUPS[ignored.kind]}",
                )
            if not (ignored.json_pointers or ignored.jq_path_expressions or ignored.managed_fields_managers):
                yield Problem(
                    f"{key}.ignoreDifferences[{index}]",
                    f"{ignored.kind} without a field",
                    "what is ignored is named",
                    "list jsonPointers, jqPathExpressions or managedFieldsManagers",
                )
        yield from _options(key, child)
        if environment == "prod":
            for below, source in _sources(key, child):
                yield from _pinned(below, source)


def _sources(key: str, child: Application) -> Iterator[tuple[str, Application | Source]]:
    """Each source of a child with its key; a child without ``sources`` is its own."""
    yield key, child
    for index, source in enumerate(child.sources):
        yield f"{key}.sources[{index}]", source


@rule
def namespace_problems(gitops: GitOps) -> Iterator[Problem]:
    """Labels that two would write on one namespace, each undoing the other's, or that are not a child's to write."""
    said: dict[str, tuple[str, dict[str, str] | None]] = {names.ARGOCD_NAMESPACE: ("the program", None)}
    said |= dict.fromkeys(("kube-system", "kube-public", "kube-node-lease"), ("Kubernetes", None))
    if not placement.demo_is_off(gitops):
        said[names.DEMO_NAMESPACE] = (demo_chart.CHILD, None)
    for name, child in gitops.applications.items():
        key = f"gitops.applications.{name}"
        for label in child.namespace_labels:
            if label.startswith("pod-security.kubernetes.io/") or label == "kubernetes.io/metadata.name":
                yield Problem(
                    f"{key}.namespaceLabels",
                    label,
                    "the levels are podSecurity's, and the name is the API server's",
                    "remove it, or set podSecurity",
                )
        labels = dict(child.namespace_labels)
        if child.pod_security is not None:
            labels |= child.pod_security.model_dump(by_alias=True)
        if not (child.enabled and labels) or name in BUILT_IN:
            continue
        first, others = said.setdefault(str(child.namespace), (name, labels))
        if first != name and others != labels:
            yield Problem(
                f"{key}.{'podSecurity' if child.pod_security is not None else 'namespaceLabels'}",
                f"labels of {child.namespace}",
                f"{first} labels that namespace, and each would undo the other's",
                "remove them here, write the same, or deploy to another namespace",
            )


@rule
def built_in_problems(gitops: GitOps) -> Iterator[Problem]:
    """What the demo cannot do without: the classes of cluster-base, its own namespace, and the settings' own keys."""
    demo = gitops.applications.get(demo_chart.CHILD) or Application()
    base = gitops.applications.get("cluster-base") or Application()
    key = "gitops.applications"
    for name, namespace in BUILT_IN.items():
        child = gitops.applications.get(name)
        if child is not None and child.namespace not in (None, namespace):
            yield Problem(
                f"{key}.{name}.namespace",
                str(child.namespace),
                f"{name} is at home in {namespace}: its Secrets, backups and checks are there",
                "remove it, or add a child of another name",
            )
    if not demo.enabled:
        return
    if not base.enabled:
        yield Problem(
            f"{key}.cluster-base.enabled",
            "false, with otel-demo",
            "its pods need the PriorityClasses and the StorageClass of cluster-base: without them none is made",
            "keep cluster-base, or set enabled: false for otel-demo too",
        )
    waves = [child.wave if "wave" in child.model_fields_set else wave for child, wave in ((base, 0), (demo, 1))]
    if waves[0] >= waves[1]:
        yield Problem(
            f"{key}.cluster-base.wave",
            f"{waves[0]}, with {waves[1]} of otel-demo",
            "the demo's pods need the classes of cluster-base, so that comes first",
            "give otel-demo the higher wave",
        )
    if demo.pod_security is not None and demo.pod_security.enforce == "restricted":
        yield Problem(
            f"{key}.{demo_chart.CHILD}.podSecurity.enforce",
            "restricted",
            f"images of the demo start as root ({demo_chart.WRAPPER}/README.md): their pods would be refused",
            "set enforce: baseline; audit and warn may be restricted",
        )
    for path, setting in OF_SETTINGS.items():
        found: object = demo.values
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None:
            yield Problem(
                f"{key}.{demo_chart.CHILD}.values",
                path,
                f"the setting {setting} says it, with its own rules and with what else it needs",
                f"remove it from values, and use {setting}",
            )


@rule
def repository_problems(gitops: GitOps) -> Iterator[Problem]:
    """A password in plain text."""
    urls = {
        "gitops.repository": gitops.repository,
        **{f"gitops.sourceRepositories[{index}]": url for index, url in enumerate(gitops.source_repositories)},
        **{
            f"{key}.repoURL": source.repo_url or ""
            for name, child in gitops.applications.items()
            for key, source in _sources(f"gitops.applications.{name}", child)
        },
    }
    for key, url in urls.items():
        if URL_WITH_PASSWORD.match(url):
            yield Problem(
                key,
                URL_WITH_PASSWORD.sub("https://[secret]@", url),
                "it would be in plain text in the stack file, in Git, and in every Application",
                "take it out: gitToken, gitSshKey or githubApp for gitops.repository, a Secret of Argo CD for others",
            )


@rule
def credential_problems(gitops: GitOps) -> Iterator[Problem]:
    """A password, token or private key in the values of a child, which Argo CD shows to whoever may look at it."""
    for name, child in gitops.applications.items():
        for key, source in _sources(f"gitops.applications.{name}", child):
            for path in _credentials(source.values):
                yield Problem(
                    f"{key}.values.{path}",
                    "[secret], in plain text",
                    "values are in plain text in the stack file, in Git, in the state and in the Application",
                    "put it into a Secret of the namespace, and name that under the chart's key for it "
                    "(existingSecret, secretKeyRef)",
                )


def _credentials(value: object, key: str = "") -> Iterator[str]:
    """Paths below a value that say a credential."""
    if isinstance(value, Mapping):
        named = str(value.get("name", "")) if isinstance(value.get("value"), str) else ""
        for part, below in value.items():
            inner = named if part == "value" and PASSWORD_KEY.search(named) else str(part)
            yield from (f"{part}{path}" for path in _below(below, inner))
    elif isinstance(value, str) and (
        CREDENTIAL.search(value) or (value and not value.startswith("$") and PASSWORD_KEY.search(key))
    ):
        yield ""


def _below(value: object, key: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from (f"[{index}]{'.' if path else ''}{path}" for path in _credentials(item, key))
    else:
        yield from (f"{'.' if path else ''}{path}" for path in _credentials(value, key))


@rule
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
        why, remedy = found
        yield Problem("gitops.repository", gitops.repository, why, remedy)


@rule
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

    Source: NormalizeGitURL of https://github.com/argoproj/argo-cd/blob/v3.5.3/util/git/git.go
    """
    return url.strip().lower().removesuffix(".git").removeprefix("ssh://")


def _options(key: str, child: Application) -> Iterator[Problem]:
    for option in child.sync_options:
        name, _, value = option.partition("=")
        known = SYNC_OPTIONS.get(name, frozenset())
        if value not in known:
            yield Problem(
                f"{key}.syncOptions",
                option,
                f"{name} is {' or '.join(sorted(known))}"
                if known
                else "Argo CD ignores an option that it does not know",
                SET_OTHERWISE.get(name) or f"options: {', '.join(SYNC_OPTIONS)}",
            )


def _source(key: str, name: str, child: Application, gitops: GitOps) -> Iterator[Problem]:
    if name == names.PROJECT:
        yield Problem(
            key, name, "the root Application has this name, and would become its own child", "name it otherwise"
        )
    if child.sources:
        yield from _several(key, name, child, gitops)
        return
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
            "give path, or repoURL with chart and targetRevision; or sources",
        )
    yield from _one(key, child, gitops)
    elsewhere = _elsewhere(child, gitops)
    if child.variant and (child.chart or elsewhere):
        yield Problem(
            f"{key}.variant",
            child.variant,
            "values files are those of a folder in the root's own repository",
            "write its values under values",
        )
    yield from _type_of_source(key, name, child, elsewhere=elsewhere)


def _type_of_source(key: str, name: str, child: Application, *, elsewhere: bool) -> Iterator[Problem]:
    """A folder of this repository is rendered as a chart, unless the child says what else it is."""
    if child.source_type is None:
        folder = demo_chart.ROOT / (child.path or "")
        found = [file for file in KUSTOMIZATIONS if child.path and not elsewhere and (folder / file).is_file()]
        if found and not (folder / "Chart.yaml").is_file():
            yield Problem(
                f"{key}.sourceType",
                "nothing",
                f"{child.path}/{found[0]} is a Kustomization, and a folder of this repository is rendered as a chart",
                "give sourceType: Kustomize",
            )
        return
    if child.chart or elsewhere or name in BUILT_IN:
        yield Problem(
            f"{key}.sourceType",
            child.source_type,
            "it is of an added child's path in gitops.repository: elsewhere Argo CD looks itself",
            "remove it",
        )
    if child.source_type != "Helm":
        for field, value in (
            ("values", child.values),
            ("variant", child.variant),
            ("clusterMetadata", child.cluster_metadata),
        ):
            if value:
                yield Problem(
                    f"{key}.{field}",
                    "given",
                    f"values are a chart's; {child.source_type} has none",
                    f"remove it, or write an overlay per environment and choose it by {key}.path",
                )


def _several(key: str, name: str, child: Application, gitops: GitOps) -> Iterator[Problem]:
    """Sources side by side: what each deploys, and which of them values files are read from."""
    if name in BUILT_IN:
        yield Problem(
            f"{key}.sources",
            f"{len(child.sources)} sources",
            f"{name} is built in, and has a path",
            "disable it, and add a child of another name",
        )
    for field in OF_ONE_SOURCE:
        if getattr(child, field):
            alias = Application.model_fields[field].alias or field
            yield Problem(
                f"{key}.{alias}", "given, with sources", "Argo CD reads one or the other", "write it into the source"
            )
    if not any(source.path or source.chart for source in child.sources):
        yield Problem(
            f"{key}.sources",
            "none with path or chart",
            "a source with ref alone lends its files: nothing would be deployed",
            "add the source of what is deployed",
        )
    refs = [source.ref for source in child.sources]
    for index, source in enumerate(child.sources):
        below = f"{key}.sources[{index}]"
        if source.ref and source.ref in refs[:index]:
            yield Problem(f"{below}.ref", source.ref, "a name is of one source", "name them apart")
        if not (source.path or source.chart or source.ref):
            yield Problem(f"{below}.path", "nothing", "a source says what it is", "give path, chart or ref")
        yield from _one(below, source, gitops)
        yield from _reference(below, source, refs, gitops)
        if (source.value_files or source.values) and not (source.path or source.chart):
            yield Problem(
                f"{below}.{'valueFiles' if source.value_files else 'values'}",
                "given, with ref alone",
                "values are those of a chart",
                "write them into the source of the chart",
            )
    yield from _one_revision(key, child, gitops)


def _reference(key: str, source: Source, refs: list[str | None], gitops: GitOps) -> Iterator[Problem]:
    if source.ref and (
        source.chart or (_elsewhere(source, gitops) and str(source.repo_url).startswith(("oci://", "file://")))
    ):
        yield Problem(
            f"{key}.ref", source.ref, "values files are read from a Git repository, not from a chart", "remove it"
        )
    for file in source.value_files:
        named, _, path = file.rpartition("$")[2].partition("/")
        if file.startswith("$") and named not in refs:
            yield Problem(
                f"{key}.valueFiles",
                file,
                f"no source of this child has ref: {named}",
                "add a source with that ref; its repository may be this one",
            )
        if ".." in path.split("/") or (not file.startswith("$") and ".." in file.split("/")):
            yield Problem(f"{key}.valueFiles", file, "a file is inside its repository", "write the path from its root")


def _one_revision(key: str, child: Application, gitops: GitOps) -> Iterator[Problem]:
    """The repo server has one checkout of a repository that values files are read from.

    Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/reposerver/repository/repository.go ("cannot reference a
    different revision of the same repository")
    """
    first: dict[str, str | None] = {}
    lent = {normalized(source.repo_url or gitops.repository) for source in child.sources if source.ref}
    for index, source in enumerate(child.sources):
        repository = normalized(source.repo_url or gitops.repository)
        if repository in lent and first.setdefault(repository, source.target_revision) != source.target_revision:
            yield Problem(
                f"{key}.sources[{index}].targetRevision",
                source.target_revision or "nothing",
                f"another source has {first[repository] or 'the root commit'} of this repository, which lends files",
                "write the same one for both",
            )


def _elsewhere(source: Application | Source, gitops: GitOps) -> bool:
    return source.repo_url is not None and source.repo_url != gitops.repository


def _one(key: str, source: Application | Source, gitops: GitOps) -> Iterator[Problem]:
    """What is wrong with a source by itself."""
    elsewhere, url = _elsewhere(source, gitops), str(source.repo_url)
    if source.path and ".." in source.path.split("/"):
        yield Problem(f"{key}.path", source.path, "a folder is inside its repository", "write the path from its root")
    if source.path and source.chart:
        yield Problem(f"{key}.chart", source.chart, "a child has a path or a chart, not both", "remove one of them")
    if source.chart and not elsewhere:
        yield Problem(
            f"{key}.repoURL",
            source.repo_url or "nothing",
            "a chart comes from a Helm repository, not from the root's Git repository",
            "give repoURL, and list it in gitops.sourceRepositories",
        )
    if source.chart and elsewhere and re.match(r"^(oci|ssh|file|git)://|^[\w.-]+@", url):
        yield Problem(
            f"{key}.repoURL",
            url,
            "a chart by its name is of a Helm repository (https://) or of an OCI registry, written without oci://",
            "remove oci://; or write the whole oci:// URL of the chart, and path: . instead of chart",
        )
    if not source.chart and elsewhere and not (BY_GIT.match(url) or url.startswith("oci://")):
        yield Problem(
            f"{key}.repoURL",
            url,
            "a path is of a Git repository or of an oci:// artifact",
            "write its scheme; or give chart instead of path, for a chart of an OCI registry",
        )
    if not source.chart and source.target_revision and not GIT_REVISION.fullmatch(source.target_revision):
        yield Problem(
            f"{key}.targetRevision",
            source.target_revision,
            "a range is of the versions of a chart; Git has branches, tags and commits",
            "write one of them",
        )
    if (source.chart or elsewhere) and source.target_revision is None:
        yield Problem(
            f"{key}.targetRevision",
            "nothing",
            "the root's commit is one of its own repository: a child from another one has a revision of its own",
            "give the chart's version, or a tag, branch or commit of that repository",
        )
    admitted = map(normalized, (gitops.repository, *gitops.source_repositories))
    if elsewhere and normalized(url) not in admitted:
        yield Problem(
            f"{key}.repoURL",
            url,
            "the AppProject admits gitops.repository and gitops.sourceRepositories only",
            "add it to gitops.sourceRepositories",
        )


def _pinned(key: str, source: Application | Source) -> Iterator[Problem]:
    """A revision that moves, in prod."""
    of_registry = source.chart or (source.repo_url or "").startswith("oci://")
    pinned = EXACT_VERSION if of_registry else PINNED_REVISION
    if source.target_revision is not None and not pinned.fullmatch(source.target_revision):
        yield Problem(
            f"{key}.targetRevision",
            source.target_revision,
            "prod pins what it deploys: a branch or a range moves",
            "use a chart's exact version, a tag such as v1.2.3, or a full commit",
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
