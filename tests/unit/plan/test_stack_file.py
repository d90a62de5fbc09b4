"""Stack files are read as the engine would hand them over; what cannot be read is told with file, place and remedy."""

from pathlib import Path

import pytest

from otel_on_spot.program.stack_file import SECRET_PLACEHOLDER, StackFileError, read, stacks

ADVICE = "Pulumi.dev.yaml is a good start"


def project(folder: Path, stack: str | bytes, declared: str = "name: shop\n") -> Path:
    """A folder with Pulumi.yaml and Pulumi.dev.yaml."""
    (folder / "Pulumi.yaml").write_text(declared)
    (folder / "Pulumi.dev.yaml").write_bytes(stack if isinstance(stack, bytes) else stack.encode())
    return folder


def refused(folder: Path, stack: str = "dev") -> str:
    with pytest.raises(StackFileError) as refusal:
        read(folder, stack)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["Pulumi.dev.yaml: the file is empty", ADVICE]),
        ("# only a comment\n", ["Pulumi.dev.yaml: the file is empty", ADVICE]),
        ("- a\n", ["Pulumi.dev.yaml: the file is a list, not a map", ADVICE]),
        ("just words\n", ["Pulumi.dev.yaml: the file is a str, not a map", ADVICE]),
        ("other: 1\n", ["Pulumi.dev.yaml: no config: section", ADVICE]),
        ("config:\n", ["Pulumi.dev.yaml: no config: section", ADVICE]),
        ("config: [a]\n", ["Pulumi.dev.yaml: no config: section", ADVICE]),
        ("config:\n  a: [1\n  b: 2\n", ["Pulumi.dev.yaml: not YAML at line 3, column 4", "Mend that line"]),
        ("config:\n\ta: 1\n", ["Pulumi.dev.yaml: not YAML at line 2, column 1", "no tabs"]),
        ("config:\n  a: 1\n  a: 2\n", ["not YAML at line 3, column 3", "'a' is there twice"]),
        ("config:\n  a: !!python/object:os.system x\n", ["not YAML at line 2"]),
        (b"config:\n  a: \xff\n", ["Pulumi.dev.yaml: cannot be read", "UTF-8"]),
        ("config:\n  a: \x00\n", ["Pulumi.dev.yaml: not YAML"]),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_place_and_what_to_do(
    tmp_path: Path, content: str | bytes, said: list[str]
) -> None:
    message = refused(project(tmp_path, content))

    assert [part for part in said if part not in message] == []


def test_a_missing_stack_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    message = refused(project(tmp_path, "config: {a: 1}\n"), "moon")

    assert message.startswith("stack 'moon': there is no such stack file. Stacks with a file: dev.")
    assert "copy one to Pulumi.moon.yaml" in message


def test_a_stack_is_a_name_and_never_a_path(tmp_path: Path) -> None:
    folder = project(tmp_path, "config: {a: 1}\n")
    (folder / "Pulumi.x").mkdir()
    (folder / "Pulumi.x" / "y.yaml").write_text("config: {a: 1}\n")

    assert "the name alone, without a path" in refused(folder, "x/y")


def test_a_project_without_its_file_or_its_name_is_told(tmp_path: Path) -> None:
    assert "Pulumi.yaml: the file does not exist" in refused(tmp_path)
    assert "Pulumi.yaml: it has no name" in refused(project(tmp_path, "config: {a: 1}\n", "runtime: python\n"))


def test_a_key_without_a_project_is_the_projects_own_and_any_other_keeps_its_namespace(tmp_path: Path) -> None:
    found = read(project(tmp_path, "config:\n  a: 1\n  shop:b: 2\n  aws:region: eu-west-1\n"), "dev")

    assert found.values == {"shop:a": "1", "shop:b": "2", "aws:region": "eu-west-1"}
    assert (found.project, found.stack, found.secret_keys) == ("shop", "dev", ())


def test_values_travel_as_the_engine_passes_them(tmp_path: Path) -> None:
    content = (
        'config:\n  flag: true\n  number: 3\n  text: "03"\n  list: [1, two]\n  map: {a: {b: [c]}}\n  nothing: null\n'
    )

    assert read(project(tmp_path, content), "dev").values == {
        "shop:flag": "true",
        "shop:number": "3",
        "shop:text": "03",
        "shop:list": '[1, "two"]',
        "shop:map": '{"a": {"b": ["c"]}}',
        "shop:nothing": "",
    }


@pytest.mark.parametrize("word", ["yes", "on", "off", "1:30", "2026-01-31"])
def test_a_word_that_only_yaml_1_1_converts_stays_text(tmp_path: Path, word: str) -> None:
    assert read(project(tmp_path, f"config:\n  a: {word}\n"), "dev").values == {"shop:a": word}


def test_a_secured_value_is_secret_and_its_cipher_goes_nowhere(tmp_path: Path) -> None:
    content = "config:\n  plain: 1\n  token:\n    secure: v1:cipher\n  deep:\n    list:\n      - {secure: v1:cipher}\n"
    found = read(project(tmp_path, content), "dev")

    assert found.secret_keys == ("shop:token", "shop:deep")
    assert found.values["shop:token"] == SECRET_PLACEHOLDER
    assert found.values["shop:deep"] == f'{{"list": ["{SECRET_PLACEHOLDER}"]}}'
    assert "cipher" not in str(found)


def test_the_projects_default_is_there_until_the_stack_says_otherwise(tmp_path: Path) -> None:
    declared = "name: shop\nconfig:\n  a: {type: integer, default: 1}\n  b: {value: 2}\n  c: 3\n  d: {type: string}\n"
    found = read(project(tmp_path, "config:\n  b: 9\n", declared), "dev").values

    assert found == {"shop:a": "1", "shop:b": "9", "shop:c": "3"}


def test_stacks_are_those_that_have_a_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.a-b.yaml").write_text("")

    assert stacks(project(tmp_path, "")) == ["a-b", "dev"]
