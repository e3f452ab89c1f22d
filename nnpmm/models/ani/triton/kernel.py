"""The ``triton`` backend: ANI on a GPU, from arrays on the host or tensors on the device."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.triton.availability import require_device
from nnpmm.models.ani.triton.constants import check_neighbour_counts
from nnpmm.models.ani.triton.engine import Engine
from nnpmm.models.ani.triton.memory import Model
from nnpmm.models.cuda.device import on_device
from nnpmm.models.protocol import BatchEvaluation, Evaluation

__all__ = ["TritonKernel"]

#: Atoms of a batch that are evaluated together. They need 2 GB.
_ROWS_OF_A_BATCH = 65536


class TritonKernel:
    """The ``triton`` backend; see `nnpmm.models.ani.triton`.

    Evaluations are deterministic, bit by bit. Every evaluation yields the member energies, so
    `member_energies` costs as much as `evaluate`. Evaluations share their memory, so two threads
    must not use a kernel at the same time.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom, in order.
        device: ``"cuda"`` or ``"cuda:<index>"``; ``"cpu"`` under Triton's interpreter.
        precision: ``"single"``, or ``"double"`` for checks.

    Raises:
        ModelError: another device, or a network without a hidden layer.
        SimulationError: the GPU has not enough memory.
    """

    def __init__(
        self, parameters: AniParameters, symbols: list[str], device: str, precision: str
    ) -> None:
        require_device(device)
        self._device = device
        self._batch: Engine | None = None
        with self._on_device(len(symbols)):
            self._model = Model.pack(parameters, symbols, device, precision == "double")
            elements = self._model.parameters.elements
            self._species = [elements.index(symbol) for symbol in symbols]
            self._engine = Engine(self._model, self._species)

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm.

        Raises:
            SimulationError: an atom has too many neighbours, or the GPU has not enough memory.
        """
        with self._on_device(len(positions)):
            forces, results = self._engine.run_from_host(positions, box)
        self._check_neighbour_counts(results)
        return Evaluation(float(results[0, 0]), forces.copy(), results[0, 3:].copy())

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol."""
        return self.evaluate(positions, box).member_energies

    def evaluate_tensors(
        self, positions: Tensor, box: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Evaluate on the current stream, without synchronising with the host.

        Therefore an atom with too many neighbours does not raise an error here. The energy and the
        forces on such atoms are NaN.

        Args:
            positions: (n, 3) in nm, of any floating type. Tensors on another device are copied.
            box: reduced periodic box vectors as rows, (3, 3), in nm, if the region interacts with
                its own periodic images. Without it, the region must be whole.

        Returns:
            The energy in kJ/mol, a scalar, and forces (n, 3) in kJ/mol/nm, both float64. The next
            evaluation overwrites them.
        """
        buffers = self._engine.buffers
        with self._on_device(self._engine.n_atoms):
            buffers.positions.copy_(positions.detach())
            if box is not None:
                buffers.box.copy_(box.detach())
            self._engine.run(periodic=box is not None)
        return buffers.results[0, 0], buffers.forces

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3).

        Raises:
            SimulationError: an atom has too many neighbours, or the GPU has not enough memory.
        """
        k, n = positions.shape[:2]
        together = 1 if self._engine.searches_cells else min(k, max(1, _ROWS_OF_A_BATCH // n))
        forces = np.empty_like(positions)
        results = np.empty((k, self._engine.buffers.results.shape[1]))
        with self._on_device(together * n):
            engine = self._engine_for(together)
            for begin in range(0, k, together):
                # The last group overlaps the one before, so that all have the same length.
                start = min(begin, k - together)
                group = slice(start, start + together)
                found = engine.run_from_host(positions[group], None)
                forces[group], results[group] = found[0].reshape(together, n, 3), found[1]
        self._check_neighbour_counts(results)
        return BatchEvaluation(results[:, 0].copy(), forces, results[:, 3:].copy())

    def _engine_for(self, geometries: int) -> Engine:
        """Return the engine for a number of geometries; only that of the last batch is kept."""
        if geometries == 1:
            return self._engine
        if self._batch is None or self._batch.geometries != geometries:
            self._batch = None  # frees its memory before the next is allocated
            self._batch = Engine(self._model, self._species, geometries)
        return self._batch

    def _check_neighbour_counts(self, results: NDArray[np.float64]) -> None:
        radial, angular = results[:, 1:3].max(axis=0).astype(int)
        check_neighbour_counts(int(radial), int(angular), self._engine.constants)

    def _on_device(self, n_atoms: int) -> AbstractContextManager[None]:
        return on_device(self._device, f"ANI of {n_atoms} atoms")
