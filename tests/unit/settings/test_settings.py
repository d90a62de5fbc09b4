"""The door: good stack files open it, everything else is told whole, at once, before the first resource."""

import json
import pickle
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import Settings, parse
from infra.settings.placement import PLACEMENT
from infra.settings.problem import message
from otel_on_spot.plan.record import record
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.program.stack_file import SECRET_PLACEHOLDER

ROOT = Path(__file__).parents[3]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def committed(stack: str) -> dict[str, Any]:
    """The committed stack file's own keys, parsed; the caller's to change."""
    return pickle.loads(_committed(stack))  # a fifth of a deep copy's time, and there are ten thousand


@cache
def _committed(stack: str) -> bytes:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return pickle.dumps({key.removeprefix("otel-on-spot:"): value for key, value in config.items()})


def changed(stack: str, path: str, value: Any) -> dict[str, Any]:
    """The stack's settings with the value at a dotted path replaced; None removes it."""
    raw = committed(stack)
    *parents, last = path.split(".")
    target = raw
    for parent in parents:
        target = target.setdefault(parent, {})
    if value is None:
        target.pop(last)
    else:
        target[last] = value
    return raw


def keys_of(raw: dict[str, Any]) -> list[str]:
    settings, problems = parse(raw)

    assert (settings is None) == bool(problems)
    return [problem.key for problem in problems]


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_file_has_no_problem(stack: str) -> None:
    settings, problems = parse(committed(stack))

    assert problems == []
    assert settings is not None


@pytest.mark.parametrize("stack", STACKS)
def test_objects_may_arrive_as_the_json_text_that_the_engine_hands_over(stack: str) -> None:
    raw = committed(stack)

    assert parse({k: json.dumps(v) if isinstance(v, dict) else v for k, v in raw.items()}) == parse(raw)


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_file_runs_on_any_backend(stack: str) -> None:
    keys = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text()).keys()

    assert keys & {"secretsprovider", "encryptionsalt", "encryptedkey"} == set()


@pytest.mark.parametrize(
    ("stack", "path", "value", "key"),
    [
        ("dev", "netwrok", {"cidr": "10.0.0.0/16"}, "netwrok"),
        ("dev", "network.cdir", "10.0.0.0/16", "network.cdir"),
        ("dev", "network.cidr", "10.10.0.1/16", "network.cidr"),
        ("dev", "network.cidr", "10.10.0.0/24", "network.cidr"),
        ("dev", "network.cidr", "10.10.0.0/19", "network.cidr"),
        ("dev", "network.cidr", "10.10.0.0/21", "network.privatePrefix"),
        ("dev", "network.cidr", "8.8.0.0/16", "network.cidr"),
        ("dev", "network.cidr", 10, "network.cidr"),
        ("dev", "network.privatePrefix", 16, "network.privatePrefix"),
        ("dev", "network.privatePrefix", "20", "network.privatePrefix"),
        ("dev", "network.publicPrefix", 29, "network.publicPrefix"),
        ("dev", "network.zones", ["eu-west-1a"], "network.zones"),
        ("dev", "network.zones", ["eu-west-1a", "eu-west-1a"], "network.zones"),
        ("dev", "network.zones", ["us-east-1a", "eu-west-1b"], "network.zones"),
        ("dev", "network.nat", "none", "network.nat"),
        ("dev", "region", "Ireland", "region"),
        ("dev", "region", None, "region"),
        ("dev", "environment", "production", "environment"),
        ("dev", "accountId", "1234", "accountId"),
        ("dev", "cluster.name", "x" * 80, "cluster.name"),
        ("dev", "cluster.name", "arn:aws:eks:eu-west-1:111122223333:cluster/dev", "cluster.name"),
        ("dev", "cluster.name", None, "cluster.name"),
        ("dev", "cluster.kubernetesVersion", 1.36, "cluster.kubernetesVersion"),
        ("dev", "cluster.kubernetesVersion", "1.35", "cluster.addons.kubeProxy"),
        ("dev", "cluster.endpoint.publicCidrs", ["0.0.0.0/0"], "cluster.endpoint.publicCidrs"),
        ("dev", "cluster.endpoint.publicCidrs", [], "cluster.endpoint.publicCidrs"),
        ("dev", "cluster.endpoint.private", False, "cluster.endpoint.private"),
        ("dev", "cluster.endpoint.public", False, "cluster.endpoint.reachedFrom"),
        ("dev", "cluster.endpoint.reachedFrom", "runner-in-vpc", "cluster.endpoint.runnerCidrs"),
        ("dev", "cluster.adminRoleArns", ["platform-admin"], "cluster.adminRoleArns[0]"),
        ("dev", "cluster.nodeAccess", "config-map", "cluster.nodeAccess"),
        ("dev", "cluster.logRetentionDays", 31, "cluster.logRetentionDays"),
        ("dev", "cluster.systemNodes", {"size": 1}, "cluster.systemNodes.size"),
        ("dev", "cluster.systemNodes", {"instanceTypes": ["m7g.large"]}, "cluster.systemNodes.instanceTypes"),
        ("dev", "cluster.systemNodes", {"kubernetesVersion": "1.34"}, "cluster.systemNodes.kubernetesVersion"),
        ("dev", "cluster.systemNodes", {"kubernetesVersion": "1.37"}, "cluster.systemNodes.kubernetesVersion"),
        ("dev", "cluster.systemNodes", {"releaseVersion": "1.35.8-20260930"}, "cluster.systemNodes.releaseVersion"),
        (
            "dev",
            "cluster.systemNodes",
            {"kubernetesVersion": "1.35", "releaseVersion": "1.36.4-20260930"},
            "cluster.systemNodes.releaseVersion",
        ),
        ("prod", "cluster.systemNodes", {"size": 3}, "cluster.systemNodes.releaseVersion"),
        ("dev", "cluster.addons", {"coredns": "latest"}, "cluster.addons.coredns"),
        ("dev", "cluster.addons", {"vpcCni": "v1.21.1-eksbuild.8"}, "cluster.addons.vpcCni"),
        ("dev", "cluster.addons", {"vpcCni": "v1.22.4-eksbuild.3"}, "cluster.addons.vpcCni"),
        ("dev", "cluster.addons", {"vpcCni": "v1.9.3-eksbuild.1"}, "cluster.addons.vpcCni"),
        ("dev", "karpenter.version", "1.8.0", "karpenter.version"),
        ("dev", "karpenter.version", "1.14", "karpenter.version"),
        ("dev", "karpenter.version", "v1.14.3", "karpenter.version"),
        ("dev", "karpenter", "1.14.3", "karpenter"),
        ("dev", "nodeClass.amiAlias", "al2023", "nodeClass.amiAlias"),
        ("dev", "pools", {}, "pools"),
        ("dev", "pools.data.capacityTypes", ["spot"], "pools.data.capacityTypes"),
        ("dev", "pools.data.taints", [], "pools.data.taints"),
        ("dev", "pools.data", None, "pools.spot.spotOnlyReason"),
        ("dev", "pools.spot.spotOnlyReason", "nobody minds losing it", "pools.spot.spotOnlyReason"),
        ("dev", "pools.spot", None, "pools"),
        ("dev", "pools.spot.weight", 101, "pools.spot.weight"),
        ("dev", "pools.spot.budgets", [{"nodes": "110%"}], "pools.spot.budgets[0].nodes"),
        ("dev", "pools.spot.budgets", [{"nodes": "1", "schedule": "@daily"}], "pools.spot.budgets[0]"),
        ("dev", "argocd.chartVersion", "latest", "argocd.chartVersion"),
        ("dev", "gitops.repository", "github.com/your-org/otel-on-spot", "gitops.repository"),
        ("dev", "gitops.revision", "", "gitops.revision"),
        ("prod", "network.zones", ["eu-west-1a", "eu-west-1b"], "network.zones"),
        ("prod", "network.nat", "single", "network.nat"),
        ("prod", "network.flowLogs", False, "network.flowLogs"),
        ("prod", "karpenter.interruptionExperiments", True, "karpenter.interruptionExperiments"),
        ("prod", "nodeClass.amiAlias", "al2023@latest", "nodeClass.amiAlias"),
        ("prod", "argocd.chartVersion", "10.x", "argocd.chartVersion"),
        ("prod", "argocd.adminEnabled", True, "argocd.adminEnabled"),
        ("prod", "gitops.revision", "main", "gitops.revision"),
        ("prod", "cluster.deletionProtection", False, "cluster.deletionProtection"),
        ("prod", "cluster.logTypes", ["audit"], "cluster.logTypes"),
        ("prod", "cluster.adminRoleArns", [], "cluster.adminRoleArns"),
        ("prod", "cluster.endpoint.public", True, "cluster.endpoint.public"),
        ("prod", "cluster.endpoint.runnerCidrs", ["203.0.113.0/24"], "cluster.endpoint.runnerCidrs"),
    ],
)
def test_a_mistake_is_refused_and_its_key_is_named(stack: str, path: str, value: Any, key: str) -> None:
    assert key in keys_of(changed(stack, path, value))


def test_all_problems_are_told_at_once_across_sections_and_kinds_of_rule() -> None:
    raw = changed("prod", "network.nat", "single")
    raw |= {
        "colour": "blue",
        "karpenter": {"version": "1.8.0"},
        "gitops": {"repository": "nowhere", "revision": "main"},
    }
    del raw["argocd"]

    assert set(keys_of(raw)) >= {"colour", "network.nat", "karpenter.version", "gitops.repository", "argocd"}


def test_a_problem_says_what_was_given_the_rule_and_what_to_do() -> None:
    _, problems = parse(changed("dev", "karpenter.version", "1.8.0"))
    text = message("Pulumi.dev.yaml", problems)

    assert text.startswith("Pulumi.dev.yaml: 1 problem, nothing was created")
    for part in (
        "karpenter.version",
        "given: 1.8.0",
        "rule:  Kubernetes 1.36 needs Karpenter 1.13.0 or newer",
        "do:    ",
    ):
        assert part in text


def test_a_misspelt_key_is_answered_with_the_one_that_was_meant() -> None:
    _, problems = parse(changed("dev", "network.flowlogs", True))

    assert "did you mean flowLogs?" in problems[0].do


def test_a_secret_is_never_shown_in_a_problem() -> None:
    _, problems = parse(
        committed("dev") | {"gitToken": "sentinel", "gitops": {"repository": "git@host:x/y.git", "revision": "main"}}
    )

    assert "gitToken" in [problem.key for problem in problems]
    assert "sentinel" not in message("Pulumi.dev.yaml", problems)


def test_settings_are_frozen() -> None:
    settings, _ = parse(committed("dev"))

    assert settings is not None
    with pytest.raises(Exception, match="frozen"):
        settings.cluster.name = "other"  # ty: ignore[invalid-assignment]


NEEDED_BY_SECRETS: dict[str, dict[str, Any]] = {
    "gitToken": {},
    "gitSshKey": {"repository": "git@github.com:acme/otel-on-spot.git"},
    "githubAppPrivateKey": {"githubApp": {"appId": 1, "installationId": 2}},
}
"""What else ``gitops`` says where a secret is given."""


@pytest.mark.parametrize("key", sorted({field.alias or name for name, field in Settings.model_fields.items()}))
def test_only_a_secret_setting_can_be_a_secret_and_the_refusal_does_not_show_it(tmp_path: Path, key: str) -> None:
    for file in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / file, tmp_path)
    content = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    content["config"][f"otel-on-spot:{key}"] = {"secure": "cipher"}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))

    if key in NEEDED_BY_SECRETS:
        content["config"]["otel-on-spot:gitops"] |= NEEDED_BY_SECRETS[key]
        (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
        assert record("dev", root=tmp_path).registrations
        return
    with pytest.raises(ProgramError) as refusal:
        record("dev", root=tmp_path)
    assert (
        f"1 problem, nothing was created\n  {key}\n    given: [secret]\n    rule:  only gitSshKey, gitToken, "
        "githubAppPrivateKey can be a secret" in str(refusal.value)
    )
    assert SECRET_PLACEHOLDER not in str(refusal.value)


def test_the_databases_placement_is_that_of_the_chart_in_every_environment() -> None:
    chart = ROOT / "gitops" / "charts" / "otel-demo"

    assert yaml.safe_load((chart / "values.yaml").read_text())["placement"] == PLACEMENT
    for values in sorted(chart.glob("values-*.yaml")):
        assert "placement" not in yaml.safe_load(values.read_text()), values.name


@pytest.mark.parametrize(
    ("persistence", "gitops", "keys"),
    [
        ({"enabled": True}, {}, []),
        ({"enabled": True}, {"enabled": False}, ["persistence.enabled"]),
        ({"volumes": {"kafka": {"gib": 20}}}, {"enabled": False}, []),
        ({"volumes": {"kafka": {"restoreFrom": "a"}}}, {}, ["persistence.volumes.kafka.restoreFrom"]),
        ({"enabled": True, "volumes": {"kafka": {"restoreFrom": "kafka-data-x"}}}, {}, []),
        (
            {"enabled": True, "volumes": {"kafka": {"restoreFrom": "kafka-data"}}},
            {},
            ["persistence.volumes.kafka.restoreFrom"],
        ),
        (
            {"enabled": True, "volumes": {"kafka": {"restoreFrom": "a"}, "postgresql": {"restoreFrom": "a"}}},
            {},
            ["persistence.volumes.kafka.restoreFrom", "persistence.volumes.postgresql.restoreFrom"],
        ),
        ({"enabled": True, "backup": {}}, {}, []),
        ({"backup": {}}, {}, ["persistence.backup"]),
        ({"enabled": True, "backup": {"keep": 0}}, {}, ["persistence.backup.keep"]),
        ({"enabled": True, "backup": {"schedule": "daily"}}, {}, ["persistence.backup.schedule"]),
        ({"enabled": True, "backup": {"schedule": "0 3 * * 7"}}, {}, ["persistence.backup.schedule"]),
        ({"enabled": "yes"}, {}, ["persistence.enabled"]),
        ({"enabled": True, "volumes": {"mysql": {"gib": 20}}}, {}, ["persistence.volumes.mysql"]),
        ({"enabled": True, "volumes": {"kafka": {"gib": 0}}}, {}, ["persistence.volumes.kafka.gib"]),
        ({"enabled": True, "volumes": {"kafka": {"gib": "10"}}}, {}, ["persistence.volumes.kafka.gib"]),
        ({"enabled": True, "storageClass": "GP3"}, {}, ["persistence.storageClass"]),
        ({"enabled": True, "storageClass": "ebs.csi.io2"}, {}, []),
        ({"enabled": True, "storageClass": "io2."}, {}, ["persistence.storageClass"]),
        ({"enabled": True, "storageClass": "i" * 254}, {}, ["persistence.storageClass"]),
        ({"enabled": True, "size": 10}, {}, ["persistence.size"]),
    ],
)
def test_volumes_that_would_hold_nothing_or_lose_it_are_refused(
    persistence: dict[str, Any], gitops: dict[str, Any], keys: list[str]
) -> None:
    raw = committed("dev")
    demo = {"applications": {"otel-demo": gitops}} if gitops else {}

    assert keys_of(raw | {"persistence": persistence, "gitops": raw["gitops"] | demo}) == keys


def test_prod_backs_up_what_it_keeps() -> None:
    assert keys_of(changed("prod", "persistence.backup", None)) == ["persistence.backup"]
    assert keys_of(changed("staging", "persistence.backup", None)) == []


def test_volumes_are_refused_with_a_demo_chart_of_other_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = [{"kind": "Deployment", "name": name} for name in ("astronomy-db", "kafka")]
    monkeypatch.setattr("infra.demo_chart.values", lambda: {"stateful": databases})

    assert keys_of(committed("dev") | {"persistence": {"enabled": True}}) == ["persistence.enabled"]
    assert keys_of(committed("dev")) == []

    monkeypatch.setattr("infra.demo_chart.variant", lambda *_: "chart-0.41")
    monkeypatch.setattr("infra.demo_chart.problem", lambda: None)
    assert keys_of(committed("dev") | {"persistence": {"enabled": True}}) == []
