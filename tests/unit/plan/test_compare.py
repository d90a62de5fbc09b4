"""What a change adds, removes, replaces or edits, against any Git revision."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import persistence
from infra.settings.models import Persistence
from otel_on_spot.kubernetes.names import APPLICATION
from otel_on_spot.plan import compare
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import record
from tests.unit.conftest import recorded
from tests.unit.repository import SMALL_PROGRAM, committed_program, git
from tests.unit.settings.test_settings import committed

ROOT = Path(__file__).parents[3]


def against_dev(**overrides: Any) -> compare.Difference:
    changed = record("dev", config_overrides={key: committed("dev")[key] | value for key, value in overrides.items()})
    return compare.difference(as_document(recorded("dev")), as_document(changed), "main")


def with_volumes(given: dict[str, Any]) -> dict[str, Any]:
    """The plan of dev with other volumes, which only the root Application tells."""
    document = json.loads(json.dumps(as_document(recorded("dev"))))
    (root,) = (one for one in document["resources"] if one["type"] == APPLICATION.token)
    helm = root["inputs"]["spec"]["source"]["helm"]
    told = persistence.values(Persistence.model_validate(given))
    applications = {name: {"values": values} for name, values in told.items()}
    helm["values"] = yaml.safe_dump(yaml.safe_load(helm["values"]) | {"applications": applications})
    return document


def actions(found: compare.Difference) -> dict[str, str]:
    return {change.name: change.action for change in found.changes}


def test_nothing_changed_is_no_change() -> None:
    document = as_document(recorded("dev"))
    found = compare.difference(document, document, "main")

    assert found.changes == ()
    assert compare.summary(found) == "no changes"
    assert found.unchanged == len(document["resources"])


def test_a_region_without_a_price_has_no_estimate_and_stops_nothing_else() -> None:
    provider = {"type": "pulumi:providers:aws", "inputs": {"region": "mars-west-1"}}
    document = {"stack": "dev", "resources": [provider]}

    told = compare._costs(document, document, ROOT, ROOT)

    assert told.startswith("Costs of dev: no estimate, there is no price for region mars-west-1")


def test_an_edit_shows_the_property_and_both_values() -> None:
    found = against_dev(nodeClass={"volumeGib": 90})

    assert actions(found) == {"capacity-node-class": "edit"}
    (edit,) = found.changes[0].edits
    assert (edit.path, edit.before, edit.after) == ("spec.blockDeviceMappings[0].ebs.volumeSize", "60Gi", "90Gi")


SPOT = committed("dev")["pools"]["spot"]
ALL = "every node of Karpenter's, the databases' too"


@pytest.mark.parametrize(
    ("changed", "whose"),
    [
        ({"tags": {"cost-centre": "other"}}, ALL),
        ({"nodeClass": {"volumeGib": 90}}, ALL),
        ({"pools": {"spot": SPOT | {"expireAfter": "72h"}}}, "nodes of capacity-spot"),
        ({"pools": {"spot": SPOT | {"weight": 60}}}, ""),
        ({"argocd": {"domain": "cd.example.com"}}, ""),
    ],
    ids=["a tag", "the node class", "a pool's template", "a pool's weight", "Argo CD"],
)
def test_a_change_that_drains_nodes_says_whose(changed: dict[str, Any], whose: str) -> None:
    found = against_dev(**changed)

    assert (f"replaces {whose}: by drift" if whose else "") in compare.drained(found)
    assert bool(compare.drained(found)) == bool(whose)
    for page in (compare.text(found), compare.markdown(found)):
        assert (compare.drained(found) in page) if whose else ("by drift" not in page)


def test_a_new_pool_is_added_and_its_removal_removed() -> None:
    found = against_dev(pools={"more": committed("dev")["pools"]["spot"]})
    back = compare.difference(
        as_document(
            record(
                "dev",
                config_overrides={"pools": committed("dev")["pools"] | {"more": committed("dev")["pools"]["spot"]}},
            )
        ),
        as_document(recorded("dev")),
        "main",
    )

    assert actions(found)["capacity-more"] == "add"
    assert actions(back)["capacity-more"] == "remove"


def test_another_range_replaces_the_network_and_says_so_first() -> None:
    found = against_dev(network={"cidr": "10.99.0.0/16"})

    assert actions(found)["network-vpc"] == "replace"
    assert actions(found)["network-private-a"] == "replace"
    assert found.changes[0].action == "replace"
    assert "Replacement" in compare.markdown(found)


def test_a_new_version_of_karpenter_replaces_nothing() -> None:
    found = against_dev(karpenter={"version": "1.15.0"})

    assert set(actions(found).values()) == {"edit"}
    assert {"karpenter-crd", "karpenter-controller"} <= actions(found).keys()


def test_an_alias_keeps_a_renamed_resource() -> None:
    old = {
        "stack": "s",
        "resources": [{"urn": "urn:old", "type": "t", "name": "old", "aliases": [], "inputs": {"a": 1}}],
    }
    new = {
        "stack": "s",
        "resources": [{"urn": "urn:new", "type": "t", "name": "new", "aliases": ["urn:old"], "inputs": {"a": 1}}],
    }

    assert compare.difference(old, new, "main").changes == ()
    new["resources"][0]["aliases"] = []
    assert set(actions(compare.difference(old, new, "main")).values()) == {"add", "remove"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return committed_program(tmp_path)


def test_a_working_tree_is_compared_with_a_revision_whose_tools_are_of_another_layout(clone: Path) -> None:
    """By a small program; the whole one is compared so in the tests of the command."""
    (clone / "__main__.py").write_text(
        "import pulumi\nspot = pulumi.Config().require_object('pools')['spot']\n"
        "pulumi.ComponentResource('a:b:C', spot['limits']['cpu'])\n"
    )
    for package in ("otel_on_spot", "cli", "plan"):
        (clone / package).mkdir(exist_ok=True)
        (clone / package / "__init__.py").write_text('raise AssertionError("the other tree\'s tools were started")')
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "old")
    stack = clone / "Pulumi.dev.yaml"
    stack.write_text(stack.read_text().replace('limits: {cpu: "100"', 'limits: {cpu: "120"'))
    found = compare.against(clone, "dev", "HEAD")

    assert actions(found) == {"100": "remove", "120": "add"}
    assert git(clone, "status", "--short") == " M Pulumi.dev.yaml"


def test_a_revision_that_git_does_not_know_is_told(clone: Path) -> None:
    with pytest.raises(compare.RevisionError, match="no such revision"):
        compare.against(clone, "dev", "nowhere")


def test_a_revision_without_the_program_or_without_the_stack_declares_nothing(clone: Path) -> None:
    git(clone, "rm", "-q", "__main__.py")
    git(clone, "commit", "-qm", "before the program")
    (clone / "__main__.py").write_text(SMALL_PROGRAM)

    assert {change.action for change in compare.against(clone, "dev", "HEAD").changes} == {"add"}


def test_a_revision_whose_program_fails_is_told_with_what_it_said(clone: Path) -> None:
    (clone / "__main__.py").write_text("import nowhere_at_all")
    git(clone, "commit", "-qam", "broken")

    with pytest.raises(
        compare.RevisionError, match="revision HEAD cannot be planned: its program failed: ModuleNotFoundError"
    ):
        compare.against(clone, "dev", "HEAD")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"enabled": True}, "kafka starts on the volume kafka-data"),
        ({"enabled": True}, {}, "kafka starts empty; its volume kafka-data stays, unused and billed"),
        (
            {"enabled": True},
            {"enabled": True, "volumes": {"kafka": {"restoreFrom": "kafka-data-x7k2p"}}},
            "kafka moves from the volume kafka-data to kafka-data-x7k2p and goes on from the snapshot",
        ),
        (
            {"enabled": True},
            {"enabled": True, "volumes": {"kafka": {"gib": 9}}},
            "kafka: 10 to 9 GiB is refused at the preview of a living environment",
        ),
        ({"enabled": True}, {"enabled": True, "volumes": {"kafka": {"gib": 11}}}, ""),
        (
            {"enabled": True},
            {"enabled": True, "storageClass": "io2"},
            "the claims kafka-data, opensearch-data, postgresql-data, prometheus-data, valkey-cart-data keep the "
            "StorageClass gp3",
        ),
        (
            {"enabled": True, "volumes": {"kafka": {"restoreFrom": "kafka-data-x7k2p"}}},
            {"enabled": True, "storageClass": "io2"},
            "the claims opensearch-data, postgresql-data, prometheus-data, valkey-cart-data keep the StorageClass gp3",
        ),
    ],
)
def test_what_becomes_of_the_data_is_told(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    found = compare.difference(with_volumes(before), with_volumes(after), "main")

    for page in (compare.text(found), compare.markdown(found)):
        assert (words in page) if words else ("kafka" not in "".join(found.data))
    assert bool(found.data) == bool(words)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, "io2", 1),
        ({}, "gp3", 0),
        ({"enabled": True}, "ebs.io2", 1),
        ({"enabled": True, "storageClass": "io2"}, "io2", 0),
        ({"enabled": True, "storageClass": "io2"}, "gp3", 0),
    ],
)
def test_a_class_that_the_platform_does_not_make_is_told_where_claims_begin_to_name_it(
    before: dict[str, Any], after: str, told: int
) -> None:
    found = compare.difference(with_volumes(before), with_volumes({"enabled": True, "storageClass": after}), "main")

    text = "".join(found.data)
    assert text.count(f"the StorageClass {after} is none that the platform makes") == told
    assert ("keep the StorageClass" in text) is (bool(before) and before.get("storageClass", "gp3") != after)


def test_the_class_that_the_platform_makes_is_cluster_bases() -> None:
    values = yaml.safe_load((ROOT / "gitops" / "charts" / "cluster-base" / "values.yaml").read_text())

    assert values["storageClass"]["name"] == compare.OWN_CLASS
