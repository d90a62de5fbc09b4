"""Who judges the platform's alerts: what the program declares for it, and only where a stack asks."""

from functools import cache
from typing import Any

import yaml

from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.project import root
from policy.guardrails import violations
from tests.unit.conftest import recorded

SERVICE, RELEASE = "kubernetes:core/v1:Service", "kubernetes:helm.sh/v3:Release"
SCRAPES = yaml.safe_load((root() / "gitops/charts/otel-demo/alerts/scrape.yaml").read_text())["scrape_configs"]


@cache
def judged_by(alerts: str, **more: str) -> Recording:
    return record("dev", config_overrides={"monitoring": {"alerts": alerts, **more}})


def told(recording: Recording) -> Any:
    """The values that the demo's Application gets about its alerts."""
    (application,) = recording.of_type("kubernetes:argoproj.io/v1alpha1:Application")
    values = yaml.safe_load(application.inputs["spec"]["source"]["helm"]["values"])
    return values["applications"].get("otel-demo", {}).get("values", {}).get("monitoring")


def argocd_controller(recording: Recording) -> Any:
    (release,) = (thing for thing in recording.of_type(RELEASE) if thing.name == "argocd-release")
    return release.inputs["values"]["controller"]


def test_nobody_judges_unless_a_stack_asks() -> None:
    dev = recorded("dev")
    assert dev.of_type(SERVICE) == ()
    assert "metrics" not in argocd_controller(dev)
    assert told(dev) is None


def test_the_demos_prometheus_finds_each_target_under_the_name_that_it_looks_up() -> None:
    demo = judged_by("demo")
    (service,) = demo.of_type(SERVICE)
    metadata, spec = service.inputs["metadata"], service.inputs["spec"]
    looked_up = {row["job_name"]: row["dns_sd_configs"][0] for row in SCRAPES}
    assert f"{metadata['name']}.{metadata['namespace']}.svc" == looked_up["karpenter"]["names"][0]
    assert spec["clusterIP"] == "None"
    assert spec["ports"][0]["port"] == looked_up["karpenter"]["port"]
    assert argocd_controller(demo)["metrics"] == {"enabled": True}
    assert told(demo) == {"alerts": "demo"}


def test_an_operator_reads_pods_and_needs_no_service() -> None:
    operator = judged_by("operator", runbookBaseUrl="https://git.example.test/main")
    assert operator.of_type(SERVICE) == ()
    assert told(operator) == {"alerts": "operator", "runbookBaseUrl": "https://git.example.test/main"}


def test_a_backend_reaches_the_demo_alone_and_no_credential_is_in_what_is_declared() -> None:
    backend = {"endpoint": "https://otlp.example.com/v1", "protocol": "http"}
    recording = record("dev", config_overrides={"monitoring": {"alerts": "demo", "otlp": backend}})
    (application,) = recording.of_type("kubernetes:argoproj.io/v1alpha1:Application")
    values = yaml.safe_load(application.inputs["spec"]["source"]["helm"]["values"])["applications"]["otel-demo"][
        "values"
    ]
    assert values["monitoring"] == {"alerts": "demo", "otlp": {"port": 443}}
    exporters = values["opentelemetry-demo"]["opentelemetry-collector"]["config"]["exporters"]
    assert exporters["otlphttp/otlp-backend"]["endpoint"] == "https://otlp.example.com:443/v1"


def test_the_policy_pack_passes_what_is_declared_for_it() -> None:
    before = {violation.rule for violation in violations(stack_of(recorded("dev")))}
    assert {violation.rule for violation in violations(stack_of(judged_by("demo")))} == before
