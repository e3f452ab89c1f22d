"""The solute with its force-field parameters, and its box of water."""

from __future__ import annotations

from rdkit import Chem

from nnpmm.freeenergy.solvation.settings import SoluteSettings, SolvationSettings
from nnpmm.structures import (
    LigandParameters,
    MMSystem,
    molecule_from_file,
    molecule_from_smiles,
    parameterize,
    solvate,
)
from nnpmm.structures.ligands.amber import molecule_from_amber

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
    if solute.topology is not None and solute.coordinates is not None:
        return molecule_from_amber(solute.topology, solute.coordinates)
    if solute.file is not None:
        molecule = molecule_from_file(solute.file)
    else:
        molecule = molecule_from_smiles(solute.smiles or "", seed=seed)
    return molecule, parameterize(molecule, provider=solute.parameters)
