"""The charge of a region from AMOEBA's multipoles, and whether it has parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ForceFieldError

__all__ = ["find_multipole_force", "monopoles_of"]


def find_multipole_force(system: openmm.System) -> openmm.AmoebaMultipoleForce | None:
    """Return the AmoebaMultipoleForce of a system, None if it has fixed charges.

    Raises:
        ForceFieldError: there are several.
    """
    found = [f for f in system.getForces() if type(f) is openmm.AmoebaMultipoleForce]
    if len(found) > 1:
        raise ForceFieldError(f"found {len(found)} AmoebaMultipoleForces, expected one")
    return found[0] if found else None


def monopoles_of(
    force: openmm.AmoebaMultipoleForce, atoms: list[int], symbols: Sequence[str]
) -> NDArray[np.float64]:
    """Return the charges of some atoms, (n,), e.

    Args:
        force: with a multipole for each particle.
        atoms: their indices.
        symbols: chemical symbol of each.

    Raises:
        ForceFieldError: an atom has no polarizability, so it has no parameters.
    """
    charges = []
    for atom, symbol in zip(atoms, symbols, strict=True):
        charge, *_, polarizability = force.getMultipoleParameters(atom)
        if not polarizability.value_in_unit(unit.nanometer**3) > 0:
            raise ForceFieldError(
                f"region atom {atom} ({symbol}) has a polarizability of {polarizability}; the "
                "coupling needs the force field's parameters: parameterise the molecule first"
            )
        charges.append(charge.value_in_unit(unit.elementary_charge))
    return np.array(charges)
