"""Compile functions with numba, and cache their code on disk between processes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

from nnpmm.core.errors import shortened

__all__ = ["inner", "keep_on_disk", "source_digest"]

_LOGGER = logging.getLogger(__name__)
#: Modules without compiled code.
_CALLERS = ("kernel.py", "partition.py", "tensors.py")


def inner(fastmath: bool | set[str] = False) -> Any:
    """Return a decorator that compiles a function for calls from compiled code alone.

    The function has no wrapper for Python, so a call from Python would crash the process. A wrapper
    for a dozen arrays takes as long to compile as the function itself.

    Args:
        fastmath: numba's option of this name.
    """
    return numba.njit(
        error_model="numpy", fastmath=fastmath, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )


class _TolerantCache(FunctionCache):
    """numba's cache, except that a damaged file leads to compilation instead of an error."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever reading a truncated pickle or object file raises
            _discard(self, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # an index that cannot be read, a full disk
            _discard(self, error)


def _discard(cache: FunctionCache, error: Exception) -> None:
    """Empty the cache's index, so that the next process does not read the damaged file again."""
    reason = shortened(f"{type(error).__name__}: {error}")
    _LOGGER.warning("%s: not usable (%s); compiled again", cache.cache_path, reason)
    with contextlib.suppress(OSError):
        cache.flush()


def keep_on_disk(function: Any) -> None:
    """Cache a compiled function on disk, or warn that it is compiled at every start."""
    try:
        function._cache = _TolerantCache(function.py_func)
    except RuntimeError:  # no folder that can be written: numba's "no locator available"
        _LOGGER.warning(
            "found no folder for compiled code, so it is compiled at every start: set "
            "NUMBA_CACHE_DIR to a writable folder"
        )


def source_digest(folder: Path) -> str:
    """Return a digest of the modules with compiled code in a folder and in this folder.

    numba's cache is invalidated by a change of the function that Python calls or of its closure,
    but not by a change of the functions that it calls. A function with this digest in its closure
    is compiled again if any of these modules changes.
    """
    digest = hashlib.sha256()
    for each in (Path(__file__).parent, folder):
        for path in sorted(each.glob("*.py")):
            if path.name not in _CALLERS:
                digest.update(path.read_bytes())
    return digest.hexdigest()
