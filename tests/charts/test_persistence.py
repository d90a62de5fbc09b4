"""Every database gets a volume, mounted where it keeps its data, with one writer at a time; nothing else changes."""

import json
from typing import Any

import pytest
import yaml

from infra import passwords
from infra.demo_chart import over
from infra.persistence import DATABASES, demo_values
from infra.settings import parse
from infra.settings.models import DEFAULT_GIB, Persistence, Volume
from tests.charts.demo_chart import SECRET, WRAPPER, Wrapper
from tests.charts.helm import HelmError
from tests.charts.test_capacity import baseline_problems, containers, pod_specs
from tests.charts.workloads import by_name
from tests.unit.settings.test_settings import committed

DEMO = "opentelemetry-demo"
CLAIM = "PersistentVolumeClaim"
ON: dict[str, Any] = {"enabled": True}
HOMES = {
    "kafka": ("KAFKA_LOG_DIRS", "/var/lib/kafka/data/kraft"),
    "opensearch": ("", "/usr/share/opensearch/data"),
    "postgresql": ("PGDATA", "/var/lib/postgresql/data/pgdata"),
    "prometheus": ("", "/data"),
    "valkey-cart": ("", "/data"),
}
"""Database -> what tells it its directory, and that; where nothing does, it is the image's or its chart's own."""


def on(**fields: Any) -> dict[str, Any]:
    return passwords.laid_over(demo_values(Persistence.model_validate(ON | fields)), SECRET)


def claims(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return by_name(objects, CLAIM)


def patches(objects: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Arguments of the guard's patches, by workload."""
    job = by_name(objects, "Job")["stateful-placement-sync"]["spec"]["template"]["spec"]
    return {one["name"].removeprefix("patch-"): one["args"] for one in job["initContainers"]}


def test_the_list_of_databases_is_the_charts(wrapper: Wrapper) -> None:
    assert set(DATABASES) == set(DEFAULT_GIB) == {entry["name"] for entry in wrapper.values("dev")["stateful"]}


def test_volumes_are_on_in_staging_and_prod_and_off_in_dev(shell: Wrapper, environment: str) -> None:
    settings, problems = parse(committed(environment))
    assert settings is not None, problems

    assert settings.persistence.enabled is (environment != "dev")
    assert len(claims(shell.objects(environment))) == (5 if environment != "dev" else 0)


def test_a_claim_has_one_writer_its_size_and_its_class_and_outlives_its_line_in_git(shell: Wrapper) -> None:
    found = claims(shell.objects("dev", on(storageClass="io2", volumes={"kafka": {"gib": 33}})))

    assert {name: claim["spec"]["resources"]["requests"]["storage"] for name, claim in found.items()} == {
        f"{name}-data": f"{33 if name == 'kafka' else gib}Gi" for name, gib in DEFAULT_GIB.items()
    }
    for claim in found.values():
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert claim["spec"]["storageClassName"] == "io2"
        assert "dataSource" not in claim["spec"]
        annotations = claim["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
        assert annotations["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous"


def test_a_snapshot_begins_a_claim_of_its_own_and_the_database_moves_to_it(shell: Wrapper, real_demo: Wrapper) -> None:
    restored = on(volumes={"postgresql": {"restoreFrom": "postgresql-data-x7k2p"}})
    found = claims(shell.objects("dev", restored))

    assert set(found) == {*(f"{name}-data" for name in set(DATABASES) - {"postgresql"}), "postgresql-data-x7k2p"}
    assert found["postgresql-data-x7k2p"]["spec"]["dataSource"] == {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": "postgresql-data-x7k2p",
    }
    (volume,) = pod_specs(real_demo.objects("dev", restored))["postgresql"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == "postgresql-data-x7k2p"


@pytest.mark.parametrize("database", DATABASES)
def test_each_database_keeps_its_data_on_its_volume_as_a_user_who_may_write_there(
    real_demo: Wrapper, database: str
) -> None:
    spec = pod_specs(real_demo.objects("dev", on()))[database]
    variable, home = HOMES[database]
    (volume,) = (one["name"] for one in spec["volumes"] if one.get(CLAIM[0].lower() + CLAIM[1:]))
    main = spec["containers"][0]
    (mounted,) = (one for one in main["volumeMounts"] if one["name"] == volume)
    environment = {one["name"]: one.get("value") for one in main["env"]} if variable else {}

    assert spec["volumes"][[one["name"] for one in spec["volumes"]].index(volume)] == {
        "name": volume,
        "persistentVolumeClaim": {"claimName": f"{database}-data"},
    }
    assert home.startswith(mounted["mountPath"])
    assert not mounted.get("subPath")
    assert environment.get(variable, home) == home
    # ext4's root has a lost+found, which these two take for data of theirs.
    assert (home != mounted["mountPath"]) == (database in ("kafka", "postgresql"))
    pod, own = spec["securityContext"], main.get("securityContext") or {}
    user = own.get("runAsUser") or pod.get("runAsUser")
    assert user
    assert pod["fsGroup"]
    assert pod["fsGroupChangePolicy"] == "OnRootMismatch"
    assert baseline_problems(spec) == []
    assert all((one.get("securityContext") or {}).get("runAsUser") != 0 for one in containers(spec))


def test_no_database_starts_before_the_one_that_holds_its_volume_has_ended(real_demo: Wrapper) -> None:
    """StatefulSets wait by nature; Prometheus' chart has the key; the rest get it by the guard, in either phase."""
    objects = real_demo.objects("dev", on())
    strategies = {
        name: (by_name(objects, "Deployment").get(name) or {"spec": {}})["spec"].get("strategy", {}).get("type")
        for name in DATABASES
    }
    recreated = {name for name, args in patches(objects).items() if any("/spec/strategy" in part for part in args)}

    assert strategies == dict.fromkeys(DATABASES) | {"prometheus": "Recreate"}
    assert by_name(objects, "StatefulSet")["opensearch"]["spec"]["replicas"] == 1
    assert recreated == {"kafka", "postgresql", "valkey-cart"}
    assert all(
        '{"op":"add","path":"/spec/strategy","value":{"type":"Recreate"}}' in "".join(patches(objects)[name])
        for name in recreated
    )
    for phase in ("sync", "postsync"):
        job = by_name(objects, "Job")[f"stateful-placement-{phase}"]["spec"]["template"]["spec"]
        (verified,) = (one for one in job["containers"] if one["name"] == "verify-strategy")
        assert {part for part in verified["args"] if part.startswith("deployment/")} == {
            f"deployment/{name}" for name in recreated
        }


def test_without_volumes_the_guard_leaves_the_strategy_alone(shell: Wrapper) -> None:
    objects = shell.objects("dev")

    assert "/spec/strategy" not in str(patches(objects))
    assert claims(objects) == {}


def test_volumes_change_the_databases_and_nothing_else(real_demo: Wrapper) -> None:
    plain, kept = (pod_specs(real_demo.objects("dev", given)) for given in ({}, on()))

    jobs = {"stateful-placement-sync", "stateful-placement-postsync"}
    assert {name for name in kept if kept[name] != plain.get(name)} == {*DATABASES, *jobs}


def test_no_stateful_set_needs_a_field_that_cannot_change(real_demo: Wrapper) -> None:
    """Turned on, off or made larger on a living environment: of a StatefulSet's fields the API server takes few."""
    given = ({}, on(), on(volumes={"opensearch": {"gib": 99}}))
    specs = [by_name(real_demo.objects("dev", one), "StatefulSet")["opensearch"]["spec"] for one in given]
    fixed = [{key: value for key, value in spec.items() if key not in ("template", "replicas")} for spec in specs]

    assert fixed[0] == fixed[1] == fixed[2]


MORE = {"requests": {"cpu": "1", "memory": "8Gi"}, "limits": {"memory": "8Gi"}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {DEMO: {"components": {"kafka": {"additionalVolumes": []}}}},
            r"persistence\.claims\.kafka: .* does not mount",
        ),
        ({DEMO: {"components": {"valkey-cart": {"additionalVolumes": []}}}}, r"persistence\.claims\.valkey-cart"),
        ({DEMO: {"opensearch": {"extraVolumes": []}}}, r"persistence\.claims\.opensearch"),
        (
            {DEMO: {"prometheus": {"server": {"persistentVolume": {"existingClaim": "other"}}}}},
            r"persistence\.claims\.prometheus",
        ),
        ({DEMO: {"prometheus": {"server": {"persistentVolume": {"enabled": False}}}}}, r"claims\.prometheus"),
        ({DEMO: {"components": {"postgresql": {"envOverrides": []}}}}, "PGDATA is missing"),
        (
            {DEMO: {"components": {"kafka": {"envOverrides": [{"name": "A", "value": "b"}]}}}},
            "KAFKA_LOG_DIRS is missing",
        ),
        ({DEMO: {"components": {"kafka": {"additionalVolumeMounts": []}}}}, "kafka does not mount the claim"),
        ({DEMO: {"opensearch": {"extraVolumeMounts": []}}}, "opensearch does not mount the claim"),
        (
            {
                DEMO: {
                    "components": {"kafka": {"additionalVolumeMounts": [{"name": "data", "mountPath": "/elsewhere"}]}}
                }
            },
            "mounted at /elsewhere, and kafka keeps its data in /var/lib/kafka/data/kraft",
        ),
        (
            {DEMO: {"components": {"postgresql": {"envOverrides": [{"name": "PGDATA", "value": "/tmp/data"}]}}}},
            "postgresql keeps its data in /tmp/data",
        ),
        (
            {DEMO: {"components": {"valkey-cart": {"command": ["valkey-server", "--dir", "/tmp"]}}}},
            "valkey-cart keeps its data in /tmp",
        ),
        ({DEMO: {"opensearch": {"persistence": {"enabled": True}}}}, r"opensearch\.persistence\.enabled"),
        (
            {DEMO: {"prometheus": {"server": {"retentionSize": "6GB", "resources": MORE}}}},
            "6GB is not below its volume, 5Gi",
        ),
        ({"placementHook": {"enabled": False}}, r"placementHook\.enabled"),
        ({"persistence": {"claims": {"frontend": {"name": "frontend-data", "gib": 1}}}}, "frontend is no database"),
        ({"persistence": {"claims": {"kafka": {"gib": 0}}}}, "minimum"),
        ({DEMO: {"components": {"postgresql": {"replicas": 2}}}}, r"postgresql\.replicas: 2"),
    ],
)
def test_a_claim_that_nothing_writes_to_or_that_two_would_is_refused(
    shell: Wrapper, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", over(on(), values))


def test_kafkas_log_ends_below_its_volume_at_every_size(shell: Wrapper) -> None:
    for gib in (1, 10, 500):
        told = on(volumes={"kafka": {"gib": gib}})[DEMO]["components"]["kafka"]["envOverrides"]
        given = {one["name"]: one["value"] for one in told}
        kept = int(given["KAFKA_LOG_RETENTION_BYTES"]) + 2 * int(given["KAFKA_LOG_SEGMENT_BYTES"])
        assert kept <= gib * 2**30 * 3 / 4


Snapshots = list[dict[str, str]]
FIRST = {"name": "by-hand"}


def job(wrapper: Wrapper, keep: int) -> list[list[str]]:
    """Arguments of the backup's containers, in their order."""
    (cron,) = by_name(wrapper.objects("dev", on(backup={"keep": keep})), "CronJob").values()
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return [one["args"] for one in pod["initContainers"] + pod["containers"]]


def run(commands: list[list[str]], there: Snapshots, turn: int, *, ready: bool = True) -> None:
    """What kubectl does for the commands, on one database's snapshots: by their labels alone."""
    for verb, *arguments in commands:
        told = next((one.partition("=")[2] for one in arguments if one.startswith("--selector=")), "")
        key, _, ages = told.partition(",") if "notin" in told else told.partition("=")
        if verb == "create":
            there.append({"name": f"turn-{turn}", "otel-on-spot/backup": "new"})
        elif verb == "wait" and not ready:
            return
        elif verb == "delete":
            kept = ages.partition("(")[2].rstrip(")").split(",")
            there[:] = [one for one in there if key not in one or one[key] in kept]
        elif verb == "label":
            (changed,) = (one for one in arguments if one.startswith(key))
            for one in there:
                if one.get(key) == ages:
                    one[key] = changed.partition("=")[2]


@pytest.mark.parametrize("keep", [1, 2, 7])
def test_as_many_backups_are_kept_as_asked_for_the_newest_and_no_others_are_touched(shell: Wrapper, keep: int) -> None:
    there: Snapshots = [dict(FIRST)]
    for turn in range(10):
        run(job(shell, keep), there, turn)

    assert there[0] == FIRST
    assert [(one["name"], one["otel-on-spot/backup"]) for one in there[1:]] == [
        (f"turn-{turn}", str(10 - turn)) for turn in range(10 - keep, 10)
    ]


def test_a_backup_that_does_not_get_ready_takes_none_away_and_the_next_one_takes_it_along(shell: Wrapper) -> None:
    there: Snapshots = []
    for turn in range(3):
        run(job(shell, 2), there, turn, ready=turn != 2)
    assert [one["name"] for one in there] == ["turn-0", "turn-1", "turn-2"]

    run(job(shell, 2), there, 3)
    assert [one["name"] for one in there] == ["turn-1", "turn-2", "turn-3"]


def test_fewer_to_keep_takes_all_that_are_older(shell: Wrapper) -> None:
    there: Snapshots = []
    for turn in range(9):
        run(job(shell, 7 if turn < 8 else 2), there, turn)

    assert [one["name"] for one in there] == ["turn-7", "turn-8"]


def test_a_backup_snapshots_every_claim_the_restored_one_too_with_the_rights_that_it_uses(shell: Wrapper) -> None:
    given = on(backup={"schedule": "30 2 * * *", "keep": 2}, volumes={"kafka": {"restoreFrom": "kafka-data-x7k2p"}})
    objects = shell.objects("dev", given)
    text = by_name(objects, "ConfigMap")["volume-backup"]["data"]["snapshots.yaml"]
    made = list(yaml.safe_load_all(text))
    cron = by_name(objects, "CronJob")["volume-backup"]["spec"]
    pod = cron["jobTemplate"]["spec"]["template"]["spec"]
    (rule,) = by_name(objects, "Role")["volume-backup"]["rules"]

    assert {one["spec"]["source"]["persistentVolumeClaimName"] for one in made} == set(claims(objects))
    assert {one["metadata"]["generateName"] for one in made} == {f"{name}-data-" for name in DATABASES}
    assert {one["spec"]["volumeSnapshotClassName"] for one in made} == {"ebs"}
    assert (cron["schedule"], cron["timeZone"], cron["concurrencyPolicy"]) == ("30 2 * * *", "Etc/UTC", "Forbid")
    assert cron["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert set(rule["verbs"]) == {"create", "delete", "get", "list", "patch", "watch"}
    assert "volume-backup" in by_name(objects, "NetworkPolicy")
    assert {volume["name"] for volume in pod["volumes"]} == {"tmp", "snapshots"}
    for container in pod["initContainers"] + pod["containers"]:
        assert "command" not in container
        assert not any(shell in arg for arg in container["args"] for shell in ("sh -c", "&&", "|", ";", "$("))
        assert container["securityContext"]["readOnlyRootFilesystem"]
    assert baseline_problems(pod) == []


def test_without_a_backup_nothing_of_it_is_left(shell: Wrapper) -> None:
    assert "volume-backup" not in {one["metadata"]["name"] for one in shell.objects("dev", on())}


def test_backups_are_on_where_volumes_are(environment: str) -> None:
    settings, problems = parse(committed(environment))
    assert settings is not None, problems

    assert bool(settings.persistence.backup) is settings.persistence.enabled


def test_the_chart_takes_every_size_that_the_setting_takes() -> None:
    schema = json.loads((WRAPPER / "values.schema.json").read_text())["properties"]["persistence"]["properties"]
    chart = schema["claims"]["additionalProperties"]["properties"]["gib"]
    setting = next(one for one in Volume.model_json_schema()["properties"]["gib"]["anyOf"] if one["type"] == "integer")

    assert (chart["minimum"], chart["maximum"]) == (setting["minimum"], setting["maximum"])
