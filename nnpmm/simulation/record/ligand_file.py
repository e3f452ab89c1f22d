"""The last structure of a built ligand as SDF, with its bond orders and charges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.simulation.record.files import write_atomically
from nnpmm.structures.inputs.sources import BuildSystem

__all__ = ["LIGAND_FILE", "write_ligand"]

LIGAND_FILE = "ligand.sdf"


def write_ligand(
    path: Path, source: BuildSystem, seed: int, structure: Path, ligand_atoms: NDArray[np.int64]
) -> None:
    """Write the ligand of a built system as it is in a structure.

    Args:
        path: SDF file to write.
        source: the settings that the ligand was built from, which contain its chemistry.
        seed: of the building.
        structure: PDB file of the whole system, molecules whole.
        ligand_atoms: 0-based indices of the ligand in it, in the order of the molecule.

    Raises:
        ConfigError: the settings name no ligand.
        SimulationError: the ligand's file now contains another molecule, or the file cannot be
            written.
    """
    from rdkit import Chem

    from nnpmm import structures

    if source.ligand is not None:
        molecule = Chem.Mol(structures.molecule_from_file(source.ligand))
    elif source.smiles is not None:
        molecule = Chem.Mol(structures.molecule_from_smiles(source.smiles, seed=seed))
    else:
        raise ConfigError("system: exactly one of 'smiles' and 'ligand' must be given")
    pdb = app.PDBFile(str(structure))
    atoms = list(pdb.topology.atoms())
    found = [atoms[i].element.symbol for i in ligand_atoms.tolist()]
    if found != [atom.GetSymbol() for atom in molecule.GetAtoms()]:
        raise SimulationError(
            f"{LIGAND_FILE}: not written: the ligand of the settings is another molecule than that "
            f"of {structure.name}; restore its file"
        )
    positions = pdb.getPositions(asNumpy=True).value_in_unit(unit.angstrom)[ligand_atoms]
    conformer = molecule.GetConformer()
    for row, position in enumerate(positions):
        conformer.SetAtomPosition(row, [float(x) for x in position])
    molecule.SetProp("_Name", source.residue_name)
    write_atomically(path, Chem.MolToMolBlock(molecule) + "$$$$\n")
