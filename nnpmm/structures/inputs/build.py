"""Build a box of water around a ligand, with or without a protein."""

from __future__ import annotations

from nnpmm import structures
from nnpmm.core.errors import ConfigError
from nnpmm.structures.inputs.files import check_file
from nnpmm.structures.inputs.sources import BuildSystem
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.readers import read_structure

__all__ = ["build_system"]


def build_system(source: BuildSystem, seed: int, *, constrain_hydrogens: bool) -> MMSystem:
    """Build a ligand in water, with or without a protein.

    Args:
        source: settings of the MM system.
        seed: of the conformer and of the ions' positions.
        constrain_hydrogens: constrain the solute's bonds to hydrogen.

    Raises:
        NnpmmError: a file cannot be read, or the system cannot be built.
    """
    if source.ligand is not None:
        check_file(source.ligand, (".sdf", ".mol", ".mol2"), "ligand")
        molecule = structures.molecule_from_file(source.ligand)
    elif source.smiles is not None:
        molecule = structures.molecule_from_smiles(source.smiles, seed=seed)
    else:
        raise ConfigError("system: exactly one of 'smiles' and 'ligand' must be given")
    parameters = structures.parameterize(molecule, provider=source.parameters)
    protein = None
    if source.protein is not None:
        check_file(source.protein, (".pdb", ".cif"), "protein")
        structure = read_structure(source.protein)
        protein = (structure.topology, structure.positions)
    return structures.solvate(
        molecule,
        parameters,
        protein=protein,
        padding=source.padding,
        water_model=source.water_model,
        ionic_strength=source.ionic_strength,
        nonbonded_cutoff=source.cutoff,
        box_shape=source.box_shape,
        hydrogen_mass=source.hydrogen_mass,
        constrain_hydrogens=constrain_hydrogens,
        residue_name=source.residue_name,
        seed=seed,
    )
