"""Small AMOEBA systems from OpenMM's amoeba2018.xml."""

from __future__ import annotations

from functools import cache

import numpy as np
import openmm.app as app
from cases import Case, waters_topology
from force_fields import ForceFieldCase, with_water
from openmm import unit

from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms

BOX = (2.2, 2.25, 2.3)  # nm
# Residues of the templates with their numbers of heavy atoms, in the order of the SMILES.
SOLUTES = {
    # Torsion-torsion, pi-torsion, in-plane and out-of-plane terms, several polarization groups.
    "glycine dipeptide": ("CC(=O)NCC(=O)NC", {"ACE": 3, "GLY": 4, "NME": 2}),
    # A cation.
    "alaninium amide": ("[NH3+][C@@H](C)C(=O)NC", {"ALA": 5, "NME": 2}),
}


def solute(name: str) -> app.Modeller:
    """One of the molecules in `SOLUTES`, off its minimum."""
    smiles, residues = SOLUTES[name]
    molecule = molecule_from_smiles(smiles, seed=1)
    heavy = [atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1]
    topology, order = app.Topology(), []
    chain = topology.addChain()
    made = {}
    for label, count in residues.items():
        residue = topology.addResidue(label, chain)
        for parent in [heavy.pop(0) for _ in range(count)]:
            hydrogens = [a for a in parent.GetNeighbors() if a.GetAtomicNum() == 1]
            for atom in (parent, *hydrogens):
                element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
                index = atom.GetIdx()
                made[index] = topology.addAtom(f"{element.symbol}{index}", element, residue)
                order.append(index)
    for bond in molecule.GetBonds():
        topology.addBond(made[bond.GetBeginAtomIdx()], made[bond.GetEndAtomIdx()])
    positions = molecule.GetConformer().GetPositions()[order] / 10
    positions += np.random.default_rng(1).normal(0, 0.002, positions.shape)
    return app.Modeller(topology, positions * unit.nanometer)


@cache
def amoeba_case(
    name: str, method=app.PME, *, waters: int = 6, polarization: str = "mutual"
) -> ForceFieldCase:
    """A solute, or a water, in a few waters, and the same molecule alone."""
    force_field = app.ForceField("amoeba2018.xml")
    options = {
        "polarization": polarization,
        "mutualInducedTargetEpsilon": 1e-7,
        "rigidWater": False,
        "constraints": None,
    }
    modeller = solute(name) if name in SOLUTES else water()
    alone = force_field.createSystem(
        modeller.topology, nonbondedMethod=app.NoCutoff, removeCMMotion=False, **options
    )
    n_region = modeller.topology.getNumAtoms()
    with_water(modeller, waters)
    box = None
    if method is app.PME:
        modeller.topology.setUnitCellDimensions(BOX * unit.nanometer)
        box = np.diag(BOX)
        options |= {"nonbondedCutoff": 0.7, "vdwCutoff": 0.8}
    system = force_field.createSystem(modeller.topology, nonbondedMethod=method, **options)
    for made in (alone, system):
        shorten_amoeba_terms(made)  # otherwise, creating a context takes seconds
    positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
    return ForceFieldCase(
        *(modeller.topology, system, positions, box, np.arange(n_region)), alone=alone
    )


def water() -> app.Modeller:
    """One water molecule, for fast tests."""
    shape = np.array([[0.0, 0.0, 0.0], [0.097, 0.0, 0.0], [-0.03, 0.09, 0.01]])
    return app.Modeller(waters_topology(1), shape * unit.nanometer)


def far_water(case: Case) -> int:
    """The oxygen that is furthest from the region."""
    oxygens = [a.index for a in case.topology.atoms() if a.residue.name == "HOH" and a.name == "O"]
    gaps = np.linalg.norm(
        case.positions[oxygens][:, None] - case.positions[case.region][None], axis=2
    )
    return oxygens[int(gaps.min(axis=1).argmax())]
