"""The solute with its force-field parameters, and its box of water."""

from __future__ import annotations

from rdkit import Chem

from nnpmm.freeenergy.solvation.settings import SoluteSettings, SolvationSettings
from nnpmm.structures import (
    LigandParameters,
    MMSystem,
    solvate,
)
from nnpmm.structures.ligands.source import read_molecule

__all__ = ["read_solute", "solvated_solute"]


def solvated_solute(
    settings: SolvationSettings, molecule: Chem.Mol, parameters: LigandParameters
) -> MMSystem:
    """Return the solute in a box of water, the same for every repeat.

    Args:
        settings: of the calculation.
        molecule: the solute, from `read_solute`.
        parameters: of its atoms.

    Raises:
        NnpmmError: see `nnpmm.structures.solvate`.
    """
    return solvate(
        molecule,
        parameters,
        padding=settings.padding,
        water_model=settings.water_model,
        nonbonded_cutoff=settings.cutoff,
        hydrogen_mass=settings.hydrogen_mass,
        neutralize=False,
        seed=settings.seed,
    )


def read_solute(solute: SoluteSettings, seed: int = 0) -> tuple[Chem.Mol, LigandParameters]:
    """Return the molecule, with a conformer, and its parameters.

    Args:
        solute: where they come from.
        seed: of the conformer of a SMILES string.

    Raises:
        NnpmmError: see `nnpmm.structures.parameterize` and the readers.
    """
    return read_molecule(solute, seed)
