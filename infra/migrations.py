"""Settings with two ends and a value between them: the jump from end to end is refused by what the cloud says.

The cluster's security group has a tag for each, written when what it says has happened: an update that failed halfway
leaves the old value.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import ec2

from infra import names
from infra.settings.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Migration:
    """A setting, its tag, its two ends, and what would happen in a jump from one to the other."""

    key: str
    tag: str
    ends: tuple[str, str]
    rule: str
    between: str = "both"

    def former(self, wanted: str) -> str | None:
        """The end that must not be left for ``wanted`` at once; None where it is the value between."""
        if wanted not in self.ends:
            return None
        return self.ends[1 - self.ends.index(wanted)]


IDENTITY: Final = Migration(
    key="karpenter.identity",
    tag=names.IDENTITY_TAG,
    ends=("pod-identity", "irsa"),
    rule="the role would trust the new way alone before the controller's pods have it: those that run lose their "
    "credentials, and a rollout that fails goes back to them",
)
NODE_ACCESS: Final = Migration(
    key="cluster.nodeAccess",
    tag=names.NODE_ACCESS_TAG,
    ends=("aws-auth", "access-entry"),
    rule="the ConfigMap and the access entries have no order within one update, so that running nodes could lose their "
    "access",
)


def refuse_direct_jump(
    migration: Migration, wanted: str, stack_names: names.StackNames, opts: pulumi.InvokeOptions
) -> None:
    """From one end to the other goes through the value between: the cloud says at which end it is, if there is one.

    Args:
        migration: of the setting.
        wanted: its value.
        stack_names: of the stack.
        opts: with the provider to ask.

    Raises:
        pulumi.RunError: the cluster is at the other end; no resource was declared yet.
    """
    former = migration.former(wanted)
    if former is None:
        return
    # The plural function: it answers with an empty list where the other one fails, as before the first update.
    found = ec2.get_security_groups(tags=stack_names.discovery_tags | {migration.tag: former}, opts=opts)
    if found.ids:
        problem = Problem(
            migration.key,
            f"{wanted}, and the cluster {stack_names.cluster} is at {former}",
            migration.rule,
            f"set {migration.key}: {migration.between}, run pulumi up, then set {wanted} and run it again",
        )
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml: 1 problem, nothing was changed\n{problem}")
