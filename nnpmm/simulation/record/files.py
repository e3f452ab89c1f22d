"""Writing the files of a run: an error of the system becomes a message with the way to go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nnpmm.core import files
from nnpmm.core.errors import SimulationError

__all__ = ["replacing", "write_atomically", "writing"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure of the operating system into one line.

    Args:
        path: is named where the system does not say which file it was.

    Raises:
        SimulationError: says what failed and what to do.
    """
    try:
        yield
    except OSError as error:
        raise SimulationError(_explain(error.filename or path, error)) from error


def _explain(path: str | bytes | Path, error: OSError) -> str:
    name = os.fsdecode(path) if isinstance(path, str | bytes) else path
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        remedy = "free space"
    elif error.errno in _REFUSED:
        remedy = "make it writable"
    elif error.errno in _GONE:
        remedy = "it was removed or renamed during the run: put it back"
    else:
        remedy = "remove the cause"
    return (
        f"{name}: cannot be written ({reason}): {remedy}, then continue with resume=True; the last "
        "checkpoint is kept"
    )


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of ``path`` in one step, which survives a crash.

    Raises:
        SimulationError: it cannot be written; then ``path`` is as it was.
    """
    temporary = path.with_name(f"{path.name}.tmp")  # one process at a time works in a run's folder
    with writing(path), files.replacing(path, temporary=temporary) as handle:
        yield handle


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file by new content in one step that survives a crash.

    Raises:
        SimulationError: it cannot be written; then the file is as it was.
    """
    with replacing(path) as handle:
        handle.write(content.encode("utf-8") if isinstance(content, str) else content)
