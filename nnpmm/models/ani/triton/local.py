"""ANI for part of a system on a GPU, for a changing set of atoms with given neighbour lists.

The kernels are those of `engine`, with two exceptions: the first reads the given lists, and the
last writes a gradient for each neighbour instead of forces. Memory grows with the domain. There is
no CUDA graph, because the overhead of the launches is negligible for a domain.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models.ani.local import kinds_of
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.triton.availability import interpreted, require_device
from nnpmm.models.ani.triton.constants import (
    Constants,
    check_neighbour_counts,
    choose_blocks,
    compile_constants,
)
from nnpmm.models.ani.triton.engine import network_launches
from nnpmm.models.ani.triton.launch import Launch, prepare_launch
from nnpmm.models.ani.triton.memory import Model, allocate_rows, build_tables
from nnpmm.models.ani.triton.symmetry import neighbourhood_backward, neighbourhood_forward
from nnpmm.models.cuda.device import on_device
from nnpmm.models.local import LocalEvaluation, Neighbourhoods

__all__ = ["Domain", "LocalTriton"]

_NM_TO_ANGSTROM = 10.0
_OPTIONS = {"num_warps": 4}
#: A number of atoms with which the neighbour lists have their full lengths.
_MANY_ATOMS = 10**6


class _Slots(NamedTuple):
    """Slots of the pairs of a centre and a neighbour in one kind of list.

    Attributes:
        near: (p,) whether the pair is within the cutoff of the list.
        rows: (q,) row of each of the q pairs within the cutoff.
        slots: (q,) slot of each of them in the list of its row.
        counts: (c,) pairs in each row.
    """

    near: Tensor
    rows: Tensor
    slots: Tensor
    counts: Tensor


class Domain(NamedTuple):
    """Memory and launches for the centres of one evaluation, sorted by element.

    Attributes:
        constants: compile-time constants of the kernels.
        rows: memory of the rows, by the names of the kernels' arguments.
        row_of_centre: row of each centre, (c,).
        steps: launches, in order.
    """

    constants: Constants
    rows: dict[str, Tensor]
    row_of_centre: Tensor
    steps: list[Launch]


class LocalTriton:
    """ANI for centres and their neighbours; see `nnpmm.models.local.LocalPotential`.

    Args:
        parameters: the ensemble.
        elements: chemical symbols of all atoms that can occur.
        device: ``"cuda"`` or ``"cuda:<index>"``; ``"cpu"`` under Triton's interpreter.
        precision: ``"single"``, or ``"double"`` for checks.

    Raises:
        ModelError: another device, or a network without a hidden layer.
        SimulationError: the GPU has not enough memory.
    """

    def __init__(
        self, parameters: AniParameters, elements: Collection[str], device: str, precision: str
    ) -> None:
        require_device(device)
        self._device = device
        with on_device(device, "the networks of ANI"):
            self._model = Model.pack(parameters, list(elements), device, precision == "double")
        self._functions = self._model.parameters.symmetry_functions
        self._rows: dict[str, Tensor] = {}
        self._capacity = 0

    @property
    def cutoff(self) -> float:
        """Range of the symmetry functions, nm."""
        return self._functions.radial_cutoff / _NM_TO_ANGSTROM

    def evaluate(
        self, atomic_numbers: NDArray[np.int64], neighbourhoods: Neighbourhoods
    ) -> LocalEvaluation:
        """Return energies of the centres and gradients; see `nnpmm.models.local.LocalPotential`.

        Raises:
            ModelError: an atom's element is not one of ``elements``.
            SimulationError: an atom has too many neighbours, or the GPU has not enough memory.
        """
        kinds = kinds_of(atomic_numbers, self._functions)
        n_centres, n_pairs = len(neighbourhoods.start) - 1, len(neighbourhoods.atoms)
        if n_centres == 0:
            members = len(self._model.parameters.members)
            return LocalEvaluation(np.zeros(0), np.zeros((n_pairs, 3)), np.zeros(members))
        with on_device(self._device, f"ANI of {n_centres} atoms"):
            return self._evaluate(kinds, n_centres, neighbourhoods)

    def _evaluate(
        self, kinds: NDArray[np.int64], n_centres: int, neighbourhoods: Neighbourhoods
    ) -> LocalEvaluation:
        domain = self.prepare(kinds, n_centres)
        rows, row_of_centre = domain.rows, domain.row_of_centre
        lists = self._fill_lists(neighbourhoods, domain)
        for step in domain.steps:
            step()
        shape = len(neighbourhoods.atoms), 3
        gradients = torch.zeros(shape, dtype=torch.float64, device=self._device)
        for kind, found in zip(lists, ("radial_gradients", "angular_gradients"), strict=True):
            gradients[kind.near] += rows[found][kind.rows, :, kind.slots].to(torch.float64)
        energies = rows["energies"][row_of_centre]
        scale = HARTREE_TO_KJ_PER_MOL * _NM_TO_ANGSTROM / energies.shape[1]
        return LocalEvaluation(
            (HARTREE_TO_KJ_PER_MOL * energies.mean(dim=1)).cpu().numpy(),
            (scale * gradients).cpu().numpy(),
            (HARTREE_TO_KJ_PER_MOL * energies.sum(dim=0)).cpu().numpy(),
        )

    def prepare(self, kinds: NDArray[np.int64], n_centres: int) -> Domain:
        """Return memory and launches for some atoms; the neighbour lists are not filled yet.

        Args:
            kinds: (n,) element of each atom, the centres first.
            n_centres: number of centres, at least one.
        """
        model = self._model
        blocks = choose_blocks(n_centres, model.double, interpreted())
        constants = compile_constants(
            model.parameters, model.networks, _MANY_ATOMS, blocks, model.double
        )
        tables = build_tables(model, kinds[:n_centres].tolist(), 1, blocks)
        rows = self._rows_for(n_centres, constants)
        available: dict[str, Tensor | int] = {**tables, **rows, "n_rows": self._capacity}
        available["species"] = torch.from_numpy(kinds.astype(np.int32)).to(self._device)

        def launch(kernel: Any, grid: tuple[int, ...], options: Any = _OPTIONS) -> Launch:
            return prepare_launch(kernel, grid, available, {"M": constants}, options)

        steps = [
            launch(neighbourhood_forward, (n_centres,)),
            *network_launches(launch, tables, constants, blocks),
            launch(neighbourhood_backward, (n_centres,)),
        ]
        return Domain(constants, rows, tables["rows"].long(), steps)

    def _rows_for(self, n_centres: int, constants: Constants) -> dict[str, Tensor]:
        """Return memory for at least ``n_centres`` rows.

        The number of centres of a domain changes a little from step to step, so the memory is
        reused if it is large enough, less than half of it would be idle, and the number of partial
        gradients, which depends on the block sizes, is the same.
        """
        groups = len(self._rows["partial_gradients"]) if self._rows else 0
        fits = n_centres <= self._capacity <= 2 * n_centres and groups == constants.groups.value
        if not fits:
            self._rows = {}  # frees its memory before the next is allocated
            self._capacity = n_centres + n_centres // 8
            self._rows = allocate_rows(constants, self._capacity, self._model)
            shape = (self._capacity, 3, constants.radial_bound.value)
            dtype, device = self._model.dtype, self._device
            self._rows["radial_gradients"] = torch.empty(shape, dtype=dtype, device=device)
        return self._rows

    def _fill_lists(
        self,
        neighbourhoods: Neighbourhoods,
        domain: Domain,
    ) -> tuple[_Slots, _Slots]:
        """Fill the radial and the angular list of each row; return the slots of the pairs."""
        constants, rows = domain.constants, domain.rows
        start, atoms = (
            torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(self._device)
            for array in neighbourhoods[:2]
        )
        # The vectors are short, so float32 is precise enough, unlike for positions.
        scaled = np.ascontiguousarray(_NM_TO_ANGSTROM * neighbourhoods.vectors)
        vectors = torch.from_numpy(scaled).to(self._device, self._model.dtype)
        squared = (vectors * vectors).sum(dim=1)
        radial, angular = (
            _find_slots(squared < cutoff**2, start, domain.row_of_centre)
            for cutoff in (self._functions.radial_cutoff, self._functions.angular_cutoff)
        )
        check_neighbour_counts(int(radial.counts.max()), int(angular.counts.max()), constants)
        for kind, first in ((radial, 0), (angular, constants.radial_bound.value)):
            slots = first + kind.slots
            rows["index"][kind.rows, slots] = atoms[kind.near].to(torch.int32)
            rows["vectors"][kind.rows, :, slots] = vectors[kind.near]
        rows["counts"][: len(radial.counts)] = torch.stack(
            [radial.counts, angular.counts], dim=1
        ).to(torch.int32)
        return radial, angular


def _find_slots(near: Tensor, start: Tensor, row_of_centre: Tensor) -> _Slots:
    """Assign each pair within the cutoff a slot in its row's list, in the order of the pairs."""
    pairs = torch.diff(start)
    centres = torch.repeat_interleave(torch.arange(len(pairs), device=near.device), pairs)
    before = torch.zeros(len(near) + 1, dtype=torch.int64, device=near.device)
    torch.cumsum(near, dim=0, out=before[1:])
    slots = (before[:-1] - before[start][centres])[near]
    rows = row_of_centre[centres[near]]
    return _Slots(near, rows, slots, torch.bincount(rows, minlength=len(pairs)))
