"""Named arrays and a record of what they are, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core.errors import InputFileError
from nnpmm.core.files import write_atomically

__all__ = ["load_arrays", "load_keyed", "load_record", "save_arrays"]

_METADATA = "nnpmm"
_UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError)


def save_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write named arrays and a JSON record of what they are to a safetensors file, atomically.

    Raises:
        UnwritableError: the file cannot be written; what was there before still is.
    """
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
            return {name: file.get_tensor(name) for name in file.keys()}, _record(file)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def load_keyed(path: Path, key: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """Return the arrays and the record of a file if its record has this ``key``, or else None.

    A damaged file is as good as none: its content is calculated again.
    """
    if not path.exists():
        return None
    try:
        arrays, record = load_arrays(path)
    except InputFileError:
        return None
    return (arrays, record) if record.get("key") == key else None


def load_record(path: Path) -> dict[str, Any]:
    """Read the record alone of what ``save_arrays`` wrote.

    Raises:
        InputFileError: the file is missing, truncated, or not one of nnpmm's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return _record(file)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _record(file: Any) -> dict[str, Any]:
    return dict(json.loads((file.metadata() or {})[_METADATA]))


def _unreadable(path: Path, error: Exception) -> InputFileError:
    return InputFileError(f"{path}: cannot be read ({error}); delete it and make it again")
