"""nnpmm's ANI as a potential of openmm-ml: the same energies and forces as nnpmm's own systems."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import openmm
import pytest
from cases import Case, compute_in, energy_and_forces, solvated_ligand
from conftest import load_aimnet
from contracts import assert_forces_match_energy
from openmm import Vec3, XmlSerializer, app, unit

from nnpmm import create_hybrid_system, load_model
from nnpmm.core.errors import ForceFieldError, ModelError, RegionError
from nnpmm.coupling import Role, role_of
from nnpmm.plugin import NetworkFactory

openmmml = pytest.importorskip("openmmml")
CHOICES = {"members": [0, 1], "precision": "double"}


@pytest.fixture(scope="module")
def potential():
    """Two networks of ANI-1x in double precision."""
    return openmmml.MLPotential("nnpmm-ani1x", **CHOICES)


@pytest.fixture(scope="module")
def model():
    return load_model("ANI-1x", **CHOICES)


@pytest.fixture(scope="module")
def case() -> Case:
    return solvated_ligand("CCO")


def mixed(case: Case, potential, **arguments) -> openmm.System:
    """openmm-ml's mixed system of a case."""
    region = case.region.tolist()
    return potential.createMixedSystem(case.topology, case.system, region, **arguments)


def network_force(system: openmm.System) -> openmm.Force:
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    return force


def assert_same(found, expected, energy=1e-6, forces=1e-6):
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=energy)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=forces)


@pytest.mark.parametrize("method", ["NoCutoff", "CutoffPeriodic", "PME", "LJPME"])
def test_mixed_system_equals_the_hybrid_system(potential, model, method):
    case = solvated_ligand("CCO", getattr(openmm.NonbondedForce, method))
    if case.box is None:
        case.topology.setPeriodicBoxVectors(None)
    found = mixed(case, potential)
    expected = create_hybrid_system(case.system, case.topology, case.region, model)
    assert_same(case.state(found), case.state(expected))
    own = {network_force(expected).getForceGroup()}
    network = mixed(case, potential, forceGroup=7)
    assert_same(case.state(network, groups={7}), case.state(expected, groups=own))


def test_mixed_forces_are_the_gradient(potential, case):
    context = case.context(mixed(case, potential, forceGroup=5))
    compute = compute_in(context, {5})
    assert_forces_match_energy(compute, case.positions, atoms=case.region[:4], atol=0.01)


@pytest.mark.parametrize("axis", range(3))
def test_region_split_by_the_boundary(potential, case, axis):
    system = mixed(case, potential)
    split = case.positions.copy()
    split[case.region[::2]] += case.box[axis]
    assert_same(case.state(system, split), case.state(system), energy=1e-3, forces=0.05)


@pytest.mark.parametrize("interpolate", [False, True])
def test_region_wider_than_half_the_box(potential, case, interpolate):
    stretched = case.positions.copy()
    x = case.whole_region[:, 0]
    stretched[case.region, 0] = 0.6 * case.box[0, 0] / np.ptp(x) * x
    with pytest.raises(openmm.OpenMMException, match="of the periodic box"):
        case.state(mixed(case, potential, interpolate=interpolate), stretched)


def test_molecules_of_the_mixed_system_are_those_of_the_mm_system(potential, case):
    """openmm-ml removes the region's bonds; barostats and trajectories still need them."""
    found = openmm.Context(mixed(case, potential), openmm.VerletIntegrator(0.001)).getMolecules()
    expected = openmm.Context(case.system, openmm.VerletIntegrator(0.001)).getMolecules()
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_interpolation(potential, case):
    """The force field at 0, the mixed system at 1, their mean in the middle."""
    context = case.context(mixed(case, potential, interpolate=True, removeConstraints=False))
    states = []
    for value in (0.0, 0.5, 1.0):
        context.setParameter("lambda_interpolate", value)
        states.append(energy_and_forces(context))
    # openmm-ml's Coulomb constant has fewer digits than that of OpenMM.
    assert_same(states[0], case.state(case.system), energy=0.01, forces=0.1)
    assert_same(states[2], case.state(mixed(case, potential)), energy=0.01, forces=0.1)
    middle = [0.5 * (states[0][i] + states[2][i]) for i in (0, 1)]
    assert_same(states[1], middle, energy=1e-5, forces=1e-4)


def test_link_atoms_of_openmm_ml(model):
    """A region that cuts a bond: the network sees openmm-ml's virtual hydrogen as an atom."""
    case = solvated_ligand("CCO")
    names = {atom.index: atom.element.symbol for atom in case.topology.atoms()}
    carbon = next(int(i) for i in case.region if names[int(i)] == "C")
    bonded = [b for b in case.topology.bonds() if carbon in (b.atom1.index, b.atom2.index)]
    methyl = [carbon] + [
        a.index for b in bonded for a in (b.atom1, b.atom2) if a.element.symbol == "H"
    ]
    assert len(methyl) == 4
    potential = openmmml.MLPotential("nnpmm-ani1x", **CHOICES)
    info = potential.createMixedSystem(
        case.topology, case.system, methyl, forceGroup=9, returnInfo=True
    )
    positions = np.vstack([case.positions, [[0, 0, 0]]])
    positions[methyl[1]] += case.box[0]  # split by the boundary
    context = case.context(info["system"], positions)
    context.computeVirtualSites()
    energy, _ = energy_and_forces(context, {9})
    placed = context.getState(positions=True).getPositions(asNumpy=True)._value
    placed[methyl[1]] -= case.box[0]
    expected = model.bind([6, 1, 1, 1, 1])(placed[[*methyl, -1]])[0]
    np.testing.assert_allclose(energy, expected, rtol=0, atol=1e-6)
    # A bond keeps the cap in the molecule of its carbon.
    cap = info["topology"].getNumAtoms() - 1
    forces = [f for f in info["system"].getForces() if type(f) is openmm.HarmonicBondForce]
    pairs = [set(f.getBondParameters(i)[:2]) for f in forces for i in range(f.getNumBonds())]
    assert {carbon, cap} in pairs


def test_molecule_in_vacuum(potential, model):
    case = solvated_ligand("CC(=O)N", openmm.NonbondedForce.NoCutoff)
    modeller = app.Modeller(case.topology, case.positions * unit.nanometer)
    modeller.deleteWater()
    modeller.topology.setPeriodicBoxVectors(None)
    system = potential.createSystem(modeller.topology)
    assert not system.usesPeriodicBoundaryConditions()
    positions = case.positions[case.region]
    found = Case(modeller.topology, system, positions, None, case.region).state(system)
    assert_same(found, model.bind(case.numbers)(positions))


@pytest.fixture(scope="module")
def waters() -> Case:
    """27 water molecules in a sheared box, whole, as a system of openmm-ml."""
    generator = np.random.default_rng(11)
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(27):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    box = 1.12 * np.array([[1, 0, 0], [0.2, 1, 0], [-0.3, 0.1, 1]])
    topology.setPeriodicBoxVectors([Vec3(*row) for row in box] * unit.nanometer)
    water = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) / 3
    positions = np.concatenate([g @ box + water for g in grid])
    positions += generator.normal(scale=0.005, size=positions.shape)
    return Case(topology, openmm.System(), positions, box, np.arange(81))


def test_periodic_system_without_mm(potential, model, waters):
    system = potential.createSystem(waters.topology)
    assert system.usesPeriodicBoundaryConditions()
    evaluator = model.bind(waters.numbers)
    expected = evaluator(waters.positions, waters.box)
    assert abs(expected[0] - evaluator(waters.positions)[0]) > 10  # images contribute
    assert_same(waters.state(system), expected)
    images = np.random.default_rng(3).integers(-1, 2, size=(81, 3))
    wrapped = waters.state(system, waters.positions + images @ waters.box)
    assert_same(wrapped, expected)


def test_periodic_forces_are_the_gradient(potential, waters):
    context = waters.context(potential.createSystem(waters.topology))
    compute = compute_in(context)
    atoms = np.array([0, 1, 40, 80])
    assert_forces_match_energy(compute, waters.positions, atoms=atoms, step=3e-6, atol=0.01)


def test_current_box_is_used(potential, model, waters):
    context = waters.context(potential.createSystem(waters.topology))
    larger = 1.05 * waters.box
    context.setPeriodicBoxVectors(*larger)
    expected = model.bind(waters.numbers)(waters.positions, larger)
    assert_same(energy_and_forces(context), expected)


def test_barostat_scales_molecules(waters):
    """After an accepted move, the water molecules have the same shape."""
    fast = openmmml.MLPotential("nnpmm-ani1x", members=0)
    system = fast.createSystem(waters.topology)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(1e-6),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPeriodicBoxVectors(*waters.box)
    context.setPositions(waters.positions)
    volume = context.getState().getPeriodicBoxVolume()._value
    for _ in range(20):
        context.getIntegrator().step(1)
        state = context.getState(positions=True, energy=True)
        if state.getPeriodicBoxVolume()._value != volume:
            break
    else:
        pytest.fail("no change of volume was accepted")
    found = state.getPositions(asNumpy=True)._value
    for a, b in ((0, 1), (0, 2), (78, 79)):
        before = np.linalg.norm(waters.positions[a] - waters.positions[b])
        np.testing.assert_allclose(np.linalg.norm(found[a] - found[b]), before, rtol=0, atol=1e-4)
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    expected = load_model("ANI-1x", 0).bind(waters.numbers)(found, box)[0]
    np.testing.assert_allclose(state.getPotentialEnergy()._value, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", ["mixed", "periodic"])
def test_systems_round_trip_through_xml(case, waters, kind):
    fast = openmmml.MLPotential("nnpmm-ani1x", members=0, backend="reference")
    where = case if kind == "mixed" else waters
    system = mixed(case, fast) if kind == "mixed" else fast.createSystem(waters.topology)
    text = XmlSerializer.serialize(system)
    assert len(text) < 5_000_000  # without the weights
    again = XmlSerializer.deserialize(text)
    assert_same(where.state(again), where.state(system), energy=1e-3, forces=0.01)


def test_arguments_reach_the_model(case):
    """Arguments of the system override those of the potential."""
    for potential, arguments in (
        (openmmml.MLPotential("nnpmm-ani1x", members=3), {}),
        (openmmml.MLPotential("nnpmm-ani1x"), {"members": 3, "device": "cpu"}),
        (openmmml.MLPotential("nnpmm-ani1x", members=1), {"members": [3]}),
    ):
        system = mixed(case, potential, forceGroup=4, **arguments)
        energy = case.state(system, groups={4})[0]
        expected = load_model("ANI-1x", 3).bind(case.numbers)(case.whole_region)[0]
        np.testing.assert_allclose(energy, expected, rtol=0, atol=1e-3)


def test_torch_device_is_accepted(case):
    import torch

    mixed(case, openmmml.MLPotential("nnpmm-ani1x", device=torch.device("cpu"), members=0))


@pytest.mark.parametrize("name", ["nnpmm-ani2x", "nnpmm-ani1x", "nnpmm-ani1ccx"])
def test_names_are_registered(name):
    assert openmmml.MLPotential(name)._impl.name == name


def test_unknown_arguments_are_refused(potential, case):
    allowed = "members, backend, device, precision, threads, weights"
    with pytest.raises(ModelError, match=f"found the argument modelIndex, allowed: {allowed}"):
        mixed(case, potential, modelIndex=0)
    with pytest.raises(ModelError, match="arguments member, presicion, allowed"):
        openmmml.MLPotential("nnpmm-ani1x", presicion="double", member=1)
    with pytest.raises(ModelError, match="the backend 'fast', available"):
        mixed(case, potential, backend="fast")


def test_elements_unknown_to_the_model_are_refused(potential):
    case = solvated_ligand("CF")
    with pytest.raises(RegionError, match="found the elements F, but ANI-1x supports"):
        mixed(case, potential)


def test_virtual_sites_are_refused(potential, waters):
    topology = copy.deepcopy(waters.topology)
    topology.addAtom("M", None, topology.addResidue("VS", topology.addChain()))
    with pytest.raises(RegionError, match=r"found 1 particles without an element .*81\)"):
        potential.createSystem(topology)


def test_a_charged_region_is_refused(potential, case):
    system = copy.deepcopy(case.system)
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    charge, sigma, epsilon = nonbonded.getParticleParameters(int(case.region[0]))
    nonbonded.setParticleParameters(int(case.region[0]), charge._value + 1, sigma, epsilon)
    with pytest.raises(RegionError, match=r"charge \+1 e"):
        potential.createMixedSystem(case.topology, system, case.region.tolist())
    for atom in case.region.tolist():
        nonbonded.setParticleParameters(atom, 0.0, sigma, epsilon)
    with pytest.raises(ForceFieldError, match="zero charge"):
        potential.createMixedSystem(case.topology, system, case.region.tolist())


@pytest.mark.parametrize("module", ["nnpmm.plugin.potential", "nnpmm.plugin", "openmmml"])
def test_import_order_does_not_matter(module):
    code = f"import {module}; from openmmml import MLPotential; MLPotential('nnpmm-ani2x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def aimnet2():
    """One network of AIMNet2 in double precision, registered as by the entry point."""
    load_aimnet()
    known = openmmml.MLPotential._implFactories
    if "nnpmm-aimnet2" not in known:
        openmmml.MLPotential.registerImplFactory("nnpmm-aimnet2", NetworkFactory())
    return openmmml.MLPotential("nnpmm-aimnet2", members=1, precision="double")


def test_aimnet2_uses_the_charge_of_the_force_field(aimnet2, case):
    model = load_aimnet(members=1, precision="double")
    expected = case.state(create_hybrid_system(case.system, case.topology, case.region, model))
    for arguments in ({}, {"charge": 0}):
        assert_same(case.state(mixed(case, aimnet2, **arguments)), expected)
    with pytest.raises(
        RegionError, match=r"found charge=-2, but the force field gives the region \+0"
    ):
        mixed(case, aimnet2, charge=-2)


def test_aimnet2_of_a_whole_system(aimnet2, waters):
    alone = app.Modeller(waters.topology, waters.positions * unit.nanometer)
    alone.delete(list(alone.topology.residues())[1:])
    with pytest.raises(RegionError, match="a periodic system, but the network describes"):
        aimnet2.createSystem(alone.topology, charge=0)
    alone.topology.setPeriodicBoxVectors(None)
    with pytest.raises(RegionError, match="the charge of its atoms, which AIMNet2"):
        aimnet2.createSystem(alone.topology)
    positions = np.array(alone.positions.value_in_unit(unit.nanometer))
    water = Case(alone.topology, waters.system, positions, None, np.arange(3))
    expected = load_aimnet(members=1, precision="double").bind([8, 1, 1])(positions)
    assert_same(water.state(aimnet2.createSystem(alone.topology, charge=0)), expected)
