"""The contract, for every version of the demo chart that there are values for: what runs, where, and how it ends.

The default version's own tests say more; here is what must hold of each. A version is rendered where it is given
(DEMO_CHARTS), computed where its values and workloads are recorded, and judged by the wrapper's own objects elsewhere.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import demo_chart
from infra.settings import parse
from otel_on_spot.declared import stateful_workloads
from otel_on_spot.plan.workloads import workloads as asked_for
from tests.charts.demo_chart import ENVIRONMENTS, REPOSITORY, WRAPPER, Wrapper, contracts, edited, of_version, wanted
from tests.charts.flows import Flow, leaving, needed, reachable
from tests.charts.helm import HelmError
from tests.charts.test_capacity import PURCHASE, baseline_problems, pod_specs
from tests.charts.test_kubernetes_schemas import problems as kubernetes_problems
from tests.charts.test_network_policy import DATASOURCES, OUTSIDE_PORTS, PUBLIC_ADDRESS, permitted, policies
from tests.charts.test_placement import DATA_TAINT, DO_NOT_DISRUPT, PLACEMENT, tolerates_the_data_taint
from tests.charts.test_placement_hook import applied
from tests.charts.test_pod_lifecycle import (
    KARPENTER_SECONDS,
    SPOT_WARNING_SECONDS,
    WITHOUT_PROBE,
    at_pointer,
    main_container,
    patches,
    pod_of,
)
from tests.charts.test_strict_schema import problems
from tests.charts.workloads import COUNT, DATABASES, by_name, quantity, workloads
from tests.unit.settings.test_settings import committed

DEMO = "opentelemetry-demo"
SUBCHARTS = {"grafana", "jaeger", "opensearch", "otel-collector", "prometheus"}
OLDEST = "0.38.6"
ADDED: Mapping[str, frozenset[str]] = {
    "0.40.10": frozenset({"llm", "product-reviews"}),
    "0.41.0": frozenset({"agent", "astronomy-db", "chatbot", "mcp", "opamp-server", "telemetry-docs"}),
}
"""Version -> the workloads that 0.38.6 has not. Source: each version rendered with its defaults."""
REMOVED: Mapping[str, frozenset[str]] = {"0.41.0": frozenset({"postgresql"})}
SERVE_NOBODY: Mapping[str, frozenset[str]] = {"0.41.0": frozenset({"accounting", "fraud-detection", "load-generator"})}
"""Version -> what no other workload calls, where it differs from 0.38.6."""
ANSWER_BY_HTTP: Mapping[str, frozenset[str]] = {
    "0.40.10": frozenset({"flagd", "frontend", "frontend-proxy", "image-provider", "load-generator"}),
    "0.41.0": frozenset(
        {"flagd", "frontend", "frontend-proxy", "image-provider", "opamp-server", "shipping", "telemetry-docs"}
    ),
}
"""Version whose chart has the key ``readinessProbe`` (HTTP alone) -> the components that it can be said of."""
ON_THE_DATA_POOL = {"0.41.0": DATABASES - {"postgresql"} | {"astronomy-db"}}


@pytest.fixture(scope="module", params=sorted(contracts()))
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def chart(version: str, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """The wrapper on one version of the demo chart, edited and laid over as its page says."""
    return Wrapper.assemble(of_version(version), tmp_path_factory.mktemp(version), version=version)


@pytest.fixture(scope="module")
def known(chart: Wrapper) -> Wrapper:
    if chart.demo.source == "absent":
        pytest.skip(chart.demo.how)
    return chart


@pytest.fixture(scope="module")
def real(chart: Wrapper) -> Wrapper:
    if chart.demo.source != "real":
        pytest.skip(f"needs the chart's templates; {chart.demo.how}")
    return chart


@pytest.fixture(scope="module")
def patched(real: Wrapper) -> dict[str, dict[str, Any]]:
    """The workloads of prod as they stand when the hook has run."""
    objects = real.objects("prod")
    sent = patches(objects)
    rendered = {o["metadata"]["name"]: o for o in objects if o["kind"] in ("Deployment", "StatefulSet", "DaemonSet")}
    return {name: applied(sent.get(name, []), entry) for name, entry in rendered.items()}


def components(chart: Wrapper, environment: str) -> dict[str, Any]:
    """What the wrapper says of each component that is on, without the chart's own values."""
    found = chart.values(environment)[DEMO]["components"]
    return {name: values for name, values in found.items() if name != "firepit"}


def test_the_default_is_the_oldest_and_needs_no_variant():
    assert wanted()[1] == OLDEST
    assert contracts()[OLDEST] == ""
    assert {contracts()[version] for version in ADDED} == {"chart-0.40", "chart-0.41"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_workload_is_decided_on(chart: Wrapper, version: str, environment: str):
    """Its requests, who may talk to it, how it ends: of each one that the version runs, and of none besides."""
    listed = set(components(chart, environment))
    objects = chart.objects(environment)

    assert len(listed | SUBCHARTS) == COUNT + len(ADDED.get(version, ())) - len(REMOVED.get(version, ()))
    assert ADDED.get(version, frozenset()) <= listed
    assert listed.isdisjoint(REMOVED.get(version, ()))
    assert set(patches(objects)) == listed | {"jaeger"}
    assert set(by_name(objects, "NetworkPolicy")) >= listed | SUBCHARTS
    for name, values in components(chart, environment).items():
        requests = values["resources"]["requests"]
        assert {"cpu", "memory"} <= set(requests), name
        assert values["resources"].get("limits", requests)["memory"] == requests["memory"], name


def test_the_hook_places_the_databases_that_the_version_has(chart: Wrapper, version: str):
    listed = {entry["name"] for entry in chart.values("prod")["stateful"]}
    job = by_name(chart.objects("prod"), "Job")["stateful-placement-postsync"]

    assert listed == ON_THE_DATA_POOL.get(version, DATABASES)
    assert {init["name"].removeprefix("patch-") for init in pod_of(job)["initContainers"]} == listed


def test_every_database_has_a_volume_where_it_keeps_its_data(chart: Wrapper, version: str):
    """On in prod: each database mounts its claim, and one that is told its directory is told one inside of it."""
    objects, databases = chart.objects("prod"), ON_THE_DATA_POOL.get(version, DATABASES)
    claims = by_name(objects, "PersistentVolumeClaim")
    values = chart.values("prod")

    assert set(values["persistence"]["claims"]) == databases
    assert set(claims) == {claim["name"] for claim in values["persistence"]["claims"].values()}
    name = "astronomy-db" if "astronomy-db" in databases else "postgresql"
    mount = values[DEMO]["components"][name]["additionalVolumeMounts"][0]["mountPath"]
    (home,) = [e["value"] for e in values[DEMO]["components"][name]["envOverrides"] if e["name"] == "PGDATA"]
    assert home.startswith(f"{mount}/")
    assert mount == ("/var/lib/postgresql" if name == "astronomy-db" else "/var/lib/postgresql/data")
    assert by_name(chart.objects("dev"), "PersistentVolumeClaim") == {}


def test_what_runs_is_what_the_contract_names(known: Wrapper, version: str):
    found = workloads(known, "dev")

    assert set(found) == set(components(known, "dev")) | SUBCHARTS
    assert {entry.kind for entry in found.values()} == {"Deployment", "StatefulSet"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_databases_are_on_the_data_pool_and_nothing_else_is(known: Wrapper, version: str, environment: str):
    found = workloads(known, environment)
    databases = ON_THE_DATA_POOL.get(version, DATABASES)

    assert {name for name, entry in found.items() if entry.node_selector} == databases
    for name, entry in found.items():
        if name in databases:
            assert (entry.node_selector, entry.tolerations) == (PLACEMENT, [DATA_TAINT]), name
        else:
            assert not any(map(tolerates_the_data_taint, entry.tolerations)), name
    stays = {name for name, entry in found.items() if entry.annotations.get(DO_NOT_DISRUPT) == "true"}
    assert stays == (set() if environment == "dev" else databases)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_values_pass_the_versions_strict_schema(known: Wrapper, environment: str):
    assert problems(known, known.demo_values(environment)) == []


def test_the_flows_are_those_that_the_version_needs_and_no_others(known: Wrapper):
    wanted_flows = needed(known, "prod") | (DATASOURCES if known.demo.source != "real" else set())

    assert len(wanted_flows) > 70
    assert permitted(known, "prod") == wanted_flows
    labels = {name: workload.labels for name, workload in workloads(known, "prod").items()}
    assert reachable(policies(known, "prod"), labels, PUBLIC_ADDRESS, OUTSIDE_PORTS) == leaving(known, "prod")


def test_a_flow_of_a_newer_version_that_is_left_out_is_noticed(tmp_path):
    newest = "0.41.0"
    chart = Wrapper.assemble(of_version(newest), tmp_path, version=newest)
    if chart.demo.source == "absent":
        pytest.skip(chart.demo.how)
    lost = {"networkPolicy": {"flows": {"otel-collector": {"opamp-server": [4321]}}}}

    left = permitted(chart, "dev", policies(chart, "dev", lost))

    assert needed(chart, "dev") - left == {Flow("otel-collector", "opamp-server", 4320)}


def test_memory_is_promised_once_and_never_below_what_the_version_asks_for(known: Wrapper):
    """A sidecar's limit may be the wrapper's own; of a component and a subchart, the chart's is the least."""
    defaults = known.demo.defaults
    for name, entry in workloads(known, "prod").items():
        for container, requests in entry.requests.items():
            assert requests.get("memory") == entry.limits[container].get("memory") is not None, (name, container)
            assert requests.get("cpu"), (name, container)
        own = defaults["components"].get(name, {}).get("resources", {}).get("limits", {}).get("memory")
        if own:
            assert quantity(entry.limits[name]["memory"]) >= quantity(own), name


def test_a_purchase_has_two_of_everything(known: Wrapper):
    found = workloads(known, "prod")

    assert {name for name in PURCHASE if found[name].replicas < 2} == set()


def test_what_serves_is_ready_when_it_answers_and_ends_within_a_spot_warning(
    patched: dict[str, dict[str, Any]], version: str
):
    serve_nobody = SERVE_NOBODY.get(version, {"accounting", "fraud-detection"})
    without = {name for name, entry in patched.items() if "readinessProbe" not in main_container(name, entry)}

    assert without == serve_nobody | WITHOUT_PROBE
    for name, entry in patched.items():
        grace = pod_of(entry).get("terminationGracePeriodSeconds", 30)
        assert grace <= SPOT_WARNING_SECONDS - KARPENTER_SECONDS, name
        if name not in ON_THE_DATA_POOL.get(version, DATABASES):
            assert 5 <= main_container(name, entry)["lifecycle"]["preStop"]["sleep"]["seconds"] <= grace - 15, name


def test_a_probe_is_the_charts_own_key_where_it_has_one(chart: Wrapper, version: str):
    """What the hook patches is not in Git: it comes later, and a rollout follows it."""
    declared = {name for name, values in components(chart, "prod").items() if "readinessProbe" in values}
    sent = patches(chart.objects("prod"))
    probed = {name for name, patch in sent.items() for step in patch if step["path"].endswith("readinessProbe")}

    assert declared == ANSWER_BY_HTTP.get(version, frozenset())
    assert declared.isdisjoint(probed)
    if version in ANSWER_BY_HTTP:
        by_http = {
            name
            for name, patch in sent.items()
            for step in patch
            if step["path"].endswith("readinessProbe") and "httpGet" in step["value"]
        }
        assert by_http == set()


def test_kubernetes_takes_what_is_rendered_and_what_comes_of_the_patches(
    real: Wrapper, patched: dict[str, dict[str, Any]]
):
    objects = real.objects("prod")

    assert kubernetes_problems([*objects, *patched.values()]) == []
    assert {name: found for name, spec in pod_specs(objects).items() if (found := baseline_problems(spec))} == {}


def test_a_patch_meets_its_container_and_nothing_that_git_declares(real: Wrapper):
    deployments = by_name(real.objects("prod"), "Deployment")
    for name, steps in patches(real.objects("prod")).items():
        assert pod_of(deployments[name])["containers"][0]["name"] == name
        assert [step["path"] for step in steps if at_pointer(deployments[name], step["path"]) is not None] == []


def test_the_collector_reads_pods_and_their_owners_and_no_more_of_the_cluster(real: Wrapper):
    (role,) = by_name(real.objects("prod"), "ClusterRole").values()

    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "namespaces",
        "pods",
        "replicasets",
    }


@pytest.mark.parametrize("unknown", ["0.38.5", "0.40.9", "0.42.0"])
def test_a_version_without_a_contract_is_refused_by_name(tmp_path, unknown: str):
    chart = Wrapper.assemble(of_version("none"), tmp_path, version=unknown)

    with pytest.raises(HelmError, match=rf"opentelemetry-demo {unknown} is what Chart\.yaml names.*0\.38\.6, 0\.39\.0"):
        chart.objects("dev")


def test_the_values_of_one_version_do_not_serve_another(tmp_path):
    chart = Wrapper.assemble(of_version("none"), tmp_path, version="0.40.10")

    with pytest.raises(HelmError, match=r"opentelemetry-demo 0\.40\.10 .*0\.38\.6"):
        Wrapper(chart.path, chart.demo).objects("dev")
    assert chart.objects("dev")


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ({"opentelemetry-collector": {"mode": "daemonset"}}, "mode: daemonset needs host ports"),
        ({"opentelemetry-collector": {"presets": {"hostMetrics": {"enabled": True}}}}, "hostMetrics: it reads a node"),
        ({"opentelemetry-collector": {"presets": {"kubeletMetrics": {"enabled": True}}}}, "kubeletMetrics"),
        ({"otel-ebpf-profiler": {"enabled": True}}, "otel-ebpf-profiler: its container is privileged"),
    ],
)
def test_what_a_newer_version_runs_by_default_and_a_node_refuses(tmp_path, preset: dict[str, Any], said: str):
    chart = Wrapper.assemble(of_version("none"), tmp_path, version="0.41.0")

    with pytest.raises(HelmError, match=said):
        chart.objects("dev", {DEMO: preset})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What Git holds of the demo, to be edited."""
    shutil.copytree(WRAPPER, tmp_path / demo_chart.WRAPPER)
    (tmp_path / demo_chart.APPS).parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / demo_chart.APPS, tmp_path / demo_chart.APPS)
    return tmp_path


def depend_on(tree: Path, version: str, variant: str = "") -> None:
    edited(tree / demo_chart.WRAPPER, version)
    apps = yaml.safe_load((REPOSITORY / demo_chart.APPS).read_text())
    apps["applications"]["otel-demo"] |= {"variant": variant} if variant else {}
    (tree / demo_chart.APPS).write_text(yaml.safe_dump(apps))


@pytest.mark.parametrize(
    ("version", "variant", "said"),
    [
        ("0.42.0", "", "opentelemetry-demo 0.42.0 .* tested values for 0.38.6, 0.39.0, 0.40.10, 0.41.0"),
        ("0.41.0", "", "opentelemetry-demo 0.41.0 .* needs variant chart-0.41; .* names none"),
        ("0.41.0", "chart-0.40", "needs variant chart-0.41; .* names chart-0.40"),
        ("0.40.10", "chart-0.4", "needs variant chart-0.40; .* names chart-0.4"),
        ("0.39.0", "chart-0.40", "needs variant none; .* names chart-0.40"),
    ],
)
def test_the_plan_refuses_a_version_without_its_values(tree: Path, version: str, variant: str, said: str):
    depend_on(tree, version, variant)

    found = demo_chart.problem(tree)

    assert found is not None
    assert re.search(said, found[0])


@pytest.mark.parametrize("version", sorted(contracts()))
def test_the_plan_takes_each_version_with_its_values_and_reads_them(tree: Path, version: str):
    depend_on(tree, version, contracts()[version])

    assert demo_chart.problem(tree) is None
    assert {name for _, name in stateful_workloads(tree)} == ON_THE_DATA_POOL.get(version, DATABASES)
    names = {workload.name for workload in asked_for(tree, "prod")}
    assert ADDED.get(version, frozenset()) <= names
    assert names.isdisjoint(REMOVED.get(version, ()))


def refusals(**gitops: Any) -> list[str]:
    """Every problem of dev with other values of ``gitops``, as people read them."""
    raw = committed("dev")
    raw["gitops"] |= gitops
    _, found = parse(raw)
    return [str(problem) for problem in found]


def test_a_stack_file_names_no_variant_of_the_demo():
    (said,) = refusals(applications={"otel-demo": {"variant": "chart-0.41"}})

    assert refusals() == []
    assert "gitops.applications.otel-demo.variant" in said
    assert "gitops/apps/values.yaml" in said


def test_the_plan_says_what_is_wrong_in_git_unless_the_demo_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo_chart, "problem", lambda: ("opentelemetry-demo 0.42.0 is unknown", "use another"))

    (said,) = refusals()

    assert "opentelemetry-demo 0.42.0 is unknown" in said
    assert refusals(applications={"otel-demo": {"enabled": False}}) == []


def test_the_page_of_versions_names_every_contract():
    page = (REPOSITORY / "docs" / "demo-chart-versions.md").read_text()

    for version, variant in contracts().items():
        assert f"| {version} |" in page
        assert not variant or f"`{variant}`" in page
