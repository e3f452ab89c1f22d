"""The hybrid energy matches its definition, on small systems, with ANI-1x."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import openmm
import pytest
from cases import Case, compute_in, solvated_ligand
from contracts import assert_conserves_energy, assert_forces_match_energy, assert_jumps_like
from mm_reference import internal_energy
from openmm import XmlSerializer

from nnpmm import create_hybrid_system, load_model
from nnpmm.coupling import LinkAtoms, Mechanical, Role, role_of

METHODS = {
    name: getattr(openmm.NonbondedForce, name)
    for name in ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", "Ewald", "PME")
}


@pytest.fixture(scope="module")
def model():
    return load_model("ANI-1x", precision="double")


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CC(=O)N")


@pytest.fixture(scope="module")
def ethylamine() -> Case:
    """Ethylamine with the ethyl group as the region, so that a C-N bond is cut."""
    whole = solvated_ligand("CCN")
    ethyl = [0, 1, 3, 4, 5, 6, 7]
    assert "".join(a.element.symbol for a in list(whole.topology.atoms())[:10]) == "CCNHHHHHHH"
    return replace(whole, region=np.array(ethyl))


@pytest.fixture(scope="module", params=["whole molecule", "cut at C-N"])
def coupled(request, model):
    """A case and its coupling: a whole molecule as the region, or a region with a link atom."""
    if request.param == "whole molecule":
        return request.getfixturevalue("case"), Mechanical()
    boundary = LinkAtoms("C-N", charges="shift")
    return request.getfixturevalue("ethylamine"), Mechanical(boundary=boundary)


def nnp_group(system: openmm.System) -> int:
    """Force group of the network's force."""
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    return force.getForceGroup()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_energy_is_mm_minus_internal_plus_network(model, method):
    case = solvated_ligand("CCO", method)
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    network = model.bind(case.numbers)(case.whole_region)[0]
    internal = internal_energy(case.system, case.region, case.positions)
    expected = case.state(case.system)[0] - internal + network
    np.testing.assert_allclose(case.state(hybrid)[0], expected, rtol=0, atol=0.01)


def test_network_has_its_own_group(model, case):
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    group = nnp_group(hybrid)
    others = [f.getForceGroup() for f in hybrid.getForces() if role_of(f) is not Role.NETWORK]
    assert group not in others
    energy, forces = case.state(hybrid, groups={group})
    expected = model.bind(case.numbers)(case.whole_region)
    np.testing.assert_allclose(energy, expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces[case.region], expected[1], rtol=0, atol=1e-6)
    outside = np.delete(forces, case.region, axis=0)
    np.testing.assert_array_equal(outside, 0)


def without_jumps(system: openmm.System) -> openmm.System:
    """A copy whose pair energies vanish at the cutoff."""
    smooth = copy.deepcopy(system)
    (nonbonded,) = [f for f in smooth.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setEwaldErrorTolerance(1e-6)
    nonbonded.setUseSwitchingFunction(True)
    nonbonded.setSwitchingDistance(0.6)
    return smooth


def test_forces_are_the_gradient(model, coupled):
    case, coupling = coupled
    system = without_jumps(case.system)
    hybrid = create_hybrid_system(system, case.topology, case.region, model, coupling=coupling)
    nearest_water = int(case.region[-1]) + 1
    atoms = np.array([*case.region[:3], nearest_water, nearest_water + 1])
    compute = compute_in(case.context(hybrid))
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=5e-5, atol=0.1)


@pytest.mark.slow
def test_region_dynamics_conserve_energy(model, coupled):
    """The environment is fixed, so that its constraints do not matter."""
    case, coupling = coupled
    system = without_jumps(case.system)
    hybrid = create_hybrid_system(system, case.topology, case.region, model, coupling=coupling)
    masses = np.zeros(len(case.positions))
    masses[case.region] = [hybrid.getParticleMass(int(i))._value for i in case.region]
    start = case.positions.copy()  # one of the cases starts at its minimum
    start[case.region] += np.random.default_rng(2).normal(0, 0.003, (len(case.region), 3))
    assert_conserves_energy(compute_in(case.context(hybrid)), start, masses, precision=1e-3)


@pytest.mark.parametrize("method", ["CutoffPeriodic", "PME"])
@pytest.mark.parametrize("moving", ["region", "environment"])
def test_jumps_at_the_cutoff_equal_those_of_the_mm_system(model, method, moving):
    """A truncated pair energy jumps; the coupling does not change the jump."""
    case = solvated_ligand("CO", METHODS[method])
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    cutoff, carbon = nonbonded.getCutoffDistance()._value, int(case.region[0])
    waters = [a.index for a in case.topology.atoms() if a.residue.name == "HOH" and a.name == "O"]
    shift = case.positions[waters] - case.positions[carbon]
    shift -= np.round(shift @ np.linalg.inv(case.box)) @ case.box
    nearest = np.argmin(np.abs(np.linalg.norm(shift, axis=1) - cutoff))
    bond, oxygen = shift[nearest], waters[nearest]
    distance = np.linalg.norm(bond)
    change = cutoff - distance + 1e-6 * (np.arange(16) - 7.5)
    path = np.repeat(case.positions[None], 16, axis=0)
    steps = change[:, None] * bond / distance
    if moving == "region":
        path[:, case.region] -= steps[:, None]
    else:
        path[:, oxygen : oxygen + 3] += steps[:, None]
    assert_jumps_like(
        compute_in(case.context(hybrid)), compute_in(case.context(case.system)), path, atol=1e-5
    )


def test_mm_system_is_not_changed(model, coupled):
    case, coupling = coupled
    before = XmlSerializer.serialize(case.system)
    create_hybrid_system(case.system, case.topology, case.region, model, coupling=coupling)
    assert XmlSerializer.serialize(case.system) == before


def test_molecules_stay_together(model, coupled):
    """Barostats and trajectory writers move OpenMM's molecules as a whole."""
    case, coupling = coupled
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model, coupling=coupling)
    found = openmm.Context(hybrid, openmm.VerletIntegrator(0.001)).getMolecules()
    expected = openmm.Context(case.system, openmm.VerletIntegrator(0.001)).getMolecules()
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_region_is_free_of_constraints(model, coupled):
    case, coupling = coupled
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model, coupling=coupling)
    members = set(case.region.tolist())

    def pairs(system):
        return [
            tuple(system.getConstraintParameters(i)[:2]) for i in range(system.getNumConstraints())
        ]

    assert any(i in members for i, _ in pairs(case.system))
    assert pairs(hybrid) == [p for p in pairs(case.system) if p[0] not in members]


@pytest.mark.parametrize("axis", range(3))
def test_region_split_by_the_boundary(model, case, axis):
    """Wrapping single atoms of the region changes neither energy nor forces."""
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    energy, forces = case.state(hybrid)
    split = case.positions.copy()
    split[case.region[::2]] += case.box[axis]
    found = case.state(hybrid, split)
    np.testing.assert_allclose(found[0], energy, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], forces, rtol=0, atol=0.05)


def test_region_interacts_with_its_own_images(model):
    """A single polar region in a box interacts with its periodic images, as in the MM system."""
    case = solvated_ligand("CO")
    hybrid = create_hybrid_system(case.system, case.topology, case.region, model)
    lone = copy.deepcopy(hybrid)
    (nonbonded,) = [f for f in lone.getForces() if isinstance(f, openmm.NonbondedForce)]
    for atom in range(case.region[-1] + 1, lone.getNumParticles()):
        nonbonded.setParticleParameters(atom, 0.0, 1.0, 0.0)
    for i in range(nonbonded.getNumExceptions()):
        a, b = nonbonded.getExceptionParameters(i)[:2]
        nonbonded.setExceptionParameters(i, a, b, 0.0, 1.0, 0.0)
    nonbonded.setUseDispersionCorrection(False)
    charges = np.array([nonbonded.getParticleParameters(int(i))[0]._value for i in case.region])
    dipole = charges @ case.whole_region
    group = nonbonded.getForceGroup()
    nonbonded.setForceGroup(31)
    energy = case.state(lone, groups={31})[0]
    # Ewald sum of a point dipole in a cubic box with conducting boundary: -2 pi p^2 / (3 V). Higher
    # multipoles of the molecule are smaller by its size relative to the edge of the box.
    size = np.linalg.norm(np.ptp(case.whole_region, axis=0)) / np.linalg.det(case.box) ** (1 / 3)
    assert size < 0.25
    expected = -138.935 * 2 * np.pi * dipole @ dipole / (3 * np.linalg.det(case.box))
    np.testing.assert_allclose(energy, expected, rtol=size)
    assert group != 31


def test_system_round_trips_through_xml(model, coupled):
    case, coupling = coupled
    single = load_model("ANI-1x")
    hybrid = create_hybrid_system(
        case.system, case.topology, case.region, single, coupling=coupling
    )
    text = XmlSerializer.serialize(hybrid)
    assert len(text) < 5_000_000  # without the weights
    again = XmlSerializer.deserialize(text)
    np.testing.assert_allclose(case.state(again)[0], case.state(hybrid)[0], rtol=0, atol=1e-6)


def test_mechanical_embedding_is_the_default(model, case):
    default = create_hybrid_system(case.system, case.topology, case.region, model)
    explicit = create_hybrid_system(
        case.system, case.topology, case.region, model, coupling=Mechanical()
    )
    np.testing.assert_allclose(case.state(default)[0], case.state(explicit)[0], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_barostat_keeps_the_ligand_whole(case):
    model = load_model("ANI-1x", members=0)
    mm_system = copy.deepcopy(case.system)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 5)
    barostat.setRandomNumberSeed(1)
    mm_system.addForce(barostat)
    hybrid = create_hybrid_system(mm_system, case.topology, case.region, model)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(hybrid, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 50)
    before = context.getState().getPeriodicBoxVolume()._value
    integrator.step(200)
    state = context.getState(getPositions=True)
    assert state.getPeriodicBoxVolume()._value != before
    positions = state.getPositions(asNumpy=True)._value
    bonds = [b for b in case.topology.bonds() if b.atom1.index in set(case.region.tolist())]
    lengths = [np.linalg.norm(positions[b.atom1.index] - positions[b.atom2.index]) for b in bonds]
    assert 0.09 < min(lengths) and max(lengths) < 0.17  # nm: O-H has 0.096, C-C 0.154


@pytest.mark.parametrize(
    ("kind", "energy", "arguments"),
    [
        (openmm.CustomTorsionForce, "k*min(d, 6.2832-d)^2; d = abs(theta-theta0)", ([90.0, 0.3],)),
        (openmm.RBTorsionForce, None, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    ],
    ids=["CHARMM improper", "Ryckaert-Bellemans"],
)
def test_other_torsion_forces_of_the_region_are_removed(model, case, kind, energy, arguments):
    """Their terms inside the region are removed, and those outside are kept."""
    system = copy.deepcopy(case.system)
    force = kind() if energy is None else kind(energy)
    if energy is not None:
        force.addPerTorsionParameter("k")
        force.addPerTorsionParameter("theta0")
    force.setForceGroup(30)
    inside = [int(i) for i in case.region[:4]]
    outside = [len(case.region) + i for i in range(4)]
    force.addTorsion(*inside, *arguments)
    system.addForce(force)
    hybrid = create_hybrid_system(system, case.topology, case.region, model)
    assert case.state(system, groups={30})[0] != 0
    assert case.state(hybrid, groups={30})[0] == 0
    system.getForce(system.getNumForces() - 1).addTorsion(*outside, *arguments)
    hybrid = create_hybrid_system(system, case.topology, case.region, model)
    assert case.state(hybrid, groups={30})[0] != 0
