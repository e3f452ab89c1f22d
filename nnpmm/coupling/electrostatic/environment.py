"""The environment's charges, and checks for what electrostatic embedding does not support."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.region_charge import charges_of
from nnpmm.coupling.roles import Role, forces_by_role

__all__ = ["check_environment", "environment_charges"]

_IMPLICIT = (openmm.GBSAOBCForce, openmm.CustomGBForce)
_POLARIZABLE = ("AmoebaMultipoleForce", "AmoebaGeneralizedKirkwoodForce", "HippoNonbondedForce")


def check_environment(system: openmm.System, region: NDArray[np.int64]) -> None:
    """Check that a region can be embedded in the charges around it.

    Args:
        system: the MM system.
        region: atom indices.

    Raises:
        ForceFieldError: a polarizable environment, implicit solvent, or charges that a parameter
            changes.
        RegionError: the system already has a region, or the region has charged virtual sites.
    """
    for force in system.getForces():
        name = type(force).__name__
        if name in _POLARIZABLE or isinstance(force, openmm.DrudeForce):
            raise ForceFieldError(
                f"found a {name}, whose environment is polarizable; allowed: fixed charges in a "
                "NonbondedForce, or mechanical embedding where that is supported"
            )
        if isinstance(force, _IMPLICIT):
            raise ForceFieldError(
                f"found a {name}, which would keep using the region's fixed charges; allowed: "
                "explicit solvent or none, or mechanical embedding"
            )
    if Role.NETWORK in forces_by_role(system):
        raise RegionError(
            "found a system that already has a region, whose charges would not act on this one; "
            "allowed with several regions: mechanical embedding"
        )
    nonbonded = find_nonbonded_force(system)
    if nonbonded.getNumParticleParameterOffsets() or nonbonded.getNumExceptionParameterOffsets():
        raise ForceFieldError(
            "found parameter offsets in the NonbondedForce, which change the environment's "
            "charges; allowed: a system without offsets, or mechanical embedding"
        )
    sites = attached_sites(system, set(region.tolist())).tolist()
    if charges_of(nonbonded, sites).any():
        raise RegionError(
            f"found the charged virtual site {sites[0]} on the region, whose charge no charge "
            "model predicts; allowed: charges on the region's atoms, or mechanical embedding"
        )


def environment_charges(
    system: openmm.System, region: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the charged particles outside a region, including virtual sites, and their charges.

    Args:
        system: the MM system.
        region: atom indices.

    Returns:
        Sorted indices (m,) and charges (m,), e.

    Raises:
        ForceFieldError: nothing outside the region has a charge.
    """
    others = np.setdiff1d(np.arange(system.getNumParticles()), region)
    charges = charges_of(find_nonbonded_force(system), others.tolist())
    charged = charges != 0
    if not charged.any():
        raise ForceFieldError(
            f"found no charges on the {len(others)} particles around the region, which "
            "electrostatic embedding needs; use mechanical embedding, or a force field with charges"
        )
    return others[charged], charges[charged]
