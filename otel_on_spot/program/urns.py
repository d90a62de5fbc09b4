"""URNs as the engine makes them, and the former URNs that a resource's aliases stand for."""

from collections.abc import Iterable
from typing import Any, Final

STACK_TYPE: Final = "pulumi:pulumi:Stack"


def urn(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource: the parent's whole qualified type before its own, but not the stack's.

    Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/urn/urn.go

    Args:
        stack: name of the stack.
        project: name of the project.
        parent: URN of the parent; empty of what has none.
        type_: the resource's type, such as ``aws:ec2/vpc:Vpc``.
        name: its logical name.
    """
    above = qualified_type(parent) if parent else STACK_TYPE
    kind = type_ if above == STACK_TYPE else f"{above}${type_}"
    return f"urn:pulumi:{stack}::{project}::{kind}::{name}"


def qualified_type(of: str) -> str:
    """``urn:pulumi:dev::p::a$b::n`` -> ``a$b``."""
    return of.split("::", 3)[2]


def type_of(of: str) -> str:
    """``urn:pulumi:dev::p::a$b::n`` -> ``b``."""
    return qualified_type(of).rpartition("$")[2]


def name(of: str) -> str:
    """``urn:pulumi:dev::p::a$b::n`` -> ``n``. A name may hold colons itself."""
    return of.split("::", 3)[3]


def of_provider(reference: str) -> str:
    """``urn::id`` -> ``urn``."""
    return reference.rpartition("::")[0]


def former(request: Any, stack: str, project: str, parents_former: Iterable[str]) -> tuple[str, ...]:
    """The URNs that a registration request's aliases name, and those that follow from its parent's aliases.

    Source: https://github.com/pulumi/pulumi/blob/master/pkg/resource/deploy/step_generator.go (generateAliases)

    Args:
        request: a RegisterResourceRequest of the engine's protocol.
        stack: name of the stack.
        project: name of the project.
        parents_former: URNs that the parent's aliases stand for.
    """
    own = [*request.aliasURNs, *(_collapsed(alias, request, stack, project) for alias in request.aliases)]
    inherited = []
    for parent in parents_former:
        inherited.append(_below(parent, request.parent, request.type, request.name, stack, project))
        for alias in own:
            former_type = type_of(alias)
            inherited.append(_below(parent, request.parent, former_type, name(alias), stack, project))
    return tuple(dict.fromkeys([*own, *inherited]))


def _collapsed(alias: Any, request: Any, stack: str, project: str) -> str:
    if alias.urn:
        return alias.urn
    spec = alias.spec
    parent = "" if spec.noParent else spec.parentUrn or request.parent
    return urn(
        spec.stack or stack, spec.project or project, parent, spec.type or request.type, spec.name or request.name
    )


def _below(former_parent: str, parent: str, type_: str, child: str, stack: str, project: str) -> str:
    """The child's URN under its parent's former one; a name that starts with the parent's name follows it."""
    now = name(parent)
    former_name = name(former_parent) + child.removeprefix(now) if child.startswith(now) else child
    return urn(stack, project, former_parent, type_, former_name)
