"""Volumes of the demo's databases: the values that claim them, and that mount each where its database keeps its data.

Each database keeps its own workload, with its chart's own keys: a claim beside it instead of a StatefulSet of ours.
docs/adr/0018-volumes-of-the-databases.md says why.
"""

from typing import Any, Final, get_args

from infra import demo_chart
from infra.images import DEMO
from infra.settings.models import Database, Persistence
from infra.settings.placement import RENAMED

DATABASES: Final[tuple[Database, ...]] = get_args(Database)
BASE: Final = "cluster-base"
"""Name of the child Application whose chart has the classes of volumes and of snapshots."""
VOLUME: Final = "data"
ONCE: Final = "OnRootMismatch"
"""The kubelet gives a volume to the group when it is new, not file by file at every start.

PostgreSQL asks for a directory that its group cannot write, which the other policy would open at every start.
Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""
KAFKA_HOME, POSTGRESQL_HOME, OPENSEARCH_HOME, VALKEY_HOME = (
    "/var/lib/kafka/data",
    "/var/lib/postgresql/data",
    "/usr/share/opensearch/data",
    "/data",
)
"""Where the images' own volumes are.

Sources: docker/jvm/Dockerfile of https://github.com/apache/kafka/tree/3.9.1, 17/bookworm/Dockerfile of
https://github.com/docker-library/postgres, charts/opensearch/templates/statefulset.yaml of
https://github.com/opensearch-project/helm-charts/tree/opensearch-3.2.1, 8.1/alpine/Dockerfile of
https://github.com/valkey-io/valkey-container
"""
POSTGRESQL_18_HOME: Final = "/var/lib/postgresql"
"""Since PostgreSQL 18 the image's volume is above the data of its major version, and a mount at ``data`` stops it.

Source: 18/bookworm/Dockerfile and docker-entrypoint.sh of https://github.com/docker-library/postgres
"""


def values(config: Persistence, variant: str | None = None) -> dict[str, dict[str, Any]]:
    """Values of the built-in children, by child: nothing without persistence.

    Args:
        config: the stack's setting.
        variant: which values of the demo chart they are laid over; left out: those that Git names.
    """
    if not config.enabled:
        return {}
    values = {demo_chart.CHILD: demo_values(config, demo_chart.variant() if variant is None else variant)}
    return values | ({BASE: {"volumeSnapshotClass": {"enabled": True}}} if config.backup else {})


def demo_values(config: Persistence, variant: str = "") -> dict[str, Any]:
    """Values of the demo's wrapper chart that give every database its volume."""
    workloads = {name: RENAMED.get(variant, {}).get(name, name) for name in DATABASES}
    persistence: dict[str, Any] = {
        "storageClassName": config.storage_class,
        "claims": {workload: _claim(config, name) for name, workload in workloads.items()},
    }
    if config.backup:
        persistence["backup"] = {"schedule": config.backup.schedule, "keep": config.backup.keep}
    mounts = _mounts(config)
    if workloads["postgresql"] != "postgresql":
        del mounts["components"]["postgresql"]
        mounts["components"][workloads["postgresql"]] = _component(
            config, "postgresql", POSTGRESQL_18_HOME, group=999
        ) | {"envOverrides": [{"name": "PGDATA", "value": f"{POSTGRESQL_18_HOME}/18/docker"}]}
    return {"persistence": persistence, DEMO: mounts}


def _claim(config: Persistence, database: Database) -> dict[str, Any]:
    claim: dict[str, Any] = {"name": config.claim(database), "gib": config.gib(database)}
    snapshot = config.restored_from(database)
    return claim | ({"restoreFrom": snapshot} if snapshot else {})


def _mounts(config: Persistence) -> dict[str, Any]:
    """Values of the demo chart: each volume under the keys that its workload has for it."""
    return {
        "components": {
            # Below the volume's root, which ext4 gives a lost+found: Kafka reads each directory there as a partition,
            # and PostgreSQL begins in an empty one of its own only.
            "kafka": _component(config, "kafka", KAFKA_HOME, group=1000)
            | {
                "envOverrides": [
                    {"name": "KAFKA_LOG_DIRS", "value": f"{KAFKA_HOME}/kraft"},
                    # For each partition; the demo has one topic of one. A segment comes on top.
                    {"name": "KAFKA_LOG_RETENTION_BYTES", "value": str(config.gib("kafka") * 2**30 // 4)},
                    {"name": "KAFKA_LOG_SEGMENT_BYTES", "value": str(2**27)},
                ]
            },
            "postgresql": _component(config, "postgresql", POSTGRESQL_HOME, group=999)
            | {"envOverrides": [{"name": "PGDATA", "value": f"{POSTGRESQL_HOME}/pgdata"}]},
            # Every write is in the log within a second, where the image's own snapshots are minutes apart.
            "valkey-cart": _component(config, "valkey-cart", VALKEY_HOME, group=1000)
            | {"command": ["valkey-server", "--dir", VALKEY_HOME, "--appendonly", "yes", "--save", ""]},
        },
        # Not persistence.enabled: a StatefulSet's claim templates cannot change, so neither could it be turned on where
        # one runs, nor a size grow.
        "opensearch": {
            "extraVolumes": [_volume(config, "opensearch")],
            "extraVolumeMounts": [{"name": VOLUME, "mountPath": OPENSEARCH_HOME}],
            "podSecurityContext": {"fsGroup": 1000, "fsGroupChangePolicy": ONCE},
        },
        "prometheus": {
            "server": {
                "persistentVolume": {"enabled": True, "existingClaim": config.claim("prometheus")},
                "securityContext": {"fsGroupChangePolicy": ONCE},
            }
        },
    }


def _component(config: Persistence, database: Database, home: str, *, group: int) -> dict[str, Any]:
    return {
        "podSecurityContext": {"fsGroup": group, "fsGroupChangePolicy": ONCE},
        "additionalVolumes": [_volume(config, database)],
        "additionalVolumeMounts": [{"name": VOLUME, "mountPath": home}],
    }


def _volume(config: Persistence, database: Database) -> dict[str, Any]:
    return {"name": VOLUME, "persistentVolumeClaim": {"claimName": config.claim(database)}}
