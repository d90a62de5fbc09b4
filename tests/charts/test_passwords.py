"""No password of the demo chart's or of its images opens anything: every pod takes those of one Secret."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import passwords
from tests.charts.demo_chart import SECRET, Wrapper, contracts, of_version
from tests.charts.helm import HelmError
from tests.charts.test_capacity import containers, pod_specs
from tests.charts.workloads import by_name

DEMO = "opentelemetry-demo"
PUBLISHED = re.compile(
    r"otelp|\botel@|astronomy_password|monitoring_password|changeit|password:? *=? *\"?otel\"?\b|:otel@"
)
"""What the charts and the images of 0.38.6 to 0.41.0 have for passwords, in their writing."""


def variables(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in container.get("env", ())}


@pytest.fixture(scope="module", params=sorted(contracts()))
def of_chart(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Wrapper, Any]:
    """A version's wrapper, and what it renders for prod."""
    demo = of_version(request.param)
    if demo.source != "real":
        pytest.skip("needs the demo chart's templates, which are not here")
    wrapper = Wrapper.assemble(demo, tmp_path_factory.mktemp("passwords"), version=request.param)
    return wrapper, wrapper.objects("prod")


def test_every_password_of_every_version_is_taken_from_the_secret(of_chart: tuple[Wrapper, Any]) -> None:
    wrapper, objects = of_chart
    database = passwords.OF_VARIANTS[wrapper.variant]
    taken: dict[str, set[str]] = {}
    for name, spec in pod_specs(objects).items():
        for container in containers(spec):
            for variable, given in variables(container).items():
                source = (given.get("valueFrom") or {}).get("secretKeyRef") or {}
                if source.get("name") == SECRET:
                    taken.setdefault(name, set()).add(source["key"])
                else:
                    assert "PASSWORD" not in variable or "GF_SECURITY_DISABLE" in variable, (name, variable)
    connecting = {*database.connections, *(f"{name}-on-demand" for name in database.connections)} & set(taken)

    assert taken.pop(database.workload) == set(database.roles.values())
    assert taken.pop("grafana") == {passwords.GRAFANA_USER, passwords.GRAFANA_PASSWORD}
    assert taken.pop("otel-collector") == {database.roles[database.monitored_as]}
    assert set(database.connections) <= connecting
    assert taken == {name: {passwords.APPLICATION} for name in connecting}
    assert set(passwords.content()) >= {passwords.APPLICATION, *database.roles.values()}


def test_no_published_password_is_left_in_a_pod_or_in_the_collector(of_chart: tuple[Wrapper, Any]) -> None:
    _, objects = of_chart
    # What the image runs on a new directory still says it, and the start takes it back.
    kept = [
        one
        for one in objects
        if one["kind"] not in ("ConfigMap", "Secret") or one["metadata"]["name"] == "otel-collector"
    ]

    assert [found for one in kept for found in PUBLISHED.findall(yaml.safe_dump(one))] == []
    assert "admin" not in {
        one["metadata"]["name"] for one in objects if one["kind"] == "Secret" and "grafana" in str(one)
    }


def test_what_connects_as_in_the_chart_connects_as_before_but_for_the_password(of_chart: tuple[Wrapper, Any]) -> None:
    wrapper, objects = of_chart
    database = passwords.OF_VARIANTS[wrapper.variant]
    of_charts = {
        name: variables(component)["DB_CONNECTION_STRING"]["value"]
        for name, component in wrapper.demo.defaults["components"].items()
        if "DB_CONNECTION_STRING" in variables(component)
    }
    without = {name: re.sub(r"(?i)password=\w+[; ]|:\w+(?=@)", "", told) for name, told in of_charts.items()}

    assert dict(database.connections) == without
    pods = pod_specs(objects)
    for name, told in without.items():
        assert variables(pods[name]["containers"][0])["DB_CONNECTION_STRING"]["value"] == told


def test_the_collector_still_reads_postgresql_as_the_chart_has_it(of_chart: tuple[Wrapper, Any]) -> None:
    wrapper, objects = of_chart
    database = passwords.OF_VARIANTS[wrapper.variant]
    (held,) = (one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "otel-collector")
    config = yaml.safe_load(held["data"]["relay"])
    defaults = wrapper.demo.defaults
    annotations = defaults["components"][database.workload].get("podAnnotations", {})
    of_chart_ = (
        yaml.safe_load(annotations[f"{passwords.DISCOVERY}/config"])
        if annotations
        else defaults["opentelemetry-collector"]["config"]["receivers"]["postgresql"]
    )
    receiver = config["receivers"]["postgresql"]
    used = [pipeline for pipeline in config["service"]["pipelines"].values() if "postgresql" in pipeline["receivers"]]

    assert receiver == {"endpoint": f"{database.workload}:5432"} | of_chart_ | {
        "password": "${env:POSTGRESQL_PASSWORD}"
    }
    (pipeline,) = used
    assert set(pipeline["exporters"]) <= set(config["exporters"]) | set(config.get("connectors", ()))
    assert set(pipeline["processors"]) <= set(config["processors"])
    found = by_name(objects, "Deployment")[database.workload]["spec"]["template"]["metadata"].get("annotations") or {}
    assert found.get(f"{passwords.DISCOVERY}/enabled", "false") == "false"
    assert not found.get(f"{passwords.DISCOVERY}/config")


def test_the_roles_are_those_that_the_image_or_the_chart_makes(of_chart: tuple[Wrapper, Any]) -> None:
    wrapper, objects = of_chart
    database = passwords.OF_VARIANTS[wrapper.variant]
    server = variables(pod_specs(objects)[database.workload]["containers"][0])
    superuser = server.get("POSTGRES_USER", {}).get("value", "postgres")
    made = set(re.findall(r"CREATE USER (\w+)", str(by_name(objects, "ConfigMap").get("postgresql-init")))) or {"otelu"}

    assert set(database.roles) == {superuser, *made}
    assert database.roles[superuser] == passwords.SUPERUSER


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"components": {"accounting": {"envOverrides": []}}}, "accounting: DB_CONNECTION_STRING has a password"),
        (
            {"components": {"accounting": {"envOverrides": [{"name": "DB_CONNECTION_STRING", "value": "Host=a"}]}}},
            "PGPASSWORD is missing",
        ),
        (
            {
                "components": {
                    "accounting": {
                        "envOverrides": [
                            {"name": "DB_CONNECTION_STRING", "value": "Host=a"},
                            {"name": "PGPASSWORD", "value": "otelp"},
                        ]
                    }
                }
            },
            "PGPASSWORD is not from the Secret demo-passwords-1",
        ),
        ({"components": {"postgresql": {"envOverrides": []}}}, "POSTGRES_PASSWORD is not from the Secret"),
        ({"components": {"postgresql": {"command": ["docker-entrypoint.sh", "postgres"]}}}, "postgresql.command"),
        ({"opentelemetry-collector": {"extraEnvs": [{"name": "A", "value": "b"}]}}, "POSTGRESQL_PASSWORD is missing"),
        (
            {"opentelemetry-collector": {"extraEnvs": [{"name": "POSTGRESQL_PASSWORD", "value": "otel"}]}},
            "POSTGRESQL_PASSWORD is missing or not from the Secret",
        ),
        (
            {"opentelemetry-collector": {"config": {"receivers": {"postgresql": {"password": "otel"}}}}},
            r"receivers\.postgresql\.password",
        ),
        ({"grafana": {"admin": {"existingSecret": ""}}}, r"grafana\.admin\.existingSecret"),
        ({"grafana": {"env": {"GF_SECURITY_ADMIN_PASSWORD": "x"}}}, r"grafana\.env: GF_SECURITY_ADMIN_PASSWORD"),
        ({"grafana": {"grafana.ini": {"security": {"admin_password": "x"}}}}, "admin_password"),
        ({"default": {"envOverrides": [{"name": "PGPASSWORD", "value": "x"}]}}, "PGPASSWORD"),
        ({"components": {"ad": {"envOverrides": [{"name": "REDIS_PASSWORD", "value": "x"}]}}}, "REDIS_PASSWORD is in"),
        (
            {
                "components": {
                    "accounting": {
                        "envOverrides": [
                            {"name": "DB_CONNECTION_STRING", "value": "Host=postgresql;Username=otelu;Pwd=otelp"},
                            {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "a"}}},
                        ]
                    }
                }
            },
            "DB_CONNECTION_STRING has a password in it",
        ),
        (
            {
                "components": {
                    "ad": {
                        "envOverrides": [
                            {"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "a"}}},
                            {"name": "PASSWORD_FILE", "value": "/run/password"},
                        ]
                    }
                }
            },
            "",
        ),
        ({"components": {"accounting": {"enabled": False, "envOverrides": []}}}, ""),
        ({"opentelemetry-collector": {"enabled": False, "extraEnvs": []}}, ""),
    ],
)
def test_a_list_of_ones_own_that_brings_a_published_password_back_is_refused(
    known_demo: Wrapper, shell: Wrapper, values: dict[str, Any], said: str
) -> None:
    if not said:
        assert shell.objects("dev", {DEMO: values})
        return
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {DEMO: values})


def test_without_a_secret_the_chart_renders_as_by_hand(shell: Wrapper) -> None:
    assert shell.objects(
        "dev", {"passwords": {"secretName": ""}, DEMO: {"components": {"accounting": {"envOverrides": []}}}}
    )


def test_the_volumes_variable_stays_beside_those_of_the_passwords(shell: Wrapper) -> None:
    below = {DEMO: {"components": {"postgresql": {"envOverrides": [{"name": "PGDATA", "value": "/a"}]}}}}
    told = passwords.laid_over(below, SECRET)[DEMO]["components"]["postgresql"]["envOverrides"]

    assert [one["name"] for one in told] == ["PGDATA", "POSTGRES_PASSWORD", "OTELU_PASSWORD"]
    assert below[DEMO]["components"]["postgresql"]["envOverrides"] == [{"name": "PGDATA", "value": "/a"}]


@pytest.mark.parametrize("variant", sorted(passwords.OF_VARIANTS))
def test_the_server_listens_only_when_every_role_has_its_password(variant: str, tmp_path: Path) -> None:
    """The start itself, on stand-ins for the image's three programs that write down what they are given."""
    database = passwords.OF_VARIANTS[variant]
    for program in ("docker-ensure-initdb.sh", "postgres", "docker-entrypoint.sh"):
        file = tmp_path / program
        file.write_text(
            f'#!/bin/sh\n{{ echo "{program} $*"; [ {program} = postgres ] && cat; }} >> {tmp_path}/seen\n'
            f"[ ! -e {tmp_path}/{program}.fails ]\n"
        )
        file.chmod(0o755)
    server = passwords.laid_over({}, SECRET, variant)[DEMO]["components"][database.workload]
    given = {one["name"]: f"it's {one['valueFrom']['secretKeyRef']['key']}" for one in server["envOverrides"]}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PGDATA": "/data"} | given

    def start() -> list[str]:
        (tmp_path / "seen").write_text("")
        subprocess.run(server["command"], env=environment, check=False, timeout=20)
        return (tmp_path / "seen").read_text().splitlines()

    arguments = " ".join(["postgres", *database.arguments])
    first, single, *altered, last = start()
    assert (first, last) == (f"docker-ensure-initdb.sh {arguments}", f"docker-entrypoint.sh {arguments}")
    assert single.startswith("postgres --single -D /data -c exit_on_error=on")
    assert altered == [f"ALTER ROLE {role} PASSWORD 'it''s {key}'" for role, key in database.roles.items()]

    (tmp_path / "postgres.fails").touch()
    assert not [line for line in start() if line.startswith("docker-entrypoint.sh")]
    (tmp_path / "docker-ensure-initdb.sh.fails").touch()
    assert start() == [f"docker-ensure-initdb.sh {arguments}"]
