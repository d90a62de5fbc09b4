"""Every mutant of a committed stack file is refused before the first resource, with the key named, and no traceback."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from infra.settings import parse
from infra.settings.loader import SECRET_KEYS
from infra.settings.models import Settings
from infra.settings.problem import RULES, message
from infra.settings.table import json_schema
from otel_on_spot import project
from otel_on_spot.cli import app
from tests.unit.settings.kinds import KINDS, SOUND
from tests.unit.settings.test_settings import STACKS, changed, committed

ROOT = project.root()
FREE_FORM = {"tags", "applications"}
"""Keys below which the user's own names stand: any key is a good one."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every node of the tree, with its path, maps of user's names left out."""
    yield path, value
    if isinstance(value, dict) and not (path and path[-1] in FREE_FORM):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from leaves(below, (*path, index))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The tree with another value at a path; what lies beside the path is shared."""
    copied, (head, *below) = tree.copy(), path
    copied[head] = put(tree[head], tuple(below), value) if below else value
    return copied


def mutants(stack: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, top-level key that must be named, mutant)."""
    raw = committed(stack)
    for path, value in leaves(raw):
        where = ".".join(map(str, path))
        if isinstance(value, dict) and not (path and path[-1] in FREE_FORM) and path != ("pools",):
            yield (
                f"unknown key in {where or 'the file'}",
                (path[0] if path else "misspelt"),
                put(raw, (*path, "misspelt"), 1),
            )
        if not path:
            continue
        wrong = {"a": 1} if not isinstance(value, dict) else ["a"]
        yield f"{where} of the wrong type", path[0], put(raw, path, wrong)
        if not isinstance(value, (dict, bool)):
            yield f"{where} is a boolean", path[0], put(raw, path, True)
        yield f"{where} is null", path[0], put(raw, path, None)
        if isinstance(value, str):
            yield f"{where} is 200 characters of noise", path[0], put(raw, path, "~" * 200)


MUTANTS = [(stack, *mutant) for stack in STACKS for mutant in mutants(stack)]


def test_there_are_at_least_two_hundred_mutants() -> None:
    assert len(MUTANTS) >= 200


@pytest.mark.parametrize("stack", STACKS)
def test_every_mutant_is_refused_with_its_key_named(stack: str) -> None:
    survivors = []
    for name, key, raw in (mutant[1:] for mutant in MUTANTS if mutant[0] == stack):
        found, problems = parse(raw)
        if found is not None or not any(problem.key.split(".")[0].split("[")[0] == key for problem in problems):
            survivors.append(name)

    assert survivors == []


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=50)
    | st.sampled_from(["0.0.0.0/0", "10.0.0.0/16", "1.35"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stack=st.sampled_from(STACKS), data=st.data())
def test_no_input_gives_a_traceback(stack: str, data: st.DataObject) -> None:
    raw = committed(stack)
    path = data.draw(st.sampled_from([path for path, _ in leaves(raw) if path]))
    found, problems = parse(put(raw, path, data.draw(anything)))

    assert (found is None) == bool(problems)
    assert message("Pulumi.x.yaml", problems)


@settings(max_examples=100, deadline=None)
@given(raw=st.dictionaries(st.sampled_from([*committed("dev"), "x"]), anything))
def test_no_file_gives_a_traceback(raw: dict[str, Any]) -> None:
    found, problems = parse(raw)

    assert found is None
    assert problems


def of(stack: str, path: str, value: Any) -> dict[str, Any]:
    """A stack file with the value at a path; with several values at several paths, where the path has a plus sign."""
    paths = path.split("+")
    raw = changed(stack, paths[0], value if len(paths) == 1 else value[0])
    for dotted, part in zip(paths[1:], value[1:] if len(paths) > 1 else (), strict=True):
        *parents, last = dotted.split(".")
        target: Any = raw
        for parent in parents:
            target = target[parent]
        target[last] = part
    return raw


def names(key: str, raw: dict[str, Any]) -> bool:
    found, problems = parse(raw)
    return found is None and key in [problem.key for problem in problems]


def test_there_are_at_least_four_hundred_mutants_of_the_known_kinds() -> None:
    assert sum(map(len, KINDS.values())) >= 400


@pytest.mark.parametrize("kind", KINDS)
def test_every_mutant_of_a_kind_is_refused_with_its_key_named(kind: str) -> None:
    accepted = [(path, value) for stack, path, value, key in KINDS[kind] if not names(key, of(stack, path, value))]

    assert accepted == []


def test_no_sound_counterpart_is_refused() -> None:
    refused = [(path, value, parse(of(stack, path, value))[1]) for stack, path, value in SOUND]

    assert [row for row in refused if row[2]] == []


def editor_refuses(raw: dict[str, Any]) -> bool:
    return not EDITOR.is_valid({"config": {f"otel-on-spot:{key}": value for key, value in raw.items()}})


EDITOR = Draft202012Validator(json_schema())


def test_the_editors_schema_is_the_models_own_and_every_stack_file_names_it() -> None:
    page = ROOT / "docs/stack-file.schema.json"

    assert json.loads(page.read_text()) == json_schema()
    assert CliRunner().invoke(app, ["settings", "--json-schema"]).stdout == page.read_text()
    for path in sorted(ROOT.glob("Pulumi.*.yaml")):
        assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema={page.relative_to(ROOT)}"
        EDITOR.validate(yaml.safe_load(path.read_text()))


def test_no_pattern_takes_digits_and_letters_of_other_scripts() -> None:
    found = re.findall(r'"pattern": "([^"]*)"', json.dumps(json_schema(), ensure_ascii=False))

    assert len(found) > 40
    assert [pattern for pattern in found if re.search(r"\\[dw]", pattern)] == []


@pytest.mark.parametrize("stack", STACKS)
def test_an_editor_marks_every_unknown_key_and_wrong_type(stack: str) -> None:
    plain = [
        (name, raw)
        for at, name, _, raw in MUTANTS
        if at == stack and (name.startswith("unknown") or "wrong type" in name)
    ]

    assert [name for name, raw in plain if not editor_refuses(raw)] == []


def test_what_an_editor_marks_is_refused_and_what_is_sound_is_not_marked() -> None:
    rows = [row[:3] for kind in KINDS.values() for row in kind]
    marked = [row for row in rows if editor_refuses(of(*row))]

    assert len(marked) > 40
    assert [row for row in marked if parse(of(*row))[0] is not None] == []
    assert [row for row in SOUND if editor_refuses(of(*row))] == []


def test_keys_of_other_namespaces_and_keys_without_one_are_left_alone() -> None:
    raw = committed("dev")

    EDITOR.validate({"config": raw | {"aws:region": "eu-west-1"}})
    assert not EDITOR.is_valid({"config": raw | {"otel-on-spot:regiom": "eu-west-1"}})
    assert not EDITOR.is_valid({"config": {key: value for key, value in raw.items() if key != "region"}})
    for name in SECRET_KEYS:
        key = Settings.model_fields[name].alias or name
        assert not EDITOR.is_valid({"config": raw | {key: "in plain text"}})
        EDITOR.validate({"config": raw | {key: {"secure": "AAAB"}}})


RULE_OF = {
    "tags_are_taken": "tags",
    "karpenter_knows_every_field": "newer_fields",
    "karpenter_supports_kubernetes": "newer_fields",
    "admitted_roles_are_of_their_own": "administrators",
    "pools_have_instance_types": "capacity",
    "system_nodes_have_instance_types": "capacity",
    "pools_are_consistent": "labels",
    "labels_are_met": "never_met",
    "prod_spot_pools": "shapes",
    "headroom_fits_a_node": "shapes",
    "batches_are_seconds": "batches",
    "expiry_has_a_reason": "expiry",
    "databases_have_the_pool_that_they_select": "placements",
    "node_class_is_taken": "node_classes",
    "public_networks_are_public": "reach",
    "issuer_is_resolved": "reach",
    "region_is_supported": "places",
    "endpoints_are_of_one_name_each": "places",
    "prod_cluster": "places",
    "otlp_backend_can_be_sent_to": "backends",
}


@pytest.mark.parametrize("name", RULE_OF)
def test_without_a_rule_some_mutant_is_accepted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (rule,) = (rule for rule in RULES if getattr(rule, "__name__", "") == name)
    monkeypatch.delitem(RULES, rule)

    assert any(parse(of(stack, path, value))[0] is not None for stack, path, value, _ in KINDS[RULE_OF[name]])
