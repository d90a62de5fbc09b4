"""The ways in: what stands in front of the shop and of Argo CD, and that a pod's end loses nothing on the way."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import ingress, names
from infra.settings.models import LoadBalancerController
from tests.charts import helm
from tests.charts.demo_chart import REPOSITORY, Wrapper
from tests.charts.footprint import group_kind
from tests.charts.helm import HelmError
from tests.charts.test_network_policy import policies
from tests.charts.test_pod_lifecycle import KARPENTER_SECONDS, SPOT_WARNING_SECONDS, patches
from tests.charts.workloads import by_name

CHART = REPOSITORY / "gitops" / "charts" / "ingress"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
BALANCER: dict[str, Any] = {
    "host": "shop.acme.io",
    "scheme": "internet-facing",
    "inboundCidrs": ["198.51.100.0/24", "203.0.113.0/24"],
    "certificateArn": CERTIFICATE,
}
GIVEN = {
    "clusterMetadata": {"clusterName": "otel-dev", "environment": "dev", "region": "eu-west-1"},
    "controller": {"chartVersion": "3.5.0"},
}
CONTROLLER = names.LOAD_BALANCER_CONTROLLER
ALB = "alb.ingress.kubernetes.io/"
SUBNETS = ["10.10.255.0/24", "10.10.254.0/24"]
EXPOSED = {
    "exposed": ["frontend-proxy"],
    "networkPolicy": {
        "entry": {"frontend-proxy": {"ports": [8080], "from": [{"ipBlock": {"cidr": cidr}} for cidr in SUBNETS]}}
    },
    "podLifecycle": {"preStopSleepSeconds": ingress.PRE_STOP_SECONDS},
}


def rendered(**values: Any) -> list[dict[str, Any]]:
    return helm.render(CHART, release="ingress", namespace="argocd", values=helm.layered(GIVEN, values))


def ingress_of(name: str, **values: Any) -> dict[str, Any]:
    return by_name(rendered(**values), "Ingress")[name]


def annotations(name: str, **values: Any) -> dict[str, str]:
    found = ingress_of(name, **values)["metadata"]["annotations"]
    return {key.removeprefix(ALB): value for key, value in found.items()}


def controller() -> dict[str, Any]:
    return by_name(rendered(shop=BALANCER), "Application")["aws-load-balancer-controller"]


def controller_values() -> dict[str, Any]:
    return yaml.safe_load(controller()["spec"]["source"]["helm"]["values"])


def test_the_shop_is_reached_by_tls_from_the_networks_that_are_listed_and_http_leads_there() -> None:
    found = annotations("shop", shop=BALANCER)

    assert found["scheme"] == "internet-facing"
    assert found["inbound-cidrs"] == "198.51.100.0/24,203.0.113.0/24"
    assert json.loads(found["listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert (found["ssl-redirect"], found["certificate-arn"]) == ("443", CERTIFICATE)
    assert found["ssl-policy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    assert "drop_invalid_header_fields.enabled=true" in found["load-balancer-attributes"]
    assert (found["target-type"], found["healthcheck-path"]) == ("ip", "/favicon.ico")


def test_in_a_vpc_that_is_there_its_id_and_its_subnets_are_said() -> None:
    subnets = {"subnetIds": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]}
    objects = rendered(shop=BALANCER | subnets, controller={"vpcId": "vpc-0f0e0d0c"})
    values = yaml.safe_load(by_name(objects, "Application")[CONTROLLER]["spec"]["source"]["helm"]["values"])

    assert annotations("shop", shop=BALANCER | subnets)["subnets"] == "subnet-0a1b2c3d,subnet-1a1b2c3d"
    assert values["vpcId"] == "vpc-0f0e0d0c"
    assert "vpcTags" not in values
    assert "subnets" not in annotations("shop", shop=BALANCER)


def test_a_web_acl_that_is_taken_away_is_taken_off() -> None:
    acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"

    assert annotations("shop", shop=BALANCER | {"webAclArn": acl})["wafv2-acl-arn"] == acl
    assert annotations("shop", shop=BALANCER)["wafv2-acl-arn"] == "none"


def test_inside_without_a_certificate_it_speaks_http_and_outside_it_is_refused() -> None:
    plain = {key: value for key, value in BALANCER.items() if key != "certificateArn"}
    found = annotations("shop", shop=plain | {"scheme": "internal"})

    assert json.loads(found["listen-ports"]) == [{"HTTP": 80}]
    assert not {"ssl-redirect", "ssl-policy", "certificate-arn"} & set(found)
    with pytest.raises(HelmError, match="certificateArn"):
        rendered(shop=plain)
    with pytest.raises(HelmError, match="certificateArn"):
        rendered(argocd=plain | {"scheme": "internal"})


def test_both_lead_to_services_that_are_there(wrapper: Wrapper) -> None:
    (path,) = ingress_of("shop", shop=BALANCER)["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "frontend-proxy", "port": {"number": 8080}}
    if wrapper.demo.source == "real":
        service = by_name(wrapper.objects("dev"), "Service")["frontend-proxy"]
        assert 8080 in [port["port"] for port in service["spec"]["ports"]]
    assert ingress_of("shop", shop=BALANCER)["metadata"]["namespace"] == names.DEMO_NAMESPACE

    objects = rendered(argocd=BALANCER | {"host": "cd.acme.io"})
    grpc, web = by_name(objects, "Ingress")["argocd"]["spec"]["rules"][0]["http"]["paths"]
    service = by_name(objects, "Service")[grpc["backend"]["service"]["name"]]
    assert web["backend"]["service"] == {"name": "argocd-server", "port": {"number": 443}}
    assert grpc["backend"]["service"]["port"]["number"] in [port["port"] for port in service["spec"]["ports"]]
    assert service["metadata"]["annotations"][f"{ALB}backend-protocol-version"] == "GRPC"


def test_argo_cd_keeps_its_own_tls_and_takes_grpc_by_its_content_type() -> None:
    found = annotations("argocd", argocd=BALANCER | {"host": "cd.acme.io"})
    (condition,) = json.loads(found["conditions.argocd-server-grpc"])

    assert (found["backend-protocol"], found["healthcheck-protocol"]) == ("HTTPS", "HTTPS")
    assert found["healthcheck-path"] == "/healthz"
    assert condition["httpHeaderConfig"] == {"httpHeaderName": "Content-Type", "values": ["application/grpc"]}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"shop": {"host": "shop.acme.io"}},
        {"shop": BALANCER | {"host": "shop"}},
        {"shop": BALANCER | {"scheme": "public"}},
        {"shop": BALANCER | {"inboundCidrs": []}},
        {"shop": BALANCER | {"certificate": CERTIFICATE}},
        {"shop": BALANCER, "project": "default"},
        {"shop": BALANCER, "controller": {"chartVersion": "3.x"}},
        {"shop": BALANCER, "deregistrationDelaySeconds": 300},
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(HelmError):
        rendered(**values)


def test_every_ingress_comes_after_the_controller_and_goes_before_it() -> None:
    """Argo CD deletes an Application's objects wave by wave, the highest first, and waits for each to be gone."""
    objects = rendered(shop=BALANCER, argocd=BALANCER | {"host": "cd.acme.io"})
    waves = {
        (thing["kind"], thing["metadata"]["name"]): int(
            thing["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        )
        for thing in objects
    }
    (mine,) = (wave for (kind, _), wave in waves.items() if kind == "Application")

    assert sorted(waves) == [
        ("Application", "aws-load-balancer-controller"),
        ("Ingress", "argocd"),
        ("Ingress", "shop"),
        ("Service", "argocd-server-grpc"),
    ]
    assert all(wave > mine for (kind, _), wave in waves.items() if kind != "Application")
    assert controller()["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]


def test_the_controller_has_the_name_that_its_role_knows_and_waits_for_no_node_of_karpenters() -> None:
    values, destination = controller_values(), controller()["spec"]["destination"]

    assert destination["namespace"] == names.LOAD_BALANCER_CONTROLLER
    assert values["serviceAccount"]["name"] == names.LOAD_BALANCER_CONTROLLER
    assert values["nodeSelector"] == dict([names.SYSTEM_NODE_LABEL])
    assert names.SYSTEM_TAINT_KEY in [toleration["key"] for toleration in values["tolerations"]]
    assert (values["clusterName"], values["region"]) == ("otel-dev", "eu-west-1")
    assert values["vpcTags"] == {"Name": "otel-dev", "cluster": "otel-dev"}
    assert values["enableServiceMutatorWebhook"] is False


def test_a_certificate_that_is_made_at_each_rendering_is_not_put_back_each_time() -> None:
    spec = controller()["spec"]

    assert {ignored["kind"] for ignored in spec["ignoreDifferences"]} == {
        "Secret",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    }
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]


def test_a_pod_serves_until_its_load_balancer_lets_go_and_ends_within_a_spot_warning(
    shell: Wrapper,
) -> None:
    (attribute,) = annotations("shop", shop=BALANCER)["target-group-attributes"].split(",")
    delay = int(attribute.removeprefix("deregistration_delay.timeout_seconds="))
    patch = patches(shell.objects("prod", EXPOSED))["frontend-proxy"]
    told = {operation["path"].rpartition("/")[2]: operation["value"] for operation in patch}
    sleep, grace = told["lifecycle"]["preStop"]["sleep"]["seconds"], told["terminationGracePeriodSeconds"]

    assert delay + 5 <= sleep < grace
    assert KARPENTER_SECONDS + grace < SPOT_WARNING_SECONDS


def test_what_comes_from_the_load_balancers_subnets_reaches_the_shop_and_what_comes_from_elsewhere_does_not(
    shell: Wrapper,
) -> None:
    entering = {
        policy["metadata"]["name"]: rule
        for policy in policies(shell, "prod", EXPOSED)
        for rule in policy["spec"].get("ingress", [])
        if any("ipBlock" in peer for peer in rule["from"])
    }

    assert list(entering) == ["frontend-proxy"]
    assert [peer["ipBlock"]["cidr"] for peer in entering["frontend-proxy"]["from"]] == SUBNETS
    assert entering["frontend-proxy"]["ports"] == [{"port": 8080, "protocol": "TCP"}]


def test_an_ingress_without_an_entry_fails_at_render(shell: Wrapper) -> None:
    with pytest.raises(HelmError, match=r"networkPolicy\.entry\.frontend-proxy"):
        shell.objects("dev", {"exposed": ["frontend-proxy"]})
    with pytest.raises(HelmError, match=r"networkPolicy\.entry\.grafana"):
        shell.objects("dev", EXPOSED | {"exposed": ["frontend-proxy", "grafana"]})
    assert shell.objects("dev", {"exposed": ["frontend-proxy"], "networkPolicy": {"enabled": False}})


VERSION = LoadBalancerController().chart_version


@pytest.fixture(scope="module")
def chart() -> Path:
    """The controller's own chart, unpacked."""
    beside = REPOSITORY.parent / "shared" / "charts" / f"{names.LOAD_BALANCER_CONTROLLER}-{VERSION}"
    path = Path(os.environ.get("LOAD_BALANCER_CONTROLLER_CHART", beside))
    if not (path / "Chart.yaml").is_file():
        pytest.skip(f"needs {names.LOAD_BALANCER_CONTROLLER} {VERSION} unpacked in LOAD_BALANCER_CONTROLLER_CHART")
    return path


def unknown(values: dict[str, Any], known: dict[str, Any], path: str = "") -> list[str]:
    """Keys of values that a chart's own values do not have; below an empty one anything may stand."""
    found = []
    for key, value in values.items():
        at = f"{path}{key}"
        if key not in known:
            found.append(at)
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            found += unknown(value, known[key], f"{at}.")
    return found


FREE = {"podSecurityContext.seccompProfile", "securityContext.capabilities"}
"""Written out as they are, whatever is in them."""


def test_the_controllers_chart_knows_every_value_that_it_is_given(chart: Path) -> None:
    known = yaml.safe_load((chart / "values.yaml").read_text())
    gates = (chart / "values.yaml").read_text()
    values = controller_values()

    assert yaml.safe_load((chart / "Chart.yaml").read_text())["version"] == VERSION
    assert {*unknown(values, known)} <= FREE
    assert all(f"# {gate}:" in gates for gate in values["controllerConfig"]["featureGates"])
    assert unknown(values | {"enableServiceWebhook": False}, known)[-1] == "enableServiceWebhook"


def test_the_project_allows_what_the_controllers_chart_renders_and_no_more(chart: Path) -> None:
    objects = helm.render(
        chart,
        release=names.LOAD_BALANCER_CONTROLLER,
        namespace=names.LOAD_BALANCER_CONTROLLER,
        values=controller_values(),
    )
    flat = [thing for entry in objects for thing in (entry["items"] if entry["kind"] == "List" else [entry])]
    cluster = {group_kind(thing) for thing in flat if "namespace" not in thing["metadata"]}
    cluster |= {("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")}
    pod = by_name(flat, "Deployment")[names.LOAD_BALANCER_CONTROLLER]["spec"]["template"]["spec"]

    assert cluster == set(ingress.CLUSTER_KINDS)
    assert {thing["metadata"].get("namespace") for thing in flat} == {None, names.LOAD_BALANCER_CONTROLLER}
    assert pod["serviceAccountName"] == names.LOAD_BALANCER_CONTROLLER
    assert "--aws-vpc-tags=" in " ".join(pod["containers"][0]["args"])
    assert by_name(flat, "IngressClass")["alb"]["spec"] == {"controller": "ingress.k8s.aws/alb"}
    assert by_name(flat, "Secret")["aws-load-balancer-tls"]
