"""Set up a process before slow imports: streams, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nnpmm.core.streams import drop_unwritable, quiet

__all__ = ["guarded"]

_IMPORT = "<frozen importlib._bootstrap>"


@contextmanager
def guarded() -> Iterator[None]:
    """Prevent crashes by a closed stream or by Ctrl-C during an import.

    Text for a stderr that cannot be written is dropped.
    """
    _open_closed_streams()
    stderr, sys.stderr = sys.stderr, quiet(sys.stderr)
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.default_int_handler:  # a shell may have it ignored
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        sys.stderr = stderr
        drop_unwritable(stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but end at once during an import.

    There is nothing to clean up then, and compiled modules do not survive an exception while they
    are being initialised.
    """
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            sys.stderr.write("stopped before anything was done\n")
            sys.stderr.flush()
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt


def _open_closed_streams() -> None:
    """Open those of stdin, stdout and stderr that are closed, so that no other file gets them.

    Otherwise, output of libraries would be written into the first files that are opened.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))
