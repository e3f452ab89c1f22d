"""Virtual sites on atoms of the region, such as the lone pairs of CGenFF's halogens."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import RegionError
from nnpmm.coupling import LAMBDA_NNP, Interpolated, Mechanical
from nnpmm.structures import molecule_from_smiles, to_openmm_topology

SITE_CHARGE = 0.1
SPACING = 0.45  # nm between the two molecules


def molecules(count, method=app.NoCutoff):
    """Return topology, system and positions of methanols with a virtual site at the oxygen.

    There are no exclusions between site and atoms, so that every pair contributes.
    """
    part, one = to_openmm_topology(molecule_from_smiles("CO", seed=1))
    names = [atom.element.symbol for atom in part.atoms()]
    topology, positions, system = app.Topology(), [], openmm.System()
    force = openmm.NonbondedForce()
    chain = topology.addChain()
    for number in range(count):
        first = 7 * number
        residue = topology.addResidue("MOL", chain)
        atoms = [topology.addAtom(a.name, a.element, residue) for a in part.atoms()]
        for bond in part.bonds():
            topology.addBond(atoms[bond[0].index], atoms[bond[1].index])
        topology.addAtom("LP1", None, residue)
        shifted = one + np.array([SPACING, 0.1, 0.05]) * number
        carbon, oxygen = names.index("C"), names.index("O")
        site = shifted[oxygen] + 0.5 * (shifted[oxygen] - shifted[carbon])
        positions += [shifted, site[None]]
        for symbol in names:
            system.addParticle(app.Element.getBySymbol(symbol).mass)
            charge = {"C": 0.1, "O": -0.6 - SITE_CHARGE, "H": 0.125}[symbol]
            force.addParticle(charge, 0.2, 0.2)
        system.addParticle(0.0)
        force.addParticle(SITE_CHARGE, 0.1, 0.0)
        parents = (first + carbon, first + oxygen)
        system.setVirtualSite(first + 6, openmm.TwoParticleAverageSite(*parents, -0.5, 1.5))
    force.setNonbondedMethod(
        openmm.NonbondedForce.PME if method is app.PME else openmm.NonbondedForce.NoCutoff
    )
    system.addForce(force)
    return topology, system, np.concatenate(positions)


def context_of(system, positions):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    context.computeVirtualSites()
    return context


def energy(system, positions, **parameters):
    context = context_of(system, positions)
    for name, value in parameters.items():
        context.setParameter(name, value)
    return context.getState(energy=True).getPotentialEnergy()._value


@pytest.fixture(scope="module")
def model():
    return load_model("ANI-1x", members=0, precision="double")


def test_site_interacts_with_the_environment_only(model):
    topology, system, positions = molecules(2)
    _, alone, _ = molecules(1)
    region = np.arange(6)
    hybrid = create_hybrid_system(system, topology, region, model)
    numbers = [a.element.atomic_number for a in list(topology.atoms())[:6]]
    network = model.bind(numbers)(positions[:6])[0]
    expected = network + energy(system, positions) - energy(alone, positions[:7])
    assert abs(energy(alone, positions[:7])) > 10  # otherwise the test could not fail
    np.testing.assert_allclose(energy(hybrid, positions), expected, rtol=0, atol=1e-6)
    other = np.arange(7, 13)
    np.testing.assert_allclose(
        energy(create_hybrid_system(hybrid, topology, other, model), positions),
        energy(
            create_hybrid_system(
                create_hybrid_system(system, topology, other, model), topology, region, model
            ),
            positions,
        ),
        rtol=0,
        atol=1e-6,
    )


def test_forces_are_the_gradient(model):
    topology, system, positions = molecules(2)
    hybrid = create_hybrid_system(system, topology, np.arange(6), model)
    context = context_of(hybrid, positions)
    forces = context.getState(forces=True).getForces(asNumpy=True)
    forces = np.array(forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer))
    step = 3e-6
    for atom in (0, 1, 7, 8):  # the parents of both sites
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[atom, axis] += sign * step
                ends.append(energy(hybrid, moved))
            slope = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(-slope, forces[atom, axis], rtol=0, atol=0.02)


def test_lambda_zero_is_the_force_field(model):
    topology, system, positions = molecules(2)
    hybrid = create_hybrid_system(
        system, topology, np.arange(6), model, coupling=Mechanical(inside=Interpolated())
    )
    np.testing.assert_allclose(
        energy(hybrid, positions, **{LAMBDA_NNP: 0.0}), energy(system, positions), rtol=0, atol=1e-6
    )


def test_region_charge_includes_the_site(model):
    """Without the site's charge the region would carry -0.1 e."""
    topology, system, _ = molecules(2)
    (force,) = system.getForces()
    force.setParticleParameters(6, 0.0, 0.1, 0.0)
    with pytest.raises(RegionError, match=r"charges add up to -0\.100 e"):
        create_hybrid_system(system, topology, np.arange(6), model)
