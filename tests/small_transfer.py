"""Two small molecules next to a dipeptide, which change places in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from complexes import write_pdb
from force_fields import dipeptide
from openmm import unit
from rdkit import Chem
from rdkit.Chem import rdFMCS, rdMolAlign
from rdkit.Geometry import Point3D

from nnpmm.structures import molecule_from_smiles

#: Ligands by name.
NAMES = {
    "alcohol": "CC(C)O",
    "amine": "CC(C)N",
    "alkane": "CC(C)C",
    "ammonium": "CC(C)[NH3+]",
    "methylammonium": "CC(C)[NH2+]C",
}
#: Settings of a calculation of a few seconds, without its files.
SMALL = {
    "edges": [["alcohol", "amine"]],
    "parameters": "fallback",  # workers would take AmberTools
    "padding": "0.2 nm",
    "cutoff": "0.6 nm",
    "box_shape": "cube",
    "ionic_strength": 0,
    "restraints": {"clearance": "0.3 nm", "site_radius": "0.15 nm"},
    "potentials": ["force field"],
    "model": "ANI-1x",
    "members": [0],
    "timestep": "2 fs",
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "half": [[0, 0], [0, 0.5], [0.25, 0.5], [0.5, 0.5]],
        "time": "0.2 ps",
        "interval": "0.02 ps",
        "equilibration": "0.2 ps",
        "state_equilibration": "0.02 ps",
    },
}


def posed(place):
    """The ligands on each other, their centre at a place in nm, by name."""
    reference = molecule_from_smiles(NAMES["alcohol"], seed=2)
    found = {}
    for name, smiles in NAMES.items():
        molecule = molecule_from_smiles(smiles, seed=2)
        core = Chem.MolFromSmarts(
            rdFMCS.FindMCS(
                [Chem.RemoveHs(reference), Chem.RemoveHs(molecule)],
                atomCompare=rdFMCS.AtomCompare.CompareAny,
            ).smartsString
        )
        pairs = zip(
            molecule.GetSubstructMatch(core), reference.GetSubstructMatch(core), strict=True
        )
        rdMolAlign.AlignMol(molecule, reference, atomMap=list(pairs))
        molecule.SetProp("_Name", name)
        found[name] = molecule
    shift = 10 * np.asarray(place) - reference.GetConformer().GetPositions().mean(axis=0)
    for molecule in found.values():
        conformer = molecule.GetConformer()
        for index, position in enumerate(conformer.GetPositions() + shift):
            conformer.SetAtomPosition(index, Point3D(*position.tolist()))
    return found


def write_inputs(folder: Path) -> Path:
    """Write protein.pdb, a dipeptide, and ligands.sdf next to it; return the folder."""
    peptide = dipeptide()
    positions = np.array(peptide.positions.value_in_unit(unit.nanometer))
    write_pdb(folder / "protein.pdb", peptide.topology, positions * unit.nanometer)
    with Chem.SDWriter(str(folder / "ligands.sdf")) as writer:
        centre = positions.mean(axis=0)
        for molecule in posed(centre + np.array([0.0, 0.0, 0.62])).values():
            writer.write(molecule)
    return folder
