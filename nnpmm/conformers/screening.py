"""A force field's first look at starting geometries, before a network sees them."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.core.constants import KJ_PER_KCAL

__all__ = ["Screened", "force_field_of", "relax_by_force_field", "with_conformers"]

logger = logging.getLogger(__name__)

_STEPS = 2000


class Screened(NamedTuple):
    """Geometries relaxed by a force field.

    Attributes:
        positions: (k, n, 3), nm.
        energies: (k,), kJ/mol.
    """

    positions: NDArray[np.float64]
    energies: NDArray[np.float64]


def relax_by_force_field(
    molecule: Chem.Mol,
    positions: NDArray[np.float64],
    *,
    dielectric: float = 1.0,
    threads: int = 1,
    steps: int = _STEPS,
) -> Screened | None:
    """Return geometries relaxed with MMFF94s, or UFF where it lacks an atom type, by rdkit.

    None if neither knows all atoms, or if it fails.

    Args:
        molecule: n atoms, hydrogens explicit.
        positions: (k, n, 3), nm.
        dielectric: constant of the Coulomb energy of MMFF94s; UFF has none.
        threads: of rdkit.
        steps: the most of each minimisation.
    """
    copy, name = with_conformers(molecule, positions), force_field_of(molecule)
    helpers: Any = rdForceFieldHelpers
    if name == "MMFF94s":
        properties = helpers.MMFFGetMoleculeProperties(copy, mmffVariant=name)
        properties.SetMMFFDielectricConstant(dielectric)
        field = helpers.MMFFGetMoleculeForceField(copy, properties)
    elif name == "UFF":
        field = helpers.UFFGetMoleculeForceField(copy)
    else:
        return None
    try:
        with rdBase.BlockLogs():
            found = helpers.OptimizeMoleculeConfs(copy, field, numThreads=threads, maxIters=steps)
    except RuntimeError as error:  # of rdkit, for H2
        logger.warning(
            "%s failed (%s); the network starts from the geometries as generated", name, error
        )
        return None
    energies = KJ_PER_KCAL * np.array([energy for _, energy in found])
    relaxed = 0.1 * np.array([c.GetPositions() for c in copy.GetConformers()])
    return Screened(relaxed, energies)


def force_field_of(molecule: Chem.Mol) -> str | None:
    """Return ``"MMFF94s"``, ``"UFF"`` where it lacks an atom type, or None if neither knows all."""
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        return "MMFF94s"
    return "UFF" if rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule) else None


def with_conformers(molecule: Chem.Mol, positions: NDArray[np.float64]) -> Chem.Mol:
    """Return a copy of a molecule with the conformers (k, n, 3), nm, in place of its own."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    for geometry in positions:
        conformer = Chem.Conformer(len(geometry))
        conformer.SetPositions(np.ascontiguousarray(10.0 * geometry))
        copy.AddConformer(conformer, assignId=True)
    return copy
