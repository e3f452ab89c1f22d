"""Ligands from SMILES, SDF or MOL2: molecules, force-field parameters, OpenMM Systems."""

from nnpmm.structures.ligands.molecules import molecule_from_file, molecule_from_smiles
from nnpmm.structures.ligands.openmm_system import (
    create_ligand_system,
    forcefield_xml,
    to_openmm_topology,
)
from nnpmm.structures.ligands.parameters import LigandParameters, parameterize

__all__ = [
    "LigandParameters",
    "create_ligand_system",
    "forcefield_xml",
    "molecule_from_file",
    "molecule_from_smiles",
    "parameterize",
    "to_openmm_topology",
]
