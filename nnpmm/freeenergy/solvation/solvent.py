"""The solute in its solvent: a box of water, or one of another liquid that is compressed first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.freeenergy.legs import compressed_box
from nnpmm.freeenergy.solvation.settings import (
    SOLVENTS,
    WATER_MODELS,
    SolvationSettings,
    SolventSettings,
)
from nnpmm.structures import (
    LigandParameters,
    MMSystem,
    dissolve,
    solvate,
    typical_density,
)
from nnpmm.structures.ligands.source import read_molecule

__all__ = ["read_solvent", "solvated_solute"]

Solvent = tuple[Chem.Mol, LigandParameters]


def read_solvent(solvent: SolventSettings, seed: int = 0) -> Solvent | None:
    """Return the molecule of the solvent with its parameters; None for a water model.

    Args:
        solvent: the settings.
        seed: of the conformer of a SMILES string.

    Raises:
        ConfigError: a charged molecule, or water.
        NnpmmError: see `nnpmm.structures.parameterize` and the readers.
    """
    if solvent.water_model is not None:
        return None
    if solvent.name is not None:
        named = SolventSettings(smiles=SOLVENTS[solvent.name], parameters=solvent.parameters)
        molecule, parameters = read_molecule(named, seed)
    else:
        try:
            molecule, parameters = read_molecule(solvent, seed)
        except InputFileError as error:
            if solvent.smiles is None:
                raise
            names = ", ".join((*WATER_MODELS, *SOLVENTS))
            raise InputFileError(f"solvent: {error}; known by name: {names}") from error
    if CalcMolFormula(molecule) == "H2O":
        raise ConfigError(f"solvent: found water, allowed: a model ({', '.join(WATER_MODELS)})")
    return molecule, parameters


def solvated_solute(
    settings: SolvationSettings,
    directory: Path,
    molecule: Chem.Mol,
    parameters: LigandParameters,
    solvent: Solvent | None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> MMSystem:
    """Return the solute in a box of the solvent, the same for every potential and repeat.

    A box of another solvent than water is compressed with the force field once, and stored in the
    folder.

    Args:
        settings: settings of the calculation.
        directory: of the calculation.
        molecule: the solute, from `nnpmm.structures.read_molecule`.
        parameters: of its atoms.
        solvent: from `read_solvent`.
        report: called with the time of the compression that is done, and the total, ps.

    Raises:
        NnpmmError: see `nnpmm.structures.solvate` and `nnpmm.structures.dissolve`.
        SimulationError: the solvent is no liquid as built.
        ConfigError: the box of the liquid is too narrow for the cutoff.
    """
    if solvent is None:
        return solvate(
            molecule,
            parameters,
            padding=settings.padding,
            water_model=settings.solvent.water_model,  # type: ignore[arg-type]
            nonbonded_cutoff=settings.cutoff,
            hydrogen_mass=settings.hydrogen_mass,
            neutralize=False,
            seed=settings.seed,
        )
    loose = dissolve(
        *(molecule, parameters, *solvent),
        padding=settings.padding,
        nonbonded_cutoff=settings.cutoff,
        hydrogen_mass=settings.hydrogen_mass,
        seed=settings.seed,
    )
    return compressed_box(
        *(settings, directory, loose),
        time=settings.solvent.equilibration,
        typical=typical_density(solvent[0]),
        cutoff=settings.cutoff,
        report=report,
    )
