"""Stages of a calculation in a folder, where finished stages are not calculated again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.arrays import load_keyed, save_arrays

__all__ = ["Stages"]

_Arrays = dict[str, NDArray[Any]]


class Stages:
    """The files of one calculation.

    Args:
        folder: of the files.
        content: all that every stage depends on, as JSON.
    """

    def __init__(self, folder: Path, content: Any) -> None:
        self._folder, self._content = folder, _text(content)

    def run(
        self,
        name: str,
        content: Any,
        positions: NDArray[np.float64] | None,
        calculate: Callable[[], Mapping[str, NDArray[Any]]],
    ) -> _Arrays:
        """Return the arrays of a stage, from the folder if they are there.

        Args:
            name: of the stage.
            content: what this stage depends on in addition, as JSON.
            positions: nm, of any shape, from which it starts.
            calculate: returns the arrays, of one dimension or more.

        Raises:
            UnwritableError: the file cannot be written.
        """
        start = b"" if positions is None else (np.round(positions, 9) + 0.0).tobytes()
        text = f"{name} {self._content} {_text(content)}"
        key = hashlib.sha256(text.encode() + start).hexdigest()
        path = self._folder / f"{name}-{key[:8]}.safetensors"
        found = load_keyed(path, key)
        if found is not None:
            return found[0]
        arrays = dict(calculate())
        save_arrays(path, arrays, {"key": key})
        return arrays


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True, default=str)
