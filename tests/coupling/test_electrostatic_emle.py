"""Electrostatic embedding with EMLE's charges, on a made-up model of the published form."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
from cases import Case, energy_and_forces, solvated_ligand
from contracts import assert_conserves_energy, assert_forces_match_energy
from openmm import XmlSerializer
from toy import TOY

from nnpmm.core.errors import RegionError
from nnpmm.coupling import Electrostatic, Role, couple
from nnpmm.coupling.electrostatic import embedding_energy
from nnpmm.coupling.electrostatic.reference import reference_energy
from nnpmm.coupling.settings import CouplingConfig, create_coupling
from nnpmm.models.emle import load_emle

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from emle_toy import write_toy

CUTOFF = 0.7


@pytest.fixture(scope="module")
def charges(tmp_path_factory):
    return load_emle(write_toy(tmp_path_factory.mktemp("emle") / "toy.mat"))


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CO")


@pytest.fixture(scope="module")
def hybrid(case, charges):
    coupling = Electrostatic(charges, cutoff=CUTOFF)
    return couple(case.system, case.topology, case.region, TOY, coupling=coupling)


def network_alone(case, hybrid):
    """A function from positions to energy and forces of the network's group."""
    context = case.context(hybrid.system)
    group = hybrid.groups[Role.NETWORK]

    def compute(positions):
        context.setPositions(positions)
        return energy_and_forces(context, group)

    return compute


def test_equal_to_the_double_sum(case, hybrid, charges):
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


def test_dynamics_conserve_energy(case, hybrid):
    masses = np.zeros(len(case.positions))
    masses[case.region] = [hybrid.system.getParticleMass(int(i))._value for i in case.region]
    start = case.positions.copy()
    start[case.region] += np.random.default_rng(2).normal(0, 0.003, (len(case.region), 3))
    assert_conserves_energy(network_alone(case, hybrid), start, masses, precision=1e-4)


def test_system_round_trips_through_xml(case, hybrid):
    text = XmlSerializer.serialize(hybrid.system)
    assert len(text) < 5_000_000  # the references are not in it
    again = XmlSerializer.deserialize(text)
    np.testing.assert_allclose(case.state(again)[0], case.state(hybrid.system)[0], atol=1e-6)


def test_settings_name_the_file(tmp_path, case):
    path = write_toy(tmp_path / "toy.mat")
    config = CouplingConfig.model_validate(
        {"type": "electrostatic", "charges": "emle", "emle_model": path, "cutoff": CUTOFF}
    )
    from nnpmm.coupling import Replaced

    coupling = create_coupling(config, constraints="none", inside=Replaced())
    assert "toy.mat" in repr(coupling)
    assert couple(case.system, case.topology, case.region, TOY, coupling=coupling).system


def test_an_element_that_emle_does_not_know(charges):
    case = solvated_ligand("CCl")
    coupling = Electrostatic(charges, cutoff=CUTOFF)
    with pytest.raises(RegionError, match="Cl"):
        couple(case.system, case.topology, case.region, TOY, coupling=coupling)
