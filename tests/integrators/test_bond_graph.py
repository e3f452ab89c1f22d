"""Bonds by distance: hysteresis, formed and broken bonds, periodic boundaries."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from complexes import methanol_system, side_by_side
from openmm import unit
from rdkit import Chem

from nnpmm.integrators.bond_graph import BondGraph

CARBON, OXYGEN, HYDROXYL = 0, 1, 5  # rows of methanol
OH_NM = 0.1 * sum(Chem.GetPeriodicTable().GetRcovalent(number) for number in (8, 1))


@pytest.fixture
def methanol():
    """Bonds of methanol and its positions (6, 3) nm."""
    topology, positions = side_by_side([("MOL", "CO")])
    pairs = {tuple(sorted((b.atom1.index, b.atom2.index))) for b in topology.bonds()}
    assert (OXYGEN, HYDROXYL) in pairs
    graph = BondGraph(methanol_system(topology), topology, np.arange(6), broken=1.5, formed=1.2)
    return graph, np.array(positions.value_in_unit(unit.nanometer))


def stretched(positions, ratio):
    """Methanol with the O-H bond at a multiple of the covalent radii, away from carbon."""
    moved = positions.copy()
    away = positions[OXYGEN] - positions[CARBON]
    moved[HYDROXYL] = positions[OXYGEN] + ratio * OH_NM * away / np.linalg.norm(away)
    return moved


def test_bonds_of_the_topology_are_recovered(methanol):
    graph, positions = methanol
    assert graph.update(positions, None) == []
    assert graph.bonded.sum() == 5


def test_bonds_change_with_hysteresis(methanol):
    """A ratio of 1.35 is between the two limits and does not change the bond."""
    graph, positions = methanol
    for ratio, broken in ((1.35, 0), (1.55, 1), (1.35, 1), (1.15, 0), (1.35, 0)):
        assert len(graph.update(stretched(positions, ratio), None)) == broken, ratio


def test_transferred_proton_changes_two_bonds(methanol):
    graph, positions = methanol
    away = positions[CARBON] - positions[OXYGEN]
    moved = positions.copy()
    moved[HYDROXYL] = positions[CARBON] + 0.11 * away / np.linalg.norm(away)
    lost, new = sorted(graph.update(moved, None), key=lambda change: change.formed)
    assert (lost.atoms, lost.formed) == ((OXYGEN, HYDROXYL), False)
    assert (new.atoms, new.formed) == ((CARBON, HYDROXYL), True)
    assert new.distance == pytest.approx(0.11)
    assert lost.distance == pytest.approx(0.11 + np.linalg.norm(away))
    assert lost.ratio == pytest.approx(lost.distance / OH_NM)


def test_region_split_by_the_boundary_has_its_bonds(methanol):
    graph, positions = methanol
    box = 3 * np.eye(3)
    split = (positions - positions.mean(axis=0)) % 3.0
    assert np.ptp(split, axis=0).max() > 2
    assert graph.update(split, box) == []


def test_bonds_of_the_force_field_are_used_without_topology_bonds():
    """A topology without bonds, as of a PDB file without CONECT records."""
    topology, positions = side_by_side([("MOL", "CO")])
    system = methanol_system(topology)
    no_bonds = openmm.app.Topology()
    residue = no_bonds.addResidue("MOL", no_bonds.addChain())
    for atom in topology.atoms():
        no_bonds.addAtom(atom.name, atom.element, residue)
    graph = BondGraph(system, no_bonds, np.arange(6), broken=1.5, formed=1.2)
    assert graph.bonded.sum() == 5
    assert graph.update(np.array(positions.value_in_unit(unit.nanometer)), None) == []
