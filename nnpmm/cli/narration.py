"""Messages of a run on stdout, and a message on stderr while Python starts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

__all__ = ["narrated", "starting"]


class _Echo(logging.Handler):
    """Prints messages as they are."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record; a run goes on where nobody can read it."""
        with suppress(OSError):
            typer.echo(record.getMessage())


@contextmanager
def narrated() -> Iterator[None]:
    """Print what the simulation says while it prepares: facts, and what is being done."""
    from nnpmm.simulation.preparation.narration import LOGGER

    level, propagate, handler = LOGGER.level, LOGGER.propagate, _Echo()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # to the log of warnings on stderr, where it would stand again
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate


@contextmanager
def starting() -> Iterator[None]:
    """Show a message in a terminal while the libraries are imported, then remove it."""
    if not sys.stderr.isatty():
        yield
        return
    sys.stderr.write("starting nnpmm ...")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
