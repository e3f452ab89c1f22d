"""Structures: files, selections, regions, ligands and their parameters, solvated boxes.

For a ligand the usual order is `molecule_from_smiles` or `molecule_from_file`, then `parameterize`,
then `solvate`. Everything is handed over as rdkit molecules and ordinary OpenMM objects.
"""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.structures.ligands import (
        LigandParameters,
        create_ligand_system,
        forcefield_xml,
        molecule_from_file,
        molecule_from_smiles,
        parameterize,
        to_openmm_topology,
    )
    from nnpmm.structures.readers import Structure, read_structure
    from nnpmm.structures.region import RegionSummary, describe_region
    from nnpmm.structures.selection import select_atoms
    from nnpmm.structures.solvation import SolvatedSystem, solvate

__all__ = [
    "LigandParameters",
    "RegionSummary",
    "SolvatedSystem",
    "Structure",
    "create_ligand_system",
    "describe_region",
    "forcefield_xml",
    "molecule_from_file",
    "molecule_from_smiles",
    "parameterize",
    "read_structure",
    "select_atoms",
    "solvate",
    "to_openmm_topology",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LigandParameters": "nnpmm.structures.ligands",
        "RegionSummary": "nnpmm.structures.region",
        "SolvatedSystem": "nnpmm.structures.solvation",
        "Structure": "nnpmm.structures.readers",
        "create_ligand_system": "nnpmm.structures.ligands",
        "describe_region": "nnpmm.structures.region",
        "forcefield_xml": "nnpmm.structures.ligands",
        "molecule_from_file": "nnpmm.structures.ligands",
        "molecule_from_smiles": "nnpmm.structures.ligands",
        "parameterize": "nnpmm.structures.ligands",
        "read_structure": "nnpmm.structures.readers",
        "select_atoms": "nnpmm.structures.selection",
        "solvate": "nnpmm.structures.solvation",
        "to_openmm_topology": "nnpmm.structures.ligands",
    },
)
