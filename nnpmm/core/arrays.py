"""Named arrays and a JSON record that describes them, in or next to a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnpmm.core.errors import InputFileError, shortened
from nnpmm.core.files import require_suffix, sha256_of, write_atomically
from nnpmm.core.section import Section, first_problem

__all__ = [
    "Card",
    "load_arrays",
    "load_card",
    "load_keyed",
    "load_record",
    "save_arrays",
    "save_card",
]

_METADATA = "nnpmm"
_UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError)


class Card(Section):
    """Base of the records that describe a network, apart from its weights."""

    weights_sha256: str = Field("", description="checksum of the safetensors file")


_Card = TypeVar("_Card", bound=Card)


def save_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write named arrays and a JSON record of what they are to a safetensors file, atomically.

    Raises:
        UnwritableError: the file cannot be written; an existing file is unchanged.
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

    A damaged file counts as missing, so its content is calculated again.
    """
    if not path.exists():
        return None
    try:
        arrays, record = load_arrays(path)
    except InputFileError:
        return None
    return (arrays, record) if record.get("key") == key else None


def load_record(path: Path) -> dict[str, Any]:
    """Read only the record that ``save_arrays`` wrote.

    Raises:
        InputFileError: the file is missing, truncated, or not one of nnpmm's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return _record(file)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def save_card(path: Path, card: Card, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``NAME.json``, and the arrays to ``NAME.safetensors``.

    Args:
        path: ``NAME.json``.
        card: describes the arrays; the checksum of their file is added.
        arrays: by name.

    Raises:
        ConfigError: the name does not end in .json.
        UnwritableError: a file cannot be written.
    """
    require_suffix(path, ".json")
    weights = path.with_suffix(".safetensors")
    save_arrays(weights, arrays, {})
    digest = sha256_of(weights.read_bytes())
    complete = card.model_copy(update={"weights_sha256": digest})
    write_atomically(path, json.dumps(complete.model_dump(mode="json"), indent=1) + "\n")


def load_card(path: Path, kind: type[_Card]) -> tuple[_Card, dict[str, NDArray[Any]]]:
    """Read what ``save_card`` wrote: the card and the arrays.

    Args:
        path: ``NAME.json``.
        kind: class of the card.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    try:
        card = kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise InputFileError(f"{path}: {first_problem(error)}") from error
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error
    weights = path.with_suffix(".safetensors")
    arrays, _ = load_arrays(weights)
    if sha256_of(weights.read_bytes()) != card.weights_sha256:
        raise InputFileError(
            f"{weights}: does not match its sha256 in {path.name}; train again, or restore both "
            "files"
        )
    return card, arrays


def _record(file: Any) -> dict[str, Any]:
    return dict(json.loads((file.metadata() or {})[_METADATA]))


def _unreadable(path: Path, error: Exception) -> InputFileError:
    return InputFileError(
        f"{path}: cannot be read ({shortened(error)}); delete it and repeat the step that made it"
    )
