"""ANI for part of a system on the CPU, by the loops and products of the ``cpu`` backend."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import ModelError
from nnpmm.models.ani.cpu.compiled import evaluate_blocks
from nnpmm.models.ani.cpu.networks import NetworkScratch
from nnpmm.models.ani.cpu.packing import ColumnLayout, pack_networks
from nnpmm.models.ani.cpu.partition import BLOCK, partition
from nnpmm.models.ani.cpu.symmetry import AtomScratch, Constants
from nnpmm.models.ani.parameters import AniParameters, SymmetryFunctions
from nnpmm.models.cpu.neighbours import NeighbourList
from nnpmm.models.local import LocalEvaluation, Neighbourhoods
from nnpmm.models.threads import run_together, thread_count

__all__ = ["LocalAni", "kinds_of"]

_NM_TO_ANGSTROM = 10.0


class LocalAni:
    """ANI for centres and their neighbours; see `nnpmm.models.local.LocalPotential`.

    Args:
        parameters: the ensemble.
        elements: chemical symbols of all atoms that will occur.
        precision: ``"single"`` or ``"double"``.
        threads: see `nnpmm.models.threads.thread_count`.
    """

    def __init__(
        self,
        parameters: AniParameters,
        elements: Collection[str],
        precision: str,
        threads: int | None = None,
    ) -> None:
        self._dtype = np.dtype(np.float64 if precision == "double" else np.float32)
        parameters = parameters.restricted_to(elements)
        self._functions = parameters.symmetry_functions
        self._layout = ColumnLayout.of(parameters, self._dtype)
        self._networks = pack_networks(parameters, self._layout, self._dtype)
        none = np.zeros(0, np.int64)  # elements are those of the list
        self._constants = Constants.of(self._functions, none, self._layout.group_start, self._dtype)
        self._n_members = len(parameters.members)
        widths = self._networks.widths
        self._n_weights = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
        self._threads = thread_count(threads)
        self._scratch = [
            NetworkScratch.allocate(BLOCK, self._layout, self._networks, self._dtype)
            for _ in range(self._threads)
        ]
        self._atoms: list[AtomScratch] = []
        self._capacity = -1  # largest number of neighbours that fits the buffers

    @property
    def cutoff(self) -> float:
        """Range of the symmetry functions, nm."""
        return self._functions.radial_cutoff / _NM_TO_ANGSTROM

    def evaluate(
        self, atomic_numbers: NDArray[np.int64], neighbourhoods: Neighbourhoods
    ) -> LocalEvaluation:
        """Return energies of the centres and gradients; see `nnpmm.models.local.LocalPotential`.

        Raises:
            ModelError: an element other than those that this was made for.
        """
        start, atoms, vectors = neighbourhoods
        n_centres, n_pairs = len(start) - 1, len(atoms)
        kinds = kinds_of(atomic_numbers, self._functions)
        self._allocate(int(np.diff(start).max(initial=0)))
        neighbours = NeighbourList(
            1, n_centres, np.ascontiguousarray(start, np.int64), kinds[atoms]
        )
        scaled = np.ascontiguousarray(vectors * _NM_TO_ANGSTROM, np.float64)
        order, blocks = partition(kinds[:n_centres], self._n_weights, 1, self._threads)
        energies = np.zeros((self._n_members, n_centres))
        forces = np.zeros((len(blocks), n_centres + n_pairs, 3))

        def work(thread: int) -> None:
            evaluate_blocks(
                blocks[thread], order, scaled, neighbours, self._constants, self._layout,
                self._networks, self._atoms[thread], self._scratch[thread], True,
                energies, forces[thread],
            )  # fmt: skip

        if blocks:  # there may be no centre
            run_together(work, len(blocks))
        scale = -HARTREE_TO_KJ_PER_MOL * _NM_TO_ANGSTROM / self._n_members
        return LocalEvaluation(
            HARTREE_TO_KJ_PER_MOL * energies.mean(axis=0),
            scale * forces[:, n_centres:].sum(axis=0),
            HARTREE_TO_KJ_PER_MOL * energies.sum(axis=1),
        )

    def _allocate(self, capacity: int) -> None:
        if capacity > self._capacity:
            self._capacity = capacity + capacity // 4
            self._atoms = [
                AtomScratch.allocate(self._capacity, self._functions, self._dtype)
                for _ in range(self._threads)
            ]


def kinds_of(atomic_numbers: NDArray[np.int64], functions: SymmetryFunctions) -> NDArray[np.int64]:
    """Return the number of each atom's element among those of the symmetry functions, (n,).

    Raises:
        ModelError: an element is not among them.
    """
    table = np.full(120, -1, np.int64)
    for kind, symbol in enumerate(functions.elements):
        table[Element.getBySymbol(symbol).atomic_number] = kind
    kinds = table[atomic_numbers]
    if (kinds < 0).any():
        unknown = Element.getByAtomicNumber(int(atomic_numbers[kinds < 0][0])).symbol
        raise ModelError(
            f"found an atom of {unknown}, but the local potential was made for "
            f"{', '.join(functions.elements)}; name all elements when you create it"
        )
    return kinds
