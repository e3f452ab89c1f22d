"""Turns errors that a user can mend into one line on stderr and exit status 2."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

import typer

from nnpmm.errors import NnpmmError

__all__ = ["run_app"]


def run_app(app: Callable[..., object]) -> None:
    """Run a typer application with nnpmm's error convention.

    ``--debug`` anywhere on the command line shows the traceback and debug messages instead.
    """
    debug = "--debug" in sys.argv
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    logging.captureWarnings(True)
    # Libraries speak up at import time about options that nnpmm does not use.
    logging.getLogger("py.warnings").setLevel(logging.DEBUG if debug else logging.ERROR)
    try:
        app()
    except NnpmmError as error:
        if debug:
            raise
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
