"""Bonds by distance: hysteresis, new and lost ones, a region that the boundary has split."""

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


def test_the_topology_is_found_again(methanol):
    graph, positions = methanol
    assert graph.update(positions, None) == []
    assert graph.bonded.sum() == 5


def test_hysteresis(methanol):
    """1.35 lies between the two limits: the bond stays what it was."""
    graph, positions = methanol
    for ratio, broken in ((1.35, 0), (1.55, 1), (1.35, 1), (1.15, 0), (1.35, 0)):
        assert len(graph.update(stretched(positions, ratio), None)) == broken, ratio


def test_a_proton_that_moved(methanol):
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


def test_a_split_region_is_whole(methanol):
    graph, positions = methanol
    box = 3 * np.eye(3)
    split = (positions - positions.mean(axis=0)) % 3.0
    assert np.ptp(split, axis=0).max() > 2
    assert graph.update(split, box) == []


def test_bonds_that_only_the_force_field_lists():
    """A topology without bonds, as of a PDB file without CONECT records."""
    topology, positions = side_by_side([("MOL", "CO")])
    system = methanol_system(topology)
    bare = openmm.app.Topology()
    residue = bare.addResidue("MOL", bare.addChain())
    for atom in topology.atoms():
        bare.addAtom(atom.name, atom.element, residue)
    graph = BondGraph(system, bare, np.arange(6), broken=1.5, formed=1.2)
    assert graph.bonded.sum() == 5
    assert graph.update(np.array(positions.value_in_unit(unit.nanometer)), None) == []
