"""Files that survive a crash: the old content or the new one, never a half; and the cache."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core import locks
from nnpmm.errors import ConfigError, InputFileError, NnpmmError

__all__ = [
    "UnwritableError",
    "cache_directory",
    "load_arrays",
    "locked",
    "require_folder",
    "require_suffix",
    "require_writable",
    "save_arrays",
    "save_figure",
    "write_atomically",
]

_METADATA = "nnpmm"


class UnwritableError(NnpmmError, OSError):
    """A file cannot be written: no permission, no space, or something else in its place."""


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write a file into an UnwritableError."""
    try:
        yield
    except UnwritableError:
        raise
    except OSError as error:
        raise UnwritableError(
            f"{path}: cannot be written ({error.strerror or error}); take another place, or make "
            "room and permission for it"
        ) from error


def cache_directory() -> Path:
    """Return ``NNPMM_CACHE_DIR``, else ``$XDG_CACHE_HOME/nnpmm``, else ``~/.cache/nnpmm``."""
    configured = os.environ.get("NNPMM_CACHE_DIR")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnpmm"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file, which the system frees even if the process is killed.

    Args:
        path: of the lock file; its folder is made if need be.
        what: is going on, to be said to another process that asks for it.

    Raises:
        ConfigError: another process holds it.
        UnwritableError: the file or its folder cannot be made.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locks.locked(path, f"{what} already; wait for it or stop it"):
        yield


def require_folder(path: Path) -> None:
    """Make a folder unless it is there, and check that files can be written to it.

    Raises:
        UnwritableError: they cannot.
    """
    with _writing(path):
        path.mkdir(parents=True, exist_ok=True)
    require_writable(path)


def require_writable(path: Path) -> None:
    """Check that files can be written to a folder, which is not made if it is not there yet.

    Raises:
        UnwritableError: they cannot.
    """
    there = path.absolute()
    while not there.exists():
        there = there.parent
    with _writing(path):
        probe = there / f".{uuid.uuid4().hex}.tmp"
        probe.touch()
        probe.unlink()


def require_suffix(path: Path, suffix: str) -> None:
    """Check that a file to be written is named for what it will hold.

    Raises:
        ConfigError: it ends in something else.
    """
    if path.suffix != suffix:
        raise ConfigError(f"{path}: found a file that ends in {path.suffix!r}, expected {suffix}")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file by new content in one step; its folder is made if need be.

    The temporary name is a random one, so that processes on several machines may write the same
    file.

    Raises:
        UnwritableError: the file cannot be written; what was there before still is.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            with open(temporary, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def save_figure(figure: Any, path: Path, *, dpi: float | None = None) -> None:
    """Write a figure of matplotlib to a PNG file, atomically; its folder is made if need be.

    Raises:
        UnwritableError: the file cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi or figure.dpi)
    write_atomically(path, picture.getvalue())


def save_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write named arrays and a JSON record of what they are to a safetensors file, atomically."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    record = json.dumps(dict(metadata), sort_keys=True)
    write_atomically(path, save(contiguous, metadata={_METADATA: record}))


def load_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what ``save_arrays`` wrote: the arrays and the record.

    Raises:
        InputFileError: the file is missing, truncated, or not one of nnpmm's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {})[_METADATA])
            return {name: file.get_tensor(name) for name in file.keys()}, record
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputFileError(
            f"{path}: cannot be read ({error}); delete it and make it again"
        ) from error
