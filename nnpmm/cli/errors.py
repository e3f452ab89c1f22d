"""Turn errors that a user can correct into one line on stderr and exit status 2."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from nnpmm.core.errors import NnpmmError
from nnpmm.core.streams import drop_unwritable

__all__ = ["print_result", "run_app"]


# UsageError of click, or of typer's copy of click in newer versions. typer exports only subclasses.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run_app(app: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Run a typer application with nnpmm's error convention, and end the process.

    ``--debug`` anywhere on the command line shows the traceback and debug messages instead.

    Args:
        app: the application.
        arguments: in place of those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    if not debug:  # announces AM1 calculations, which may take long
        logging.getLogger("nnpmm.structures.ligands.ambertools").setLevel(logging.INFO)
    logging.captureWarnings(True)
    # Libraries warn at import time about features that nnpmm does not use.
    logging.getLogger("py.warnings").setLevel(logging.DEBUG if debug else logging.ERROR)
    try:
        status = app(arguments, standalone_mode=False)
    except (NnpmmError, _UsageError) as error:
        if debug:
            raise
        if _has_shown_help(error):
            raise SystemExit(2) from None
        typer.echo(f"error: {_with_options(_one_line(error), app, arguments)}", err=True)
        raise SystemExit(2) from None
    except BrokenPipeError:
        drop_unwritable(sys.stdout)
        raise SystemExit(1) from None
    except OSError as error:  # no traceback for a disk, a folder or a file
        if debug:
            raise
        drop_unwritable(sys.stdout)
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        typer.echo(
            f"error: {name}{error.strerror or error}: remove the cause and try again", err=True
        )
        raise SystemExit(2) from None
    except typer.Abort:
        raise SystemExit(130) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def _has_shown_help(error: Exception) -> bool:
    """Return whether a group was called without a command, so that its help has been printed."""
    return isinstance(error, _UsageError) and not error.format_message()  # type: ignore[attr-defined]


def _with_options(message: str, app: typer.Typer, arguments: Sequence[str]) -> str:
    """Replace names of Python arguments in a message by options of the command."""
    command = typer.main.get_command(app)
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
    for parameter in command.params:
        option = max(parameter.opts, key=len)
        if option.startswith("--"):
            message = re.sub(rf"\b{parameter.name}=(True\b|\.\.\.)", option, message)
    return message


def print_result(text: str) -> None:
    """Print the outcome of finished work; a closed stdout is not an error."""
    try:
        typer.echo(text)
    except OSError:
        drop_unwritable(sys.stdout)


def _one_line(error: Exception) -> str:
    if isinstance(error, NnpmmError):
        return " ".join(str(error).split())
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else Path(sys.argv[0]).name
    message = error.format_message()  # type: ignore[attr-defined]
    return f"{' '.join(message.split())} (see {command} --help)"
