"""Writing files so that a crash at any instant leaves the old content or the new one."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nnpmm.errors import SimulationError

__all__ = [
    "create",
    "replacing",
    "sha256_of",
    "sync_directory",
    "sync_file",
    "write_atomically",
    "writing",
]

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
        remedy = "make space"
    elif error.errno in _REFUSED:
        remedy = "make it writable"
    elif error.errno in _GONE:
        remedy = "it was removed or renamed during the run: put it back"
    else:
        remedy = "remove the cause"
    return (
        f"{name}: cannot be written ({reason}): {remedy}, then go on with --resume; the last "
        "checkpoint is kept"
    )


def create(path: Path) -> IO[bytes]:
    """Open a new file for reading and writing in place of what has its name, following no link."""
    try:
        return open(path, "x+b")
    except FileExistsError:
        os.unlink(path)
        return open(path, "x+b")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of ``path`` in one step, which survives a crash.

    Raises:
        SimulationError: it cannot be written; then ``path`` is as it was.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    with writing(path):
        try:
            with create(temporary) as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except Exception:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(path.parent)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file by new content in one step that survives a crash.

    Raises:
        SimulationError: it cannot be written; then the file is as it was.
    """
    with replacing(path) as handle:
        handle.write(content.encode("utf-8") if isinstance(content, str) else content)


def sync_file(path: Path) -> int:
    """Force a file's content to the disk and return its size in bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Force the names in a folder to the disk, where the system can do that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows cannot open folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()
