"""The only compiled function that Python calls; its code is cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from nnpmm.models.ani.cpu.networks import apply_networks
from nnpmm.models.ani.cpu.symmetry import add_atom_forces, describe_atom, find_pattern
from nnpmm.models.cpu.compilation import keep_on_disk, source_digest
from nnpmm.models.cpu.neighbours import neighbours_of

__all__ = ["evaluate_blocks"]


def _compile(source: str) -> Callable[..., Any]:
    @numba.njit(nogil=True, error_model="numpy")
    def evaluate_blocks(
        blocks,
        order,
        positions,
        cells,
        constants,
        layout,
        networks,
        atom_scratch,
        network_scratch,
        with_forces,
        energies,
        forces,
    ):
        """Evaluate blocks of atoms, from neighbours to forces.

        Args:
            blocks: (b, 3): element, and first and last place in ``order`` of its atoms.
            order: atoms, counted through all geometries, sorted by element.
            positions: (k n, 3), angstrom, float64; with a neighbour list, its vectors.
            cells, constants, layout, networks: see their classes.
            atom_scratch, network_scratch: buffers of this thread.
            with_forces: whether to compute forces.
            energies: (members, k), hartree, added to.
            forces: (k n, 3), hartree/angstrom, summed over members, added to.
        """
        source  # noqa: B018  # in the closure, see `source_digest`
        rows, gradient = network_scratch.rows, network_scratch.gradient
        geometry, unsorted = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        species, cutoff = constants.species, constants.radial_cutoff
        index, neighbours = atom_scratch.cell_index, atom_scratch.neighbours
        for block in range(len(blocks)):
            element, first, last = blocks[block]
            count = last - first
            for row in range(count):
                i = order[first + row]
                n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                unsorted[row] = find_pattern(n, constants, atom_scratch)
            # Atoms with the same pairs of elements are in one tile, whose other columns are zero.
            by_pattern = np.argsort(unsorted[:count], kind="mergesort")
            rows[:count] = 0
            for row in range(count):
                i = order[first + by_pattern[row]]
                geometry[row] = i // cells.n_atoms
                network_scratch.pattern[row] = unsorted[by_pattern[row]]
                n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                describe_atom(rows[row], n, constants, atom_scratch)
            apply_networks(
                element, count, geometry, energies, with_forces, layout, networks, network_scratch
            )
            if with_forces:
                for row in range(count):
                    i = order[first + by_pattern[row]]
                    n = neighbours_of(i, positions, species, cells, cutoff, index, neighbours)
                    add_atom_forces(forces, i, gradient[row], n, constants, atom_scratch)

    return evaluate_blocks


evaluate_blocks = _compile(source_digest(Path(__file__).parent))
keep_on_disk(evaluate_blocks)
