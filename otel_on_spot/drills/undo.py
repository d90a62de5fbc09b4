"""Changes of a drill, and how each is taken back: written down before it is made.

Each step can be taken back twice, or before it was made: then it does nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3
from kubernetes.client.exceptions import ApiException

from otel_on_spot.aws_errors import unless_absent
from otel_on_spot.drills.resilience import ElsewhereError
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import APP_VERSION, NODE_CLASS, NODE_POOL, PROJECT
from otel_on_spot.target import Target

CONFLICT: Final = 409
ATTEMPTS: Final = 10
SWITCH_SECONDS: Final = 10.0
Patch = Callable[[Object, Mapping[str, Any]], Object]
"""Gives the patch of an object's ``spec`` by a step's arguments; an empty one changes nothing."""
Handler = Callable[[Target, Api, Mapping[str, Any]], str]
PRODUCTS: Final = {"karpenter": "Karpenter", "argocd": "Argo CD"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change that a drill makes.

    ``kind``: a key of ``UNDO_HANDLERS``. ``arguments``: plain values that its handler needs. ``what``: for people, as
    in "frontend scaled from 1 to 50".
    """

    kind: str
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def scaled(path: str, before: int, after: int) -> Step:
    """A workload's replicas. ``path``: of the workload, without ``/scale``."""
    name = path.rpartition("/")[2]
    return Step(
        kind="scale",
        what=f"{name} scaled from {before} to {after}",
        arguments={"path": path, "before": before, "after": after},
    )


def created(path: str) -> Step:
    """An object that the drill makes. ``path``: of the object."""
    return Step(kind="object", what=f"{path.rpartition('/')[2]} made", arguments={"path": path})


def cordoned(path: str) -> Step:
    """A node that takes no more pods. ``path``: of the Node."""
    return Step(kind="cordon", what=f"node {path.rpartition('/')[2]} closed to pods", arguments={"path": path})


def suspended(namespace: str, project: str, window: Mapping[str, Any]) -> Step:
    """A deny window in an AppProject's ``syncWindows``."""
    arguments = {"path": PROJECT.path(namespace, project), "window": dict(window)}
    return Step(kind="window", what=f"automatic sync of AppProject {project} suspended", arguments=arguments)


def experiment(identifier: str) -> Step:
    """A running experiment of AWS FIS."""
    return Step(kind="experiment", what=f"experiment {identifier} started", arguments={"id": identifier})


def tagged(instance: str, tags: Mapping[str, str]) -> Step:
    """Tags on an EC2 instance."""
    return Step(kind="tags", what=f"{instance} tagged", arguments={"instance": instance, "tags": dict(tags)})


def short_of(what: str, row: Mapping[str, str]) -> Step:
    """A shortage of the simulated EC2. ``row``: as the lab's switch has it."""
    return Step(kind="capacity", what=f"{what} taken away from the simulated EC2", arguments={"row": dict(row)})


def closed(pool: Object, limits: Mapping[str, str]) -> Step:
    """Other limits of a NodePool."""
    name, before = pool["metadata"]["name"], dict(pool["spec"].get("limits") or {})
    arguments = {"path": NODE_POOL.path(name=name), "before": before, "limits": dict(limits)}
    return Step(kind="limits", what=f"NodePool {name} closed by its limits", arguments=arguments)


def narrowed(pool: Object, requirement: Mapping[str, Any], budget: Mapping[str, Any]) -> Step:
    """One more requirement of a NodePool, and a budget that keeps the nodes which it does not allow."""
    name = pool["metadata"]["name"]
    arguments = {"path": NODE_POOL.path(name=name), "requirement": dict(requirement), "budget": dict(budget)}
    values = ", ".join(requirement["values"])
    return Step(
        kind="requirement", what=f"NodePool {name} narrowed: {requirement['key']} not {values}", arguments=arguments
    )


def moved(path: str, before: str, after: str, kind: str = "karpenter") -> Step:
    """A product's version.

    Args:
        path: of the object that is labelled with it.
        before: the version that it was.
        after: the version that it is moved to.
        kind: of the step, a key of ``PRODUCTS``.
    """
    what = f"{PRODUCTS[kind]} moved from {before} to {after}"
    return Step(kind=kind, what=what, arguments={"path": path, "before": before})


def aliased(node_class: Object, alias: str) -> Step:
    """Another AMI alias of an EC2NodeClass."""
    name = node_class["metadata"]["name"]
    arguments = {
        "path": NODE_CLASS.path(name=name),
        "before": list(node_class["spec"]["amiSelectorTerms"]),
        "after": [{"alias": alias}],
    }
    return Step(kind="alias", what=f"EC2NodeClass {name} moved to {alias}", arguments=arguments)


def take_back(target: Target, api: Api, step: Step) -> str:
    """Take a change back; what was done, or that there was nothing to do.

    Raises:
        ApiException, botocore.exceptions.ClientError, urllib3.exceptions.HTTPError: it could not be.
        ElsewhereError: not by a drill; the message says how.
    """
    return UNDO_HANDLERS[step.kind](target, api, step.arguments)


def _scale(_target: Target, api: Api, arguments: Mapping[str, Any]) -> str:
    """To what it was, whatever it is now; nothing where the workload is gone."""
    path = f"{arguments['path']}/scale"
    now = api.get(path)
    if now is None:
        return "the workload is gone"
    replicas = (now.get("spec") or {}).get("replicas", 0)
    if replicas == arguments["before"]:
        return f"has {replicas} replicas"
    api.merge(path, {"spec": {"replicas": arguments["before"]}})
    return f"scaled from {replicas} to {arguments['before']}"


def _object(_target: Target, api: Api, arguments: Mapping[str, Any]) -> str:
    there = api.delete(arguments["path"], propagationPolicy="Background")
    return "deleted" if there else "is not there"


def is_same(window: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """True for the window that was written: an Argo CD that does not know a field (``description``) drops it."""
    compared = ("kind", "schedule", "duration")
    return all(window.get(key) == ours[key] for key in compared) and window.items() <= ours.items()


def change_windows(api: Api, path: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> bool:
    """Write an AppProject's ``syncWindows`` anew, and again where somebody was faster: True where it changed.

    Raises:
        ApiException: refused; status 409 where somebody is always faster.
    """

    return change_spec(api, path, lambda project: _windows(project, change))


def _windows(project: Object, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Object:
    """A patch of an AppProject's windows. The list has one owner at a time: it is read and written anew."""
    windows = (project.get("spec") or {}).get("syncWindows") or []
    changed = change(list(windows))
    return {} if changed == windows else {"syncWindows": changed or None}


def change_spec(api: Api, path: str, patch: Callable[[Object], Object]) -> bool:
    """Merge a patch into an object's ``spec``, made anew where somebody was faster: True where it changed.

    An object that is gone is left, and an empty patch changes nothing.

    Raises:
        ApiException: refused; status 409 where somebody is always faster.
    """  # noqa: DOC501 (AssertionError: never reached)
    for attempt in range(ATTEMPTS):
        thing = api.get(path)
        changes = patch(thing) if thing is not None else {}
        if thing is None or not changes:
            return False
        version = thing["metadata"]["resourceVersion"]
        try:
            api.merge(path, {"metadata": {"resourceVersion": version}, "spec": changes})
        except ApiException as refused:
            if refused.status != CONFLICT or attempt == ATTEMPTS - 1:
                raise
        else:
            return True
    raise AssertionError("unreachable")


def make_change(target: Target, api: Api, step: Step) -> bool:
    """Make a change that is written down: False where it was there already, or the object is gone.

    Raises:
        ApiException, urllib3.exceptions.HTTPError, ValueError: it could not be.
    """
    arguments = step.arguments
    if step.kind == "capacity":
        return _change_shortages(target, lambda rows: [*rows, arguments["row"]])
    patch = PATCHES[step.kind]
    return change_spec(api, arguments["path"], lambda thing: patch(thing, arguments))


def _terms(node_class: Object, now: Sequence[Any], wanted: Sequence[Any]) -> Object:
    """A patch of an EC2NodeClass's image terms, where they are what they should be: others' are left."""
    return {"amiSelectorTerms": list(wanted)} if node_class["spec"].get("amiSelectorTerms") == now else {}


def _limits(pool: Object, arguments: Mapping[str, Any]) -> Object:
    wanted = arguments["limits"]
    return {} if wanted.items() <= (pool["spec"].get("limits") or {}).items() else {"limits": dict(wanted)}


def _former_limits(pool: Object, arguments: Mapping[str, Any]) -> Object:
    """A patch to the limits that a pool had, where they are still the drill's: somebody else's are left."""
    now, ours, before = pool["spec"].get("limits") or {}, arguments["limits"], arguments["before"]
    if any(now.get(resource) != value for resource, value in ours.items()):
        return {}
    return {"limits": {resource: before.get(resource) for resource in ours} if before else None}


def _entries(pool: Object, arguments: Mapping[str, Any], *, added: bool) -> Object:
    """A patch of a pool's requirements and budgets with the drill's own, or without them; other people's stay."""
    inside = pool["spec"]["template"]["spec"]
    requirements = inside.get("requirements") or []
    budgets = (pool["spec"].get("disruption") or {}).get("budgets") or []

    def changed(entries: Sequence[Any], ours: Any) -> list[Any]:
        without = [entry for entry in entries if entry != ours]
        return [*without, ours] if added else without

    new, held = changed(requirements, arguments["requirement"]), changed(budgets, arguments["budget"])
    if (new, held) == (requirements, budgets):
        return {}
    return {"template": {"spec": {"requirements": new}}, "disruption": {"budgets": held or None}}


def _capacity(target: Target, _api: Api, arguments: Mapping[str, Any]) -> str:
    """Without the drill's own row."""
    changed = _change_shortages(target, lambda rows: [row for row in rows if row != arguments["row"]])
    return "is there again" if changed else "was not short"


def _change_shortages(target: Target, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> bool:
    """Write the lab's capacity switch anew: True where it changed."""
    now = shortages(target)
    changed = change(list(now))
    if changed == now:
        return False
    _ask_switch(target, "PUT", changed)
    return True


def shortages(target: Target) -> list[dict[str, str]]:
    """What the simulated EC2 is short of.

    Raises:
        urllib3.exceptions.HTTPError, ValueError: there is no such switch.
    """
    return _ask_switch(target, "GET")


def _ask_switch(target: Target, method: str, rows: Sequence[Mapping[str, str]] | None = None) -> list[dict[str, str]]:
    url = f"{target.aws('ec2').meta.endpoint_url.rstrip('/')}/lab/capacity"
    answer = urllib3.request(method, url, json=rows, retries=False, timeout=SWITCH_SECONDS)
    if answer.status != 200:
        raise ValueError(f"{method} {url}: {answer.status} {answer.data.decode(errors='replace')[:200]}")
    return answer.json()


def _experiment(target: Target, _api: Api, arguments: Mapping[str, Any]) -> str:
    """Source: https://docs.aws.amazon.com/fis/latest/APIReference/API_StopExperiment.html"""
    client = target.aws("fis")
    state = client.get_experiment(id=arguments["id"])["experiment"]["state"]["status"]
    if state not in ("pending", "initiating", "running"):
        return f"is {state}"
    client.stop_experiment(id=arguments["id"])
    return "stopped"


def _tags(target: Target, _api: Api, arguments: Mapping[str, Any]) -> str:
    """Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html"""
    tags = [{"Key": key, "Value": value} for key, value in arguments["tags"].items()]
    done = unless_absent(target.aws("ec2").delete_tags, Resources=[arguments["instance"]], Tags=tags)
    return "the instance is gone" if done is None else "tags taken off"


def _version(product: str, api: Api, arguments: Mapping[str, Any]) -> str:
    """What runs is an update's: the drill moves it back itself, and a dead drill's is left to the next update.

    Raises:
        ElsewhereError: the product is not what it was.
    """
    now = api.get(arguments["path"])
    version = ((now or {}).get("metadata") or {}).get("labels", {}).get(APP_VERSION, "gone")
    if version != arguments["before"]:
        raise ElsewhereError(
            f"{product} is {version} and was {arguments['before']}: an update brings back what the stack file declares "
            "(`make lab` in the lab), then `drill restore` again"
        )
    return f"is {version}"


def _patched(patch: Patch, done: str, nothing: str) -> Handler:
    """Take a change of an object's ``spec`` back. ``done``, ``nothing``: what is said where it was there, or not."""
    return lambda _target, api, arguments: (
        done if change_spec(api, arguments["path"], lambda thing: patch(thing, arguments)) else nothing
    )


PATCHES: Final[Mapping[str, Patch]] = {
    "alias": lambda found, arguments: _terms(found, arguments["before"], arguments["after"]),
    "limits": _limits,
    "requirement": lambda pool, arguments: _entries(pool, arguments, added=True),
}
"""Patches of a ``spec`` that make a change, by the kind of its step; empty where it is there already."""
UNDO_HANDLERS: Final[Mapping[str, Handler]] = {
    "scale": _scale,
    "object": _object,
    "cordon": _patched(
        lambda node, _: {"unschedulable": None} if node["spec"].get("unschedulable") else {},
        "takes pods again",
        "is not closed, or gone",
    ),
    "window": _patched(
        lambda project, arguments: _windows(
            project, lambda windows: [window for window in windows if not is_same(window, arguments["window"])]
        ),
        "automatic sync is on again",
        "is not suspended",
    ),
    "experiment": _experiment,
    "tags": _tags,
    "capacity": _capacity,
    "limits": _patched(_former_limits, "has its limits again", "has no limits of the drill"),
    "requirement": _patched(
        lambda pool, arguments: _entries(pool, arguments, added=False), "has its requirements again", "is not narrowed"
    ),
    "alias": _patched(
        lambda found, arguments: _terms(found, arguments["after"], arguments["before"]),
        "has its alias again",
        "does not have the drill's alias",
    ),
    **{
        kind: lambda _target, api, arguments, product=product: _version(product, api, arguments)
        for kind, product in PRODUCTS.items()
    },
}
"""Handlers that take a change back by the kind of its step, and say what was done. Nodes follow an alias by drift."""
