"""Lock files, which keep a second process out of a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnpmm.errors import ConfigError

__all__ = ["locked"]


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file, which the system frees even if the process is killed.

    The file's content is never touched, and a symbolic link is never followed.

    Args:
        path: of the lock file, which is made if need be.
        message: of the error if another process holds it.

    Raises:
        ConfigError: another process holds it, or it cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # no such lock on Windows
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        reason, remedy = error.strerror, "nnpmm needs a folder with space that it can write to"
        if error.errno == errno.ELOOP:
            reason, remedy = "it is a symbolic link", "delete it"
        raise ConfigError(f"{path}: cannot be opened ({reason}): {remedy}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(message) from error
        yield
    finally:
        os.close(descriptor)
