"""The ``cuda`` backend: AIMNet2 on a GPU, from arrays on the host or tensors on the device."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.models.aimnet.cuda.engine import Engine
from nnpmm.models.aimnet.cuda.packing import pack_model
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.aimnet.tensors import charge_tensors
from nnpmm.models.cuda.device import on_device
from nnpmm.models.protocol import BatchEvaluation, Evaluation

__all__ = ["CudaKernel"]

#: Pairs of atoms of a batch that are evaluated together: 1 GB.
_PAIRS_OF_A_BATCH = 2**19


class CudaKernel:
    """AIMNet2 for a fixed composition and charge; see `nnpmm.models.aimnet.cuda`.

    Member energies and charges cost nothing, so that every result is that of a whole evaluation.
    Memory grows with the square of the number of atoms: 2 KB for each pair.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        device: ``"cuda"`` or ``"cuda:<index>"``; ``"cpu"`` for checks.
        precision: ``"single"``, or ``"double"`` for checks.

    Raises:
        SimulationError: the GPU has not enough memory.
    """

    def __init__(
        self,
        parameters: AimnetParameters,
        symbols: list[str],
        charge: int,
        device: str,
        precision: str,
    ) -> None:
        self._parameters, self._symbols, self._charge = parameters, symbols, charge
        self._device = device
        self._batch: Engine | None = None
        self._lock = threading.Lock()
        with self._on_device(1):
            dtype = torch.float64 if precision == "double" else torch.float32
            self._model = pack_model(parameters, symbols, device, dtype)
            self._engine = self._create_engine(1)

    def evaluate(self, positions: NDArray[np.float64]) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm.

        Raises:
            SimulationError: the GPU has not enough memory.
        """
        return self.in_potential(positions, None)[0]

    def member_energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol."""
        return self.evaluate(positions).member_energies

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3).

        Raises:
            SimulationError: the GPU has not enough memory.
        """
        k, n = positions.shape[:2]
        together = min(k, max(1, _PAIRS_OF_A_BATCH // n**2))
        forces, energies = np.empty_like(positions), np.empty(k)
        members = np.empty((k, len(self._parameters.members)))
        with self._on_device(together):
            engine = self._engine_for(together)
            for begin in range(0, k, together):
                # The last group reaches back, so that it is as long as the others.
                start = min(begin, k - together)
                group = slice(start, start + together)
                found = engine.run_from_host(positions[group])
                forces[group], energies[group] = found.forces.numpy(), found.energies.numpy()
                members[group] = found.members.numpy()
        return BatchEvaluation(energies, forces, members)

    def charges(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean charges (n,), e, at positions (n, 3) in nm."""
        return self.in_potential(positions, None)[1]

    def charge_gradient(
        self, positions: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the gradient of the sum of weights (n,) times charges, (n, 3), per nm."""
        with self._on_device(1):
            found = self._engine.run_from_host(positions, weights, scale=0.0)
            return -found.forces[0].numpy()

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64] | None
    ) -> tuple[Evaluation, NDArray[np.float64]]:
        """Return energy, forces in potentials (n,), kJ/mol/e, members, and the mean charges."""
        with self._on_device(1):
            found = self._engine.run_from_host(positions, potentials)
            members, forces, charges = (
                each[0].numpy().copy() for each in (found.members, found.forces, found.charges)
            )
            return Evaluation(float(found.energies[0]), forces, members), charges

    def charge_tensors(self, positions: Tensor) -> Tensor:
        """Return the charges as a tensor that autograd differentiates once."""
        return charge_tensors(self, positions)

    def evaluate_tensors(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return energy and forces from positions (n, 3); nothing waits for the device."""
        with self._on_device(1):
            self._engine.run(positions.detach()[None])
            ends = self._engine.ends
            return ends.energies[0].clone(), ends.forces[0].clone()

    def _engine_for(self, geometries: int) -> Engine:
        """Return the engine for a batch of geometries; one for one and the latest are kept."""
        if geometries == 1:
            return self._engine
        if self._batch is None or self._batch.geometries != geometries:
            self._batch = None  # gives its memory back first
            self._batch = self._create_engine(geometries)
        return self._batch

    def _create_engine(self, geometries: int) -> Engine:
        return Engine(
            self._parameters, self._model, self._symbols, self._charge, self._device, geometries
        )

    @contextmanager
    def _on_device(self, geometries: int) -> Iterator[None]:
        """Use the GPU, one thread at a time: an evaluation writes to the memory of the last."""
        atoms = f"AIMNet2 of {len(self._symbols)} atoms"
        what = atoms if geometries == 1 else f"{atoms}, {geometries} geometries at once"
        with self._lock, on_device(self._device, what):
            yield
