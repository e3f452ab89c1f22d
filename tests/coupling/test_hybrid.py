"""The record of a hybrid system, and the roles of its forces."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import solvated_ligand
from toy import TOY

import nnpmm
from nnpmm.coupling import (
    Interpolated,
    Mechanical,
    MultipleTimeSteps,
    Role,
    forces_by_role,
    groups_by_role,
    role_of,
)


@pytest.fixture(scope="module")
def case():
    return solvated_ligand("CO")


@pytest.fixture(scope="module")
def hybrid(case):
    return nnpmm.couple(case.system, case.topology, case.region, TOY)


def test_hybrid_system_records_its_inputs(case, hybrid):
    assert isinstance(hybrid, nnpmm.HybridSystem)
    assert hybrid.mm_system is case.system
    assert hybrid.topology is case.topology
    np.testing.assert_array_equal(hybrid.region.atoms, case.region)
    np.testing.assert_array_equal(hybrid.region.network_atoms, case.region)
    assert [e.atomic_number for e in hybrid.region.elements] == case.numbers.tolist()
    assert (len(hybrid.region.bonds), hybrid.region.cut_bonds) == (5, ())
    assert hybrid.region.charge == 0
    assert hybrid.provenance["model"] == TOY.provenance
    assert "Mechanical" in hybrid.provenance["coupling"]


def test_evaluator_matches_the_network_force(case, hybrid):
    energy, forces = hybrid.evaluator(case.whole_region)
    found = case.state(hybrid.system, groups=hybrid.groups[Role.NETWORK])
    assert found[0] == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(found[1][case.region], forces, rtol=0, atol=1e-5)


def test_create_hybrid_system_matches_couple(case, hybrid):
    system = nnpmm.create_hybrid_system(case.system, case.topology, case.region, TOY)
    assert case.state(system)[0] == pytest.approx(case.state(hybrid.system)[0], abs=1e-9)


def test_groups_follow_changes_of_force_groups(case):
    hybrid = nnpmm.couple(case.system, case.topology, case.region, TOY)
    (force,) = hybrid.forces[Role.NETWORK]
    force.setForceGroup(17)
    assert hybrid.groups[Role.NETWORK] == {17}


@pytest.mark.parametrize(
    ("inside", "roles"),
    [
        (Interpolated(), {Role.REGION_FORCE_FIELD}),
        (MultipleTimeSteps(TOY), {Role.INNER_NETWORK}),
    ],
)
def test_roles_survive_copies_and_xml(case, inside, roles):
    coupling = Mechanical(constraints="keep", inside=inside)
    hybrid = nnpmm.couple(case.system, case.topology, case.region, TOY, coupling=coupling)
    expected = roles | {Role.NETWORK, Role.CONNECTIVITY}
    text = openmm.XmlSerializer.serialize(hybrid.system)
    for system in (
        hybrid.system,
        copy.deepcopy(hybrid.system),
        openmm.XmlSerializer.deserialize(text),
    ):
        assert set(forces_by_role(system)) == expected
        assert groups_by_role(system) == hybrid.groups


def test_force_of_another_class_has_no_role():
    force = openmm.HarmonicAngleForce()
    force.setName(Role.NETWORK.value)
    assert role_of(force) is None


def test_couple_accepts_any_coupling(case):
    """`couple` only needs the protocol."""

    class MMOnly:
        def couple(self, system, topology, region, potential):
            return Mechanical().couple(copy.deepcopy(system), topology, region, potential)

    hybrid = nnpmm.couple(case.system, case.topology, case.region, TOY, coupling=MMOnly())
    assert case.state(hybrid.system)[0] == pytest.approx(case.state(case.system)[0], abs=1e-9)
    assert Role.NETWORK not in hybrid.forces
