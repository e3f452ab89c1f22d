"""The two compiled functions that Python calls, kept on disk between processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from nnpmm.models.aimnet.cpu.basis import add_basis_forces, describe_atom, list_pairs
from nnpmm.models.aimnet.cpu.charges import add_potentials, equilibrate, return_to_heads
from nnpmm.models.aimnet.cpu.layers import apply_layers, differentiate_layers
from nnpmm.models.aimnet.cpu.long_range import add_long_range, count_neighbours, disperse
from nnpmm.models.aimnet.cpu.memory import BLOCK
from nnpmm.models.aimnet.cpu.rows import copy
from nnpmm.models.aimnet.cpu.surroundings import (
    collect_inputs,
    gather_derivatives,
    return_derivatives,
)
from nnpmm.models.aimnet.parameters import PASSES
from nnpmm.models.cpu.compilation import inner, keep_on_disk, source_digest

__all__ = [
    "ALONE",
    "BACK",
    "CHARGES",
    "DISTANCES",
    "ENERGIES",
    "LAST",
    "LONG_RANGE",
    "evaluate_part",
    "find_pairs",
]

# What a stage does.
_SHARED = 0  # what members share: basis, Coulomb factors, coordination
_PASS = 1  # forward; the last pass goes back at once and comes with the dispersion energies
_CHARGES = 2  # charges after a pass
_GATHER = 3  # from the sums of a pass to basis, features and charges
_RETURN = 4  # from the charges after a pass to what they were made of
_BACK = 5  # through a pass
_FORCES = 6  # of the basis
_LONG_RANGE = 7  # forces
#: Each stage and the pass that it is about; it needs what the one before has done for all atoms.
_STAGES = np.array(
    [
        (_SHARED, 0), (_PASS, 0), (_CHARGES, 0), (_PASS, 1), (_CHARGES, 1), (_PASS, 2),
        (_GATHER, 2), (_RETURN, 1), (_BACK, 1), (_GATHER, 1), (_RETURN, 0), (_BACK, 0),
        (_FORCES, 0), (_LONG_RANGE, 0),
    ]
)  # fmt: skip
DISTANCES, CHARGES, ENERGIES, BACK, LONG_RANGE, LAST = 0, 4, 5, 7, 13, len(_STAGES)
#: What is about all atoms of a geometry and too short to be shared out.
ALONE = tuple(np.flatnonzero(np.isin(_STAGES[:, 0], (_CHARGES, _RETURN))))


def _compile(source: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    @numba.njit(nogil=True, error_model="numpy")
    def find_pairs(positions, cells, region, constants, room, pairs):
        """List every atom's neighbours; return how many pairs there are, whether or not they fit.

        Args:
            positions: (k n, 3), angstrom, float64.
            cells, region, constants, room, pairs: see their classes.
        """
        source  # noqa: B018  # numba's cache looks at closures, not at what other modules hold
        return list_pairs(positions, cells, region, constants, room, pairs)

    @numba.njit(nogil=True, error_model="numpy")
    def evaluate_part(
        first, last, tasks, touched, rows, with_gradient, positions, constants, region, networks,
        pairs, state, room, gradient,
    ):  # fmt: skip
        """Do some stages of an evaluation for some members and atoms.

        Args:
            first, last: the stages, from first to before last.
            tasks: (t, 3): a member, and first and last of its atoms.
            touched: (r, 2): first and last atoms that are in any task, each once.
            rows: (2,): first and last of the atoms for which this thread does what members share.
            with_gradient: whether to go back for forces.
            positions: (k n, 3), angstrom, float64.
            constants, region, networks, pairs, state, room: see their classes.
            gradient: (k n, 3), of the long-range energies, kJ/mol/angstrom.
        """
        source  # noqa: B018
        for stage in range(first, last):
            kind, p = _STAGES[stage]  # as variables: numba would compile each constant anew
            if kind == _SHARED:
                for i in range(rows[0], rows[1]):
                    describe_atom(i, constants, pairs)
                    count_neighbours(i, positions, constants, region, room, pairs)
            elif kind == _PASS or kind == _BACK:
                forward, last_pass = kind == _PASS, p == PASSES - 1
                back = not forward or (last_pass and with_gradient)
                if p == 0 and back:
                    for begin, end in touched:
                        room.by_sums[begin:end] = 0
                _pass(p, forward, back, tasks, constants, region, networks, pairs, state, room)
                if last_pass:
                    for i in range(rows[0], rows[1]):
                        disperse(i, positions, region, room, pairs, gradient)
            elif kind == _CHARGES:
                _equilibrate(p, tasks, constants, region, networks, state)
            elif kind == _GATHER:
                if p == PASSES - 1:
                    for begin, end in touched:
                        room.by_basis[pairs.start[begin] : pairs.start[end]] = 0
                _gather(p, tasks, room, networks, pairs, state)
            elif kind == _RETURN:
                _return(p, tasks, region, state)
            elif kind == _FORCES:
                _add_forces(touched, constants, pairs, room)
            else:
                for i in range(rows[0], rows[1]):
                    add_long_range(i, positions, constants, region, room, pairs, state, gradient)

    return find_pairs, evaluate_part


@inner()
def _block(begin, end, block):
    """Return first and last row of a block; rows are cut evenly into the fewest."""
    n_blocks = -(-(end - begin) // BLOCK)
    rows = end - begin
    return begin + rows * block // n_blocks, begin + rows * (block + 1) // n_blocks


@inner()
def _pass(p, forward, back, tasks, constants, region, networks, pairs, state, room):
    """Go through pass p, forward or back or both, block by block."""
    for m, begin, end in tasks:
        for block in range(-(-(end - begin) // BLOCK)):
            first, last = _block(begin, end, block)
            rows = last - first
            if forward:
                collect_inputs(p, m, first, rows, room, networks, pairs, state)
                apply_layers(p, m, first, rows, room, networks, region, state)
                if p == PASSES - 1:
                    copy(state.by_charges[m, first:last], state.potentials[first:last])
                    add_potentials(m, first, last, p - 1, region, pairs, state)
            if back:
                scale = constants.electronvolt
                differentiate_layers(p, m, first, rows, scale, room, networks, state)
                return_derivatives(p, m, first, rows, room, networks, pairs, state)


@inner()
def _gather(p, tasks, room, networks, pairs, state):
    for m, begin, end in tasks:
        for i in range(begin, end):
            gather_derivatives(p, m, i, room, networks, pairs, state)


@inner()
def _equilibrate(p, tasks, constants, region, networks, state):
    n = len(region.element)
    charge, least = constants.charge, constants.least_weight
    for m, begin, end in tasks:
        for geometry in range(begin, end, n):
            equilibrate(p, m, geometry, geometry + n, charge, least, networks, state)


@inner()
def _return(p, tasks, region, state):
    n = len(region.element)
    for m, begin, end in tasks:
        for geometry in range(begin, end, n):
            return_to_heads(p, m, geometry, geometry + n, state)


@inner()
def _add_forces(touched, constants, pairs, room):
    room.gradient[:] = 0
    for begin, end in touched:
        for i in range(begin, end):
            add_basis_forces(i, constants, pairs, room.by_basis, room.by_sums, room.gradient)


find_pairs, evaluate_part = _compile(source_digest(Path(__file__).parent))
keep_on_disk(find_pairs)
keep_on_disk(evaluate_part)
