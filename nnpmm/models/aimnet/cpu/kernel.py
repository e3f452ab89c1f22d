"""The ``cpu`` backend: all networks of the ensemble, from neighbours to forces, without a tape."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.cpu.compiled import (
    ALONE,
    BACK,
    CHARGES,
    DISTANCES,
    ENERGIES,
    LAST,
    LONG_RANGE,
    evaluate_part,
    find_pairs,
)
from nnpmm.models.aimnet.cpu.long_range import DispersionTables
from nnpmm.models.aimnet.cpu.memory import Constants, Pairs, Region, Room, State
from nnpmm.models.aimnet.cpu.packing import pack_networks
from nnpmm.models.aimnet.cpu.shares import Share, divide
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.cpu.neighbours import build_cells
from nnpmm.models.protocol import BatchEvaluation, Evaluation
from nnpmm.models.threads import run_together, thread_count

if TYPE_CHECKING:
    import torch

__all__ = ["CpuKernel"]

_NM_TO_ANGSTROM = 10.0
_BATCH_ATOMS = 384  # evaluated together: enough to reuse the weights
_NEIGHBOURS = 24  # of an atom, to begin with; more are made room for


class _Memory(NamedTuple):
    """Arrays for a number of geometries."""

    n_geometries: int
    pairs: Pairs
    state: State
    rooms: list[Room]
    whole: bool
    shares: list[Share]
    gradient: NDArray[np.float64]


class CpuKernel:
    """AIMNet2 for a fixed composition and charge on the CPU, in float32 or float64.

    Results do not depend on when threads run: only on how many there are, in the last digits.

    Args:
        parameters: the ensemble.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        precision: ``"single"`` or ``"double"``.
        threads: see `nnpmm.models.threads.thread_count`.
    """

    def __init__(
        self,
        parameters: AimnetParameters,
        symbols: list[str],
        charge: int,
        precision: str,
        threads: int | None = None,
    ) -> None:
        self._dtype = np.dtype(np.float64 if precision == "double" else np.float32)
        species = [parameters.elements.index(symbol) for symbol in symbols]
        present = sorted(set(species))
        element = np.array([present.index(each) for each in species], np.int64)
        tables = DispersionTables.of(parameters.dispersion, present, element, self._dtype)
        self._region = Region(element, tables)
        self._networks = pack_networks(parameters, present, self._dtype)
        self._constants = Constants.of(parameters, charge, self._dtype)
        self._n_members = len(parameters.members)
        # The networks' own self energies differ from their mean by tenths of an eV.
        mean = [parameters.self_energies[symbol] for symbol in symbols]
        own = [m.self_energies[species].astype(np.float64) - mean for m in parameters.members]
        self._shifted_energies = EV_TO_KJ_PER_MOL * np.sum(own, axis=1)
        self._threads = thread_count(threads)
        self._kept: dict[int, _Memory] = {}
        self._lock = threading.Lock()  # one evaluation at a time writes to the memory

    def evaluate(self, positions: NDArray[np.float64]) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm."""
        members, forces = self._energies(positions[None], with_forces=True)
        return Evaluation(float(members[:, 0].mean()), forces[0], members[:, 0])

    def member_energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        return self._energies(positions[None], with_forces=False)[0][:, 0]

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3)."""
        step = max(1, _BATCH_ATOMS // positions.shape[1])
        parts = [
            self._energies(positions[first : first + step], with_forces=True)
            for first in range(0, len(positions), step)
        ]
        members = np.concatenate([part[0].T for part in parts])
        return BatchEvaluation(
            members.mean(axis=1), np.concatenate([part[1] for part in parts]), members
        )

    def charges(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean charges (n,), e, at positions (n, 3) in nm."""
        with self._lock:
            return self._charges(positions)[0]

    def charge_gradient(
        self, positions: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the gradient of the sum of weights (n,) times charges, (n, 3), per nm."""
        with self._lock:
            _, memory, flat = self._charges(positions)
            state = memory.state
            state.by_features[:] = 0
            state.by_charges[:] = weights
            for room in memory.rooms:
                room.by_basis[: memory.pairs.start[-1]] = 0
            self._stages(memory, flat, BACK, LONG_RANGE, with_gradient=True)
            return self._basis_gradient(memory)

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64]
    ) -> tuple[Evaluation, NDArray[np.float64]]:
        """Return energy, forces in potentials (n,), kJ/mol/e, members, and the mean charges."""
        with self._lock:
            memory, flat = self._prepared(positions[None])
            memory.state.potentials[:] = potentials
            try:
                members, forces = self._found(memory, flat, with_forces=True)
            finally:
                memory.state.potentials[:] = 0
            charges = memory.state.charges[-1].astype(np.float64).mean(axis=0)
        return Evaluation(float(members.mean()), forces, members[:, 0]), charges

    def charge_tensors(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the charges as a tensor that autograd differentiates once."""
        from nnpmm.models.aimnet.tensors import charge_tensors

        return charge_tensors(self, positions)

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy and forces as tensors in host memory."""
        import torch

        found = self.evaluate(positions.detach().cpu().numpy().astype(np.float64))
        energy = torch.tensor(found.energy, dtype=torch.float64)
        return energy, torch.from_numpy(found.forces)

    def _energies(
        self, positions: NDArray[np.float64], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return member energies (m, k), kJ/mol, and forces (k, n, 3), kJ/mol/nm."""
        with self._lock:
            members, forces = self._found(*self._prepared(positions), with_forces=with_forces)
        return members, forces.reshape(positions.shape) if with_forces else forces

    def _found(
        self, memory: _Memory, flat: NDArray[np.float64], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return member energies (m, k) and forces (k n, 3), if they are asked for."""
        last = LAST if with_forces else ENERGIES + 1
        self._stages(memory, flat, DISTANCES, last, with_gradient=with_forces)
        state = memory.state
        atomic = EV_TO_KJ_PER_MOL * state.energies + state.coulomb + memory.pairs.dispersion
        of_geometries = atomic.reshape(len(atomic), memory.n_geometries, -1).sum(axis=2)
        members = of_geometries + self._shifted_energies[:, None]
        if not with_forces:
            return members, np.empty(0)
        return members, -(self._basis_gradient(memory) + _NM_TO_ANGSTROM * memory.gradient)

    def _charges(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], _Memory, NDArray[np.float64]]:
        memory, flat = self._prepared(positions[None])
        self._stages(memory, flat, DISTANCES, CHARGES + 1, with_gradient=True)
        return memory.state.charges[-1].astype(np.float64).mean(axis=0), memory, flat

    def _basis_gradient(self, memory: _Memory) -> NDArray[np.float64]:
        """Return what the threads found by way of the basis, (k n, 3), mean of members, per nm."""
        total = np.sum([room.gradient for room in memory.rooms], axis=0)
        return _NM_TO_ANGSTROM / self._n_members * np.asarray(total)

    def _stages(
        self, memory: _Memory, flat: NDArray[np.float64], first: int, last: int, *,
        with_gradient: bool,
    ) -> None:  # fmt: skip
        """Do the stages from first to before last, each thread its share."""

        def do(begin: int, end: int, shares: list[Share]) -> None:
            begin, end = max(begin, first), min(end, last)

            def work(index: int) -> None:
                share = shares[index]
                evaluate_part(
                    begin, end, share.tasks, share.touched, share.rows, with_gradient, flat,
                    self._constants, self._region, self._networks, memory.pairs, memory.state,
                    memory.rooms[index], memory.gradient,
                )  # fmt: skip

            if begin < end:
                run_together(work, len(shares))

        if len(memory.shares) == 1:
            do(DISTANCES, LAST, memory.shares)
            return
        do(DISTANCES, DISTANCES + 1, memory.shares)
        if memory.whole:
            do(DISTANCES + 1, LONG_RANGE, memory.shares)
        else:
            alone = divide(self._n_members, memory.n_geometries, len(self._region.element), 1)[1]
            for stage in range(DISTANCES + 1, LONG_RANGE):
                do(stage, stage + 1, alone if stage in ALONE else memory.shares)
        do(LONG_RANGE, LAST, memory.shares)

    def _prepared(self, positions: NDArray[np.float64]) -> tuple[_Memory, NDArray[np.float64]]:
        """Return memory with the neighbours listed, and positions (k n, 3) in angstrom."""
        scaled = positions * _NM_TO_ANGSTROM
        cells = build_cells(scaled, None, float(self._constants.cutoff))
        flat = scaled.reshape(-1, 3)
        memory = self._memory(len(positions), _NEIGHBOURS * len(flat))
        while True:
            found = find_pairs(
                flat, cells, self._region, self._constants, memory.rooms[0], memory.pairs
            )
            if found <= len(memory.pairs.atom):
                return memory, flat
            memory = self._memory(len(positions), found + found // 4)

    def _memory(self, n_geometries: int, capacity: int) -> _Memory:
        """Return memory for so many pairs; a single geometry's and the last batch's are kept."""
        kept = self._kept.get(n_geometries)
        if kept is not None and capacity <= len(kept.pairs.atom):
            return kept
        self._kept = {1: self._kept[1]} if n_geometries > 1 and 1 in self._kept else {}
        n = len(self._region.element)
        rows = n_geometries * n
        whole, shares = divide(self._n_members, n_geometries, n, self._threads)
        memory = _Memory(
            n_geometries,
            Pairs.allocate(capacity, n_geometries, self._region, self._networks, self._dtype),
            State.allocate(rows, self._networks, self._dtype),
            [Room.allocate(capacity, rows, n, self._networks, self._dtype) for _ in shares],
            whole,
            shares,
            np.zeros((rows, 3)),
        )
        self._kept[n_geometries] = memory
        return memory
