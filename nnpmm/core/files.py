"""Write files atomically, so that a crash leaves the old or the new content; the cache folder."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nnpmm.core.errors import ConfigError, NnpmmError

__all__ = [
    "UnwritableError",
    "cache_directory",
    "create",
    "replacing",
    "require_folder",
    "require_suffix",
    "require_writable",
    "sha256_of",
    "sync_directory",
    "sync_file",
    "write_atomically",
    "writing",
]


class UnwritableError(NnpmmError, OSError):
    """A file cannot be written: no permission, no space, or something else in its place."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's errors from writing a file into an error of one line.

    Raises:
        UnwritableError: names the file and the reason, and says what to do.
    """
    try:
        yield
    except UnwritableError:
        raise
    except OSError as error:
        raise UnwritableError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place, or free "
            "space and allow writing there"
        ) from error


def cache_directory() -> Path:
    """Return ``NNPMM_CACHE_DIR``, else ``$XDG_CACHE_HOME/nnpmm``, else ``~/.cache/nnpmm``."""
    configured = os.environ.get("NNPMM_CACHE_DIR")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnpmm"


def require_folder(path: Path) -> None:
    """Create a folder if it does not exist, and check that files can be written to it.

    Raises:
        UnwritableError: they cannot.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    require_writable(path)


def require_writable(path: Path) -> None:
    """Check that files can be written to a folder, without creating it.

    If the folder does not exist, its nearest existing parent is checked.

    Raises:
        UnwritableError: they cannot.
    """
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    with writing(path):
        probe = existing / f".{uuid.uuid4().hex}.tmp"
        probe.touch()
        probe.unlink()


def require_suffix(path: Path, suffix: str) -> None:
    """Check that the name of an output file has the suffix of its format.

    Raises:
        ConfigError: it has another suffix.
    """
    if path.suffix != suffix:
        raise ConfigError(f"{path}: found a file that ends in {path.suffix!r}, expected {suffix}")


def create(path: Path) -> IO[bytes]:
    """Open a new file for reading and writing; replace an existing file or link of that name.

    Raises:
        OSError: the file cannot be created.
    """
    try:
        return open(path, "x+b")
    except FileExistsError:
        os.unlink(path)
        return open(path, "x+b")


@contextmanager
def replacing(path: Path, *, temporary: Path | None = None) -> Iterator[IO[bytes]]:
    """Yield a file that replaces ``path`` atomically.

    Args:
        path: is unchanged until the new content is on the disk.
        temporary: the file's name until then. By default no other process has the same name, so
            that processes on several machines may write the same file. If a lock excludes other
            processes, give a fixed name: the next process then replaces what a killed process left
            behind.

    Raises:
        OSError: the file cannot be written; ``path`` is then unchanged.
    """
    if temporary is None:
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with create(temporary) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file by new content atomically, and create its folder if necessary.

    Raises:
        UnwritableError: the file cannot be written; an existing file is unchanged.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as handle:
            handle.write(content.encode("utf-8") if isinstance(content, str) else content)


def sync_file(path: Path) -> int:
    """Force a file's content to the disk and return its size in bytes.

    Raises:
        OSError: the file does not exist, or the disk reports an error.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Force the names in a folder to the disk, if the system supports it.

    Raises:
        OSError: the disk reports an error.
    """
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
