"""Atomic numbers of a region as chemical symbols that a model knows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.errors import RegionError

__all__ = ["known_symbols"]


def known_symbols(
    atomic_numbers: NDArray[np.int64], elements: Collection[str], name: str
) -> list[str]:
    """Return the chemical symbols of a region's atoms.

    Args:
        atomic_numbers: shape (n,).
        elements: symbols that the model knows.
        name: of the model, for messages.

    Raises:
        RegionError: no atoms, not atomic numbers, or an element that the model does not know.
    """
    if atomic_numbers.ndim != 1 or atomic_numbers.size == 0:
        raise RegionError(
            f"found atomic numbers of shape {atomic_numbers.shape}, expected (n,), n > 0"
        )
    if not ((atomic_numbers > 0) & (atomic_numbers < 119)).all():
        raise RegionError("found an atomic number outside 1 to 118")
    symbols = [Element.getByAtomicNumber(int(z)).symbol for z in atomic_numbers]
    unknown = sorted(set(symbols) - set(elements))
    if unknown:
        raise RegionError(
            f"found the elements {', '.join(unknown)}, but {name} supports {', '.join(elements)}; "
            "leave these atoms to the force field or use another model"
        )
    return symbols
