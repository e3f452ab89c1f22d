"""Readable reference of the electrostatic embedding energy, as a double sum."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT

__all__ = ["pair_potential", "reference_energy"]


def pair_potential(distance: float, cutoff: float) -> float:
    """Return the potential of a unit charge, 1/nm, by the zero-multipole summation with a cutoff.

    Without a cutoff it is 1/r; with the cutoff R it is

    1/r - 15/(8 R) + 5 r^2/(4 R^3) - 3 r^4/(8 R^5) within R, 0 beyond (Fukuda, J. Chem. Phys. 2013,
    139, 174107, for l = 3 without damping). Value, slope and curvature are 0 at R: a charge
    interacts as if the sphere around it contained no net charge, dipole or quadrupole.

    Args:
        distance: r, nm.
        cutoff: R, nm, or infinity.
    """
    if math.isinf(cutoff):
        return 1 / distance
    if distance >= cutoff:
        return 0.0
    x = distance / cutoff
    return 1 / distance + (-15 + 10 * x**2 - 3 * x**4) / (8 * cutoff)


def reference_energy(
    region: NDArray[np.float64],
    charge_shifts: NDArray[np.float64],
    environment: NDArray[np.float64],
    environment_charges: NDArray[np.float64],
    *,
    cutoff: float = math.inf,
    box: NDArray[np.float64] | None = None,
    valence: NDArray[np.float64] | None = None,
    widths: NDArray[np.float64] | None = None,
) -> float:
    """Return the energy of charges, and of densities around them, with the environment, kJ/mol.

    Args:
        region: positions, not split by the boundary, (n, 3), nm.
        charge_shifts: charges of the region less its fixed charges, (n,), e.
        environment: positions, (m, 3), nm.
        environment_charges: (m,), e.
        cutoff: nm.
        box: rows, (3, 3), nm; the sum includes images in the 124 cells around.
        valence: the part of each atom's charge with a density exp(-r / s) / (8 pi s^3), (n,), e.
        widths: s of these, (n,), nm.
    """
    shifts = np.zeros((1, 3))
    if box is not None:
        shifts = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ box
    energy = 0.0
    for i, position in enumerate(region):
        for other, charge in zip(environment, environment_charges, strict=True):
            for distance in np.linalg.norm(other + shifts - position, axis=1):
                if distance >= cutoff:
                    continue
                energy += charge_shifts[i] * charge * pair_potential(distance, cutoff)
                if valence is not None and widths is not None:
                    x = distance / widths[i]
                    # What the density feels less than a point charge: charge penetration.
                    penetration = -(1 + x / 2) * math.exp(-x) / distance
                    energy += valence[i] * charge * penetration
    return COULOMB_CONSTANT * energy
