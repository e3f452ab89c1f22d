"""Remove the pairs inside a region from a NonbondedForce; its pairs with the rest stay."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import ForceFieldError, RegionError

__all__ = [
    "EWALD_METHODS",
    "check_parameters",
    "exclude_region_pairs",
    "has_lennard_jones_elsewhere",
    "refuse_offsets",
]

EWALD_METHODS = (
    openmm.NonbondedForce.Ewald,
    openmm.NonbondedForce.PME,
    openmm.NonbondedForce.LJPME,
)


def exclude_region_pairs(
    force: openmm.NonbondedForce, region: NDArray[np.int64], *, may_cut: bool = False
) -> None:
    """Add an exception without charge and Lennard-Jones for every pair in the region, in place.

    With Ewald methods, OpenMM subtracts an excluded pair from the reciprocal sum exactly; only the
    interaction of the region with its own periodic images remains. The exceptions use the nearest
    image of a pair, so that the result is the same for a region that the boundary has split.

    Args:
        force: the force to change.
        region: sorted atom indices.
        may_cut: the region cuts bonds, so exceptions may join it to the rest; these stay.

    Raises:
        RegionError: an exception (a 1-2, 1-3 or 1-4 pair) joins the region to the rest although
            no bond is cut.
        ForceFieldError: a parameter offset acts on the region.
    """
    members = set(region.tolist())
    refuse_offsets(force, members)
    for index in range(force.getNumExceptions()):
        i, j = force.getExceptionParameters(index)[:2]
        if (i in members) != (j in members) and not may_cut:
            raise RegionError(
                f"the region cuts the 1-2, 1-3 or 1-4 pair of atoms {i} and {j}; select whole "
                "molecules"
            )
    for row, i in enumerate(region.tolist()):
        for j in region[:row].tolist():
            force.addException(i, j, 0.0, 1.0, 0.0, True)
    if force.usesPeriodicBoundaryConditions():
        force.setExceptionsUsePeriodicBoundaryConditions(True)


def check_parameters(
    force: openmm.NonbondedForce,
    region: NDArray[np.int64],
    symbols: list[str],
    charges: NDArray[np.float64],
    *,
    lennard_jones: bool = True,
) -> None:
    """Check that the region's atoms have the charges and LJ parameters that the coupling needs.

    Args:
        force: the system's NonbondedForce.
        region: atom indices.
        symbols: chemical symbol of each of them.
        charges: of them and of the virtual sites on them, e.
        lennard_jones: the NonbondedForce contains the Lennard-Jones parameters.

    Raises:
        ForceFieldError: a heavy atom has no Lennard-Jones parameters, or a region with polar atoms
            has no charges.
    """
    parameters = [force.getParticleParameters(int(atom)) for atom in region]
    for atom, symbol, (_, sigma, epsilon) in zip(region, symbols, parameters, strict=True):
        # Hydrogens of hydroxyl groups carry no LJ in most force fields; heavy atoms always do.
        missing = not (sigma._value > 0 and epsilon._value > 0)
        if lennard_jones and symbol != "H" and missing:
            raise ForceFieldError(
                f"region atom {atom} ({symbol}) has no Lennard-Jones parameters (sigma {sigma}, "
                f"epsilon {epsilon}); the coupling needs them: parameterise the ligand first"
            )
    # Some force fields give pure hydrocarbons no charges at all.
    if not charges.any() and set(symbols) - {"C", "H"}:
        raise ForceFieldError(
            f"all {len(region)} region atoms have zero charge; the coupling needs force-field "
            "charges: parameterise the ligand first"
        )


def has_lennard_jones_elsewhere(system: openmm.System, force: openmm.NonbondedForce) -> bool:
    """Return whether a CustomNonbondedForce describes all Lennard-Jones pairs, as with NBFIX.

    OpenMM's readers then leave the NonbondedForce without any well depth.
    """
    kinds = {type(other) for other in system.getForces()}
    return openmm.CustomNonbondedForce in kinds and not any(
        force.getParticleParameters(i)[2]._value for i in range(force.getNumParticles())
    )


def refuse_offsets(force: openmm.NonbondedForce, members: set[int]) -> None:
    """Refuse parameter offsets that act on atoms of a region.

    Raises:
        ForceFieldError: names the first such offset.
    """
    for index in range(force.getNumParticleParameterOffsets()):
        name, atom = force.getParticleParameterOffset(index)[:2]
        if atom in members:
            raise ForceFieldError(
                f"found a parameter offset {name!r} on region atom {atom}; offsets are allowed "
                "outside the region only"
            )
    for index in range(force.getNumExceptionParameterOffsets()):
        name, exception = force.getExceptionParameterOffset(index)[:2]
        pair = force.getExceptionParameters(exception)[:2]
        if members & set(pair):
            raise ForceFieldError(
                f"found an exception offset {name!r} on region atoms {pair}; offsets are "
                "allowed outside the region only"
            )
