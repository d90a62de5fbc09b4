"""Passwords of the demo's PostgreSQL and Grafana: made once, kept in the state, read from a Secret by every pod.

The demo chart and its images carry passwords that the whole world knows. docs/adr/0021-passwords-of-the-demo.md says
how these take their place, on data that is there as well.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra import demo_chart
from infra.images import DEMO

SUPERUSER, APPLICATION, MONITORING = "postgresql-superuser", "postgresql-application", "postgresql-monitoring"
GRAFANA_USER, GRAFANA_PASSWORD = "grafana-user", "grafana-password"
RANDOM: Final = (SUPERUSER, APPLICATION, MONITORING, GRAFANA_PASSWORD)
"""Keys of the Secret that hold something random: always all, since what is in it never changes."""
START: Final = """\
set -Eeuo pipefail
docker-ensure-initdb.sh "$@"
quote="'"
alter() { printf "ALTER ROLE %s PASSWORD '%s'\\n" "$1" "${2//$quote/$quote$quote}"; }
{
ROLES
} | postgres --single -D "$PGDATA" -c exit_on_error=on -c log_min_error_statement=panic postgres >/dev/null
exec docker-entrypoint.sh "$@"
"""
"""Before the server listens, each role has the Secret's password: on a new directory and on one that is there.

The image makes a directory where there is none; a server for a single user needs no password and serves nobody.
Sources: docker-ensure-initdb.sh of https://github.com/docker-library/postgres (in 17.6 and 18.4),
https://www.postgresql.org/docs/17/app-postgres.html#APP-POSTGRES-SINGLE-USER,
https://www.postgresql.org/docs/17/runtime-config-error-handling.html#GUC-EXIT-ON-ERROR
"""
COLLECTED: Final = (
    "blks_hit",
    "blks_read",
    "tup_fetched",
    "tup_returned",
    "tup_inserted",
    "tup_updated",
    "tup_deleted",
    "deadlocks",
)
"""Metrics that the demo chart turns on."""
DISCOVERY: Final = "io.opentelemetry.discovery.metrics"
COLLECTORS_VARIABLE: Final = "POSTGRESQL_PASSWORD"


@dataclass(frozen=True, kw_only=True)
class Database:
    """PostgreSQL in one version of the demo chart.

    ``roles``: role -> key of the Secret. ``monitored_as``: the collector's role. ``connections``: component -> its
    connection string without the password. ``arguments``: of the server. ``exporter``: where the collector sends what
    it reads; None where the chart's own pipeline has the receiver.
    """

    workload: str
    roles: Mapping[str, str]
    monitored_as: str
    connections: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    exporter: str | None = None


OTEL: Final = {"root": SUPERUSER, "otelu": APPLICATION}
BY_KEYWORD: Final = "Host=postgresql;Username=otelu;Database=otel"
OF_VARIANTS: Final[Mapping[str, Database]] = {
    "": Database(workload="postgresql", roles=OTEL, monitored_as="root", connections={"accounting": BY_KEYWORD}),
    "chart-0.40": Database(
        workload="postgresql",
        roles=OTEL,
        monitored_as="root",
        connections={
            "accounting": BY_KEYWORD,
            "product-catalog": "postgres://otelu@postgresql/otel?sslmode=disable",
            "product-reviews": "host=postgresql user=otelu dbname=otel",
        },
        exporter="otlphttp/prometheus",
    ),
    "chart-0.41": Database(
        workload="astronomy-db",
        roles={"postgres": SUPERUSER, "astronomy_user": APPLICATION, "monitoring_user": MONITORING},
        monitored_as="monitoring_user",
        connections={
            "accounting": "Host=astronomy-db;Username=astronomy_user;Database=astronomy_db",
            "product-catalog": "postgres://astronomy_user@astronomy-db/astronomy_db?sslmode=disable",
        },
        arguments=("-c", "shared_preload_libraries=pg_stat_statements"),
        exporter="otlp_http/prometheus",
    ),
}
"""Variant of the demo chart's values -> what it has; a test compares them with the charts."""


def content() -> dict[str, str]:
    """New content of the Secret. What is in a Secret that is there stays: nothing random is asked for twice."""
    return {GRAFANA_USER: "admin", **{key: secrets.token_hex(24) for key in RANDOM}}


def laid_over(values: Mapping[str, Any], secret: str, variant: str | None = None) -> dict[str, Any]:
    """Values of the demo's wrapper chart that take its passwords from a Secret, over others.

    Args:
        values: the wrapper's values so far; a list of variables among them is kept.
        secret: name of the Secret in the demo's namespace.
        variant: of the demo chart's values; left out: the one that Git names.
    """
    database = OF_VARIANTS[demo_chart.variant() if variant is None else variant]
    found = demo_chart.over(values, _values(database, secret))
    component = found[DEMO]["components"][database.workload]
    below = values.get(DEMO, {}).get("components", {}).get(database.workload, {}).get("envOverrides", [])
    component["envOverrides"] = [*below, *component["envOverrides"]]
    return found


def _values(database: Database, secret: str) -> dict[str, Any]:
    of_server = {"POSTGRES_PASSWORD": SUPERUSER} | {
        _variable(role): key for role, key in database.roles.items() if key != SUPERUSER
    }
    alters = [
        f'alter {role} "${"POSTGRES_PASSWORD" if key == SUPERUSER else _variable(role)}"'
        for role, key in database.roles.items()
    ]
    server: dict[str, Any] = {
        "command": ["bash", "-c", START.replace("ROLES", "\n".join(alters)), "bash", "postgres", *database.arguments],
        "envOverrides": [_from(secret, name, key) for name, key in of_server.items()],
    }
    if database.exporter is not None:
        # Discovered by annotations, the receiver would have the password there, in plain text.
        server["podAnnotations"] = {f"{DISCOVERY}/enabled": "false", f"{DISCOVERY}/config": ""}
    return {
        "passwords": {"secretName": secret},
        DEMO: {
            "components": {
                database.workload: server,
                # Npgsql, lib/pq and libpq take the password from this variable.
                # Sources: https://www.npgsql.org/doc/connection-string-parameters.html,
                # https://pkg.go.dev/github.com/lib/pq, https://www.postgresql.org/docs/17/libpq-envars.html
                **{
                    component: {
                        "envOverrides": [
                            {"name": "DB_CONNECTION_STRING", "value": string},
                            _from(secret, "PGPASSWORD", APPLICATION),
                        ]
                    }
                    for component, string in database.connections.items()
                },
            },
            "opentelemetry-collector": {
                "extraEnvs": [_from(secret, COLLECTORS_VARIABLE, database.roles[database.monitored_as])],
                "config": _collector(database),
            },
            "grafana": {"admin": {"existingSecret": secret, "userKey": GRAFANA_USER, "passwordKey": GRAFANA_PASSWORD}},
        },
    }


def _collector(database: Database) -> dict[str, Any]:
    """Configuration of the receiver. A pipeline beside the chart's own: a list in values replaces the chart's."""
    password = f"${{env:{COLLECTORS_VARIABLE}}}"
    if database.exporter is None:
        return {"receivers": {"postgresql": {"password": password}}}
    receiver = {
        "endpoint": f"{database.workload}:5432",
        "username": database.monitored_as,
        "password": password,
        "metrics": {f"postgresql.{name}": {"enabled": True} for name in COLLECTED},
        "tls": {"insecure": True},
    }
    pipeline = {
        "receivers": ["postgresql"],
        "processors": ["memory_limiter", "resourcedetection", "resource"],
        "exporters": [database.exporter],
    }
    return {"receivers": {"postgresql": receiver}, "service": {"pipelines": {"metrics/postgresql": pipeline}}}


def _variable(role: str) -> str:
    return f"{role.upper()}_PASSWORD"


def _from(secret: str, name: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
