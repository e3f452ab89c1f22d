"""Check and sort the atom indices that a caller gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import RegionError

__all__ = ["atom_indices"]


def atom_indices(
    atoms: Iterable[int] | NDArray[Any],
    n_atoms: int,
    what: str = "region",
    *,
    may_be_empty: bool = False,
) -> NDArray[np.int64]:
    """Return sorted atom indices without duplicates.

    Args:
        atoms: 0-based indices in any order, as a sequence, set or array; or a boolean mask with one
            value for every atom, (n_atoms,).
        n_atoms: number of atoms of the whole system.
        what: name of the selection in error messages.
        may_be_empty: accept a selection without atoms.

    Raises:
        RegionError: no index, an index out of range, a mask of another length, or values that are
            not whole numbers.
    """
    if isinstance(atoms, (str, bytes)) or not isinstance(atoms, Iterable):
        raise RegionError(
            f"found the {what} {atoms!r}, expected 0-based atom indices; "
            'for a selection give nnpmm.select_atoms(topology, "resname MOL")'
        )
    if not isinstance(atoms, np.ndarray):
        atoms = list(atoms)
    try:
        array = np.asarray(atoms)
    except ValueError:  # lists of different lengths
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise RegionError(
            f"found an array of {array.ndim} dimensions for the {what}, expected one list of "
            "0-based atom indices; couple several regions one after the other"
        )
    if array.dtype == bool:
        if len(array) != n_atoms:
            raise RegionError(
                f"found a mask of {len(array)} values for the {what} of a system of {n_atoms} "
                "atoms; give one value for every atom, or 0-based indices (np.flatnonzero(mask))"
            )
        array = np.flatnonzero(array)
    elif array.size and not np.issubdtype(array.dtype, np.integer):
        raise RegionError(
            f"found values of type {array.dtype} for the {what}, expected 0-based atom indices as "
            "whole numbers"
        )
    indices = np.unique(array.astype(np.int64))
    if indices.size == 0 and may_be_empty:
        return indices
    if indices.size == 0 or indices[0] < 0 or indices[-1] >= n_atoms:
        raise RegionError(
            f"{what}: the 0-based indices must lie in 0..{n_atoms - 1} and be at least one"
        )
    return indices
