"""The one place where an error ends a command: a message on standard error, an exit code, no traceback."""

import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import typer
from typer.core import TyperGroup

from otel_on_spot.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, ToolError

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
