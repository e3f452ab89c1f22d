"""Find a minimum along soft modes as well, in spite of rounding."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nnpmm.models.hessian import network_hessian
from nnpmm.models.minimum import relax
from nnpmm.models.protocol import Evaluator

__all__ = ["relaxed", "rigid_motions"]

_EVALUATIONS = 2000
_NEWTON_STEPS = 40  # from a saddle, which L-BFGS may have found, to a minimum 0.1 nm away
_LONGEST = 0.005  # nm, of an atom in a Newton step
_SHORTEST = 1e-6  # nm: two such steps are the last ones
_SOFTEST = 50.0  # kJ/mol/nm^2; a methyl group's rotation has about 100
_RISE = 1e-3  # kJ/mol, rounding of single precision
_LINEAR = 1e-3  # of the largest moment: less is no rotation


def relaxed(evaluator: Evaluator, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the minimum (n, 3), nm, next to a geometry.

    L-BFGS compares energies and stops where their rounding hides the slope, which leaves soft modes
    far from their minimum. Newton steps use forces alone. A mode of negative curvature is followed
    downhill: the step divides by the curvature's absolute value.

    Args:
        evaluator: bound to n atoms.
        start: (n, 3), nm.

    Raises:
        SimulationError: forces are not finite.
    """
    positions = relax(evaluator, start, evaluations=_EVALUATIONS)
    energy, forces = evaluator(positions)
    longest_moves = [np.inf]
    for _ in range(_NEWTON_STEPS):
        internal = scipy.linalg.null_space(rigid_motions(positions, np.ones(len(positions))).T)
        hessian = network_hessian(evaluator, positions)
        values, vectors = np.linalg.eigh(internal.T @ hessian @ internal)
        modes = internal @ vectors
        lengths = (modes.T @ forces.ravel()) / np.maximum(np.abs(values), _SOFTEST)
        step = (modes @ lengths).reshape(-1, 3)
        longest = float(np.linalg.norm(step, axis=1).max())
        step *= min(1.0, _LONGEST / max(longest, _SHORTEST))
        lower, forces = evaluator(positions + step)
        if not lower < energy + _RISE:
            break
        positions, energy = positions + step, lower
        longest_moves.append(longest)
        if max(longest_moves[-2:]) < _SHORTEST:
            break
    return positions


def rigid_motions(
    positions: NDArray[np.float64], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return an orthonormal basis (3n, 6) of mass-weighted rigid motions; (3n, 5) on a line.

    Args:
        positions: (n, 3), nm.
        masses: (n,).
    """
    centred = positions - masses @ positions / masses.sum()
    axes = np.eye(3)
    moves = [np.tile(axis, (len(masses), 1)) for axis in axes]
    moves += [np.cross(axis, centred) / np.linalg.norm(centred) for axis in axes]
    columns = np.array([(np.sqrt(masses)[:, None] * move).ravel() for move in moves]).T
    basis: NDArray[np.float64] = scipy.linalg.orth(columns, rcond=_LINEAR)
    return basis
