"""Arrays and a text in one safetensors file, in nnpmm's cache or next to model.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core.errors import WeightsError, shortened
from nnpmm.core.files import replacing

__all__ = ["read_tensors", "reading_weights", "write_tensors"]

_UNREADABLE = (
    *(OSError, SafetensorError, KeyError, IndexError, ValueError, TypeError, AttributeError),
    RecursionError,
)


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], key: str, text: str) -> None:
    """Write a file at once: another process sees the whole file or none.

    Args:
        path: of the file; its folder is made.
        tensors: arrays by name.
        key: under which the text is kept.
        text: all that is not an array.

    Raises:
        OSError: the file cannot be written; what was there before still is.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as handle:
        handle.write(save(arrays, metadata={key: text}))


def read_tensors(path: Path, key: str) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the text under a key, and the arrays by name."""
    with safe_open(path, framework="numpy") as file:
        text = (file.metadata() or {})[key]
        return text, {name: file.get_tensor(name) for name in file.keys()}


@contextmanager
def reading_weights(path: Path, kind: str) -> Iterator[None]:
    """Turn the exceptions of a missing, truncated or foreign file into a WeightsError.

    Args:
        path: of the file.
        kind: of the weights, for the message.

    Raises:
        WeightsError: with the path and the reason.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path}: not a readable {kind} weights file ({shortened(error)}); prepare or fetch "
            "it again"
        ) from error
