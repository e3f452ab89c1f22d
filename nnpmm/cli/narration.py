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
        """Print the message of a record; a closed stdout does not stop a run."""
        with suppress(OSError):
            typer.echo(record.getMessage())


@contextmanager
def narrated() -> Iterator[None]:
    """Print the messages of a simulation while it prepares."""
    from nnpmm.simulation.preparation.narration import LOGGER

    level, propagate, handler = LOGGER.level, LOGGER.propagate, _Echo()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # otherwise the root logger prints the message on stderr as well
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
