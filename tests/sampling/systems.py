"""Small systems for the tests of biased sampling: model potentials and alanine dipeptide."""

from __future__ import annotations

import numpy as np
import openmm
from openmm import app, unit
from rdkit import Chem

from nnpmm.structures import molecule_from_smiles

# Names of ACE-ALA-NME in the order of the SMILES's heavy atoms.
_PEPTIDE = "CC(=O)N[C@@H](C)C(=O)NC"
_NAMES = (
    *(("ACE", "CH3"), ("ACE", "C"), ("ACE", "O"), ("ALA", "N"), ("ALA", "CA")),
    *(("ALA", "CB"), ("ALA", "C"), ("ALA", "O"), ("NME", "N"), ("NME", "C")),
)
PHI = ("name C and resname ACE", "name N and resname ALA", "name CA", "name C and resname ALA")
PSI = ("name N and resname ALA", "name CA", "name C and resname ALA", "name N and resname NME")


def alanine_dipeptide() -> tuple[app.Topology, np.ndarray, openmm.System]:
    """Return ACE-ALA-NME in vacuum with Amber's ff14SB: topology, positions (22, 3) nm, System."""
    molecule = molecule_from_smiles(_PEPTIDE, seed=1)
    heavy = [a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() > 1]
    coordinates = molecule.GetConformer().GetPositions() / 10
    topology, positions = app.Topology(), []
    chain, residues, atoms = topology.addChain(), {}, {}
    for number, index in enumerate(heavy):
        residue, name = _NAMES[number]
        if residue not in residues:
            residues[residue] = topology.addResidue(residue, chain)
        element = app.Element.getByAtomicNumber(molecule.GetAtomWithIdx(index).GetAtomicNum())
        atoms[index] = topology.addAtom(name, element, residues[residue])
        positions.append(coordinates[index])
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if all(end in atoms for end in ends):
            topology.addBond(*(atoms[end] for end in ends))
    modeller = app.Modeller(topology, np.array(positions) * unit.nanometer)
    force_field = app.ForceField("amber14/protein.ff14SB.xml")
    modeller.addHydrogens(force_field)
    system = force_field.createSystem(modeller.topology, constraints=app.HBonds)
    where = np.array(modeller.positions.value_in_unit(unit.nanometer))
    return modeller.topology, where, system


def cyclohexane() -> tuple[app.Topology, np.ndarray]:
    """Return the carbons of cyclohexane: topology, and positions (6, 3) nm of a conformer."""
    molecule = Chem.RemoveHs(molecule_from_smiles("C1CCCCC1", seed=1))
    return ring(6), molecule.GetConformer().GetPositions() / 10


def ring(size: int) -> app.Topology:
    """Return the topology of a ring of carbons."""
    topology = app.Topology()
    residue = topology.addResidue("RNG", topology.addChain())
    carbon = app.Element.getBySymbol("C")
    atoms = [topology.addAtom(f"C{n}", carbon, residue) for n in range(size)]
    for first, second in zip(atoms, [*atoms[1:], atoms[0]], strict=True):
        topology.addBond(first, second)
    return topology


def particle(energy: str, n: int = 1) -> tuple[app.Topology, openmm.System]:
    """Return particles of 1 amu in an external potential of x, y and z (nm, kJ/mol)."""
    topology, system = app.Topology(), openmm.System()
    residue = topology.addResidue("PAR", topology.addChain())
    force = openmm.CustomExternalForce(energy)
    for index in range(n):
        topology.addAtom(f"P{index}", app.Element.getBySymbol("H"), residue)
        system.addParticle(1.0)
        force.addParticle(index, [])
    system.addForce(force)
    return topology, system
