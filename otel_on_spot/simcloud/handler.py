"""A resource type in the simulated cloud: check, diff, create, read, update, delete."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, TypeVar

from botocore.exceptions import ClientError
from typing_extensions import override

from otel_on_spot.program import resource_types
from otel_on_spot.program.resource_types import ProviderScope, ResourceType, resource_type
from otel_on_spot.program.values import UNKNOWN, holds_unknown
from otel_on_spot.simcloud.api_errors import (
    ApiError,
    NotFoundError,
    OperationCancelledError,
    UnfinishedError,
    of_client_error,
)
from otel_on_spot.simcloud.arguments import not_networks, refuse_unknown
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.operations import Subject
from otel_on_spot.simcloud.properties import DEFAULTS, Change, Properties, changes, declared

T = TypeVar("T")
READ_SECONDS: Final = 300.0
"""Cloud seconds that a read may take."""


@dataclass(frozen=True)
class Site:
    """The scope of a provider: a region of the cloud with default tags, or the API of one cluster."""

    cloud: Cloud
    region: str = ""
    default_tags: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""

    def client(self, service: str) -> Any:
        """A boto3 client of the site's region; of a cluster, the region that the cluster is in.

        Raises:
            ApiError: the cluster is gone.
        """
        if self.region or not self.cluster:
            return self.cloud.client(service, self.region)
        row = self.cloud.tables.get("clusters", self.cluster)
        if row is None:
            raise ApiError("Unreachable", f"there is no cluster named {self.cluster!r}")
        return self.cloud.client(service, row["region"])

    def hold(self, service: str, operation: str, request: Mapping[str, Any]) -> None:
        """Hold a request against AWS's model that moto does not serve, and that a table keeps.

        Raises:
            ApiError: the model refuses it.
        """
        self.cloud.requests.hold_named(service, operation, request)

    def row(self, table: str, key: str, missing: str) -> dict[str, Any]:
        """A row of what moto does not serve.

        Raises:
            NotFoundError: there is none, in the service's words.
        """
        found = self.cloud.tables.get(table, key)
        if found is None:
            raise NotFoundError("ResourceNotFoundException", missing)
        return found

    @property
    def scope(self) -> ProviderScope:
        """The site's account and region."""
        return ProviderScope(account=self.cloud.account, region=self.region)


@dataclass(frozen=True)
class Seconds:
    """Cloud seconds that AWS takes."""

    create: float = 1.0
    update: float = 1.0
    delete: float = 1.0


@dataclass(frozen=True)
class Difference:
    """Result of a diff: path -> (change, whether it replaces the resource)."""

    paths: dict[str, tuple[Change, bool]]
    delete_before_replace: bool = False

    @property
    def replaces(self) -> list[str]:
        """Paths that replace the resource."""
        return [path for path, (_, replace) in self.paths.items() if replace]


@dataclass(frozen=True)
class Attempt:
    """One operation as an engine asks for it.

    Attributes:
        site: region or cluster of the resource.
        subject: its type, logical name and URN.
        timeout: cloud seconds; 0 takes the type's own.
        cancelled: set when the engine no longer waits.
    """

    site: Site
    subject: Subject
    timeout: float = 0
    cancelled: threading.Event = field(default_factory=threading.Event)


class Call:
    """One operation under way: lets time pass, waits, and knows when it was cancelled."""

    def __init__(self, site: Site, spend: Callable[[float], None], timeout: float, cancelled: threading.Event) -> None:
        self.site = site
        self.spend = spend
        self.timeout = timeout
        self.cancelled = cancelled

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something in the cloud is so, within the operation's timeout."""
        self.site.cloud.clock.until(ready, self.timeout, what, self.cancelled)


class Handler:
    """A resource type. Subclasses say how the cloud does it; this class says how an engine asks.

    What replaces it, its name, its id and its computed outputs are in ``program.resource_types``.
    """

    token: ClassVar[str]
    taggable: ClassVar[bool] = False
    seconds: ClassVar[Seconds] = Seconds()
    timeouts: ClassVar[Seconds] = Seconds(1200, 1200, 1200)
    removed_by: ClassVar[tuple[str, str, str]]
    """Service, method, and the argument that is the id, of a type whose deletion is one call and no more."""

    @property
    def facts(self) -> ResourceType:
        """Facts of the type."""
        return resource_type(self.token)

    def identity(self, site: Site, inputs: Properties) -> str:
        """The id, of a type whose id follows from its inputs."""
        return resource_types.identity(self.token, inputs, site.scope)

    def arn(self, site: Site, identity: str, inputs: Mapping[str, Any] | None = None, made_up: str = "") -> str:
        """The ARN of a resource, by its type's form.

        Args:
            site: gives the partition, region and account.
            identity: id of the resource.
            inputs: its inputs, of a type whose ARN holds some of them.
            made_up: the part that AWS makes up.
        """
        known = resource_types.fields(inputs or {}, site.scope)
        return self.facts.arn.format_map({**known, "id": identity, "hash": made_up})

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make it: (id, outputs).

        Raises:
            ApiError: the cloud refuses it.
        """
        raise NotImplementedError

    def ready(self, call: Call, identity: str, outputs: Properties) -> Properties:  # noqa: ARG002 (for subclasses)
        """After the time of its creation or update has passed: its final outputs.

        Raises:
            ApiError: it did not become ready.
        """
        return outputs

    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        """State as the cloud has it, over the old state; None where it is gone."""
        raise NotImplementedError

    def update(
        self,
        call: Call,  # noqa: ARG002 (for subclasses)
        identity: str,  # noqa: ARG002 (for subclasses)
        state: Properties,
        old: Properties,
        new: Properties,
    ) -> Properties | None:
        """Change it in place: outputs that are not the new inputs; None where there are none.

        Of a type that is only ever replaced, the engine asks it for nothing but to go on with a creation whose end went
        wrong (init errors in the state): the provider's update has nothing to do then.

        Args:
            call: under way.
            identity: id of the resource.
            state: its outputs as the cloud has them.
            old: the inputs of the last operation.
            new: the inputs that are wanted.

        Raises:
            ApiError: the cloud refuses the change; NotFoundError where the resource is gone.
        """
        asked = sorted(path for path, _ in changes(state, old, new))
        if asked:
            raise NotImplementedError(
                f"{self.token}: no update of {', '.join(asked)}. Name them in program/resource_types.py"
            )
        return None

    def retag(
        self, call: Call, state: Properties, new: Properties, service: str, what: str = "resource", **which: str
    ) -> None:
        """Make the tags those that are wanted, by a service's two operations.

        Args:
            call: under way.
            state: its outputs, with the tags that it has in ``tagsAll``.
            new: the inputs that are wanted.
            service: such as ``iam``.
            what: is tagged, as the operations have it: ``role`` of TagRole and UntagRole.
            which: the argument that says which one.
        """
        client, wanted = call.site.client(service), all_tags(call.site, new)
        if gone := gone_tags(call.site, state, new):
            getattr(client, f"untag_{what}")(**which, TagKeys=gone)
        if wanted:
            getattr(client, f"tag_{what}")(**which, Tags=self.tags_as_sent(wanted))

    def tags_as_sent(self, tags: Mapping[str, str]) -> Any:
        """Tags in the form of the type's service."""
        return tag_list(tags)

    def delete(self, call: Call, identity: str, state: Properties) -> None:  # noqa: ARG002 (for subclasses)
        """Remove it.

        Raises:
            ApiError: the cloud refuses, while something uses it; NotFoundError where it is gone already.
        """
        service, method, argument = self.removed_by
        getattr(call.site.client(service), method)(**{argument: identity})

    # How an engine asks

    def check(
        self, name: str, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Inputs with their defaults filled in, and what is refused.

        Args:
            name: the logical name.
            old: the inputs of the last operation, whose made-up name is kept; empty before the first.
            new: the inputs as the program gives them.
            seed: the engine's random bytes for a made-up name; empty takes fresh ones.

        Returns:
            The checked inputs, and (property, reason) for each refusal.
        """
        checked = dict(new)
        filled = []
        for key, value in self.facts.defaults.items():
            if checked.get(key) is None:
                checked[key] = value
                filled.append(key)
        if self.facts.name and checked.get(self.facts.name[0]) is None:
            key, limit = self.facts.name
            kept = old.get(key) if key in old.get(DEFAULTS, ()) else None
            checked[key] = kept or _made_up(name, limit, seed)
            filled.append(key)
        checked[DEFAULTS] = sorted(filled)
        refused = [*refuse_unknown(self.token, checked), *self.failures(checked)]
        if self.token.startswith("aws:"):
            refused += not_networks(checked)
        return checked, refused

    def failures(self, inputs: Properties) -> list[tuple[str, str]]:  # noqa: ARG002 (for subclasses)
        """(property, reason) for inputs that the provider itself refuses."""
        return []

    def difference(self, state: Properties, old: Properties, new: Properties, site: Site) -> Difference:
        """Compare the cloud's state with the inputs asked for.

        Args:
            state: outputs as the cloud has them.
            old: the inputs of the last operation.
            new: the inputs that are wanted.
            site: gives the default tags.
        """
        found = dict(changes(state, old, new))
        if self.taggable and not holds_unknown(new.get("tags")):
            wanted = {**site.default_tags, **(new.get("tags") or {})}
            if wanted != (state.get("tagsAll") or {}):
                found.setdefault("tagsAll", "update")
        for path in list(found):
            if path.split(".")[0] in self.unwatched(state, new):
                del found[path]
        difference = judged(self.facts, found, state, new)
        name = self.facts.name[0] if self.facts.name else ""
        must_free_name = bool(name) and name not in new.get(DEFAULTS, ()) and state.get(name) == new.get(name)
        return replace(difference, delete_before_replace=must_free_name and bool(difference.replaces))

    def unwatched(self, state: Properties, new: Properties) -> tuple[str, ...]:  # noqa: ARG002 (for subclasses)
        """Top-level inputs whose difference is none."""
        return ()

    def preview(self, state: Properties, new: Properties, site: Site) -> Properties:
        """Outputs as far as they are known before the operation; without a state, of a creation."""
        outputs = {key: value for key, value in new.items() if key != DEFAULTS}
        if self.taggable:
            outputs["tagsAll"] = (
                {**site.default_tags, **(new.get("tags") or {})} if not holds_unknown(new.get("tags")) else UNKNOWN
            )
        for key in self.facts.computed:
            if outputs.get(key) is None:
                outputs[key] = state.get(key, UNKNOWN)
        return {**{key: value for key, value in state.items() if key in self.facts.computed}, **outputs}

    # One operation, with its time, its faults and its log

    def do_create(self, attempt: Attempt, inputs: Properties) -> tuple[str, Properties]:
        """Create of checked inputs, wait as long as AWS takes, and log it.

        Raises:
            ApiError: the cloud refused; UnfinishedError where the resource is there all the same.
        """
        site = attempt.site

        def act(call: Call) -> tuple[str, Properties]:
            self._authorize(attempt, "create", inputs=inputs)
            identity, outputs = self.create(call, inputs)
            outputs = self._outputs(site, inputs, outputs)
            self._remember(site, identity, outputs)
            return identity, self._finish(call, identity, outputs, self.seconds.create)

        return self._run(attempt, "create", act)

    def do_update(
        self, attempt: Attempt, identity: str, state: Properties, old: Properties, new: Properties
    ) -> Properties:
        """Update, wait as long as AWS takes, and log it.

        Args:
            attempt: as the engine asks for it.
            identity: id of the resource.
            state: its outputs as the cloud has them.
            old: the inputs of the last operation.
            new: checked ones that are wanted.

        Raises:
            ApiError: the cloud refused; UnfinishedError where the change is made all the same.
        """

        def act(call: Call) -> Properties:
            self._authorize(attempt, "update", identity, state, new)
            wanted = {key: value for key, value in declared(new).items() if value is not None}
            outputs = {**state, **wanted, **(self.update(call, identity, state, old, new) or {})}
            for key in old:
                if key not in new and key not in self.facts.computed:
                    outputs.pop(key, None)
            return self._finish(call, identity, self._outputs(attempt.site, new, outputs), self.seconds.update)

        return self._run(attempt, "update", act)

    def do_delete(self, attempt: Attempt, identity: str, state: Properties) -> None:
        """Wait as long as AWS takes, delete, and log it. What is gone already is deleted.

        Raises:
            ApiError: the cloud refused.
        """

        def act(call: Call) -> None:
            self._authorize(attempt, "delete", identity, state)
            call.spend(self.seconds.delete)
            _unless_gone(lambda: self.delete(call, identity, state))
            attempt.site.cloud.tables.remove("made-up", self._place(attempt.site, identity))

        self._run(attempt, "delete", act)

    def do_read(self, attempt: Attempt, identity: str, state: Properties) -> Properties | None:
        """Read over the state so far, and log it; None where it is gone.

        Raises:
            ApiError: the cloud refused.
        """

        def act(call: Call) -> Properties | None:
            self._authorize(attempt, "read", identity, state)
            found = _unless_gone(lambda: self.read(call, identity, state))
            return None if found is None else {**self._remembered(attempt.site, identity), **state, **found}

        return self._run(attempt, "read", act)

    def _authorize(
        self,
        attempt: Attempt,
        operation: str,
        identity: str = "",
        state: Properties | None = None,
        inputs: Properties | None = None,
    ) -> None:
        """Have the provider's calls decided, where somebody decides them."""
        judge, name = attempt.site.cloud.authorization, attempt.subject.name
        if judge:
            judge.operation(operation, self.token, name, attempt.site, identity, state or {}, inputs or {})

    def _remember(self, site: Site, identity: str, outputs: Properties) -> None:
        """Keep what the cloud made up: whoever adopts the resource by its id knows nothing but that."""
        if site.cloud.authorization:
            site.cloud.authorization.remember(identity, outputs)
        made_up = {key: outputs[key] for key in self.facts.computed if outputs.get(key) is not None}
        site.cloud.tables.put("made-up", self._place(site, identity), made_up)

    def _remembered(self, site: Site, identity: str) -> Properties:
        return site.cloud.tables.get("made-up", self._place(site, identity)) or {}

    def _place(self, site: Site, identity: str) -> str:
        return f"{self.token}|{site.cluster or site.region}|{identity}"

    def _finish(self, call: Call, identity: str, outputs: Properties, seconds: float) -> Properties:
        try:
            call.spend(seconds)
        except OperationCancelledError as problem:
            self.ready(call, identity, outputs)  # AWS goes on without the caller
            raise UnfinishedError(identity, outputs, problem) from problem
        try:
            return self.ready(call, identity, outputs)
        except ApiError as problem:
            raise UnfinishedError(identity, outputs, problem) from problem

    def _outputs(self, site: Site, inputs: Properties, outputs: Properties) -> Properties:
        merged = {**{key: value for key, value in inputs.items() if key != DEFAULTS}, **outputs}
        if self.token.startswith("aws:") and site.region:
            merged.setdefault("region", site.region)
        if self.taggable:
            merged["tagsAll"] = {**site.default_tags, **(inputs.get("tags") or {})}
        return merged

    def _run(self, attempt: Attempt, operation: str, act: Callable[[Call], Any]) -> Any:
        site, cancelled = attempt.site, attempt.cancelled
        limit = READ_SECONDS if operation == "read" else attempt.timeout or getattr(self.timeouts, operation)
        try:
            return site.cloud.operations.run(
                attempt.subject,
                operation,
                lambda spend: act(Call(site, spend, limit, cancelled)),
                timeout=limit,
                cancelled=cancelled,
            )
        except ClientError as problem:
            raise of_client_error(problem) from problem


class Rewritten(Handler):
    """A type that is changed by the call that makes it."""

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self.create(call, new)


class Kept(Handler):
    """A type that moto does not serve: kept in a table, by the last part of its id.

    Attributes:
        table: the table's name.
        kept: inputs that are kept, beside the tags.
        missing: code and sentence of the refusal to delete what is not there.
    """

    taggable = True
    table: ClassVar[str]
    kept: ClassVar[tuple[str, ...]]
    missing: ClassVar[tuple[str, str]]

    def keep(self, call: Call, name: str, inputs: Properties) -> None:
        """Write the inputs."""
        row = {key: inputs.get(key) for key in self.kept}
        call.site.cloud.tables.put(self.table, name, {**row, "tags": all_tags(call.site, inputs)})

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = call.site.cloud.tables.get(self.table, identity.rpartition(":")[2])
        if row is None:
            return None
        return {**{key: row[key] for key in self.kept}, **own_tags(call.site, state, row["tags"])}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        name = identity.rpartition(":")[2]
        if call.site.cloud.tables.remove(self.table, name) is None:
            code, sentence = self.missing
            raise ApiError(code, sentence.format(name))


def _unless_gone(act: Callable[[], T]) -> T | None:
    """The result; None where the resource is gone."""
    try:
        return act()
    except (ClientError, NotFoundError) as problem:
        refusal = of_client_error(problem) if isinstance(problem, ClientError) else problem
        if isinstance(refusal, NotFoundError):
            return None
        raise refusal from problem


def judged(facts: ResourceType, found: Mapping[str, Change], state: Properties, new: Properties) -> Difference:
    """The difference of changed inputs: which of them make a new resource.

    Args:
        facts: of the type: the paths that replace it.
        found: path -> change, for the inputs that changed.
        state: outputs as the cloud has them.
        new: the inputs that are wanted.
    """
    paths = {
        path: (change, facts.replaced_by(path, value_at(state, path), value_at(new, path)))
        for path, change in found.items()
    }
    return Difference(paths)


def value_at(properties: Any, path: str) -> Any:
    """The value at a path; None where there is none."""
    for key in path.split("."):
        properties = properties.get(key) if isinstance(properties, Mapping) else None
    return properties


def _made_up(name: str, limit: int, seed: bytes) -> str:
    random = hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(8)
    return f"{name[: limit - 8]}-{random[:7]}"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as most of AWS writes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_of(listed: list[dict[str, str]] | None) -> dict[str, str]:
    """AWS's tag list as a mapping, without the tags that AWS keeps to itself."""
    return {tag["Key"]: tag["Value"] for tag in listed or [] if not tag["Key"].startswith("aws:")}


def all_tags(site: Site, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The resource's tags over the provider's default tags."""
    return {**site.default_tags, **(inputs.get("tags") or {})}


def gone_tags(site: Site, state: Properties, new: Properties) -> list[str]:
    """Keys of the tags that the cloud has and nobody wants any more."""
    return sorted((state.get("tagsAll") or {}).keys() - all_tags(site, new).keys())


def own_tags(site: Site, state: Properties, actual: Mapping[str, str]) -> Properties:
    """``tags`` and ``tagsAll`` of what the cloud has: a default tag that a resource does not set is not its own."""
    asked = state.get("tags") or {}
    own = {key: value for key, value in actual.items() if key in asked or site.default_tags.get(key) != value}
    return {"tags": own, "tagsAll": dict(actual)} if own or asked else {"tagsAll": dict(actual)}
