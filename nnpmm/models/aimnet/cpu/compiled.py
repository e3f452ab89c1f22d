"""The only two compiled functions that Python calls; their code is cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from nnpmm.models.aimnet.cpu.basis import add_basis_forces, describe_atom, list_pairs
from nnpmm.models.aimnet.cpu.charges import add_potentials, differentiate_charges, equilibrate
from nnpmm.models.aimnet.cpu.inputs import (
    collect_inputs,
    differentiate_inputs,
    differentiate_sums,
)
from nnpmm.models.aimnet.cpu.layers import apply_layers, differentiate_layers
from nnpmm.models.aimnet.cpu.long_range import add_long_range, compute_distance_functions, disperse
from nnpmm.models.aimnet.cpu.memory import BLOCK
from nnpmm.models.aimnet.cpu.rows import copy
from nnpmm.models.aimnet.parameters import PASSES
from nnpmm.models.cpu.compilation import inner, keep_on_disk, source_digest

__all__ = [
    "BACKWARD",
    "CHARGES",
    "DISTANCES",
    "END",
    "ENERGIES",
    "LONG_RANGE",
    "SERIAL_STAGES",
    "evaluate_part",
    "find_pairs",
]

# Kinds of stages.
_DISTANCES = (
    0  # functions of distances, the same for all members: basis, Coulomb factors, D3 weights
)
_PASS = 1  # forward; the last pass includes its derivatives and the dispersion energies
_CHARGES = 2  # distribution of the missing charge after a pass
_D_SUMS = 3  # from derivatives by the sums of a pass to those by basis, features and charges
_D_CHARGES = 4  # from derivatives by the charges after a pass to those by its outputs
_D_PASS = 5  # derivatives of a pass
_FORCES = 6  # gradient from the basis
_LONG_RANGE = 7  # gradient of dispersion and Coulomb energies
#: Kind and pass of each stage. A stage needs the results of the one before for all atoms.
_STAGES = np.array(
    [
        (_DISTANCES, 0), (_PASS, 0), (_CHARGES, 0), (_PASS, 1), (_CHARGES, 1), (_PASS, 2),
        (_D_SUMS, 2), (_D_CHARGES, 1), (_D_PASS, 1), (_D_SUMS, 1), (_D_CHARGES, 0), (_D_PASS, 0),
        (_FORCES, 0), (_LONG_RANGE, 0),
    ]
)  # fmt: skip
DISTANCES, CHARGES, ENERGIES, BACKWARD, LONG_RANGE, END = 0, 4, 5, 7, 13, len(_STAGES)
#: Stages that couple all atoms of a geometry and are too short to be distributed over threads.
SERIAL_STAGES = tuple(np.flatnonzero(np.isin(_STAGES[:, 0], (_CHARGES, _D_CHARGES))))


def _compile(source: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    @numba.njit(nogil=True, error_model="numpy")
    def find_pairs(positions, cells, region, constants, workspace, pairs):
        """List every atom's neighbours; return the number of pairs, which may exceed the capacity.

        Args:
            positions: (k n, 3), angstrom, float64.
            cells, region, constants, workspace, pairs: see their classes.
        """
        source  # noqa: B018  # in the closure, see `source_digest`
        return list_pairs(positions, cells, region, constants, workspace, pairs)

    @numba.njit(nogil=True, error_model="numpy")
    def evaluate_part(
        first, last, tasks, atom_ranges, rows, with_gradient, positions, constants, region,
        networks, pairs, state, workspace, gradient,
    ):  # fmt: skip
        """Run stages of an evaluation for some members and atoms.

        Args:
            first, last: the stages, from first to before last.
            tasks, atom_ranges, rows: see `ThreadWork`.
            with_gradient: whether to calculate derivatives.
            positions: (k n, 3), angstrom, float64.
            constants, region, networks, pairs, state, workspace: see their classes.
            gradient: gradient of the long-range energies, (k n, 3), kJ/mol/angstrom.
        """
        source  # noqa: B018
        for stage in range(first, last):
            # As variables, so that numba does not compile the loop for each constant.
            kind, p = _STAGES[stage]
            if kind == _DISTANCES:
                for i in range(rows[0], rows[1]):
                    describe_atom(i, constants, pairs)
                    compute_distance_functions(i, positions, constants, region, workspace, pairs)
            elif kind == _PASS or kind == _D_PASS:
                forward, last_pass = kind == _PASS, p == PASSES - 1
                backward = not forward or (last_pass and with_gradient)
                if p == 0 and backward:
                    for begin, end in atom_ranges:
                        workspace.by_sums[begin:end] = 0
                _pass(
                    p, forward, backward, tasks, constants, region, networks, pairs, state,
                    workspace,
                )  # fmt: skip
                if last_pass:
                    for i in range(rows[0], rows[1]):
                        disperse(i, positions, region, workspace, pairs, gradient)
            elif kind == _CHARGES:
                _equilibrate(p, tasks, constants, region, networks, state)
            elif kind == _D_SUMS:
                if p == PASSES - 1:
                    for begin, end in atom_ranges:
                        workspace.by_basis[pairs.start[begin] : pairs.start[end]] = 0
                _differentiate_sums(p, tasks, workspace, networks, pairs, state)
            elif kind == _D_CHARGES:
                _differentiate_charges(p, tasks, region, state)
            elif kind == _FORCES:
                _add_forces(atom_ranges, constants, pairs, workspace)
            else:
                for i in range(rows[0], rows[1]):
                    add_long_range(
                        i, positions, constants, region, workspace, pairs, state, gradient
                    )

    return find_pairs, evaluate_part


@inner()
def _block(begin, end, block):
    """Return first and last row of a block; rows are divided evenly into as few as possible."""
    n_blocks = -(-(end - begin) // BLOCK)
    rows = end - begin
    return begin + rows * block // n_blocks, begin + rows * (block + 1) // n_blocks


@inner()
def _pass(p, forward, backward, tasks, constants, region, networks, pairs, state, workspace):
    """Evaluate pass p, its derivatives, or both, block by block."""
    for m, begin, end in tasks:
        for block in range(-(-(end - begin) // BLOCK)):
            first, last = _block(begin, end, block)
            rows = last - first
            if forward:
                collect_inputs(p, m, first, rows, workspace, networks, pairs, state)
                apply_layers(p, m, first, rows, workspace, networks, region, state)
                if p == PASSES - 1:
                    copy(state.by_charges[m, first:last], state.potentials[first:last])
                    add_potentials(m, first, last, p - 1, region, pairs, state)
            if backward:
                scale = constants.electronvolt
                differentiate_layers(p, m, first, rows, scale, workspace, networks, state)
                differentiate_inputs(p, m, first, rows, workspace, networks, pairs, state)


@inner()
def _differentiate_sums(p, tasks, workspace, networks, pairs, state):
    for m, begin, end in tasks:
        for i in range(begin, end):
            differentiate_sums(p, m, i, workspace, networks, pairs, state)


@inner()
def _equilibrate(p, tasks, constants, region, networks, state):
    n = len(region.element)
    charge, least = constants.charge, constants.least_weight
    for m, begin, end in tasks:
        for geometry in range(begin, end, n):
            equilibrate(p, m, geometry, geometry + n, charge, least, networks, state)


@inner()
def _differentiate_charges(p, tasks, region, state):
    n = len(region.element)
    for m, begin, end in tasks:
        for geometry in range(begin, end, n):
            differentiate_charges(p, m, geometry, geometry + n, state)


@inner()
def _add_forces(atom_ranges, constants, pairs, workspace):
    workspace.gradient[:] = 0
    for begin, end in atom_ranges:
        for i in range(begin, end):
            add_basis_forces(
                i, constants, pairs, workspace.by_basis, workspace.by_sums, workspace.gradient
            )


find_pairs, evaluate_part = _compile(source_digest(Path(__file__).parent))
keep_on_disk(find_pairs)
keep_on_disk(evaluate_part)
