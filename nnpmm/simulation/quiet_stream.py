"""A stream that goes silent when it can no longer be written."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TextIO

__all__ = ["QuietStream"]


class QuietStream(io.TextIOBase):
    """Passes text on for as long as the other end takes it: a run must not die of its progress.

    A pipe's reader may end, a terminal be closed, a disk be full.

    Args:
        stream: where text goes; None: nowhere.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self._encoding

    def write(self, text: str) -> int:
        """Write text if that is possible."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # ValueError: it was closed
                self._stream = None
        return len(text)

    def flush(self) -> None:
        """Hand everything to the operating system if that is possible."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def isatty(self) -> bool:
        """Whether a terminal is at the other end."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False
