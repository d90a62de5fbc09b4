"""The real engine in the lab: ``pulumi up`` on the lab's own cloud, where a CLI is on PATH."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_on_spot import workspace
from otel_on_spot.lab.folder import LabError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.session import Session
from otel_on_spot.workspace import Workspace, engine_errors, pulumi_command

if TYPE_CHECKING:
    from pulumi.automation import Stack


class Engine:
    """A stack of a copy of the program, with a backend of the lab's own: nothing is written into the working tree.

    ``folder``: where backend, copy and the CLI's home are kept. ``cloud``: the lab's, which runs.

    Raises:
        LabError: no usable ``pulumi`` on PATH.
    """

    def __init__(self, folder: Path, stack: str, cloud: Cloud) -> None:
        try:
            pulumi_command()
        except workspace.EngineError as problem:
            raise LabError(f"--engine needs the pulumi CLI: {problem}, or leave --engine out") from None
        self.stack = stack
        self.cloud = cloud
        self.folder = folder
        self.workspace = Workspace(folder)

    def up(self, overrides: Mapping[str, Any] | None = None) -> None:
        """Update the stack to what the working tree declares.

        ``overrides``: settings whose values replace the stack file's; None removes one.

        Raises:
            EngineError: the update failed.
        """
        self.workspace.copy_program()

        def change(settings: dict[str, Any]) -> None:
            settings.update(overrides or {})
            for key in [key for key, value in settings.items() if value is None]:
                del settings[key]

        self.workspace.write_stack(self.stack, change=change)
        with self._selected() as stack, engine_errors("up"):
            stack.up(color="never", suppress_outputs=True, show_secrets=False)

    def destroy(self) -> None:
        """Destroy the stack.

        Raises:
            EngineError: something could not be deleted.
        """
        with self._selected() as stack, engine_errors("destroy"):
            stack.destroy(color="never", suppress_outputs=True, show_secrets=False)

    def urns(self) -> list[str]:
        """URNs in the state, without those of providers that the engine makes by itself."""
        with self._selected() as stack, engine_errors("stack export"):
            resources = (stack.export_stack().deployment or {}).get("resources") or []
        return sorted(resource["urn"] for resource in resources if not _default_provider(resource["urn"]))

    @contextmanager
    def _selected(self) -> "Generator[Stack]":
        with Session(self.folder, stand_in=True, cloud=self.cloud) as session:
            yield self.workspace.stack(self.stack, session.environment)


def _default_provider(urn: str) -> bool:
    """True for ``pulumi:providers:aws::default_7_51_0``, ``pulumi:providers:pulumi::default`` and the like."""
    return "::pulumi:providers:" in urn and urn.rpartition("::")[2].startswith("default")
