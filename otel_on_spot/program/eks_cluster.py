"""The pulumi-eks component, expanded: its children made one after the other, and its own outputs.

``eks_children`` lists the children. Who makes them says how by a ``Maker``: plan and simulated cloud make registrations
(``RegistrationMaker``), the stand-in provider makes resources of the real engine. The rest is the same for all of them.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from otel_on_spot.kubernetes.kubeconfig import eks_kubeconfig
from otel_on_spot.program import urns
from otel_on_spot.program.eks_children import Child, children
from otel_on_spot.program.recording import Registration
from otel_on_spot.program.values import (
    UNKNOWN,
    Reference,
    Secret,
    holds_secret,
    holds_unknown,
    mapped,
    references,
    revealed,
)

TYPE: Final = "eks:index:Cluster"
THUMBPRINT: Final = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
"""The real provider asks the issuer's server for it, which neither a plan nor a simulated cloud has."""
REFERENCE: Final = re.compile(r"\$\{([\w.-]+)\}")

T = TypeVar("T")


class Maker(Protocol[T]):
    """Makes children, and knows their outputs.

    ``partition`` is the AWS partition of the component's provider, ``aws_provider`` a reference to it or None.
    """

    partition: str
    aws_provider: Any

    def opened(self, value: Any) -> Any:
        """An argument with the resource that it may be as a map of its outputs, ``id`` among them."""

    def is_plain(self, leaf: Any) -> bool:
        """True where a leaf of the arguments is known, and no secret."""

    def make(self, child: Child, inputs: dict[str, Any], siblings: Mapping[str, set[str]], made: Mapping[str, T]) -> T:
        """Make a child.

        Args:
            child: from the list.
            inputs: its inputs, references replaced.
            siblings: input -> keys of the siblings that it refers to.
            made: key -> sibling, for those made before.
        """

    def output(self, made: T, name: str) -> Any:
        """An output of a child, or its ``id``."""

    def reference(self, made: T) -> Any:
        """A child as a value of the component's outputs."""

    def combined(self, function: Callable[..., Any], *values: Any) -> Any:
        """``function(*values)`` once they are known; secret where one of them is."""


def expand(name: str, arguments: Mapping[str, Any], maker: Maker[T]) -> dict[str, Any]:
    """Make the children of ``eks.Cluster``, and return the component's outputs.

    Args:
        name: the component's logical name.
        arguments: its arguments.
        maker: makes the children.

    Raises:
        ArgumentError: the component would refuse the arguments, or the mirror does not know one of them.
    """
    return _Expansion(arguments, maker).outputs_of(name)


class _Expansion(Generic[T]):
    """One component under way.

    The list of children is made of plain values. In it, ``${key.output}`` stands for an output of a sibling, and
    ``${argument.n}`` for a part of the arguments that is unknown, secret, or not there yet.
    """

    def __init__(self, arguments: Mapping[str, Any], maker: Maker[T]) -> None:
        self.arguments, self.maker = arguments, maker
        self.made: dict[str, T] = {}
        self._set_aside: list[Any] = []
        self.plain: dict[str, Any] = {key: self._plain(value) for key, value in arguments.items()}

    def _plain(self, value: Any) -> Any:
        value = self.maker.opened(value)
        if isinstance(value, Mapping):
            return {key: self._plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(inner) for inner in value]
        if self.maker.is_plain(value) and not (isinstance(value, str) and REFERENCE.search(value)):
            return value
        self._set_aside.append(value)
        return f"${{argument.{len(self._set_aside) - 1}}}"

    def outputs_of(self, name: str) -> dict[str, Any]:
        """Make the children, and return the component's outputs."""
        for child in children(name, self.plain):
            siblings = {key: _siblings(value) & self.made.keys() for key, value in child.inputs.items()}
            inputs = {key: self._filled(value) for key, value in child.inputs.items()}
            self.made[child.key] = self.maker.make(child, inputs, siblings, self.made)
        outputs = self._outputs()
        core = outputs.pop("core")
        return _given(outputs) | {"core": _given(core)}

    def _filled(self, value: Any) -> Any:
        """The value with every reference replaced."""
        if isinstance(value, Mapping):
            keys, inner = [self._filled(key) for key in value], [self._filled(part) for part in value.values()]
            if all(map(self.maker.is_plain, keys)):
                return dict(zip(keys, inner, strict=True))
            return self.maker.combined(
                lambda *parts: dict(zip(parts[: len(keys)], parts[len(keys) :], strict=True)), *keys, *inner
            )
        if isinstance(value, list | tuple):
            return [self._filled(part) for part in value]
        names = REFERENCE.findall(value) if isinstance(value, str) else []
        if not names:
            return value
        if value == f"${{{names[0]}}}":
            return self._fact(names[0])

        def written(*facts: Any) -> str:
            parts = iter(facts)
            return REFERENCE.sub(lambda _: str(next(parts)), value)

        return self.maker.combined(written, *map(self._fact, names))

    def _fact(self, reference: str) -> Any:
        key, _, name = reference.partition(".")
        if key == "partition":
            return self.maker.partition
        if key == "argument":
            return self._set_aside[int(name)]
        if reference == "cluster.issuer":
            return self.maker.combined(_issuer, self._fact("cluster.identities"))
        if reference == "cluster.thumbprint":
            return self.maker.combined(lambda _: THUMBPRINT, self._fact("cluster.identities"))
        if reference == "cluster.kubeconfig":
            return self._kubeconfig()
        return self.maker.output(self.made[key], name)

    def _kubeconfig(self) -> Any:
        facts = [self._fact(f"cluster.{name}") for name in ("name", "endpoint", "certificateAuthority", "arn")]
        return self.maker.combined(_kubeconfig, *facts)

    def _outputs(self) -> dict[str, Any]:
        def reference(key: str, argument: str = "") -> Any:
            if self.arguments.get(argument) is not None:
                return self.arguments[argument]
            return self.maker.reference(self.made[key]) if key in self.made else None

        def fact(key: str, name: str, otherwise: Any) -> Any:
            return self._fact(f"{key}.{name}") if key in self.made else otherwise

        combined, cluster, given = self.maker.combined, reference("cluster"), self.arguments.get
        made_by_eks = combined(lambda network: network["clusterSecurityGroupId"], self._fact("cluster.vpcConfig"))
        group, text, issuer = self.plain.get("clusterSecurityGroup"), self._kubeconfig(), self._fact("cluster.issuer")
        shared = {
            "awsProvider": self.maker.aws_provider,
            "kubeconfig": combined(json.loads, text),
            "clusterSecurityGroup": given("clusterSecurityGroup"),
            "instanceRoles": [],
        }
        return shared | {
            "eksCluster": cluster,
            "kubeconfigJson": text,
            "clusterSecurityGroupId": self._filled(group["id"]) if group else made_by_eks,
            "nodeSecurityGroupId": made_by_eks,
            "clusterIngressRuleId": "",
            "defaultNodeGroupAsgName": "",
            "fargateProfileId": "",
            "fargateProfileStatus": "",
            "autoModeNodeRoleName": "",
            "oidcProviderArn": fact("oidc", "arn", ""),
            "oidcProviderUrl": issuer,
            "oidcIssuer": combined(lambda url: url.removeprefix("https://"), issuer),
            "core": shared
            | {
                "cluster": cluster,
                "clusterIamRole": reference("role", "serviceRole"),
                "endpoint": self._fact("cluster.endpoint"),
                "vpcId": given("vpcId"),
                "privateSubnetIds": given("privateSubnetIds"),
                "subnetIds": given("privateSubnetIds"),
                "provider": reference("kubernetes"),
                "nodeGroupOptions": {"version": given("version")},
                "storageClasses": {},
                "eksNodeAccess": reference("aws-auth"),
                "oidcProvider": reference("oidc"),
                "encryptionConfig": fact("cluster", "encryptionConfig", None)
                if self.plain.get("encryptionConfigKeyArn")
                else None,
                "accessEntries": self._filled([*(self.plain.get("accessEntries") or {}).values()]),
            },
        }


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _siblings(value: Any) -> set[str]:
    """Keys of the siblings that a value refers to."""
    if isinstance(value, Mapping):
        return {key for pair in value.items() for part in pair for key in _siblings(part)}
    if isinstance(value, list | tuple):
        return {key for part in value for key in _siblings(part)}
    return {found.partition(".")[0] for found in REFERENCE.findall(value)} if isinstance(value, str) else set()


def _issuer(identities: Any) -> str:
    return identities[0]["oidcs"][0]["issuer"]


def _kubeconfig(name: str, endpoint: str, authority: Mapping[str, str], arn: str) -> str:
    content = eks_kubeconfig(name, endpoint, authority["data"], arn.split(":")[3])
    return json.dumps(content, separators=(",", ":"))


class RegistrationMaker:
    """Children as registrations.

    Args:
        component: the component's registration.
        registrations: URN -> registration, of all that were made before.
        make: completes a registration with its id and outputs, and keeps it.
        partition: AWS partition of the component's provider.
        urn_of: parent URN, type, name -> URN.
    """

    def __init__(
        self,
        component: Registration,
        registrations: Mapping[str, Registration],
        make: Callable[[Registration], Registration],
        *,
        partition: str,
        urn_of: Callable[[str, str, str], str],
    ) -> None:
        self.component, self.registrations, self.partition = component, registrations, partition
        self._make, self._urn_of = make, urn_of
        provider = component.providers.get("aws")
        self.aws_provider = Reference(urns.of_provider(provider)) if provider else None
        # A resource among the arguments is no dependency of the component; its provider reads it, and its children
        # wait for it.
        self._edges = {*component.dependencies, *references(component.inputs)}
        self._edges |= {urn for carried in component.property_dependencies.values() for urn in carried}

    def opened(self, value: Any) -> Any:
        """A resource as a map of its outputs, a secret map as a map of secret texts."""
        if isinstance(value, Reference):
            target = self.registrations[value.urn]
            return dict(target.outputs) | {"id": target.id or UNKNOWN, "urn": value.urn}
        if isinstance(value, Secret):
            return mapped(revealed(value), lambda leaf: Secret(leaf) if isinstance(leaf, str) else leaf)
        return value

    def is_plain(self, leaf: Any) -> bool:
        """True where it is no marker."""
        return leaf is not UNKNOWN and not isinstance(leaf, Secret)

    def make(
        self,
        child: Child,
        inputs: dict[str, Any],
        siblings: Mapping[str, set[str]],
        made: Mapping[str, Registration],
    ) -> Registration:
        """Make a child, below the component or its sibling, after what the component waits for.

        Args:
            child: from the list of children.
            inputs: its inputs, references replaced.
            siblings: input -> keys of the siblings that it refers to; they become its property dependencies.
            made: key -> registration, for those made before.
        """
        parent = made[child.below].urn if child.below else self.component.urn
        provider = self.component.providers.get("aws", "") if child.type.startswith("aws:") else ""
        if child.type.startswith("kubernetes:"):
            provider = f"{made['kubernetes'].urn}::{made['kubernetes'].id or UNKNOWN!r}"
        carried = {key: tuple(sorted(made[sibling].urn for sibling in keys)) for key, keys in siblings.items()}
        edges = self._edges | {urn for sources in carried.values() for urn in sources}
        edges |= {made[key].urn for key in child.after}
        return self._make(
            Registration(
                urn=self._urn_of(parent, child.type, child.name),
                id="",
                type=child.type,
                name=child.name,
                custom=child.custom,
                parent=parent,
                provider=provider,
                protect=self.component.protect,
                inputs=inputs,
                dependencies=tuple(sorted(edges)) if child.custom else (),
                property_dependencies=carried,
                ignore_changes=child.ignore_changes,
                inside_component=True,
            )
        )

    def output(self, made: Registration, name: str) -> Any:
        """An output, or the id, unknown where there is none yet."""
        return (made.id or UNKNOWN) if name == "id" else made.outputs[name]

    def reference(self, made: Registration) -> Reference:
        """A reference by URN."""
        return Reference(made.urn)

    def combined(self, function: Callable[..., Any], *values: Any) -> Any:
        """The result at once; unknown where a value holds something unknown."""
        if any(map(holds_unknown, values)):
            return UNKNOWN
        if any(map(holds_secret, values)):
            return Secret(function(*map(revealed, values)))
        return function(*values)
