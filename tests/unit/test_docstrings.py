"""What ruff's D417 and DOC501 do not hold of docstrings and names: they judge no docstring without ``Args:``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for folder in ("otel_on_spot", "infra", "policy", "bootstrap", "bench")
    for file in (ROOT / folder).rglob("*.py")
)
MANY = 4
EMPTY = {"each", "i", "it", "one", "x"}
"""Names that say nothing of what they hold. ``item`` and ``thing`` stay: of any list, and of any kind of Kubernetes."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(body: list[ast.stmt], above: str = "") -> Iterator[tuple[str, Function]]:
    """Functions of a module and methods of its public classes; not what is defined inside of a function."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | Function) and not statement.name.startswith("_"):
            if isinstance(statement, ast.ClassDef):
                yield from public_functions(statement.body, f"{statement.name}.")
            else:
                yield above + statement.name, statement


def parameters(function: Function) -> list[str]:
    """Parameters by name, but for the object or class of a method."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [parameter.arg for parameter in named if parameter and parameter.arg not in ("self", "cls")]


def is_explained_elsewhere(function: Function) -> bool:
    """An override by the method that it overrides, a rule's parameters by the settings whose keys they are."""
    return any(ast.unparse(decorator) in ("override", "rule") for decorator in function.decorator_list)


def unexplained(source: str) -> list[str]:
    """Functions with four parameters or more, and the parameters that their ``Args:`` leaves out."""
    found = []
    for name, function in public_functions(ast.parse(source).body):
        _, _, section = (ast.get_docstring(function) or "").partition("Args:\n")
        left_out = [given for given in parameters(function) if not re.search(rf"^    {given}: \S", section, re.M)]
        if left_out and len(parameters(function)) >= MANY and not is_explained_elsewhere(function):
            found.append(f"{name}: {', '.join(left_out)}")
    return found


def empty_names(source: str) -> list[str]:
    """Loop variables that say nothing of what they hold, with their lines."""
    loops = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.For | ast.comprehension)]
    names = [name for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)]
    return [f"line {name.lineno}: {name.id}" for name in names if name.id in EMPTY]


def test_args_names_each_of_four_parameters() -> None:
    # Not of the CLI: a command's docstring is its --help, and its options have a help of their own.
    sources = [file for file in SOURCES if ROOT / "otel_on_spot/cli" not in file.parents]
    assert {str(file.relative_to(ROOT)): found for file in sources if (found := unexplained(file.read_text()))} == {}


def test_a_loop_variable_is_named_after_what_it_holds() -> None:
    assert {str(file.relative_to(ROOT)): found for file in SOURCES if (found := empty_names(file.read_text()))} == {}


@pytest.mark.parametrize(
    ("signature", "docstring", "found"),
    [
        ("a, b, c", "Add.", []),
        ("a, b, c, d", "Add.", ["f: a, b, c, d"]),
        ("a, b, *, c, **d", "Add.\n\n    Args:\n        a: one.\n        b: two.\n        d: more.", ["f: c"]),
        ("a, b, c, d", "Add.\n\n    Args:\n        a: 1.\n        b: 2.\n        c: 3.\n        d:", ["f: d"]),
        ("a, b, c, d", "Add.\n\n    Args:\n        a: 1.\n        b: 2.\n        c: 3.\n        d: 4.", []),
    ],
)
def test_the_rule_of_args_sees(signature: str, docstring: str, found: list[str]) -> None:
    assert unexplained(f'def f({signature}):\n    """{docstring}"""\n') == found
