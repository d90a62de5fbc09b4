"""Where the 25 workloads run: five databases on the data pool, all else wherever Spot is, which needs no selector."""

from typing import Any

import pytest

from tests.charts.demo_chart import REPOSITORY, DemoChart, Wrapper, wanted
from tests.charts.helm import HelmError, load_values
from tests.charts.workloads import COUNT, DATABASES, by_name, from_object, recorded, workloads

PLACEMENT = {"karpenter.sh/capacity-type": "on-demand", "karpenter.sh/nodepool": "data"}
DATA_TAINT = {"key": "dedicated", "operator": "Equal", "value": "data", "effect": "NoSchedule"}
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"


def tolerates_the_data_taint(toleration: dict[str, Any]) -> bool:
    same_key = toleration.get("key") in (None, DATA_TAINT["key"])
    same_value = toleration.get("operator") == "Exists" or toleration.get("value") == DATA_TAINT["value"]
    return same_key and same_value and toleration.get("effect") in (None, DATA_TAINT["effect"])


def test_all_25_workloads_are_seen(known_demo: Wrapper, environment: str):
    assert len(workloads(known_demo, environment)) == COUNT


def test_every_database_runs_on_the_data_pool(known_demo: Wrapper, environment: str):
    for name in DATABASES:
        workload = workloads(known_demo, environment)[name]

        assert workload.node_selector == PLACEMENT, name
        assert workload.tolerations == [DATA_TAINT], name


def test_everything_else_names_no_node_and_stays_off_the_data_pool(known_demo: Wrapper, environment: str):
    others = {name: workload for name, workload in workloads(known_demo, environment).items() if name not in DATABASES}

    assert len(others) == COUNT - len(DATABASES)
    assert {name: other.node_selector for name, other in others.items() if other.node_selector} == {}
    assert [name for name, other in others.items() if any(map(tolerates_the_data_taint, other.tolerations))] == []
    assert [name for name, other in others.items() if "nodeAffinity" in other.affinity] == []


def test_the_list_of_databases_is_the_workloads_declared_onto_the_data_pool(known_demo: Wrapper, environment: str):
    declared = {
        (workload.kind, workload.name)
        for workload in workloads(known_demo, environment).values()
        if workload.node_selector
    }
    listed = {(entry["kind"], entry["name"]) for entry in known_demo.values(environment)["stateful"]}

    assert listed == declared
    assert {name for _, name in listed} == DATABASES


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_karpenter_does_not_move_a_database_without_a_volume_for_its_own_reasons(known_demo: Wrapper, environment: str):
    found = workloads(known_demo, environment)

    assert {name for name, entry in found.items() if entry.annotations.get(DO_NOT_DISRUPT) == "true"} == DATABASES


def test_what_is_computed_from_values_is_what_the_chart_renders(real_demo: Wrapper, environment: str, tmp_path):
    kept = REPOSITORY.parent / "shared" / "charts" / "-".join(wanted())
    if not kept.exists():
        pytest.skip("needs the recorded workloads in ../shared beside the real demo chart")
    stand_in = Wrapper.assemble(DemoChart("shared", kept, "recorded"), tmp_path)
    computed = {entry.name: entry for entry in recorded(stand_in, environment)}

    assert len(computed) == COUNT
    for name, rendered in workloads(real_demo, environment).items():
        for field in ("kind", "replicas", "node_selector", "tolerations"):
            assert getattr(computed[name], field) == getattr(rendered, field), (name, field)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda listed: [entry for entry in listed if entry["name"] != "kafka"],
            "kafka declares nodeSelector .* but is not listed",
        ),
        (
            lambda listed: [*listed, {"kind": "Deployment", "name": "mysql"}],
            "mysql is listed, but opentelemetry-demo runs no such",
        ),
        (lambda listed: [*listed, listed[0]], "listed twice"),
        (lambda listed: [entry | {"kind": "DaemonSet"} for entry in listed], "kind"),
    ],
)
def test_a_list_that_differs_from_what_is_declared_is_refused(shell: Wrapper, change, said: str):
    listed = load_values([shell.path / "values.yaml"])["stateful"]

    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {"stateful": change(listed)})


def test_a_listed_database_that_is_switched_off_is_refused(shell: Wrapper):
    with pytest.raises(HelmError, match="opensearch is listed, but opentelemetry-demo runs no such workload"):
        shell.objects("dev", {"opentelemetry-demo": {"opensearch": {"enabled": False}}})


def test_a_database_on_another_on_demand_pool_than_the_placement_is_refused(shell: Wrapper):
    elsewhere = {"schedulingRules": {"nodeSelector": PLACEMENT | {"karpenter.sh/nodepool": "other"}}}

    with pytest.raises(HelmError, match=r"only `placement\.nodeSelector`"):
        shell.objects("dev", {"opentelemetry-demo": {"components": {"kafka": elsewhere}}})


def test_a_database_may_leave_its_placement_to_the_hook(real_demo: Wrapper, tmp_path):
    objects = real_demo.undeclared({"kafka"}, tmp_path).objects("dev")
    kafka = from_object(by_name(objects, "Deployment")["kafka"])
    patches = by_name(objects, "Job")["stateful-placement-postsync"]["spec"]["template"]["spec"]["initContainers"]

    assert kafka.node_selector == {}
    assert kafka.tolerations == []
    assert "patch-kafka" in {patch["name"] for patch in patches}
