"""Small complexes for tests: molecules side by side, and the input of a short hybrid run."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import openmm.app as app
import yaml
from openmm import unit

from nnpmm.structures import molecule_from_smiles, to_openmm_topology


def side_by_side(molecules, spacing=1.5):
    """Return topology and positions of (residue name, SMILES) pairs, spacing nm apart."""
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    for i, (name, smiles) in enumerate(molecules):
        topology, positions = to_openmm_topology(molecule_from_smiles(smiles, seed=3))
        for residue in topology.residues():
            residue.name = name
        place = np.array([spacing * i, 0.0, 0.0])
        modeller.add(topology, (positions + place) * unit.nanometer)
    return modeller.topology, modeller.positions


def write_pdb(path, topology, positions):
    """Write a PDB file and return its path."""
    with path.open("w") as file:
        app.PDBFile.writeFile(topology, positions, file)
    return path


SETTINGS = {
    "system": {"type": "openmm", "system": "system.xml", "structure": "complex.pdb"},
    "region": {"selection": "resname MOL", "model": "ANI-1x", "members": 0},
    "timestep": "0.5 fs",
    "stages": {
        "minimize": None,
        "warmup": None,
        "equilibrate": None,
        "production": {"length": "2 fs"},
    },
    "output": {
        "directory": "out",
        "trajectory_interval": "1 fs",
        "log_interval": "1 fs",
        "checkpoint_interval": "1 fs",
    },
    "platform": {"name": "Reference"},
}
N_METHANOL = 6


def methanol_system(topology, *, charge=0.1, epsilon=0.4):
    """Bonds, charges and LJ for every atom; methanol's charges alternate and add up to zero."""
    system, bonds, nonbonded = openmm.System(), openmm.HarmonicBondForce(), openmm.NonbondedForce()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
        q = charge * (-1) ** atom.index if atom.index < N_METHANOL else 0.0
        nonbonded.addParticle(q, 0.3, epsilon if atom.index < N_METHANOL else 0.4)
    pairs = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
    for i, j in pairs:
        bonds.addBond(i, j, 0.1, 2e5)
    nonbonded.createExceptionsFromBonds(pairs, 1.0, 1.0)
    system.addForce(bonds)
    system.addForce(nonbonded)
    return system


class Inputs:
    """A folder with everything that a run needs, and ways to spoil it."""

    def __init__(self, folder):
        self.folder = folder
        self.topology, self.positions = side_by_side([("MOL", "CO"), *(4 * [("HOH", "O")])], 0.6)
        self.settings = copy.deepcopy(SETTINGS)
        self.write_system(methanol_system(self.topology))
        self.write_structure(self.topology, self.positions)

    def write_system(self, system):
        (self.folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))

    def write_structure(self, topology, positions):
        write_pdb(self.folder / "complex.pdb", topology, positions)

    def write_settings(self):
        path = self.folder / "md.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path

    def set(self, key, value):
        *path, last = key.split(".")
        section = self.settings
        for name in path:
            section = section[name]
        section[last] = value
