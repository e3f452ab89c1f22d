"""The ``cpu`` backend: all networks of the ensemble, with explicit derivatives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.models.aimnet.cpu.compiled import (
    BACKWARD,
    CHARGES,
    DISTANCES,
    END,
    ENERGIES,
    LONG_RANGE,
    SERIAL_STAGES,
    evaluate_part,
    find_pairs,
)
from nnpmm.models.aimnet.cpu.long_range import DispersionTables
from nnpmm.models.aimnet.cpu.memory import Constants, Pairs, Region, State, Workspace
from nnpmm.models.aimnet.cpu.packing import pack_networks
from nnpmm.models.aimnet.cpu.partition import ThreadWork, partition
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.cpu.neighbours import build_cells
from nnpmm.models.protocol import BatchEvaluation, Evaluation
from nnpmm.models.threads import run_together, thread_count

if TYPE_CHECKING:
    import torch

__all__ = ["CpuKernel"]

_NM_TO_ANGSTROM = 10.0
_BATCH_ATOMS = 384  # evaluated together: enough to reuse the weights
_NEIGHBOURS = 24  # initial capacity per atom; it grows if necessary


class _Buffers(NamedTuple):
    """Buffers for a number of geometries, and the work of each thread."""

    n_geometries: int
    pairs: Pairs
    state: State
    workspaces: list[Workspace]
    whole_networks: bool
    thread_work: list[ThreadWork]
    gradient: NDArray[np.float64]


class CpuKernel:
    """AIMNet2 for a fixed composition and charge on the CPU, in float32 or float64.

    Results depend on the number of threads in the last digits, but not on their timing.

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
        self._cached: dict[int, _Buffers] = {}
        self._lock = threading.Lock()  # only one evaluation at a time may use the buffers

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
            _, buffers, flat = self._charges(positions)
            state = buffers.state
            state.by_features[:] = 0
            state.by_charges[:] = weights
            for workspace in buffers.workspaces:
                workspace.by_basis[: buffers.pairs.start[-1]] = 0
            self._run_stages(buffers, flat, BACKWARD, LONG_RANGE, with_gradient=True)
            return self._basis_gradient(buffers)

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64]
    ) -> tuple[Evaluation, NDArray[np.float64]]:
        """Return energy and forces in potentials (n,), kJ/mol/e, and the mean charges."""
        with self._lock:
            buffers, flat = self._list_neighbours(positions[None])
            buffers.state.potentials[:] = potentials
            try:
                members, forces = self._evaluate(buffers, flat, with_forces=True)
            finally:
                buffers.state.potentials[:] = 0
            charges = buffers.state.charges[-1].astype(np.float64).mean(axis=0)
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
            members, forces = self._evaluate(
                *self._list_neighbours(positions), with_forces=with_forces
            )
        return members, forces.reshape(positions.shape) if with_forces else forces

    def _evaluate(
        self, buffers: _Buffers, flat: NDArray[np.float64], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return member energies (m, k) and forces (k n, 3), which are empty if not requested."""
        last = END if with_forces else ENERGIES + 1
        self._run_stages(buffers, flat, DISTANCES, last, with_gradient=with_forces)
        state = buffers.state
        atomic = EV_TO_KJ_PER_MOL * state.energies + state.coulomb + buffers.pairs.dispersion
        of_geometries = atomic.reshape(len(atomic), buffers.n_geometries, -1).sum(axis=2)
        members = of_geometries + self._shifted_energies[:, None]
        if not with_forces:
            return members, np.empty(0)
        return members, -(self._basis_gradient(buffers) + _NM_TO_ANGSTROM * buffers.gradient)

    def _charges(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], _Buffers, NDArray[np.float64]]:
        buffers, flat = self._list_neighbours(positions[None])
        self._run_stages(buffers, flat, DISTANCES, CHARGES + 1, with_gradient=True)
        return buffers.state.charges[-1].astype(np.float64).mean(axis=0), buffers, flat

    def _basis_gradient(self, buffers: _Buffers) -> NDArray[np.float64]:
        """Return the gradient from the basis, (k n, 3), mean of members, per nm."""
        total = np.sum([workspace.gradient for workspace in buffers.workspaces], axis=0)
        return _NM_TO_ANGSTROM / self._n_members * np.asarray(total)

    def _run_stages(
        self, buffers: _Buffers, flat: NDArray[np.float64], first: int, last: int, *,
        with_gradient: bool,
    ) -> None:  # fmt: skip
        """Run the stages from first to before last; each thread does its part of the work."""

        def do(begin: int, end: int, thread_work: list[ThreadWork]) -> None:
            begin, end = max(begin, first), min(end, last)

            def work(index: int) -> None:
                part = thread_work[index]
                evaluate_part(
                    begin, end, part.tasks, part.atom_ranges, part.rows, with_gradient, flat,
                    self._constants, self._region, self._networks, buffers.pairs, buffers.state,
                    buffers.workspaces[index], buffers.gradient,
                )  # fmt: skip

            if begin < end:
                run_together(work, len(thread_work))

        if len(buffers.thread_work) == 1:
            do(DISTANCES, END, buffers.thread_work)
            return
        do(DISTANCES, DISTANCES + 1, buffers.thread_work)
        if buffers.whole_networks:
            do(DISTANCES + 1, LONG_RANGE, buffers.thread_work)
        else:
            n_atoms = len(self._region.element)
            _, serial = partition(self._n_members, buffers.n_geometries, n_atoms, 1)
            for stage in range(DISTANCES + 1, LONG_RANGE):
                do(stage, stage + 1, serial if stage in SERIAL_STAGES else buffers.thread_work)
        do(LONG_RANGE, END, buffers.thread_work)

    def _list_neighbours(
        self, positions: NDArray[np.float64]
    ) -> tuple[_Buffers, NDArray[np.float64]]:
        """List the neighbours; return the buffers, and positions (k n, 3) in angstrom."""
        scaled = positions * _NM_TO_ANGSTROM
        cells = build_cells(scaled, None, float(self._constants.cutoff))
        flat = scaled.reshape(-1, 3)
        buffers = self._allocate(len(positions), _NEIGHBOURS * len(flat))
        while True:
            found = find_pairs(
                flat, cells, self._region, self._constants, buffers.workspaces[0], buffers.pairs
            )
            if found <= len(buffers.pairs.atom):
                return buffers, flat
            buffers = self._allocate(len(positions), found + found // 4)

    def _allocate(self, n_geometries: int, capacity: int) -> _Buffers:
        """Return buffers for at least ``capacity`` pairs.

        Those of a single geometry and of the last batch are stored for reuse.
        """
        cached = self._cached.get(n_geometries)
        if cached is not None and capacity <= len(cached.pairs.atom):
            return cached
        self._cached = {1: self._cached[1]} if n_geometries > 1 and 1 in self._cached else {}
        n = len(self._region.element)
        rows = n_geometries * n
        whole_networks, thread_work = partition(self._n_members, n_geometries, n, self._threads)
        workspaces = [
            Workspace.allocate(capacity, rows, n, self._networks, self._dtype) for _ in thread_work
        ]
        buffers = _Buffers(
            n_geometries,
            Pairs.allocate(capacity, n_geometries, self._region, self._networks, self._dtype),
            State.allocate(rows, self._networks, self._dtype),
            workspaces,
            whole_networks,
            thread_work,
            np.zeros((rows, 3)),
        )
        self._cached[n_geometries] = buffers
        return buffers
