"""Energy differences of saved frames: against a context, periodic images, regions, link atoms."""

from __future__ import annotations

import mdtraj
import numpy as np
import openmm
import pytest
from complexes import methanol_system, side_by_side
from openmm import app, unit
from stiff_bond import K_MM, K_NNP, STIFF, exact_difference, mm_bond, samples

from nnpmm import create_hybrid_system, load_model, structures
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError, SimulationError
from nnpmm.coupling import Interpolated, LinkAtoms, Mechanical, nnp_derivative
from nnpmm.freeenergy import differences, region_differences, reweight


@pytest.fixture(scope="module")
def network():
    return load_model("ANI-1x", members=0)


@pytest.fixture(scope="module")
def box():
    molecule = structures.molecule_from_smiles("CO", seed=1)
    parameters = structures.parameterize(molecule)
    return structures.solvate(molecule, parameters, padding=0.6, nonbonded_cutoff=0.7, seed=1)


@pytest.fixture(scope="module")
def methanol(box, network):
    """System, topology, region and network of methanol in water under PME."""
    return box.system, box.topology, box.ligand_atoms, network


@pytest.fixture(scope="module")
def frames(box):
    """Seven frames of the force field, (7, n, 3)."""
    integrator = openmm.LangevinMiddleIntegrator(300, 10, 0.002)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(box.system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(box.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 100)
    context.setVelocitiesToTemperature(300, 1)
    found = []
    for _ in range(7):
        integrator.step(50)
        found.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    return np.array(found)


@pytest.fixture(scope="module")
def boxes(box):
    """A box for each frame, (7, 3, 3), all different."""
    growth = 1 + 0.002 * np.arange(7)
    return growth[:, None, None] * np.array(box.box_vectors, dtype=float)


def context_differences(setup, coupling, frames, boxes=None):
    """nnp_derivative of a context at each frame, (k,)."""
    system = create_hybrid_system(*setup, coupling=coupling)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    found = []
    for index, frame in enumerate(frames):
        if boxes is not None:
            context.setPeriodicBoxVectors(*boxes[index])
        context.setPositions(frame)
        found.append(nnp_derivative(context))
    return np.array(found)


def test_differences_of_frames_match_a_context(methanol, frames, boxes, monkeypatch):
    monkeypatch.setattr(differences, "_BATCH", 3)  # two full batches and one of a single frame
    found = region_differences(*methanol, positions=frames, boxes=boxes)
    coupling = Mechanical(inside=Interpolated(), constraints="keep")
    expected = context_differences(methanol, coupling, frames, boxes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    assert np.ptp(found) > 3  # the frames differ, so that their order is tested


def test_frames_from_a_generator_and_with_units(methanol, frames, boxes):
    expected = region_differences(*methanol, positions=frames, boxes=boxes)
    found = region_differences(
        *methanol,
        positions=(10 * frame * unit.angstrom for frame in frames),
        boxes=(10 * box * unit.angstrom for box in boxes),
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_frames_read_from_a_dcd_file(methanol, frames, boxes, tmp_path):
    """Single precision, and the box as lengths and angles."""
    expected = region_differences(*methanol, positions=frames, boxes=boxes)
    written = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(methanol[1]))
    written.unitcell_vectors = boxes
    written.save_dcd(tmp_path / "mm.dcd")
    read = mdtraj.load_dcd(tmp_path / "mm.dcd", top=written.topology)
    found = region_differences(*methanol, positions=read.xyz, boxes=read.unitcell_vectors)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_region_split_by_the_boundary(methanol, frames, boxes, axis):
    """Every atom is wrapped individually, and the region's centre is on a face of the box."""
    expected = region_differences(*methanol, positions=frames, boxes=boxes)
    region, edges = methanol[2], boxes[:, None, axis, axis]
    centre = frames[:, region].mean(axis=1)[:, None, axis]
    wrapped = frames.copy()
    wrapped[:, :, axis] = (frames[:, :, axis] - centre) % edges
    kept = wrapped.copy()
    assert (
        np.ptp(wrapped[:, region, axis], axis=1) > 0.8 * edges[:, 0]
    ).all()  # the region is split
    found = region_differences(*methanol, positions=wrapped, boxes=boxes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    np.testing.assert_array_equal(wrapped, kept)  # the caller's frames are not changed


def test_unreduced_box_vectors(methanol, frames, boxes):
    skewed = boxes.copy()
    skewed[:, 1] += skewed[:, 0]
    skewed[:, 2] += skewed[:, 1]
    expected = region_differences(*methanol, positions=frames, boxes=boxes)
    found = region_differences(*methanol, positions=frames, boxes=skewed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def vacuum_frames(positions):
    rng = np.random.default_rng(1)
    start = np.array(positions.value_in_unit(unit.nanometer))
    return start + rng.normal(0, 0.002, (4, *start.shape))


def test_box_of_the_frames_is_used(network):
    """The default box of the system, here too small for butane's charged pairs, is not used."""
    topology, positions = side_by_side([("MOL", "CCCC")])
    system, frames = methanol_system(topology), vacuum_frames(positions)
    setup = system, topology, range(14), network
    expected = region_differences(*setup, positions=frames)
    (nonbonded,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.PME)
    system.setDefaultPeriodicBoxVectors(*(0.15 * np.eye(3)))
    found = region_differences(*setup, positions=frames, boxes=4 * [3 * np.eye(3)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_differences_of_several_regions_add_up(network):
    """Methanol and propane each have a network, and a water has none."""
    topology, positions = side_by_side([("MOL", "CO"), ("PRO", "CCC"), ("HOH", "O")], 0.6)
    mm, frames = methanol_system(topology), vacuum_frames(positions)
    coupling, regions = Mechanical(inside=Interpolated()), [range(6), range(6, 17)]
    each = [
        region_differences(mm, topology, region, network, positions=frames) for region in regions
    ]
    assert (np.abs(each) > 1).all()
    first = create_hybrid_system(mm, topology, regions[0], network, coupling=coupling)
    expected = context_differences((first, topology, regions[1], network), coupling, frames)
    np.testing.assert_allclose(sum(each), expected, rtol=0, atol=2e-3)


def test_region_with_a_link_atom(network):
    """For half of butane, a link atom replaces the outer atom, in angles and torsions too."""
    molecule = structures.molecule_from_smiles("CCCC", seed=3)
    system = structures.create_ligand_system(molecule, structures.parameterize(molecule))
    topology, positions = structures.to_openmm_topology(molecule)
    setup = system, topology, [0, 1, 4, 5, 6, 7, 8], network
    frames = vacuum_frames(positions * unit.nanometer)
    found = region_differences(*setup, positions=frames, boundary=LinkAtoms())
    expected = context_differences(
        setup, Mechanical(inside=Interpolated(), boundary=LinkAtoms()), frames
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    frames[:, 2, 0] += 0.02  # the carbon behind the cut bond
    moved = region_differences(*setup, positions=frames, boundary=LinkAtoms())
    assert (np.abs(moved - found) > 0.1).all()


def test_rigid_water_in_the_region(network):
    """The water has an angle term in addition to its constraints; bonds to hydrogen stay rigid."""
    topology, positions = side_by_side([("HOH", "O"), ("HOH", "O")], 0.5)
    field = app.ForceField("tip3p.xml")
    setup = field.createSystem(topology, flexibleConstraints=True), topology, range(3), network
    frames = vacuum_frames(positions)
    found = region_differences(*setup, positions=frames)
    expected = context_differences(
        setup, Mechanical(inside=Interpolated(), constraints="keep"), frames
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    no_terms = field.createSystem(topology), *setup[1:]
    with pytest.raises(ForceFieldError, match="of the angle with its ends at atoms"):
        region_differences(*no_terms, positions=frames)


@pytest.mark.parametrize("sides", [1, 2])
def test_reweighting_frames_gives_the_exact_free_energy(sides):
    rng = np.random.default_rng(2)
    series = [
        region_differences(*mm_bond(), [0, 1], STIFF, positions=samples(rng, k, 2000))
        for k in (K_MM, K_NNP)
    ]
    found = reweight(*series[:sides], temperature=300)
    assert found.error < 0.15
    assert abs(found.difference - exact_difference()) < 3.5 * found.error


def test_a_hybrid_system_is_refused(methanol, frames, boxes):
    hybrid = create_hybrid_system(*methanol)
    with pytest.raises(ForceFieldError, match="found a network in the system, expected the MM"):
        region_differences(hybrid, *methanol[1:], positions=frames, boxes=boxes)


def test_region_that_cuts_a_bond_is_refused(methanol, frames, boxes):
    system, topology, region, network = methanol
    with pytest.raises(RegionError, match="the region cuts 1 covalent bond"):
        region_differences(system, topology, region[:-1], network, positions=frames, boxes=boxes)


def test_missing_frames_are_refused(methanol):
    with pytest.raises(ConfigError, match="found no frames, expected at least one"):
        region_differences(*methanol, positions=[], boxes=[])


def test_boxes_must_match_the_periodicity_of_the_system(methanol, frames, boxes):
    with pytest.raises(ConfigError, match="found no boxes, a periodic system needs"):
        region_differences(*methanol, positions=frames)
    with pytest.raises(ConfigError, match="found no boxes of frame 6"):
        region_differences(*methanol, positions=frames, boxes=boxes[:6])
    with pytest.raises(ConfigError, match="found no positions of frame 5"):
        region_differences(*methanol, positions=frames[:5], boxes=boxes)
    vacuum = (*mm_bond(), [0, 1], STIFF)
    with pytest.raises(ConfigError, match="found boxes for a system without"):
        region_differences(*vacuum, positions=np.zeros((1, 2, 3)), boxes=boxes[:1])


def test_arrays_of_wrong_shape_are_refused(methanol, frames, boxes):
    region = frames[:, methanol[2]]
    with pytest.raises(ConfigError, match=r"frame 0: found positions of shape \(6, 3\), expected"):
        region_differences(*methanol, positions=region, boxes=boxes)
    with pytest.raises(ConfigError, match=r"frame 0: found a box of shape \(3,\), expected"):
        region_differences(*methanol, positions=frames, boxes=boxes[:, 0])
    turned = boxes.copy()
    turned[:, 0, 1] = 0.3
    with pytest.raises(ConfigError, match="allowed: rows of a lower triangular matrix"):
        region_differences(*methanol, positions=frames, boxes=turned)


def test_region_wider_than_half_the_box_is_refused(methanol, frames, boxes):
    with pytest.raises(SimulationError, match="of the periodic box, allowed: less than 50%"):
        region_differences(*methanol, positions=frames, boxes=0.2 * boxes)


def test_non_finite_frame_is_refused(methanol, frames, boxes):
    broken = frames.copy()
    broken[3, methanol[2][0], 0] = np.nan
    with pytest.raises(SimulationError, match="non-finite position"):
        region_differences(*methanol, positions=broken, boxes=boxes)
