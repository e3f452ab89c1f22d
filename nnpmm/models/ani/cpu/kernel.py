"""The ``cpu`` backend: blocks of atoms of one element, distributed over threads.

Each thread evaluates its blocks from neighbours to forces, so that threads are synchronised only
once, at the end. The symmetry functions of only one block per thread are in memory.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models.ani.cpu.compiled import evaluate_blocks
from nnpmm.models.ani.cpu.networks import NetworkScratch
from nnpmm.models.ani.cpu.packing import ColumnLayout, pack_networks
from nnpmm.models.ani.cpu.partition import BLOCK, partition
from nnpmm.models.ani.cpu.symmetry import AtomScratch, Constants
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.cpu.neighbours import build_cells
from nnpmm.models.protocol import BatchEvaluation, Evaluation
from nnpmm.models.threads import run_together, thread_count

__all__ = ["CpuKernel"]

_NM_TO_ANGSTROM = 10.0
_BATCH_ATOMS = 4096  # evaluated together: bounds the memory of a long batch


class _Workspace(NamedTuple):
    """The buffers of one thread."""

    atoms: AtomScratch
    networks: NetworkScratch


class CpuKernel:
    """ANI for a fixed composition on the CPU, in float32 or float64.

    Results depend on the number of threads in the last digits, but not on their timing.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        precision: ``"single"`` or ``"double"``.
        threads: see `nnpmm.models.threads.thread_count`.
    """

    def __init__(
        self,
        parameters: AniParameters,
        symbols: list[str],
        precision: str,
        threads: int | None = None,
    ) -> None:
        dtype = np.dtype(np.float64 if precision == "double" else np.float32)
        parameters = parameters.restricted_to(symbols)
        functions = parameters.symmetry_functions
        self._species = np.array([functions.elements.index(s) for s in symbols], np.int64)
        self._cutoff = functions.radial_cutoff
        self._layout = ColumnLayout.of(parameters, dtype)
        self._networks = pack_networks(parameters, self._layout, dtype)
        self._constants = Constants.of(functions, self._species, self._layout.group_start, dtype)
        self._n_members = len(parameters.members)
        widths = self._networks.widths
        self._n_weights = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
        self._threads = thread_count(threads)
        self._workspaces = [
            _Workspace(
                AtomScratch.allocate(len(symbols), functions, dtype),
                NetworkScratch.allocate(BLOCK, self._layout, self._networks, dtype),
            )
            for _ in range(self._threads)
        ]
        self._partitions: dict[int, tuple[NDArray[np.int64], list[NDArray[np.int64]]]] = {}
        self._lock = threading.Lock()  # only one evaluation at a time may use the workspaces

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm."""
        members, forces = self._run(positions[None], box, with_forces=True)
        return Evaluation(float(members[:, 0].mean()), forces[0], members[:, 0])

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        return self._run(positions[None], box, with_forces=False)[0][:, 0]

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3)."""
        step = max(1, _BATCH_ATOMS // positions.shape[1])
        parts = [
            self._run(positions[first : first + step], None, with_forces=True)
            for first in range(0, len(positions), step)
        ]
        members = np.concatenate([part[0].T for part in parts])
        return BatchEvaluation(
            members.mean(axis=1), np.concatenate([part[1] for part in parts]), members
        )

    def _run(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None, *, with_forces: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return member energies (m, k) in kJ/mol and forces (k, n, 3) in kJ/mol/nm."""
        n_geometries = len(positions)
        positions = positions * _NM_TO_ANGSTROM
        scaled_box = None if box is None else box * _NM_TO_ANGSTROM
        cells = build_cells(positions, scaled_box, self._cutoff)
        flat = positions.reshape(-1, 3)
        order, blocks = self._partition(n_geometries)
        energies = np.zeros((len(blocks), self._n_members, n_geometries))
        forces = np.zeros((len(blocks), *flat.shape))

        def work(thread: int) -> None:
            workspace = self._workspaces[thread]
            evaluate_blocks(
                blocks[thread], order, flat, cells, self._constants, self._layout, self._networks,
                workspace.atoms, workspace.networks, with_forces, energies[thread], forces[thread],
            )  # fmt: skip

        with self._lock:
            run_together(work, len(blocks))
        scale = HARTREE_TO_KJ_PER_MOL * _NM_TO_ANGSTROM / self._n_members
        return (
            HARTREE_TO_KJ_PER_MOL * energies.sum(axis=0),
            scale * forces.sum(axis=0).reshape(positions.shape),
        )

    def _partition(self, n_geometries: int) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        if n_geometries not in self._partitions:
            if n_geometries > 1:  # store those of a single geometry and of the last batch
                self._partitions = {1: self._partitions[1]} if 1 in self._partitions else {}
            self._partitions[n_geometries] = partition(
                self._species, self._n_weights, n_geometries, self._threads
            )
        return self._partitions[n_geometries]
