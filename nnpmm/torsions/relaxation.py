"""Minimise many geometries of one molecule at once, with torsions fixed at given angles.

The constraint is exact. A step of a quasi-Newton method stays on the surface of constant angles to
first order, and a small rotation of one side of each bond restores the angle. There is therefore no
restraint energy to subtract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.models import BatchEvaluation
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.internal import (
    ValenceTerms,
    dihedral,
    dihedral_gradient,
    model_hessian,
    rotate_about_bonds,
    wrap_angles,
)

__all__ = [
    "FORCE_TOLERANCE",
    "BatchPotential",
    "FixedTorsions",
    "Relaxed",
    "relax_all",
    "relax_with_fixed_torsions",
    "set_angles",
]

#: kJ/mol/nm: largest force left on an atom. With it energies of minima are within 0.01 kJ/mol.
FORCE_TOLERANCE = 3.0
_MAX_STEPS = 500
# nm: largest, initial and smallest trust radius, the largest displacement of an atom in one step.
_MAX_TRUST, _INITIAL_TRUST, _MIN_TRUST = 0.03, 0.015, 1e-6
_NOISE = 2e-3  # kJ/mol, rounding error of a network in single precision
_SUFFICIENT = 0.1  # fraction of the predicted decrease at which a step is accepted

_Array = NDArray[np.float64]


class BatchPotential(Protocol):
    """The interface that a minimisation needs from a potential bound to n atoms."""

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate positions (k, n, 3), nm."""


class FixedTorsions(NamedTuple):
    """Fixed torsions, m of them in each of k geometries.

    Attributes:
        torsions: atoms, (k, m, 4).
        moved: which of the n atoms rotate with the last atom of each, (k, m, n).
        angles: radians, (k, m).
    """

    torsions: NDArray[np.int64]
    moved: NDArray[np.bool_]
    angles: _Array

    @staticmethod
    def of(bonds: Sequence[Sequence[RotatableBond]], angles: _Array, n_atoms: int) -> FixedTorsions:
        """Return the torsions of k lists of m bonds each, fixed at angles (k, m), radians."""
        k, m = len(bonds), len(bonds[0]) if bonds else 0
        torsions = np.array([[b.torsion for b in row] for row in bonds], dtype=np.int64)
        moved = np.array([[b.mask(n_atoms) for b in row] for row in bonds], dtype=bool)
        return FixedTorsions(
            torsions.reshape(k, m, 4), moved.reshape(k, m, n_atoms), np.reshape(angles, (k, m))
        )

    def rows(self, chosen: NDArray[np.int64]) -> FixedTorsions:
        """Return those of some of the geometries."""
        return FixedTorsions(self.torsions[chosen], self.moved[chosen], self.angles[chosen])


class Relaxed(NamedTuple):
    """Minimised geometries.

    Attributes:
        positions: (k, n, 3), nm.
        energies: (k,), kJ/mol.
        forces: (k, n, 3), kJ/mol/nm, with the component along the fixed torsions.
        left: (k,) largest force on an atom without that component, kJ/mol/nm.
        evaluations: of the potential, of all geometries together.
    """

    positions: _Array
    energies: _Array
    forces: _Array
    left: _Array
    evaluations: int


class _State(NamedTuple):
    """Of k geometries: positions (k, n, 3), energies (k,), and gradients (k, 3n).

    ``free`` is the gradient without its components along the gradients of the fixed angles,
    ``normals`` (k, m, 3n).
    """

    positions: _Array
    energies: _Array
    gradients: _Array
    normals: _Array
    free: _Array


def relax_with_fixed_torsions(
    evaluator: BatchPotential,
    positions: _Array,
    fixed: FixedTorsions,
    terms: ValenceTerms,
    *,
    tolerance: float = FORCE_TOLERANCE,
    steps: int = _MAX_STEPS,
) -> Relaxed:
    """Return the geometries of minimum energy at the fixed angles, next to the given ones.

    BFGS (J. Nocedal and S. Wright, Numerical Optimization, 2006, eq. 6.17) from a model Hessian,
    each step orthogonal to the gradients of the fixed angles (eq. 18.9) and no longer than a trust
    radius, for all geometries together; converged geometries drop out.

    Args:
        evaluator: the potential bound to n atoms.
        positions: (k, n, 3), nm, whole. They are first rotated to the fixed angles.
        fixed: torsions and angles of each geometry.
        terms: of the molecule, for the model Hessian.
        tolerance: largest force left on an atom, kJ/mol/nm.
        steps: largest number of steps.

    Raises:
        SimulationError: the energy is not finite, or forces are too large after the last step.
    """
    found = _minimized(evaluator, positions, fixed, terms, tolerance, steps)
    _require_convergence(found.left, tolerance, fixed)
    return found


def relax_all(
    evaluator: BatchPotential,
    positions: _Array,
    terms: ValenceTerms,
    *,
    tolerance: float = FORCE_TOLERANCE,
    steps: int = _MAX_STEPS,
) -> Relaxed:
    """Return the minimum next to each geometry, with no torsion fixed.

    A geometry that does not converge is not an error: ``left`` contains its remaining force.

    Args:
        evaluator: the potential bound to n atoms.
        positions: (k, n, 3), nm, whole.
        terms: of the molecule, for the model Hessian.
        tolerance: largest force left on an atom, kJ/mol/nm.
        steps: largest number of steps.

    Raises:
        SimulationError: the energy is not finite.
    """
    nothing = FixedTorsions.of(
        [[]] * len(positions), np.zeros((len(positions), 0)), positions.shape[1]
    )
    return _minimized(evaluator, positions, nothing, terms, tolerance, steps)


def _minimized(
    evaluator: BatchPotential,
    positions: _Array,
    fixed: FixedTorsions,
    terms: ValenceTerms,
    tolerance: float,
    steps: int,
) -> Relaxed:
    state = _evaluated(evaluator, set_angles(positions.copy(), fixed), fixed)
    inverse = np.asarray(np.linalg.inv(model_hessian(state.positions, terms)), dtype=np.float64)
    trust = np.full(len(positions), _INITIAL_TRUST)
    evaluations = len(positions)
    for _ in range(steps):
        active = np.flatnonzero(_largest(state.free) > tolerance)
        # Shorter steps change the energy by less than its rounding error.
        active = active[trust[active] > _MIN_TRUST]
        if len(active) == 0:
            break
        old, here = _State(*(array[active] for array in state)), fixed.rows(active)
        step = _bounded(_newton_step(old, inverse[active]), trust[active])
        moved = set_angles(old.positions + step.reshape(old.positions.shape), here)
        new = _evaluated(evaluator, moved, here)
        evaluations += len(active)
        # Setting the angles has changed the step.
        step = (new.positions - old.positions).reshape(len(active), -1)
        inverse[active] = _updated(inverse[active], step, new.free - old.free)
        predicted = np.einsum("kx,kx->k", old.free, step)  # to first order; negative
        accepted = new.energies - old.energies <= _SUFFICIENT * predicted + _NOISE
        length = _largest(step)
        shrunk, grown = 0.3 * length, np.maximum(trust[active], 2 * length)
        trust[active] = np.where(accepted, np.minimum(grown, _MAX_TRUST), shrunk)
        for every, part in zip(state, new, strict=True):
            every[active[accepted]] = part[accepted]
    left = _largest(state.free)
    forces = -state.gradients.reshape(state.positions.shape)
    return Relaxed(state.positions, state.energies, forces, left, evaluations)


def set_angles(positions: _Array, fixed: FixedTorsions) -> _Array:
    """Return geometries (k, n, 3) with one side of each bond rotated to its fixed angle."""
    rows = np.arange(len(positions))
    for place in range(fixed.torsions.shape[1]):
        atoms, moved = fixed.torsions[:, place], fixed.moved[:, place]
        present = dihedral(positions[rows[:, None], atoms], np.arange(4))
        turn = wrap_angles(fixed.angles[:, place] - present)
        positions = rotate_about_bonds(positions, (atoms[:, 1], atoms[:, 2]), moved, turn)
    return positions


def _evaluated(evaluator: BatchPotential, positions: _Array, fixed: FixedTorsions) -> _State:
    found = evaluator.batch(positions)
    if not (np.isfinite(found.energies).all() and np.isfinite(found.forces).all()):
        raise SimulationError(
            "the potential returned an energy that is not finite during a minimisation; start from "
            "another conformer"
        )
    k, n, _ = positions.shape
    rows = np.arange(k)
    normals = np.zeros((k, fixed.torsions.shape[1], n, 3))
    for place in range(normals.shape[1]):
        atoms = fixed.torsions[:, place]
        corners = positions[rows[:, None], atoms]
        normals[rows[:, None], place, atoms] = dihedral_gradient(corners, np.arange(4))
    flat = normals.reshape(k, -1, 3 * n)
    gradients = -found.forces.reshape(k, 3 * n)
    along = _solve(flat @ flat.transpose(0, 2, 1), np.einsum("kmx,kx->km", flat, gradients))
    free = gradients - np.einsum("km,kmx->kx", along, flat)
    return _State(positions, found.energies.copy(), gradients, flat, free)


def _newton_step(state: _State, inverse: _Array) -> _Array:
    """Return the steps (k, 3n) to the minimum of a quadratic model at constant fixed angles."""
    plain = np.einsum("kxy,ky->kx", inverse, state.free)
    across = state.normals @ inverse  # (k, m, 3n)
    matrix = across @ state.normals.transpose(0, 2, 1)
    multipliers = _solve(matrix, np.einsum("kmx,kx->km", state.normals, plain))
    return np.asarray(np.einsum("km,kmx->kx", multipliers, across) - plain)


def _bounded(step: _Array, trust: _Array) -> _Array:
    length = _largest(step)
    return np.asarray(step * np.minimum(1.0, trust / np.maximum(length, 1e-12))[:, None])


def _updated(inverse: _Array, s: _Array, y: _Array) -> _Array:
    """Return inverse Hessians after a BFGS update, which needs a positive curvature."""
    product = np.einsum("kx,kx->k", s, y)
    norms = np.linalg.norm(s, axis=1) * np.linalg.norm(y, axis=1)
    good = product > 1e-4 * norms
    rho = np.where(good, 1 / np.where(good, product, 1.0), 0.0)
    hy = np.einsum("kxy,ky->kx", inverse, y)
    factor = rho * (1 + rho * np.einsum("kx,kx->k", y, hy))
    change = factor[:, None, None] * s[:, :, None] * s[:, None, :]
    mixed = hy[:, :, None] * s[:, None, :]
    change -= rho[:, None, None] * (mixed + mixed.transpose(0, 2, 1))
    return np.asarray(inverse + change)


def _solve(matrices: _Array, vectors: _Array) -> _Array:
    if vectors.shape[1] == 0:
        return vectors
    return np.asarray(np.linalg.solve(matrices, vectors[..., None])[..., 0])


def _largest(flat: _Array) -> _Array:
    """Return the largest norm over the atoms of vectors (k, 3n), shape (k,)."""
    return np.asarray(np.linalg.norm(flat.reshape(len(flat), -1, 3), axis=2).max(axis=1))


def _require_convergence(left: _Array, tolerance: float, fixed: FixedTorsions) -> None:
    worst = int(np.argmax(left))
    # In single precision, steps may become too short before the forces are below the tolerance.
    if left[worst] <= 10 * tolerance:
        return
    angles = ", ".join(f"{angle:.0f}" for angle in np.degrees(fixed.angles[worst])) or "no"
    raise SimulationError(
        f"found a force of {left[worst]:.3g} kJ/mol/nm after the minimisation with the torsion "
        f"fixed at {angles} degrees, allowed: {10 * tolerance:g}; start from another conformer"
    )
