"""Streams that become silent when they can no longer be written."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

__all__ = ["drop_unwritable", "quiet", "silent_libraries"]


class _QuietStream:
    """Passes text on until the underlying stream fails, and drops all later text."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not self._broken:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._broken = True
        return len(text)

    def flush(self) -> None:
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._broken = True


def quiet(stream: TextIO) -> TextIO:
    """Return a stream for progress messages, whose failure must not end the calculation.

    If the reader of a pipe ends, a terminal is closed or a disk is full, all further text is
    dropped.
    """
    return cast(TextIO, stream if isinstance(stream, _QuietStream) else _QuietStream(stream))


def drop_unwritable(stream: TextIO) -> None:
    """Discard a stream's buffered text if it cannot be written.

    Otherwise the interpreter would report the error when it exits, and return status 120.
    """
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Drop what compiled libraries print on stdout and stderr.

    Nothing changes if the process has no such streams, or no C library is accessible.
    """
    try:
        flush = ctypes.CDLL(None).fflush
        saved = [os.dup(descriptor) for descriptor in (1, 2)]
    except (OSError, TypeError, AttributeError):  # Windows, or closed streams
        yield
        return
    flush(None)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in (1, 2):
            os.dup2(null, descriptor)
        yield
    finally:
        flush(None)
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(null)
