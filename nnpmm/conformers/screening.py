"""A force field's first look at starting geometries, before a network sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.core.constants import KJ_PER_KCAL

__all__ = ["Screened", "relax_by_force_field", "with_conformers"]

_STEPS = 2000


class Screened(NamedTuple):
    """Geometries relaxed by a force field.

    Attributes:
        positions: (k, n, 3), nm.
        energies: (k,), kJ/mol.
        force_field: its name.
    """

    positions: NDArray[np.float64]
    energies: NDArray[np.float64]
    force_field: str


def relax_by_force_field(
    molecule: Chem.Mol,
    positions: NDArray[np.float64],
    *,
    dielectric: float = 1.0,
    threads: int = 1,
    steps: int = _STEPS,
) -> Screened | None:
    """Return geometries relaxed with MMFF94s, or UFF where it lacks an atom type, by rdkit.

    None if neither knows all atoms.

    Args:
        molecule: n atoms, hydrogens explicit.
        positions: (k, n, 3), nm.
        dielectric: constant of the Coulomb energy of MMFF94s; UFF has none.
        threads: of rdkit.
        steps: the most of each minimisation.
    """
    copy = with_conformers(molecule, positions)
    helpers: Any = rdForceFieldHelpers
    if helpers.MMFFHasAllMoleculeParams(copy):
        properties = helpers.MMFFGetMoleculeProperties(copy, mmffVariant="MMFF94s")
        properties.SetMMFFDielectricConstant(dielectric)
        field, name = helpers.MMFFGetMoleculeForceField(copy, properties), "MMFF94s"
    elif helpers.UFFHasAllMoleculeParams(copy):
        field, name = helpers.UFFGetMoleculeForceField(copy), "UFF"
    else:
        return None
    found = helpers.OptimizeMoleculeConfs(copy, field, numThreads=threads, maxIters=steps)
    energies = KJ_PER_KCAL * np.array([energy for _, energy in found])
    relaxed = 0.1 * np.array([c.GetPositions() for c in copy.GetConformers()])
    return Screened(relaxed, energies, name)


def with_conformers(molecule: Chem.Mol, positions: NDArray[np.float64]) -> Chem.Mol:
    """Return a copy of a molecule with the conformers (k, n, 3), nm, in place of its own."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    for geometry in positions:
        conformer = Chem.Conformer(len(geometry))
        conformer.SetPositions(np.ascontiguousarray(10.0 * geometry))
        copy.AddConformer(conformer, assignId=True)
    return copy
