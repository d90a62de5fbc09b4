"""An application whose every command takes ``--project`` and ends in one message, and the options that several have."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from otel_on_spot.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, ToolError
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


TOOLS: Final = ("boto3", "botocore", "kubernetes", "moto", "psutil", "cryptography")
"""Packages of the extra ``tools`` that commands import late."""


@contextmanager
def exit_on_error(*, verbose: bool) -> Generator[None]:
    """Turn every error into one message and an exit code.

    ``verbose``: print the traceback of an unexpected error too.

    Raises:
        typer.Exit: with the error's own code, 2 for an unexpected one, 130 for Ctrl-C.
    """
    try:
        yield
    except ToolError as error:
        message, code = f"error: {error}", error.exit_code
    except KeyboardInterrupt as interrupt:
        message, code = str(interrupt) or "stopped", EXIT_INTERRUPTED
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in TOOLS:
            raise
        message, code = (
            f"error: {package} is not installed. This command needs the extra `tools`: "
            "pip install -e '.[tools]'; `make test` installs it into .venv",
            EXIT_INCOMPLETE,
        )
    except BrokenPipeError:  # typer ends quietly
        raise
    except Exception as defect:
        if type(defect).__module__.startswith("typer."):  # Exit, Abort and usage errors end by themselves
            raise
        if verbose:
            traceback.print_exc(file=sys.stderr)
        message, code = (
            f"error: unexpected {type(defect).__name__}: {defect}\nRun again with --verbose for the traceback.",
            EXIT_INCOMPLETE,
        )
    else:
        return
    typer.echo(message, err=True)
    raise typer.Exit(code)


class ErrorGroup(TyperGroup):
    """The root of all commands: whatever they raise ends in ``exit_on_error``."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with exit_on_error(verbose=bool(ctx.params.get("verbose"))):
            return super().invoke(ctx)


Stack = Annotated[str, typer.Option("--stack", "-s", help="Stack to work on; its settings are in Pulumi.<stack>.yaml.")]
KubeContext = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig; its current one by default.")
]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="The kubeconfig; KUBECONFIG or ~/.kube/config by default.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - prints nothing else.")
]
Why = Annotated[str, typer.Option("--why", help="Reason for the drill, shown to whoever finds its lease.")]
