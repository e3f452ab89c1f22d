"""Minimise the energy of a network from a geometry."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.models.protocol import Evaluator

__all__ = ["find_minimum", "relax"]

# nm. The first step of L-BFGS has length one in its own unit; one nanometre would break all bonds.
_SCALE = 0.01


def relax(
    evaluator: Evaluator, start: NDArray[np.float64], *, evaluations: int, tolerance: float = 1.0
) -> NDArray[np.float64]:
    """Return the geometry (n, 3), nm, that a bounded number of minimisation steps reaches.

    Args:
        evaluator: the network bound to n atoms.
        start: (n, 3), nm, whole.
        evaluations: the most evaluations of the network.
        tolerance: largest component of a force at which the minimisation ends, kJ/mol/nm.

    Raises:
        SimulationError: the network returned forces that are not finite.
    """

    def energy_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        energy, forces = evaluator(_SCALE * flat.reshape(-1, 3))
        if not np.isfinite(forces).all():
            raise SimulationError("the network returned forces that are not finite")
        return energy, -_SCALE * forces.ravel()

    found = scipy.optimize.minimize(
        energy_and_gradient,
        start.ravel() / _SCALE,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxfun": evaluations,
            "maxiter": evaluations,
            "ftol": 0.0,
            "gtol": _SCALE * tolerance,
        },
    )
    positions: NDArray[np.float64] = _SCALE * found.x.reshape(-1, 3)
    return positions


def find_minimum(
    evaluator: Evaluator,
    start: NDArray[np.float64],
    *,
    evaluations: int = 5000,
    largest_force: float = 30.0,
) -> NDArray[np.float64]:
    """Return the minimum (n, 3), nm, of a network next to a geometry.

    Args:
        evaluator: the network bound to n atoms.
        start: (n, 3), nm, whole.
        evaluations: the most evaluations of the network.
        largest_force: that may remain on an atom at a minimum, kJ/mol/nm. With 30 a bond is within
            1e-4 nm of its minimum.

    Raises:
        SimulationError: a larger force remains on an atom, or one that is not finite.
    """
    positions = relax(evaluator, start, evaluations=evaluations)
    largest = float(np.linalg.norm(evaluator(positions)[1], axis=1).max())
    if not largest < largest_force:
        raise SimulationError(
            f"found no minimum of the network: a force of {largest:.3g} kJ/mol/nm is left, "
            f"allowed: less than {largest_force:g}; start from a better structure or use "
            "precision='double'"
        )
    return positions
