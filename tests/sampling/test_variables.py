"""Collective variables: OpenMM's force and the function of positions are the same quantity."""

from __future__ import annotations

import itertools
import math

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit
from systems import PHI, alanine_dipeptide, cyclohexane, ring

from nnpmm.core.errors import ConfigError, InputFileError, SelectionError
from nnpmm.sampling import variables
from nnpmm.sampling.variables import Structure, bind_variables
from nnpmm.sampling.variables.variable import VariableError, parse_in_unit

BOX = np.diag([2.6, 2.8, 3.0])
CHAIN = {
    "torsion": variables.Torsion(atoms=(0, 1, 2, 3)),
    "groups": variables.Torsion(atoms=((0, 1), (2, 3), (4, 5), (6, 7))),
    "distance": variables.Distance(atoms=(0, 7)),
    "centres": variables.Distance(atoms=((0, 1, 2), (5, 6, 7))),
    "angle": variables.Angle(atoms=(0, 3, 7)),
    "coordination": variables.Coordination(atoms=((0, 1, 2), (4, 5, 6, 7)), distance="0.3 nm"),
    "rmsd": variables.Rmsd(atoms=(0, 2, 3, 4, 7)),
    "position": variables.Position(atoms=(3,), origin=(0, 1), towards=(6, 7)),
}
RING = {
    "theta": variables.Puckering(atoms=(0, 1, 2, 3, 4, 5)),
    "phi": variables.Puckering(atoms=(0, 1, 2, 3, 4, 5), coordinate="phi"),
    "amplitude": variables.Puckering(atoms=(0, 1, 2, 3, 4, 5), coordinate="amplitude"),
}


def chain(periodic: bool) -> Structure:
    """Eight bonded atoms of three elements, along a walk that crosses the boundary."""
    topology = app.Topology()
    residue = topology.addResidue("CHN", topology.addChain())
    symbols = "CONCCOCN"
    atoms = [
        topology.addAtom(f"{s}{n}", app.Element.getBySymbol(s), residue)
        for n, s in enumerate(symbols)
    ]
    for first, second in itertools.pairwise(atoms):
        topology.addBond(first, second)
    steps = np.random.default_rng(4).normal(size=(8, 3))
    steps *= 0.15 / np.linalg.norm(steps, axis=1, keepdims=True)
    positions = steps.cumsum(axis=0) + np.array([2.5, 0.1, 1.0])
    return Structure.of(topology, positions, box=BOX if periodic else None)


def six_ring() -> Structure:
    topology, positions = cyclohexane()
    return Structure.of(topology, positions)


def moved(structure: Structure) -> np.ndarray:
    rng = np.random.default_rng(7)
    return structure.positions + rng.normal(scale=0.02, size=structure.positions.shape)


def energy_and_forces(variable, structure, positions):
    """Energy and forces of the variable's OpenMM force in double precision."""
    system = openmm.System()
    for mass in structure.masses:
        system.addParticle(mass)
    if structure.box is not None:
        system.setDefaultPeriodicBoxVectors(*structure.box)
    system.addForce(variable.create_force())
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


CASES = [
    *((name, setting, False) for name, setting in CHAIN.items()),
    *((name, setting, True) for name, setting in CHAIN.items()),
    *((name, setting, None) for name, setting in RING.items()),
]


@pytest.mark.parametrize(("name", "setting", "periodic"), CASES, ids=lambda v: str(v)[:12])
def test_force_and_function_agree(name, setting, periodic):
    structure = six_ring() if periodic is None else chain(periodic)
    variable = setting.bind(name, structure)
    positions = moved(structure)
    energy, forces = energy_and_forces(variable, structure, positions)
    assert energy == pytest.approx(variable.evaluate(positions, structure.box), rel=0, abs=1e-7)
    step = 1e-5
    for atom, axis in np.ndindex(*positions.shape):
        shifted = [positions.copy(), positions.copy()]
        shifted[0][atom, axis] += step
        shifted[1][atom, axis] -= step
        high, low = (variable.evaluate(each, structure.box) for each in shifted)
        assert forces[atom, axis] == pytest.approx(-(high - low) / (2 * step), rel=0, abs=2e-4)


@pytest.mark.parametrize("name", ["torsion", "distance", "angle", "centres"])
def test_molecule_split_by_the_boundary_has_the_same_values(name):
    """Shifts to other periodic images, of atoms or whole groups, change nothing."""
    structure = chain(True)
    variable = CHAIN[name].bind(name, structure)
    split = structure.positions.copy()
    split[5:] -= BOX[0] - BOX[2]
    expected = variable.evaluate(structure.positions, structure.box)
    assert variable.evaluate(split, structure.box) == pytest.approx(expected, rel=0, abs=1e-9)
    assert energy_and_forces(variable, structure, split)[0] == pytest.approx(expected, abs=1e-9)


def test_values_match_mdtraj():
    topology, positions, system = alanine_dipeptide()
    structure = Structure.of(topology, positions, system)
    rng = np.random.default_rng(3)
    frames = positions + rng.normal(scale=0.02, size=(5, *positions.shape))
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology))
    phi = variables.Torsion(atoms=PHI).bind("phi", structure)
    expected = mdtraj.compute_phi(trajectory)[1][:, 0]
    np.testing.assert_allclose(phi.values(frames), expected, rtol=0, atol=1e-5)
    heavy = [a.index for a in topology.atoms() if a.element.symbol != "H"]
    rmsd = variables.Rmsd(atoms="not element H").bind("rmsd", structure)
    start = mdtraj.Trajectory(positions[None], trajectory.topology)
    expected = mdtraj.rmsd(trajectory, start, atom_indices=heavy)
    np.testing.assert_allclose(rmsd.values(frames), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("theta", "phi"), [(0, 0), (40, 100), (90, -70), (125, 20), (180, 0)])
def test_ring_with_known_puckering_coordinates(theta, phi):
    """Heights from Q, theta and phi by the inverse of Cremer's and Pople's definition."""
    amplitude, steps = 0.06, np.arange(6)
    a, b = np.radians([theta, phi])
    heights = np.sqrt(1 / 3) * amplitude * np.sin(a) * np.cos(b + 2 * np.pi * steps / 3)
    heights += amplitude * np.cos(a) * (-1.0) ** steps / np.sqrt(6)
    circle = 0.15 * np.stack([np.cos(np.pi * steps / 3), np.sin(np.pi * steps / 3)], axis=1)
    positions = np.column_stack([circle, heights])
    # The normal of the definition points down for atoms that go round this way.
    positions = positions * [1, -1, 1] if _normal(positions)[2] < 0 else positions
    structure = Structure.of(ring(6), positions)
    found = {name: each.bind(name, structure) for name, each in RING.items()}
    values = {name: each.evaluate(positions, None) for name, each in found.items()}
    assert values["theta"] == pytest.approx(a, abs=1e-6)
    assert values["amplitude"] == pytest.approx(amplitude, abs=1e-6)
    if theta not in (0, 180):
        assert math.cos(values["phi"] - b) == pytest.approx(1, abs=1e-6)
    for name, each in found.items():
        if name != "phi" or theta not in (0, 180):
            energy = energy_and_forces(each, structure, positions)[0]
            assert energy == pytest.approx(values[name], abs=3e-4)


def _normal(positions):
    steps = np.arange(6) * np.pi / 3
    centred = positions - positions.mean(axis=0)
    return np.cross(np.sin(steps) @ centred, np.cos(steps) @ centred)


def test_cyclohexane_is_a_chair():
    structure = six_ring()
    theta = RING["theta"].bind("theta", structure).evaluate(structure.positions, None)
    assert min(theta, math.pi - theta) < math.radians(10)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (variables.Distance(atoms=(0, 99)), "0 to 7"),
        (variables.Distance(atoms=((0, 0), 1)), "different indices"),
        (variables.Coordination(atoms=((0, 1), (1, 2)), distance="0.3 nm"), "both groups"),
        (variables.Rmsd(atoms=(0, 1)), "3 or more"),
        (variables.Puckering(atoms=(0, 1, 2, 3)), "5 or 6"),
        (variables.Puckering(atoms=(0, 1, 2, 3, 4)), "theta of a ring of 5"),
        (variables.Puckering(atoms=(0, 1, 2, 3, 4, 5)), "no bond"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_invalid_atoms_are_refused(setting, words):
    with pytest.raises(VariableError, match=words):
        setting.bind("v", chain(False))


def test_a_selection_that_matches_nothing_names_the_variable():
    with pytest.raises(SelectionError, match=r"far, group 2: .*matches nothing"):
        variables.Distance(atoms=(0, "name ZZ")).bind("far", chain(False))


def test_centre_of_several_molecules_in_a_box_is_refused():
    structure = chain(True)
    loose = app.Topology()
    residue = loose.addResidue("TWO", loose.addChain())
    for n in range(8):
        loose.addAtom(f"C{n}", app.Element.getBySymbol("C"), residue)
    with pytest.raises(VariableError, match="several molecules"):
        CHAIN["centres"].bind("d", Structure.of(loose, structure.positions, box=BOX))


def test_reference_with_other_atoms_is_refused(tmp_path):
    structure = chain(False)
    topology, positions = cyclohexane()
    with open(tmp_path / "other.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle)
    setting = variables.Rmsd(atoms=(0, 1, 2), reference=tmp_path / "other.pdb")
    with pytest.raises(InputFileError, match="found 6 atoms"):
        setting.bind("r", structure)


def test_names_and_angles_without_unit_are_refused():
    with pytest.raises(ConfigError, match="step"):
        bind_variables({"step": CHAIN["angle"]}, chain(False))
    with pytest.raises(ConfigError, match="expected an angle with its unit"):
        parse_in_unit(60, "rad", "width")
    assert parse_in_unit("60 deg", "rad", "width") == pytest.approx(math.pi / 3)
