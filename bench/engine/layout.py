"""The serial module layout that ``up`` is compared with: which of its steps would be in which module.

network -> cluster -> 30 s wait -> node group -> add-ons -> charts -> apps, as in modules that are applied one after
another. What that row does not name (queue, roles, policies) stands in the cluster's module, where it costs nothing
beside the control plane; the controller's association, which needs the cluster, stands beside the add-ons.
Source of the wait (dataplane_wait_duration):
https://github.com/terraform-aws-modules/terraform-aws-eks/blob/master/variables.tf
"""

from collections.abc import Iterable
from typing import Final

from bench.engine.chain import Module
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.urns import STACK_TYPE

ORDER: Final = ("network", "cluster", "node group", "add-ons", "charts", "apps")
WAITS: Final = {"node group": 30.0}
"""Seconds between the end of the module before and this one's first step."""
BY_COMPONENT: Final = {
    "Network": "network",
    "FlowLogs": "network",
    "InterruptionQueue": "cluster",
    "KarpenterNodeRole": "cluster",
    "ControllerRole": "cluster",
    "Cluster": "cluster",
    "SystemNodes": "node group",
    "Addons": "add-ons",
    "KarpenterController": "charts",
    "ArgoCd": "charts",
    "Capacity": "apps",
    "AppOfApps": "apps",
}
"""Kind of the program's own component -> module; the innermost decides."""
BY_TYPE: Final = {"aws:eks/podIdentityAssociation:PodIdentityAssociation": "add-ons"}


def modules(recording: Recording, made: Iterable[str], *, wait: bool = True) -> list[Module]:
    """The steps by module, in the modules' order.

    ``made``: URNs of what takes time in the cloud. ``wait``: with the 30 seconds before the node group.

    Raises:
        ValueError: a component that no rule names.
    """
    homes: dict[str, set[str]] = {name: set() for name in ORDER}
    for urn in made:
        homes[module_of(recording, recording.by_urn[urn])].add(urn)
    return [Module(name, frozenset(homes[name]), WAITS.get(name, 0.0) if wait else 0.0) for name in ORDER]


def module_of(recording: Recording, registration: Registration) -> str:
    """Name of the module that a resource would be in.

    Raises:
        ValueError: none of the components around it is named by a rule.
    """
    if registration.type in BY_TYPE:
        return BY_TYPE[registration.type]
    for around in ancestors(recording, registration):
        kind = around.type.rpartition(":")[2]
        if around.type.startswith("otel-on-spot:") and kind in BY_COMPONENT:
            return BY_COMPONENT[kind]
    raise ValueError(
        f"{registration.type} {registration.name}: none of its components has a module. Name one in BY_COMPONENT"
    )


def ancestors(recording: Recording, registration: Registration) -> list[Registration]:
    """The components around a resource, the innermost first, the stack left out."""
    found: list[Registration] = []
    above = recording.by_urn.get(registration.parent)
    while above is not None and above.type != STACK_TYPE:
        found.append(above)
        above = recording.by_urn.get(above.parent)
    return found
