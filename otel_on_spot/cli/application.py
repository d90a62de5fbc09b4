"""An application whose every command takes ``--project``."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from otel_on_spot.project import selected

ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project", metavar="DIR", help="Folder with Pulumi.yaml; found from the current folder upward by default."
    ),
]


class Application(typer.Typer):
    """Commands registered here work on the project that ``--project`` names, else on the one of the current folder."""

    def command(
        self, *args: Any, needs_project: bool = True, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a command, as ``typer.Typer.command``, with the option ``--project`` added.

        ``args`` and ``options``: as of ``typer.Typer.command``. ``needs_project``: False where the command goes on
        without one, unless ``--project`` names it.
        """
        register = super().command(*args, **options)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_on_project(function, needs_project=needs_project))
            return function

        return decorate


def _on_project(function: Callable[..., Any], *, needs_project: bool) -> Callable[..., Any]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: Any, project: Path | None = None, **options: Any) -> Any:
        if project is None and not needs_project:
            return function(*args, **options)
        with selected(project):
            return function(*args, **options)

    option = inspect.Parameter("project", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ProjectFolder)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # ty: ignore[missing-attribute]
    run.__annotations__ = {**function.__annotations__, "project": ProjectFolder}
    return run
