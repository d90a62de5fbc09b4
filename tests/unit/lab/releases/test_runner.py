"""Which releases the lab installs, how a controller is kept in step with them, and what a failed start says."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from otel_on_spot.lab.releases import argocd, argocd_processes, karpenter
from otel_on_spot.lab.releases.argocd_processes import CONTROLLER, REPO_SERVER
from otel_on_spot.lab.releases.installation import Installation, Processes, ReleaseContext
from otel_on_spot.lab.releases.objects import ReleaseDeadline
from otel_on_spot.lab.releases.runner import Releases
from otel_on_spot.lab.supervisor import ProcessFailedError, Program
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.lab.toolchain.modules import ARGOCD_NEXT, ARGOCD_NEXT_CHART, KARPENTER_NEXT, Module
from otel_on_spot.simcloud.api_errors import ApiError, OperationCancelledError

KARPENTER = {"name": "karpenter", "chart": "oci://public.ecr.aws/karpenter/karpenter", "version": "1.14.3"}
ARGOCD = {"name": "argocd", "chart": "argo-cd", "repositoryOpts": {"repo": "https://argoproj.github.io/argo-helm"}}


class Recorded:
    """A supervisor that writes down what it is asked, and fails a start as often as told."""

    def __init__(self, log: Path, failures: int = 0) -> None:
        self.calls: list[str] = []
        self.failures = failures
        self.live: set[str] = set()
        self.log = log

    def start(self, program: Program) -> None:
        self.calls.append(f"start {program.name}")
        if self.failures:
            self.failures -= 1
            raise ProcessFailedError(program.name, "ended with exit code 2", self.log)
        self.live.add(program.name)

    def stop(self, name: str) -> None:
        self.calls.append(f"stop {name}")
        self.live.discard(name)

    def running(self, name: str) -> bool:
        return name in self.live


PROGRAM = Program(name="karpenter", command=("karpenter",), environment={"A": "1"})


def deadline(seconds: float = 30) -> ReleaseDeadline:
    return ReleaseDeadline(seconds, threading.Event())


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def releases(tmp_path: Path, told: list[str]) -> Releases:
    manifests = tmp_path / "manifests"
    (manifests / "crds").mkdir(parents=True)
    (manifests / "install.yaml").write_text("")
    binary = tmp_path / "argocd-application-controller"
    binary.write_bytes(b"exec.enabled")
    tools = Tools(
        paths={
            binary.name: binary,
            **{name: tmp_path / name for name in ("karpenter", "helm", "kube-apiserver")},
        },
        versions={"karpenter": "v1.14.3", binary.name: "v3.5.3", "kube-apiserver": "v1.36.3"},
        files={"karpenter-chart": tmp_path, "karpenter-crd-chart": tmp_path, "argocd-manifests": manifests},
        following={module.name: tmp_path / module.name for module in (KARPENTER_NEXT, ARGOCD_NEXT)},
    )
    supervisor: Any = Recorded(tmp_path / "log")
    return Releases(tools, tmp_path / "releases", supervisor, authority=tmp_path / "ca", log=told.append)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"chart": "oci://public.ecr.aws/karpenter/other"},
            "the lab installs argo-cd, karpenter, karpenter-crd and no other",
        ),
        ({"chart": "oci://example.org/karpenter"}, "from 'oci://example.org'"),
        ({"version": "1.13.0"}, r"version 1\.13\.0; the lab runs Karpenter 1\.14\.3"),
    ],
)
def test_another_chart_source_or_version_is_refused_by_name(
    releases: Releases, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ApiError, match=said):
        releases.check({**KARPENTER, **change})


NEXT = {**KARPENTER, "version": KARPENTER_NEXT.version.removeprefix("v")}


def build(module: Module, folder: Path) -> Path:
    for name in (*module.names, *module.files):
        (folder / module.name / name).mkdir(parents=True)
    return folder / module.name


def test_the_next_karpenter_is_refused_until_it_is_built_with_what_builds_it(
    releases: Releases, tmp_path: Path
) -> None:
    with pytest.raises(ApiError, match=r'is not built\. .*make tools ARGS="--next"\. The lab may stay up'):
        releases.check(NEXT)

    build(KARPENTER_NEXT, tmp_path)
    releases.check(NEXT)
    releases.check(KARPENTER)


def test_the_next_argo_cd_is_taken_where_its_chart_is_asked_for_and_refused_until_it_is_built(
    releases: Releases, tmp_path: Path
) -> None:
    context, cloud = releases._context, cast("Any", None)
    chart = ARGOCD_NEXT_CHART

    def of_version(chart_version: str) -> ReleaseContext:
        installation = Installation(cloud=cloud, cluster="c", inputs={"name": "argocd", "version": chart_version})
        return argocd._of_version(context, installation)

    assert of_version("10.9.5") is context
    assert of_version("") is context
    for refused in (lambda: of_version(chart), lambda: argocd.following(context.tools)):
        with pytest.raises(ApiError, match=r'is not built\. .*make tools ARGS="--argocd-next"\. The lab may stay up'):
            refused()

    following = build(ARGOCD_NEXT, tmp_path)

    assert argocd.following(context.tools) == (ARGOCD_NEXT.version, chart)
    tools = of_version(chart).tools
    assert tools.path(CONTROLLER) == following / CONTROLLER
    assert tools.version(CONTROLLER) == ARGOCD_NEXT.version
    assert tools.files["argocd-manifests"] == following / "argocd-manifests"
    assert tools.path("helm") == context.tools.path("helm")


@pytest.mark.parametrize("further", [False, True], ids=["pinned", "next"])
def test_a_repo_server_that_has_an_authority_of_its_clients_is_told_that_there_is_none(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, further: bool
) -> None:
    monkeypatch.setattr(argocd_processes, "_variables", lambda *_: {})
    monkeypatch.setattr(Tools, "path", lambda _tools, name: Path(name))
    declared = [{"name": "ARGOCD_REPO_SERVER_CLIENT_CA_PATH"}] if further else []
    workload = {
        "metadata": {"name": REPO_SERVER},
        "spec": {"template": {"spec": {"containers": [{"name": REPO_SERVER, "env": declared}]}}},
    }
    controller = {**workload, "metadata": {"name": CONTROLLER}}
    installation = cast("Any", SimpleNamespace(namespace="argocd"))

    _, repo_server, _ = argocd_processes.programs(releases._context, installation, [workload, controller])

    tail = ("--disable-tls", "--client-ca-path", "") if further else (argocd_processes.REDIS_ADDRESS, "--disable-tls")
    assert repo_server.command[-len(tail) :] == tail


@pytest.mark.parametrize("further", [False, True], ids=["pinned", "next"])
def test_a_release_is_its_own_versions_chart_crds_and_program(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, further: bool
) -> None:
    following = build(KARPENTER_NEXT, tmp_path)
    rendered: list[tuple[Path, str]] = []
    started: list[Program] = []
    deployment = {"kind": "Deployment", "metadata": {"name": "karpenter"}, "spec": {"template": {"spec": {}}}}

    def render(tools: Tools, _installation: Installation, chart: str) -> list[Any]:
        rendered.append((tools.files[chart], tools.version("karpenter").removeprefix("v")))
        return [deployment]

    monkeypatch.setattr(karpenter, "render", render)
    monkeypatch.setattr(karpenter, "environment", lambda *_: {})
    monkeypatch.setattr(karpenter, "lab_environment", lambda *_: {})
    monkeypatch.setattr(Processes, "run", lambda _self, program, *_: started.append(program))
    monkeypatch.setattr(Installation, "objects", SimpleNamespace(apply=lambda *_: None, available=lambda *_: None))
    monkeypatch.setattr(Installation, "api", None)
    cloud: Any = None
    inputs = NEXT if further else KARPENTER
    for chart in ("karpenter-crd", "karpenter"):
        given = {**inputs, "name": chart, "chart": f"oci://public.ecr.aws/karpenter/{chart}"}
        releases.installed(cloud, "c", given, seconds=1, cancelled=threading.Event())

    place = following if further else tmp_path
    charts = ["karpenter-crd-chart", "karpenter-chart"] if further else ["", ""]
    assert rendered == [(place / chart, inputs["version"]) for chart in charts]
    assert [program.command for program in started] == [(str(place / "karpenter"),)]


def test_the_programs_releases_are_known(releases: Releases) -> None:
    releases.check(KARPENTER)
    releases.check(ARGOCD)


def test_a_config_key_that_is_not_known_is_told_not_dropped_in_silence(releases: Releases, told: list[str]) -> None:
    releases.check({**ARGOCD, "values": {"configs": {"cm": {"exec.enabled": False, "new.key": 1}}}})

    assert len(told) == 1
    assert "configs.cm.new.key is not known to Argo CD v3.5.3" in told[0]


def test_a_controller_is_started_again_only_when_its_command_or_environment_changed(tmp_path: Path) -> None:
    supervisor: Any = Recorded(tmp_path / "log")
    processes = Processes(supervisor)

    processes.run(PROGRAM, deadline(), "r")
    processes.run(replace(PROGRAM, ready=lambda: True), deadline(), "r")
    assert supervisor.calls == ["start karpenter"]
    processes.run(replace(PROGRAM, environment={"A": "2"}), deadline(), "r")

    assert supervisor.calls == ["start karpenter", "stop karpenter", "start karpenter"]


def test_a_controller_that_crashes_once_is_started_again(tmp_path: Path) -> None:
    supervisor: Any = Recorded(tmp_path / "log", failures=1)

    Processes(supervisor).run(PROGRAM, deadline(), "r")

    assert supervisor.live == {"karpenter"}


def test_a_controller_that_keeps_crashing_is_refused_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("panic: cluster nope not found\n\tat somewhere\n\tat elsewhere\n")
    supervisor: Any = Recorded(log, failures=9)

    with pytest.raises(
        ApiError, match=r"(?s)karpenter does not become ready.*exit code 2.*What it said: panic: cluster nope"
    ):
        Processes(supervisor).run(PROGRAM, deadline(), "r")

    assert supervisor.calls == ["start karpenter"] * 3


def test_a_deadline_says_what_is_not_so(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="the CRD is not served: not so within 0 s"):
        deadline(0).until(lambda: False, lambda: "the CRD is not served")


def test_a_cancelled_installation_ends(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(OperationCancelledError):
        ReleaseDeadline(60, cancelled).until(lambda: False, lambda: "x")
