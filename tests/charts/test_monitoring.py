"""One source of alerts, two renderings: a ConfigMap for the demo's Prometheus, objects for a Prometheus Operator."""

import json
import re
from typing import Any

import pytest
import yaml

from infra import otlp
from infra.settings.models import Monitoring
from tests.charts import helm
from tests.charts.demo_chart import WRAPPER, Wrapper
from tests.charts.helm import HelmError
from tests.charts.workloads import by_name
from tests.unit.alerts.rules import SERVED

SOURCE = yaml.safe_load((WRAPPER / "alerts" / "rules.yaml").read_text())
SCRAPES = {
    row["job_name"]: row for row in yaml.safe_load((WRAPPER / "alerts" / "scrape.yaml").read_text())["scrape_configs"]
}
OPERATOR = {"PrometheusRule", "PodMonitor"}
VENDOR = {
    "endpoint": "https://otlp.example.com:4317",
    "headersSecret": "otlp",
    "headers": {"api-key": "API_KEY"},
}
SIGNALS = ("traces", "metrics", "logs")


def rendered(wrapper: Wrapper, **monitoring: Any) -> list[dict[str, Any]]:
    return wrapper.objects("prod", {"monitoring": monitoring})


def files(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The files that Prometheus mounts."""
    return {
        name: yaml.safe_load(text) for name, text in by_name(objects, "ConfigMap")["platform-alerts"]["data"].items()
    }


def sent(alerts: str = "demo", **backend: Any) -> dict[str, Any]:
    """The values that the program makes of a backend."""
    monitoring = Monitoring.model_validate({"alerts": alerts, "otlp": {**VENDOR, **backend}})
    return helm.layered(otlp.values(monitoring), {"monitoring": {"alerts": alerts}})


def dropped(metric: str, configs: list[dict[str, Any]]) -> bool:
    return any(re.fullmatch(config["regex"], metric) for config in configs if config["action"] == "drop")


def test_the_demos_prometheus_gets_the_rules_as_they_are_written(wrapper: Wrapper) -> None:
    told = files(rendered(wrapper, alerts="demo"))
    assert told["rules.yaml"] == SOURCE
    assert list(told["scrape.yaml"]["scrape_configs"]) == list(SCRAPES.values())


def test_an_operators_prometheus_gets_the_same_rules_and_the_same_jobs(wrapper: Wrapper) -> None:
    objects = rendered(wrapper, alerts="operator", operatorLabels={"release": "kube-prometheus-stack"})
    (rule,) = (thing for thing in objects if thing["kind"] == "PrometheusRule")
    monitors = by_name(objects, "PodMonitor")
    assert rule["spec"] == SOURCE
    assert set(monitors) == set(SCRAPES)
    for name, monitor in monitors.items():
        assert monitor["metadata"]["labels"] == rule["metadata"]["labels"] == {"release": "kube-prometheus-stack"}
        assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
        assert monitor["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["honorLabels"] is True
        assert [row["regex"] for row in endpoint["metricRelabelings"]] == [
            row["regex"] for row in SCRAPES[name]["metric_relabel_configs"]
        ]
    # What nobody would read: the mounted files stand empty.
    assert files(objects) == {"rules.yaml": {"groups": []}, "scrape.yaml": {"scrape_configs": []}}


def test_where_nobody_judges_there_is_neither_a_rule_nor_a_job_nor_a_way_out(wrapper: Wrapper) -> None:
    objects = rendered(wrapper, alerts="none")
    assert files(objects) == {"rules.yaml": {"groups": []}, "scrape.yaml": {"scrape_configs": []}}
    assert not [thing for thing in objects if thing["kind"] in OPERATOR]
    assert "platform-metrics" not in by_name(objects, "NetworkPolicy")


def test_prometheus_may_reach_each_target_and_nothing_else_outside(wrapper: Wrapper) -> None:
    policy = by_name(rendered(wrapper, alerts="demo"), "NetworkPolicy")["platform-metrics"]["spec"]
    assert policy["policyTypes"] == ["Egress"]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"
    reached = {
        (
            to["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
            to["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            to["ports"][0]["port"],
        )
        for to in policy["egress"]
    }
    jobs = {
        (name, row["dns_sd_configs"][0]["names"][0].split(".")[1], row["dns_sd_configs"][0]["port"])
        for name, row in SCRAPES.items()
    }
    assert reached == jobs


def test_no_way_is_opened_where_policies_are_off(wrapper: Wrapper) -> None:
    objects = wrapper.objects("prod", {"monitoring": {"alerts": "demo"}, "networkPolicy": {"enabled": False}})
    assert not by_name(objects, "NetworkPolicy")


def test_a_page_becomes_an_address_where_a_repository_is_named(wrapper: Wrapper) -> None:
    told = files(rendered(wrapper, alerts="demo", runbookBaseUrl="https://git.example.test/platform/blob/main/"))
    annotations = [
        rule["annotations"] for group in told["rules.yaml"]["groups"] for rule in group["rules"] if "alert" in rule
    ]
    assert annotations
    for annotation in annotations:
        assert annotation["runbook_url"] == f"https://git.example.test/platform/blob/main/{annotation['runbook']}"


def test_the_series_of_each_instance_type_are_dropped_and_what_the_rules_ask_for_is_kept() -> None:
    karpenter = SCRAPES["karpenter"]["metric_relabel_configs"]
    for metric in ("offering_available", "offering_price_estimate", "cpu_cores", "memory_bytes"):
        assert dropped(f"karpenter_cloudprovider_instance_type_{metric}", karpenter)
    configs = [config for row in SCRAPES.values() for config in row["metric_relabel_configs"]]
    asked = set(re.findall(r"\b(?:karpenter|operator|argocd|process)_\w+", str(SOURCE)))
    assert len(asked) > 15
    assert [metric for metric in asked if metric in str(SOURCE) and dropped(metric, configs)] == []


def test_of_a_histogram_that_nobody_asks_for_no_bucket_is_kept() -> None:
    """Five sixths of what the lab's Karpenter served after the other drops were buckets and its inner works."""
    asked = str(SOURCE) + "".join(file.read_text() for file in (WRAPPER / "dashboards").glob("*.yaml"))
    kept = [
        metric
        for job, metrics in json.loads(SERVED.read_text()).items()
        for metric in metrics
        if metric.endswith("_bucket") and not dropped(metric, SCRAPES[job]["metric_relabel_configs"])
    ]
    assert {"karpenter_interruption_message_queue_duration_seconds_bucket", "argocd_app_reconcile_bucket"} <= {*kept}
    assert [metric for metric in kept if metric not in asked] == []
    for inner in (
        "workqueue_depth",
        "controller_runtime_reconcile_total",
        "go_goroutines",
        "rest_client_requests_total",
    ):
        assert dropped(inner, SCRAPES["karpenter"]["metric_relabel_configs"]), inner
    assert not dropped("process_start_time_seconds", SCRAPES["karpenter"]["metric_relabel_configs"])


@pytest.mark.parametrize(
    "monitoring", [{"alerts": "yes"}, {"alerts": "demo", "runbookBaseUrl": "docs/"}, {"alert": "demo"}], ids=str
)
def test_what_means_nothing_is_refused(shell: Wrapper, monitoring: dict[str, Any]) -> None:
    with pytest.raises(HelmError, match="monitoring"):
        shell.objects("prod", {"monitoring": monitoring})


def test_the_real_prometheus_mounts_and_reads_them_and_sees_a_new_one_without_a_restart(real_demo: Wrapper) -> None:
    objects = rendered(real_demo, alerts="demo")
    pod = by_name(objects, "Deployment")["prometheus"]["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    (mount,) = (row for row in server["volumeMounts"] if row["mountPath"] == "/etc/platform-alerts")
    (volume,) = (row for row in pod["volumes"] if row["name"] == mount["name"])
    assert volume["configMap"]["name"] == "platform-alerts"
    read = yaml.safe_load(by_name(objects, "ConfigMap")["prometheus"]["data"]["prometheus.yml"])
    assert "/etc/platform-alerts/rules.yaml" in read["rule_files"]
    assert read["scrape_config_files"] == ["/etc/platform-alerts/scrape.yaml"]
    flags = [flag for flag in server["args"] if "enable-feature" in flag]
    assert flags == ["--enable-feature=exemplar-storage,auto-reload-config"]
    assert "--web.enable-otlp-receiver" in server["args"]


def test_the_alert_of_the_guard_watches_the_jobs_that_the_chart_makes(wrapper: Wrapper) -> None:
    """Argo CD's hooks: a Job that fails is told, under whatever name the chart gives it."""
    expr = next(
        rule["expr"]
        for group in SOURCE["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "PlacementGuardFails"
    )
    owner = re.search(r'owner=~"([^"]+)"', expr)
    assert owner is not None
    jobs = by_name(rendered(wrapper, alerts="demo"), "Job")
    assert len(jobs) == 3
    for name in jobs:
        assert re.fullmatch(owner[1], f"/apis/batch/v1/namespaces/otel-demo/jobs/{name}"), name
    assert not re.fullmatch(owner[1], "/apis/batch/v1/namespaces/otel-demo/jobs/stateful-placement")


@pytest.mark.parametrize(
    ("endpoint", "port", "to"),
    [
        ("https://otlp.example.com", 443, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}),
        (
            "http://backend.team.svc:4317",
            4317,
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team"}}},
        ),
    ],
)
def test_the_collector_alone_may_reach_a_backend_and_the_platforms_metrics(
    wrapper: Wrapper, endpoint: str, port: int, to: dict[str, Any]
) -> None:
    policies = by_name(wrapper.objects("prod", sent(endpoint=endpoint)), "NetworkPolicy")
    backend, metrics = policies["otlp-backend"]["spec"], policies["platform-metrics-otlp"]["spec"]
    assert backend["egress"] == [{"to": [to], "ports": [{"port": port, "protocol": "TCP"}]}]
    for policy in (backend, metrics):
        assert policy["podSelector"] == policies["otel-collector"]["spec"]["podSelector"]
        assert policy["policyTypes"] == ["Egress"]
    assert metrics["egress"] == policies["platform-metrics"]["spec"]["egress"]


@pytest.mark.parametrize("alerts", ["none", "operator"])
def test_without_services_of_the_controllers_the_collector_scrapes_none(wrapper: Wrapper, alerts: str) -> None:
    objects = by_name(wrapper.objects("prod", sent(alerts)), "NetworkPolicy")
    assert "otlp-backend" in objects
    assert "platform-metrics-otlp" not in objects
    told = sent(alerts)["opentelemetry-demo"]["opentelemetry-collector"]["config"]
    assert "receivers" not in told
    assert {tuple(pipeline["receivers"]) for pipeline in told["service"]["pipelines"].values()} == {("otlp",)}


def collector(demo: Wrapper, given: dict[str, Any]) -> dict[str, Any]:
    """What the collector's chart sees: the demo chart's defaults, the wrapper's values, and these."""
    merged = helm.coalesced(demo.values("prod"), given)["opentelemetry-demo"]
    return helm.coalesced(demo.demo.defaults, merged)["opentelemetry-collector"]


def test_the_demos_own_pipelines_stay_as_they_are_beside_those_of_a_backend(known_demo: Wrapper) -> None:
    before, after = collector(known_demo, {}), collector(known_demo, sent())
    own, pipelines = before["config"]["service"]["pipelines"], after["config"]["service"]["pipelines"]
    assert {name: pipelines[name] for name in own} == own
    assert set(pipelines) - set(own) == {f"{signal}/otlp-backend" for signal in SIGNALS}
    for signal in SIGNALS:
        added = pipelines[f"{signal}/otlp-backend"]
        assert added["exporters"] == ["otlp/otlp-backend"]
        # What it names is configured, by the demo chart, by a preset or here; memory_limiter goes first.
        assert added["processors"][0] == "memory_limiter"
        assert set(added["processors"]) - {"batch/otlp-backend", "k8sattributes/otlp-backend"} <= {
            *before["config"]["processors"]
        }
        assert set(added["receivers"]) <= {*after["config"]["receivers"]}
    jobs = after["config"]["receivers"]["prometheus/otlp-backend"]["config"]["scrape_configs"]
    assert [row["job_name"] for row in jobs] == list(SCRAPES)


def test_a_backend_that_does_not_answer_holds_a_small_queue_for_a_minute(known_demo: Wrapper) -> None:
    exporter = collector(known_demo, sent())["config"]["exporters"]["otlp/otlp-backend"]
    batch = collector(known_demo, sent())["config"]["processors"]["batch/otlp-backend"]
    assert exporter["sending_queue"]["queue_size"] * batch["send_batch_max_size"] <= 30_000
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "60s"
    assert exporter["endpoint"] == VENDOR["endpoint"]
    assert "insecure" not in exporter["tls"]


def test_a_key_of_the_vendors_comes_from_a_secret_that_may_be_missing(known_demo: Wrapper) -> None:
    told = collector(known_demo, sent())
    assert told["extraEnvsFrom"] == [{"secretRef": {"name": "otlp", "optional": True}}]
    assert told["config"]["exporters"]["otlp/otlp-backend"]["headers"] == {"api-key": "${env:API_KEY}"}


@pytest.mark.parametrize("otlp", [{"port": 0}, {"port": "4317"}, {"namespace": "A"}, {"host": "x"}], ids=str)
def test_a_way_out_to_no_backend_is_refused(shell: Wrapper, otlp: dict[str, Any]) -> None:
    with pytest.raises(HelmError, match="otlp"):
        shell.objects("prod", {"monitoring": {"otlp": otlp}})


def test_the_real_collector_is_told_of_a_backend(real_demo: Wrapper) -> None:
    objects = real_demo.objects("prod", sent())
    config = next(
        yaml.safe_load(thing["data"]["relay"])
        for name, thing in by_name(objects, "ConfigMap").items()
        if name.startswith("otel-collector")
    )
    assert {f"{signal}/otlp-backend" for signal in SIGNALS} <= set(config["service"]["pipelines"])
    assert config["exporters"]["otlp/otlp-backend"]["headers"] == {"api-key": "${env:API_KEY}"}
    (container,) = by_name(objects, "Deployment")["otel-collector"]["spec"]["template"]["spec"]["containers"]
    assert {"secretRef": {"name": "otlp", "optional": True}} in container["envFrom"]
