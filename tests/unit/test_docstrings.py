"""What ruff's D417 and DOC501 do not hold of docstrings and names: they judge no docstring without ``Args:``."""

import ast
import re
from collections.abc import Iterator, Mapping
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
    """An override by the method that it overrides, a rule's parameters by the settings, a check's by the facts."""
    decorators = (ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list)
    return any(decorator in ("override", "rule", "check") for decorator in decorators)


def unexplained(module: ast.Module) -> list[str]:
    """Functions with four parameters or more, and the parameters that their ``Args:`` leaves out."""
    found = []
    for name, function in public_functions(module.body):
        _, _, section = (ast.get_docstring(function) or "").partition("Args:\n")
        left_out = [given for given in parameters(function) if not re.search(rf"^    {given}: \S", section, re.M)]
        if left_out and len(parameters(function)) >= MANY and not is_explained_elsewhere(function):
            found.append(f"{name}: {', '.join(left_out)}")
    return found


def empty_names(module: ast.Module) -> list[str]:
    """Loop variables that say nothing of what they hold, with their lines."""
    loops = [node for node in ast.walk(module) if isinstance(node, ast.For | ast.comprehension)]
    names = [name for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)]
    return [f"line {name.lineno}: {name.id}" for name in names if name.id in EMPTY]


@pytest.fixture(scope="module")
def modules() -> Mapping[str, ast.Module]:
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in SOURCES}


def test_args_names_each_of_four_parameters(modules: Mapping[str, ast.Module]) -> None:
    # Not of the CLI: a command's docstring is its --help, and its options have a help of their own.
    judged = {name: unexplained(module) for name, module in modules.items() if "otel_on_spot/cli/" not in name}
    assert {name: found for name, found in judged.items() if found} == {}


def test_a_loop_variable_is_named_after_what_it_holds(modules: Mapping[str, ast.Module]) -> None:
    judged = {name: empty_names(module) for name, module in modules.items()}
    assert {name: found for name, found in judged.items() if found} == {}


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
    assert unexplained(ast.parse(f'def f({signature}):\n    """{docstring}"""\n')) == found


def test_the_rule_of_loop_variables_sees() -> None:
    assert empty_names(ast.parse("for key, one in pairs:\n    [x for x in one]")) == ["line 1: one", "line 2: x"]
