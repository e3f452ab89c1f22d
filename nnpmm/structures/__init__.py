"""Structures: files, selections, regions, ligands and their parameters, solvated boxes.

For a ligand the usual order is `molecule_from_smiles` or `molecule_from_file`, then `parameterize`,
then `solvate`. All functions exchange rdkit molecules and ordinary OpenMM objects.
"""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.structures.inputs import load_system
    from nnpmm.structures.ligands import (
        LigandParameters,
        create_ligand_system,
        forcefield_xml,
        molecule_from_file,
        molecule_from_smiles,
        parameterize,
        to_openmm_topology,
    )
    from nnpmm.structures.liquids import create_liquid, dissolve, typical_density
    from nnpmm.structures.mm_system import MMSystem
    from nnpmm.structures.readers import Structure, read_structure
    from nnpmm.structures.region import RegionSummary, describe_region
    from nnpmm.structures.selection import select_atoms
    from nnpmm.structures.solvation import solvate

__all__ = [
    "LigandParameters",
    "MMSystem",
    "RegionSummary",
    "Structure",
    "create_ligand_system",
    "create_liquid",
    "describe_region",
    "dissolve",
    "forcefield_xml",
    "load_system",
    "molecule_from_file",
    "molecule_from_smiles",
    "parameterize",
    "read_structure",
    "select_atoms",
    "solvate",
    "to_openmm_topology",
    "typical_density",
]

lazy_names(
    __name__,
    {
        "LigandParameters": "nnpmm.structures.ligands",
        "MMSystem": "nnpmm.structures.mm_system",
        "RegionSummary": "nnpmm.structures.region",
        "Structure": "nnpmm.structures.readers",
        "create_ligand_system": "nnpmm.structures.ligands",
        "create_liquid": "nnpmm.structures.liquids",
        "describe_region": "nnpmm.structures.region",
        "dissolve": "nnpmm.structures.liquids",
        "forcefield_xml": "nnpmm.structures.ligands",
        "load_system": "nnpmm.structures.inputs",
        "molecule_from_file": "nnpmm.structures.ligands",
        "molecule_from_smiles": "nnpmm.structures.ligands",
        "parameterize": "nnpmm.structures.ligands",
        "read_structure": "nnpmm.structures.readers",
        "select_atoms": "nnpmm.structures.selection",
        "solvate": "nnpmm.structures.solvation",
        "to_openmm_topology": "nnpmm.structures.ligands",
        "typical_density": "nnpmm.structures.liquids",
    },
)
