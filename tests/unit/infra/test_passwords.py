"""The demo's passwords: random, made once, in one Secret and nowhere else."""

import json
from typing import Any

from infra import passwords
from otel_on_spot.plan.record import record
from otel_on_spot.program.values import masked, revealed
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import committed

SECRET, NAMESPACE = "kubernetes:core/v1:Secret", "kubernetes:core/v1:NamespacePatch"


def only(plan: Any, kind: str) -> Any:
    (found,) = [one for one in plan if one.type == kind and "demo" in one.name]
    return found


def test_every_run_makes_up_others_and_what_is_there_stays() -> None:
    first, second = passwords.content(), passwords.content()
    secret = only(recorded("dev"), SECRET)

    assert len({*first.values(), *second.values()}) == 2 * len(passwords.RANDOM) + 1
    assert all(len(first[key]) == 48 for key in passwords.RANDOM)
    assert secret.ignore_changes == ("stringData", "data")
    assert revealed(secret.inputs["stringData"]).keys() == first.keys()


def test_they_are_in_the_secret_masked_and_in_nothing_else() -> None:
    plan = recorded("dev")
    secret = only(plan, SECRET)
    made = {revealed(secret.inputs["stringData"])[key] for key in passwords.RANDOM}

    assert not [value for value in made if value in json.dumps(masked(secret.inputs))]
    for one in plan:
        if one is not secret:
            assert not [value for value in made if value in json.dumps(revealed(one.inputs), default=str)], one.name


def test_the_secret_is_there_before_argo_cd_deploys_what_reads_it_and_in_the_demos_namespace() -> None:
    plan = recorded("dev")
    secret, namespace = only(plan, SECRET), only(plan, NAMESPACE)
    (root,) = [one for one in plan if one.name == "platform-root"]

    assert secret.inputs["metadata"] == {"name": "demo-passwords-1", "namespace": "otel-demo"}
    assert namespace.inputs["metadata"] == {"name": "otel-demo"}
    assert namespace.urn in secret.dependencies
    assert secret.urn in root.dependencies


def test_another_version_is_another_secret_that_every_pod_names() -> None:
    plan = record("dev", config_overrides={"gitops": committed("dev")["gitops"] | {"demoPasswordsVersion": 2}})
    secret = only(plan, SECRET)
    (root,) = [one for one in plan if one.name == "platform-root"]
    told = root.inputs["spec"]["source"]["helm"]["values"]

    assert (secret.name, secret.inputs["metadata"]["name"]) == ("platform-demo-passwords-2", "demo-passwords-2")
    assert "demo-passwords-1" not in told
    assert told.count("demo-passwords-2") == 6


def test_without_the_demo_there_is_no_secret_of_it() -> None:
    off = {"applications": {"otel-demo": {"enabled": False}}}
    plan = record("dev", config_overrides={"gitops": committed("dev")["gitops"] | off})
    (root,) = [one for one in plan if one.name == "platform-root"]

    assert not [one.name for one in plan if "demo" in one.name]
    assert "demo-passwords" not in root.inputs["spec"]["source"]["helm"]["values"]
