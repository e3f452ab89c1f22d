"""The difference between network and force field inside a region, for multiple time steps.

V = V_MM(bonded, region) + [V_NNP(region) - V_MM(bonded, region)] + all else: the first term changes
fast and is cheap, the bracket changes slowly and is costly (Jaffrelot Inizan et al., Chem. Sci.
2023, 14, 5438). Their sum is the network, exactly.
"""

from __future__ import annotations

import copy

import openmm

from nnpmm.coupling.forces import NEGATED_MM_FORCE_NAME

__all__ = ["create_negated_force"]


def create_negated_force(forces: list[openmm.Force]) -> openmm.CustomCVForce:
    """Return a force whose energy is minus the sum of those of other forces, of any class.

    Args:
        forces: are copied.
    """
    names = [f"region{index}" for index in range(len(forces))]
    negated = openmm.CustomCVForce(f"-({'+'.join(names)})")
    for name, force in zip(names, forces, strict=True):
        negated.addCollectiveVariable(name, copy.deepcopy(force))
    negated.setName(NEGATED_MM_FORCE_NAME)
    return negated
