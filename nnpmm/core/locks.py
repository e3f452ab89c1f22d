"""Lock files, which prevent a second process from using a folder."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnpmm.core.errors import ConfigError, LockedError
from nnpmm.core.files import require_folder, writing

__all__ = ["is_locked", "locked", "locked_folder"]

# Windows has neither flag, and opens no link unless asked to.
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

_FOLDER_LOCK = ".lock"

# `is_locked` of another process holds a lock for microseconds, far less than these pauses.
_RETRIES, _PAUSE = 10, 0.005  # s


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file, which the operating system releases even if the process is killed.

    The file's content is never touched, and a symbolic link is never followed.

    Args:
        path: of the lock file, which is created with its folder if necessary.
        message: of the error if another process holds it.

    Raises:
        LockedError: another process holds it.
        ConfigError: it cannot be opened.
        UnwritableError: its folder cannot be created.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o666)
    except OSError as error:
        reason, remedy = error.strerror, "nnpmm needs a folder with space that it can write to"
        if error.errno == errno.ELOOP:
            reason, remedy = "it is a symbolic link", "delete it"
        raise ConfigError(f"{path}: cannot be opened ({reason}): {remedy}") from error
    try:
        try:
            _lock_with_retries(descriptor)
        except OSError as error:
            raise LockedError(message) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_folder(directory: Path) -> Iterator[None]:
    """Lock the folder of a calculation against other processes; create it if necessary.

    Raises:
        LockedError: another process works in it.
        ConfigError: its lock file cannot be opened.
        UnwritableError: it cannot be created or written to.
    """
    require_folder(directory)
    message = (
        f"{directory}: another process is working in this folder; wait, or choose another folder"
    )
    with locked(directory / _FOLDER_LOCK, message):
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock file, without creating or changing it."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:  # not there, or not ours to open
        return False
    try:
        _lock(descriptor, shared=True)  # so that two processes may ask at the same time
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_with_retries(descriptor: int) -> None:
    """Lock an open file as ``_lock`` does, also while another process asks ``is_locked``."""
    for _ in range(_RETRIES):
        try:
            return _lock(descriptor)
        except OSError:
            time.sleep(_PAUSE)
    return _lock(descriptor)


def _lock(descriptor: int, *, shared: bool = False) -> None:
    """Lock an open file until it is closed, or raise OSError at once."""
    try:
        import fcntl
    except ImportError:  # Windows, which has no shared locks of this kind
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
