"""Electrostatic embedding with EMLE's charges, from an artificial model in the published form."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import Case, bond_and_ion, compute_in, ion_leaves, solvated_ligand
from contracts import assert_conserves_energy, assert_forces_match_energy, assert_smooth
from emle_toy import write_toy
from openmm import XmlSerializer
from toy import TOY

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import RegionError
from nnpmm.coupling import Electrostatic, Replaced, Role, couple
from nnpmm.coupling.electrostatic import embedding_energy
from nnpmm.coupling.electrostatic.reference import reference_energy
from nnpmm.coupling.settings import CouplingConfig, create_coupling
from nnpmm.models.emle import load_emle

CUTOFF = 0.7


@pytest.fixture(scope="module")
def charges(tmp_path_factory):
    return load_emle(write_toy(tmp_path_factory.mktemp("emle") / "toy.mat"))


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CO")


@pytest.fixture(scope="module", params=[False, True], ids=["charges", "with induction"])
def hybrid(request, case, charges):
    coupling = Electrostatic(charges, induction=request.param, cutoff=CUTOFF)
    return couple(case.system, case.topology, case.region, TOY, coupling=coupling)


def network_alone(case, hybrid):
    """A function from positions to energy and forces of the network's group."""
    context = case.context(hybrid.system)
    group = hybrid.groups[Role.NETWORK]
    return compute_in(context, group)


def test_embedding_energy_matches_the_double_sum(case, charges):
    coupling = Electrostatic(charges, cutoff=CUTOFF)
    hybrid = couple(case.system, case.topology, case.region, TOY, coupling=coupling)
    (force,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    fixed = np.array(
        [force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles())]
    )
    others = np.setdiff1d(np.arange(len(fixed)), case.region)
    found = charges.bind(case.numbers)(case.whole_region)
    expected = reference_energy(
        *(case.whole_region, found.total - fixed[case.region]),
        *(case.positions[others], fixed[others]),
        cutoff=CUTOFF,
        box=case.box,
        valence=found.valence,
        widths=found.widths,
    )
    assert abs(expected) > 1
    np.testing.assert_allclose(
        embedding_energy(case.context(hybrid.system)), expected, rtol=0, atol=1e-5
    )


def test_forces_are_the_gradient(case, hybrid):
    first_water = int(case.region[-1]) + 1
    atoms = np.array([*case.region[:4], first_water])
    compute = network_alone(case, hybrid)
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=1e-3)


@pytest.mark.parametrize("induction", [False, True])
def test_energy_is_smooth_where_a_charge_crosses_the_cutoff(charges, induction):
    """This includes the field that induces dipoles, and its gradient."""
    case = bond_and_ion()
    coupling = Electrostatic(charges, induction=induction, cutoff=CUTOFF)
    hybrid = couple(case.system, case.topology, case.region, TOY, coupling=coupling)
    compute, path = network_alone(case, hybrid), ion_leaves(case, CUTOFF)
    assert compute(path[0])[0] != compute(path[-1])[0]
    assert_smooth(compute, path, energy_atol=5e-4, force_atol=2e-2)


def test_dynamics_conserve_energy(case, hybrid):
    masses = np.zeros(len(case.positions))
    masses[case.region] = [hybrid.system.getParticleMass(int(i))._value for i in case.region]
    start = case.positions.copy()
    start[case.region] += np.random.default_rng(2).normal(0, 0.003, (len(case.region), 3))
    assert_conserves_energy(network_alone(case, hybrid), start, masses, precision=1e-4)


def test_system_round_trips_through_xml(case, hybrid):
    text = XmlSerializer.serialize(hybrid.system)
    assert len(text) < 5_000_000  # without the reference data
    again = XmlSerializer.deserialize(text)
    np.testing.assert_allclose(
        case.state(again)[0], case.state(hybrid.system)[0], rtol=0, atol=1e-6
    )


def test_induction_energy_matches_the_fields_of_the_charges(charges):
    """The reference is calculated from fields summed without cutoff."""
    case = solvated_ligand("CO", openmm.NonbondedForce.NoCutoff)
    energies = []
    for induction in (False, True):
        coupling = Electrostatic(charges, induction=induction)
        hybrid = couple(case.system, case.topology, case.region, TOY, coupling=coupling)
        energies.append(embedding_energy(case.context(hybrid.system)))
    (force,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    others = np.setdiff1d(np.arange(len(case.positions)), case.region)
    fixed = np.array([force.getParticleParameters(int(i))[0]._value for i in others])
    found = charges.bind(case.numbers)(case.whole_region)
    vectors = case.whole_region[:, None] - case.positions[others]
    r = np.linalg.norm(vectors, axis=2)[..., None]
    fields = COULOMB_CONSTANT * fixed[:, None] * vectors / r**3
    x = r / (2 * found.widths[:, None, None])
    damped = fields * (1 - (1 + x + x**2 / 2) * np.exp(-x))
    expected = found.induce(fields.sum(axis=1), damped.sum(axis=1)).energy
    assert expected < -1
    np.testing.assert_allclose(energies[1] - energies[0], expected, rtol=0, atol=1e-5)


def test_settings_load_the_emle_file(tmp_path, case):
    path = write_toy(tmp_path / "toy.mat")
    config = CouplingConfig.model_validate(
        {
            **{"type": "electrostatic", "charges": "emle", "emle_model": path},
            **{"cutoff": CUTOFF, "induction": True},
        }
    )
    coupling = create_coupling(config, constraints="none", inside=Replaced())
    assert "toy.mat" in repr(coupling) and "induction=True" in repr(coupling)
    assert couple(case.system, case.topology, case.region, TOY, coupling=coupling).system


def test_element_unknown_to_emle_is_refused(charges):
    case = solvated_ligand("CCl")
    coupling = Electrostatic(charges, cutoff=CUTOFF)
    with pytest.raises(RegionError, match="Cl"):
        couple(case.system, case.topology, case.region, TOY, coupling=coupling)
