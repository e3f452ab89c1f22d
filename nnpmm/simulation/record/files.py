"""Write the files of a run, with errors that say how to continue."""

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
    """Turn an error of the operating system into one of nnpmm, in one line.

    Args:
        path: for the message, if the operating system does not name the file.

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
    """Yield a file that replaces ``path`` atomically.

    Raises:
        SimulationError: it cannot be written; ``path`` is then unchanged.
    """
    temporary = path.with_name(f"{path.name}.tmp")  # the lock admits one process
    with writing(path), files.replacing(path, temporary=temporary) as handle:
        yield handle


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file by new content atomically.

    Raises:
        SimulationError: it cannot be written; the file is then unchanged.
    """
    with replacing(path) as handle:
        handle.write(content.encode("utf-8") if isinstance(content, str) else content)
