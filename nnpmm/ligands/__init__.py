"""Ligands from SMILES, SDF or MOL2: structure, force-field parameters, solvated box.

The usual order is ``molecule_from_smiles`` or ``molecule_from_file``, then ``parameterize``, then
``solvate``. Everything is handed over as rdkit molecules and ordinary OpenMM objects.
"""

from nnpmm.ligands.molecules import molecule_from_file, molecule_from_smiles
from nnpmm.ligands.openmm_system import create_ligand_system, forcefield_xml, to_openmm_topology
from nnpmm.ligands.parameters import LigandParameters, parameterize
from nnpmm.ligands.solvation import SolvatedSystem, solvate

__all__ = [
    "LigandParameters",
    "SolvatedSystem",
    "create_ligand_system",
    "forcefield_xml",
    "molecule_from_file",
    "molecule_from_smiles",
    "parameterize",
    "solvate",
    "to_openmm_topology",
]
