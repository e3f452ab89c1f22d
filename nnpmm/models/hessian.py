"""Second derivatives of a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.protocol import Evaluator

__all__ = ["HESSIAN_STEP", "network_hessian"]

HESSIAN_STEP = 2e-4  # nm; differences of float32 forces still have four digits


def network_hessian(evaluator: Evaluator, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the second derivatives (3n, 3n) of a network in kJ/mol/nm^2, by central differences.

    Args:
        evaluator: the network bound to n atoms.
        positions: (n, 3), nm.
    """
    size = positions.size
    shifts = HESSIAN_STEP * np.eye(size).reshape(size, *positions.shape)
    forces = evaluator.batch(np.concatenate([positions + shifts, positions - shifts])).forces
    forward, backward = forces.reshape(2, size, size)
    hessian = (backward - forward) / (2 * HESSIAN_STEP)
    return 0.5 * (hessian + hessian.T)
