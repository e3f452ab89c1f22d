"""ANI's symmetry functions of a molecule, compiled, and the gradient that follows from theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

import nnpmm.models.ani.cpu
from nnpmm.models.ani.cpu.symmetry import (
    AtomScratch,
    Constants,
    add_atom_forces,
    describe_atom,
)
from nnpmm.models.ani.parameters import SymmetryFunctions
from nnpmm.models.cpu.compilation import keep_on_disk, source_digest
from nnpmm.models.cpu.neighbours import build_cells, find_neighbours

__all__ = ["Symmetry"]

_NM_TO_ANGSTROM = 10.0


class Symmetry:
    """The AEVs of a molecule's atoms, with the columns of the elements that occur.

    Args:
        functions: constants.
        symbols: chemical symbol of each atom.

    Attributes:
        columns: which of the AEV's columns these are, (c,).
    """

    def __init__(self, functions: SymmetryFunctions, symbols: list[str]) -> None:
        present = tuple(element for element in functions.elements if element in symbols)
        own = replace(functions, elements=present)
        self.columns = functions.columns_of(symbols)
        species = np.array([own.elements.index(symbol) for symbol in symbols], np.int64)
        n_pairs = len(present) * (len(present) + 1) // 2
        starts = own.radial_length + own.functions_per_pair * np.arange(n_pairs + 1)
        dtype = np.dtype(np.float64)
        self._constants = Constants.of(own, species, starts, dtype)
        self._scratch = AtomScratch.allocate(len(symbols), own, dtype)
        self._shape = (len(symbols), own.aev_length)

    def describe(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the AEVs (n, c) at positions (n, 3) in nm."""
        rows = np.zeros(self._shape)
        self._run(positions, rows, np.zeros((0, 3)))
        return rows

    def pull_back(
        self, positions: NDArray[np.float64], gradient: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the gradient (n, 3), 1/nm, of a function whose gradient by the AEVs is (n, c)."""
        forces = np.zeros_like(positions)
        self._run(positions, np.ascontiguousarray(gradient), forces)
        return -_NM_TO_ANGSTROM * forces

    def _run(
        self,
        positions: NDArray[np.float64],
        rows: NDArray[np.float64],
        forces: NDArray[np.float64],
    ) -> None:
        places = np.ascontiguousarray(positions) * _NM_TO_ANGSTROM
        cells = build_cells(places[None], None, self._constants.radial_cutoff)
        visit_atoms(places, cells, self._constants, self._scratch, rows, forces)


def _compile(source: str) -> Callable[..., Any]:
    @numba.njit(nogil=True, error_model="numpy")
    def visit_atoms(positions, cells, constants, scratch, rows, forces):
        """Fill the atoms' rows; or, where there are forces, add to these what the rows exert."""
        source  # noqa: B018  # numba's cache looks at closures, not at what other modules hold
        neighbours, index = scratch.neighbours, scratch.cell_index
        species, cutoff = constants.species, constants.radial_cutoff
        for i in range(len(positions)):
            n = find_neighbours(i, positions, species, cells, cutoff, index, neighbours)
            if len(forces) == 0:
                describe_atom(rows[i], n, constants, scratch)
            else:
                add_atom_forces(forces, i, rows[i], n, constants, scratch)

    return visit_atoms


visit_atoms = _compile(source_digest(Path(nnpmm.models.ani.cpu.__file__).parent))
keep_on_disk(visit_atoms)
