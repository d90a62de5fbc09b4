"""Changes of a drill, and how each is taken back: written down before it is made.

Each step can be taken back twice, or before it was made: then it does nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError
from kubernetes.client.exceptions import ApiException

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import PROJECT
from otel_on_spot.target import Target

CONFLICT: Final = 409
ATTEMPTS: Final = 10


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


def take_back(target: Target, api: Api, step: Step) -> str:
    """Take a change back; what was done, or that there was nothing to do.

    Raises:
        ApiException, botocore.exceptions.ClientError, urllib3.exceptions.HTTPError: it could not be.
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


def _window(_target: Target, api: Api, arguments: Mapping[str, Any]) -> str:
    """Without touching anybody else's windows: the list has one owner at a time, so it is read and written anew."""
    ours = arguments["window"]
    changed = change_windows(
        api, arguments["path"], lambda windows: [window for window in windows if not is_same(window, ours)]
    )
    return "automatic sync is on again" if changed else "is not suspended"


def is_same(window: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """True for the window that was written: an Argo CD that does not know a field (``description``) drops it."""
    compared = ("kind", "schedule", "duration")
    return all(window.get(key) == ours[key] for key in compared) and window.items() <= ours.items()


def change_windows(api: Api, path: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> bool:
    """Write an AppProject's ``syncWindows`` anew, and again where somebody was faster: True where it changed.

    Raises:
        ApiException: refused; status 409 where somebody is always faster.
    """
    for attempt in range(ATTEMPTS):
        project = api.get(path)
        if project is None:
            return False
        windows = (project.get("spec") or {}).get("syncWindows") or []
        changed = change(list(windows))
        if changed == windows:
            return False
        version = project["metadata"]["resourceVersion"]
        try:
            api.merge(path, {"metadata": {"resourceVersion": version}, "spec": {"syncWindows": changed or None}})
        except ApiException as refused:
            if refused.status != CONFLICT or attempt == ATTEMPTS - 1:
                raise
        else:
            return True
    raise AssertionError("unreachable")


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
    try:
        target.aws("ec2").delete_tags(Resources=[arguments["instance"]], Tags=tags)
    except ClientError as refused:
        if not is_not_found(refused):
            raise
        return "the instance is gone"
    return "tags taken off"


UNDO_HANDLERS: Final[Mapping[str, Callable[[Target, Api, Mapping[str, Any]], str]]] = {
    "scale": _scale,
    "object": _object,
    "window": _window,
    "experiment": _experiment,
    "tags": _tags,
}
