"""What files of ensembles of networks have in common: which members, and whether names fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from openmm.app import Element

from nnpmm.core.errors import ModelError

__all__ = [
    "LARGEST_CONSTANT",
    "EnsembleParameters",
    "check_names",
    "checked_number",
    "rows_of_members",
]

#: Of a constant or an element of an array; AIMNet2's self energies reach 7e4 eV.
LARGEST_CONSTANT = 1e6


class EnsembleParameters(Protocol):
    """Constants and weights of an ensemble of networks."""

    @property
    def name(self) -> str:
        """The published name."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the networks know."""

    @property
    def members(self) -> Any:
        """The networks, one after the other."""

    @property
    def member_indices(self) -> tuple[int, ...]:
        """Index of each network in the published ensemble."""

    @property
    def self_energies(self) -> Any:
        """Of each element."""

    def digest(self) -> str:
        """Return a checksum of the content."""


def rows_of_members(ensemble: EnsembleParameters, wanted: int | Sequence[int]) -> list[int]:
    """Return the rows, in these parameters, of some networks of the published ensemble.

    Args:
        ensemble: the parameters.
        wanted: indices in the published ensemble.

    Raises:
        ModelError: an index that this ensemble does not contain, none, or one given twice.
    """
    indices = (wanted,) if isinstance(wanted, (int, np.integer)) else tuple(wanted)
    known = ensemble.member_indices
    if not indices or len(set(indices)) != len(indices) or not set(indices) <= set(known):
        raise ModelError(
            f"found members {list(indices)}, {ensemble.name} here contains {list(known)}; "
            "give each index once and at least one"
        )
    return [known.index(index) for index in indices]


def check_names(ensemble: EnsembleParameters) -> None:
    """Check name, elements, indices and self energies of parameters read from a file.

    Raises:
        ValueError: one does not fit; the message says which.
    """
    elements, indices = ensemble.elements, ensemble.member_indices
    if not isinstance(ensemble.name, str):
        raise ValueError("the name is not text")
    if not isinstance(elements, tuple) or not elements or len(set(elements)) != len(elements):
        raise ValueError("found no list of different elements")
    known = Element._elements_by_symbol
    unknown = [e for e in elements if not isinstance(e, str) or e.upper() not in known]
    if unknown:
        raise ValueError(f"found the element {unknown[0]!r}")
    if not indices or len(set(indices)) != len(indices) or not all(map(_is_index, indices)):
        raise ValueError(f"found members {indices}, expected different whole numbers")
    if not isinstance(ensemble.self_energies, dict):
        raise ValueError("found no self energies")
    for symbol in elements:
        checked_number(ensemble.self_energies.get(symbol), f"the self energy of {symbol}")


def checked_number(value: Any, what: str) -> float:
    """Return a value as a float, after a check.

    Raises:
        ValueError: it is no number, not finite or larger than `LARGEST_CONSTANT`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what} is not a number")
    if not math.isfinite(value) or abs(value) > LARGEST_CONSTANT:
        raise ValueError(f"{what} is {value:g}, allowed: finite and at most {LARGEST_CONSTANT:g}")
    return float(value)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
