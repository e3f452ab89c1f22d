"""Atom indices as callers give them: lists, sets, arrays and masks, in every function."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from complexes import N_METHANOL, methanol_system, side_by_side
from openmm import unit

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import RegionError
from nnpmm.coupling import (
    Mechanical,
    MultipleTimeSteps,
    apply_constraint_lengths,
    bind_region,
    topology_bonds,
)
from nnpmm.freeenergy import region_differences
from nnpmm.integrators import RespaWatchdog, fit_inner_potential, scale_masses
from nnpmm.plugin.potential import NetworkPotential

REGION = list(range(N_METHANOL))


@pytest.mark.parametrize(
    "atoms",
    [
        [4, 2, 2],
        (2, 4),
        {2, 4},
        np.array([4, 2], dtype=np.int32),
        np.array([2, 4], dtype=np.uint8),
        iter([4, 2]),
        range(2, 5, 2),
        np.array([False, False, True, False, True]),
        [False, False, True, False, True],
    ],
)
def test_every_form_of_the_same_atoms(atoms):
    found = atom_indices(atoms, 5)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [2, 4])


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        ([], "must lie in 0..4 and be at least one"),
        ([5], "must lie in 0..4"),
        ([-1, 2], "must lie in 0..4"),
        (np.zeros(5, dtype=bool), "must lie in 0..4"),
        (np.ones(4, dtype=bool), r"a mask of 4 values .* 5 atoms.*flatnonzero"),
        ([True, False], "a mask of 2 values"),
        ([1.0, 2.5], "float64"),
        (["1", "2"], "whole numbers"),
        ("resname MOL", "select_atoms"),
        (3, "expected 0-based atom indices"),
        (None, "expected 0-based atom indices"),
        ([[1, 2], [3, 4]], "2 dimensions"),
        ([[1, 2], [3]], "2 dimensions"),
        (np.ones((5, 1), dtype=bool), "2 dimensions"),
    ],
)
def test_what_is_no_set_of_atoms(atoms, words):
    with pytest.raises(RegionError, match=words) as caught:
        atom_indices(atoms, 5)
    assert "\n" not in str(caught.value)


def test_no_atoms_where_that_is_allowed():
    assert atom_indices([], 5, may_be_empty=True).size == 0


@pytest.fixture(scope="module")
def box():
    """System, topology, positions (nm) and network of methanol between waters; O-H constrained."""
    topology, positions = side_by_side([("MOL", "CO"), ("HOH", "O"), ("HOH", "O")], 0.6)
    system = methanol_system(topology)
    oxygen, hydrogen = next(
        (b.atom1.index, b.atom2.index)
        for b in topology.bonds()
        if {b.atom1.element.symbol, b.atom2.element.symbol} == {"O", "H"}
    )
    system.addConstraint(oxygen, hydrogen, 0.1)
    positions = np.array(positions.value_in_unit(unit.nanometer))
    return system, topology, positions, load_model("ANI-1x", members=0)


def _hybrid(region, system, topology, positions, model):
    return _network_atoms(create_hybrid_system(system, topology, region, model))


def _network_atoms(system):
    (force,) = [force for force in system.getForces() if force.getName() == "NNP"]
    return list(force.getParticles())


def _bound(region, system, topology, positions, model):
    return list(bind_region(system, topology, region, model).region.atoms)


def _differences(region, system, topology, positions, model):
    return region_differences(system, topology, region, model, positions=[positions])


def _inner(region, system, topology, positions, model):
    return [str(fit_inner_potential(model, topology, region, positions))]


def _lengths(region, system, topology, positions, model):
    system = copy.deepcopy(system)
    apply_constraint_lengths(system, topology, region, model, positions)
    return [system.getConstraintParameters(0)[2]._value]


def _masses(region, system, topology, positions, model):
    system = copy.deepcopy(system)
    scale_masses(system, region, 3)
    return [system.getParticleMass(i)._value for i in range(system.getNumParticles())]


def _watched(region, system, topology, positions, model):
    coupling = Mechanical(inside=MultipleTimeSteps())
    hybrid = create_hybrid_system(system, topology, REGION, model, coupling=coupling)
    return list(RespaWatchdog(hybrid, topology, region, timestep=0.002, temperature=300).region)


def _plugged_in(region, system, topology, positions, model):
    system = copy.deepcopy(system)
    NetworkPotential("nnpmm-ani1x", {"members": 0}).addForces(topology, system, region, 0)
    return _network_atoms(system)


def test_masks_for_bonds(box):
    topology = box[1]
    mask = np.arange(topology.getNumAtoms()) < N_METHANOL
    np.testing.assert_array_equal(topology_bonds(topology, mask), topology_bonds(topology, REGION))


@pytest.mark.parametrize(
    "call",
    [_hybrid, _bound, _differences, _inner, _lengths, _masses, _watched, _plugged_in],
)
def test_masks_and_sets_in_every_function(box, call):
    expected = call(REGION, *box)
    n_atoms = box[1].getNumAtoms()
    mask = np.arange(n_atoms) < N_METHANOL
    for region in (mask, mask.tolist(), set(REGION), np.array(REGION[::-1])):
        np.testing.assert_array_equal(call(region, *box), expected)
    with pytest.raises(RegionError, match=re.escape("a mask of 6 values")):
        call(mask[:6], *box)
