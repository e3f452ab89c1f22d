"""Starting geometries relaxed with a force field, before a network relaxes them."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

__all__ = [
    "ForceField",
    "Screened",
    "force_field_of",
    "relax_by_force_field",
    "with_conformers",
]

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
        steps: largest number of steps of each minimisation.
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
    except RuntimeError as error:  # rdkit raises it for H2 at its minimum
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


class ForceField:
    """A force field of rdkit, for one geometry at a time.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        variant: ``"MMFF94s"``, or ``"MMFF94"`` as in published scores; where it lacks an atom
            type, UFF.

    Raises:
        ConfigError: no force field knows all atoms.
    """

    def __init__(self, molecule: Chem.Mol, *, variant: str = "MMFF94s") -> None:
        self._molecule, self._name = molecule, force_field_of(molecule)
        if self._name is None:
            raise ConfigError(
                "found atoms that neither MMFF94 nor UFF knows, which a search by energy needs; "
                "use the generator etkdg"
            )
        helpers: Any = rdForceFieldHelpers
        if self._name != "UFF":
            self._properties = helpers.MMFFGetMoleculeProperties(molecule, mmffVariant=variant)
        self._field = self._bind(molecule)

    def energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return energies (k,), kJ/mol, of positions (k, n, 3), nm, as they are."""
        flat = (10.0 * positions).reshape(len(positions), 3 * self._molecule.GetNumAtoms()).tolist()
        return KJ_PER_KCAL * np.array([self._field.CalcEnergy(each) for each in flat])

    def relax(
        self, positions: NDArray[np.float64], *, steps: int = 200
    ) -> tuple[NDArray[np.float64], float]:
        """Return a geometry (n, 3), nm, after a minimisation, and its energy, kJ/mol.

        Args:
            positions: (n, 3), nm.
            steps: largest number of steps; 200 are rdkit's default and the published number.
        """
        copy = Chem.Mol(self._molecule, confId=self._molecule.GetConformer().GetId())
        conformer = copy.GetConformer()
        conformer.SetPositions(np.ascontiguousarray(10.0 * positions))
        field = self._bind(copy)
        field.Minimize(maxIts=steps)
        return 0.1 * np.array(conformer.GetPositions()), KJ_PER_KCAL * field.CalcEnergy()

    def _bind(self, molecule: Chem.Mol) -> Any:
        helpers: Any = rdForceFieldHelpers
        if self._name == "UFF":
            return helpers.UFFGetMoleculeForceField(molecule)
        return helpers.MMFFGetMoleculeForceField(molecule, self._properties)
